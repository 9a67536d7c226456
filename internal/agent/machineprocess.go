package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// lockFolder lets one agent work in a folder.
func lockFolder(folder string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the folder of the agent: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another agent works in %s: give this one a --folder of its own", folder)
	}
	return func() { f.Close() }, nil
}

// stopPatience is what a job's agent may take to stop when this one is told to; it reports the end of the job meanwhile.
const stopPatience = 30 * time.Second

// runUntil runs a job's agent, which ends with this one. The end of ctx asks it to stop.
func runUntil(ctx context.Context, cmd *exec.Cmd) error {
	// The death signal comes when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the job's agent: %w", err)
	}
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(stopPatience)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			_ = cmd.Process.Kill()
		}
	}()
	err := cmd.Wait()
	close(done)
	<-stopped
	if err != nil {
		return fmt.Errorf("the job's agent: %w", err)
	}
	return nil
}
