package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// endPatience is how long processes may take to end that were killed.
const endPatience = 10 * time.Second

// BecomeSubreaper makes this process the parent of what jobs leave behind, however they detach it, so that it can be found.
func BecomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of what jobs leave behind: %w", err)
	}
	return nil
}

// EndLeft ends every process that steps of a job in the folder, or in one below it, have left running, however they detached it:
// what says in its environment that it works there, as Azure's agent finds them, and what is below this process and has its working
// directory there, with all below them.
func EndLeft(folder string) error {
	if parent := filepath.Dir(filepath.Clean(folder)); parent == filepath.Clean(folder) || folder == "" {
		return fmt.Errorf("%q is no folder of a job alone", folder)
	}
	return endWhile(func() ([]int, error) { return leftBehind(folder, false) })
}

// EndAllLeft ends what EndLeft ends, and whatever else has become a child of this process, with all below it. Nobody else may wait
// for a child meanwhile.
func EndAllLeft(folder string) error {
	return endWhile(func() ([]int, error) {
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		return leftBehind(folder, true)
	})
}

// endWhile kills what is found until nothing is.
func endWhile(find func() ([]int, error)) error {
	deadline := time.Now().Add(endPatience)
	for {
		left, err := find()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of jobs do not end", len(left))
		}
		time.Sleep(5 * time.Millisecond) // until the kernel has ended them
	}
}

// leftBehind are the processes that work in the folder, with all below them, and with children those of this process, too.
func leftBehind(folder string, children bool) (left []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	self := os.Getpid()
	parents := map[int]int{}
	marked, inside := map[int]bool{}, map[int]bool{}
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
		marked[pid] = err == nil && worksIn(environ, folder) // those of other users cannot be read
		directory, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		inside[pid] = err == nil && within(folder, directory)
	}
	for pid := range parents {
		below, looking, up := marked[pid], inside[pid], pid
		for range len(parents) {
			// Where it works says something of a process below this one alone: others may look into the folder, too.
			if up = parents[up]; marked[up] || up == self && (children || looking) {
				below = true
			}
			if looking = looking || inside[up]; below || up <= 1 {
				break
			}
		}
		if below {
			left = append(left, pid)
		}
	}
	return left, nil
}

// worksIn reports an environment of steps of a job in the folder, or in one below it.
func worksIn(environ []byte, folder string) bool {
	for pair := range bytes.SplitSeq(environ, []byte{0}) {
		if home, ok := bytes.CutPrefix(pair, []byte("AGENT_HOMEDIRECTORY=")); ok {
			return within(folder, string(home))
		}
	}
	return false
}

func within(folder, path string) bool {
	below, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(below)
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
