package builder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnmountBelow(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting needs root")
		}
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	state, beside := filepath.Join(dir, "the state"), filepath.Join(dir, "the state of another")
	inner := filepath.Join(state, "a", "b")
	for _, p := range []string{beside, filepath.Join(state, "a")} {
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", p, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	defer unix.Unmount(beside, unix.MNT_DETACH)
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", inner, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := unmountBelow(state); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	escape := func(p string) string { return strings.ReplaceAll(p, " ", `\040`) }
	if strings.Contains(string(b), escape(state)+"/") || !strings.Contains(string(b), escape(beside)+" ") {
		t.Error("what is below the state must be unmounted and nothing else")
	}
}
