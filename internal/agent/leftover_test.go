package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
		left, err := leftBehind(folder, whose{})
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

// What was there before a process is none of its own jobs' steps, and is looked for only where another agent has begun them.
func TestOlderProcesses(t *testing.T) {
	t.Parallel()
	if folder := os.Getenv("OLDER_FOLDER"); folder != "" { // the younger process, started below
		for _, which := range []whose{{}, {own: true}} {
			left, err := leftBehind(folder, which)
			fmt.Println("found", left.pids, err)
		}
		pid, _ := strconv.Atoi(os.Getenv("OLDER_PROCESS"))
		older, _ := statOf(pid)
		self, _ := statOf(os.Getpid())
		fmt.Println("younger", self.started > older.started)
		return
	}
	folder := t.TempDir()
	older := exec.Command("sleep", "600")
	older.Env, older.Dir = []string{"AGENT_HOMEDIRECTORY=" + folder}, "/"
	if err := older.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = older.Process.Kill(); _ = older.Wait() })
	pid := strconv.Itoa(older.Process.Pid)
	for range 100 { // of those that start in one tick of the clock none is younger
		younger := exec.Command(os.Args[0], "-test.run", "^TestOlderProcesses$")
		younger.Env = append(os.Environ(), "OLDER_FOLDER="+folder, "OLDER_PROCESS="+pid)
		out, err := younger.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(string(out), "younger true") {
			if want := "found [" + pid + "] <nil>\nfound [] <nil>\n"; !strings.HasPrefix(string(out), want) {
				t.Errorf("want %s, got %s", want, out)
			}
			return
		}
	}
	t.Error("no process of a hundred was younger")
}
