package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A process that becomes another program, again and again, has no environment for moments, and is not taken for somebody else's then.
func TestProcessesThatBecomeOthers(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	program := filepath.Join(folder, "again")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec \"$0\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env, cmd.Dir = []string{"AGENT_HOMEDIRECTORY=" + folder, "PATH=/usr/bin:/bin"}, "/"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	missed := 0
	for range 500 {
		left, err := leftBehind(folder, false)
		if err != nil {
			t.Error(err)
			break
		}
		if len(left.pids) == 0 && !left.unsure {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("missed %d times of 500", missed)
	}
	if err := EndLeft(folder); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("ended with %v, want killed", err)
	}
}
