package debian

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLock has a second importer of the folder wait until the first one has made its layer.
func TestLock(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first, err := New(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := first.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	said := ""
	second, err := New(folder, func(message string) { said = message; cancel() })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.lock(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(said, "another process") {
		t.Errorf("beside another process: %v, and it says %q", err, said)
	}
	unlock()
	again, err := second.lock(t.Context())
	if err != nil {
		t.Fatalf("after it: %v", err)
	}
	again()
}

// TestAlone has a command mount something and start another, and ends it: neither is left, whatever it would have done at its end.
func TestAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `trap '' TERM; mount -t tmpfs none "$1" && echo mounted && sleep 1000`, "sh", folder)
	alone(cmd)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "mounted\n" {
		t.Fatalf("%q, %v; this test mounts, which root may", line, err)
	}
	mounts := func() bool {
		list, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(list), folder)
	}
	if mounts() {
		t.Error("the command mounts for all to see")
	}
	cancel()
	if _, err := io.Copy(io.Discard, out); err != nil && !errors.Is(err, os.ErrClosed) { // until what it has started is gone, too
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || mounts() {
		t.Errorf("it ended with %v, its mount is there: %v", err, mounts())
	}
}
