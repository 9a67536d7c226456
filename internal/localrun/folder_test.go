package localrun_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slipway/internal/localrun"
)

func TestFoldersOfKilledRuns(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	old, other := filepath.Join(parent, fmt.Sprintf("slipway-run-%d-1-99", dead.Process.Pid)), filepath.Join(parent, fmt.Sprintf("slipway-kept-%d-1-99", dead.Process.Pid))
	for _, folder := range []string{old, other} {
		if err := os.MkdirAll(filepath.Join(folder, "self.git"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	first, err := localrun.NewFolder(parent, false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := localrun.NewFolder(parent, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := localrun.RemoveAbandoned(parent); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the folder of a killed run: %v", err)
	}
	for _, folder := range []string{other, first, second} {
		if _, err := os.Stat(folder); err != nil {
			t.Error(err)
		}
	}
}
