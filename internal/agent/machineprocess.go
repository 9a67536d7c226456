package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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

// becomeSubreaper makes this process the parent of what jobs leave behind, however they detach it, so that it can be ended.
func becomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of what jobs leave behind: %w", err)
	}
	return nil
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

// endPatience is how long processes may take to end that were killed.
const endPatience = 10 * time.Second

// endLeft ends every process that jobs in the folder have left behind: what has become a child of this process, with all below it,
// and, of an agent that was killed, what says in its environment that it works in the folder.
func endLeft(work string) error {
	deadline := time.Now().Add(endPatience)
	for {
		left, err := leftBehind(work)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of jobs do not end", len(left))
		}
		time.Sleep(5 * time.Millisecond) // until the kernel has ended them
	}
}

func leftBehind(work string) (left []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	self := os.Getpid()
	parents := map[int]int{}
	marked := map[int]bool{}
	marker := []byte("AGENT_HOMEDIRECTORY=" + work)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}
		parent, ok := parentOf(pid)
		if !ok {
			continue // it has ended meanwhile
		}
		parents[pid] = parent
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue // another user's
		}
		for pair := range bytes.SplitSeq(environ, []byte{0}) {
			if bytes.Equal(pair, marker) {
				marked[pid] = true
			}
		}
	}
	for pid := range parents {
		below, up := marked[pid], pid
		for range len(parents) {
			if up = parents[up]; up == self || marked[up] {
				below = true
			}
			if below || up <= 1 {
				break
			}
		}
		if below {
			left = append(left, pid)
		}
	}
	return left, nil
}

// parentOf reads the parent of a process; a dead one that waits for its parent counts.
func parentOf(pid int) (parent int, ok bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	// The name stands in brackets and may hold anything; the parent is the second field after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0, false
	}
	parent, err = strconv.Atoi(fields[1])
	return parent, err == nil
}
