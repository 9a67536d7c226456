package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/internal/embedded"
	"slipway/internal/programtest"
)

// program writes a shell script that stands for the node: it reports what body says, then waits to be stopped.
func program(t *testing.T, body string) embedded.Program {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	script := "#!/bin/sh\ntrap 'echo gone > " + dir + "/gone; exit 0' TERM\n" + body + "\nwhile :; do sleep 0.05; done\n"
	if err := programtest.Write(path, script); err != nil {
		t.Fatal(err)
	}
	return embedded.Program{Name: "node", Path: path, Folder: filepath.Join(dir, "run"), Config: map[string]string{"state": "x"}, ReadyPhase: "node"}
}

const ready = `echo '{"phase":"etcd","state":"ready","message":"etcd is up"}'; echo '{"phase":"node","state":"ready","message":"all is up"}'`

func ensure(t *testing.T, p embedded.Program) *embedded.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	process, err := p.Ensure(ctx, func(embedded.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Stop(context.Background()) })
	return process
}

func TestARunningProgramIsFoundAgain(t *testing.T) {
	t.Parallel()
	p := program(t, ready)
	first := ensure(t, p)
	if second := ensure(t, p); second.PID() != first.PID() {
		t.Errorf("started a second process %d beside %d", second.PID(), first.PID())
	}
	p.Config = map[string]string{"state": "y"}
	third := ensure(t, p)
	if third.PID() == first.PID() || first.Alive() {
		t.Error("a changed configuration did not replace the process")
	}
	if err := third.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if third.Alive() {
		t.Error("still alive after Stop")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(p.Path), "gone")); err != nil {
		t.Errorf("the program was not asked to clean up: %v", err)
	}
}

func TestAKilledProgramIsStartedAgain(t *testing.T) {
	t.Parallel()
	p := program(t, ready)
	process := ensure(t, p)
	first := process.PID()
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan bool, 10), make(chan struct{})
	go func() {
		defer close(ended)
		process.Keep(ctx, func(ready bool, _ error) { told <- ready })
	}()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true} {
		select {
		case got := <-told:
			if got != want {
				t.Fatalf("told that it is ready: %v, want %v", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was told")
		}
	}
	if !process.Alive() || process.PID() == first {
		t.Errorf("process %d (alive: %v) after %d was killed", process.PID(), process.Alive(), first)
	}
	cancel()
	<-ended
	if err := process.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestFailuresAreToldInTheProgramsWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"reported":       {`echo '{"phase":"network","state":"failed","message":"address 10.0.0.1 is in use"}'`, "address 10.0.0.1 is in use"},
		"ended silently": {`echo 'no such file' >&2; exit 1`, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := program(t, c.body)
			_, err := p.Ensure(context.Background(), func(embedded.Progress) {})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if err := p.StopLeftover(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
