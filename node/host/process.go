package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Owned finds the processes of one node.
type Owned struct {
	Namespace uint64 // inode of its network namespace, 0: none
	Cgroup    string // name of its cgroup
	Socket    string // containerd's socket, which every shim has in its arguments
}

// List returns the ids of all processes of the node but this one.
func (o Owned) List() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && o.has(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func (o Owned) has(pid int) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	var st unix.Stat_t
	if o.Namespace != 0 && unix.Stat(filepath.Join(dir, "ns/net"), &st) == nil && st.Ino == o.Namespace {
		return true
	}
	if arguments, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil &&
		strings.Contains(string(arguments), "\x00"+o.Socket+"\x00") {
		return true
	}
	groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(groups)) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":/")
		if path == o.Cgroup || strings.HasPrefix(path, o.Cgroup+"/") {
			return true
		}
	}
	return false
}

// Kill kills all processes of the node and waits until they are gone.
func (o Owned) Kill(ctx context.Context) error {
	for {
		pids, err := o.List()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v do not end: %w", pids, ctx.Err())
		case <-time.After(20 * time.Millisecond): // /proc tells nobody when a process that is no child ends
		}
	}
}
