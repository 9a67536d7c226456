package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/programtest"
)

// The program that lies beside the agent is docker and az, by the name that it is called by.
func TestInstall(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(own), "docker")
	if err := programtest.Write(beside, "#!/bin/sh\nbasename \"$0\"\n"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(beside) })
	folder := t.TempDir()
	for range 2 { // a pod's init container may run again
		if err := run([]string{"install", folder}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"docker", "az", "buildctl", "docker-compose", "ko", "pack"} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(folder, name)).Output()
		if err != nil || string(out) != name+"\n" {
			t.Errorf("%s is called %q, %v", name, out, err)
		}
	}
	if info, err := os.Stat(filepath.Join(folder, "slipway-agent")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the agent is not installed: %v", err)
	}
}

func TestWhatIsNoCommandIsTold(t *testing.T) {
	t.Parallel()
	if err := run([]string{"--help"}); err != nil {
		t.Errorf("--help: %v", err)
	}
	if err := run([]string{"frobnicate"}); err == nil || !strings.Contains(err.Error(), `"frobnicate" is no command of slipway-agent`) {
		t.Errorf("frobnicate: %v", err)
	}
}
