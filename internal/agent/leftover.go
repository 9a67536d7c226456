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
	return endWhile(func() (remains, error) { return leftBehind(folder, false) })
}

// EndAllLeft ends what EndLeft ends, and whatever else has become a child of this process, with all below it. Nobody else may wait
// for a child meanwhile.
func EndAllLeft(folder string) error {
	return endWhile(func() (remains, error) {
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		return leftBehind(folder, true)
	})
}

// remains are processes that a job has left running.
type remains struct {
	pids []int
	// unsure says that there is a process that is becoming another program just now, which has no environment for a moment.
	unsure bool
}

// endWhile kills what is found until nothing is.
func endWhile(find func() (remains, error)) error {
	deadline := time.Now().Add(endPatience)
	for {
		left, err := find()
		if err != nil || len(left.pids) == 0 && !left.unsure {
			return err
		}
		for _, pid := range left.pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if time.Now().After(deadline) {
			if len(left.pids) == 0 {
				return nil
			}
			return fmt.Errorf("%d processes of jobs do not end", len(left.pids))
		}
		time.Sleep(5 * time.Millisecond) // until the kernel has ended them
	}
}

// leftBehind are the processes that work in the folder, with all below them, and with children those of this process, too.
func leftBehind(folder string, children bool) (left remains, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return left, fmt.Errorf("list processes: %w", err)
	}
	self := os.Getpid()
	parents := map[int]int{}
	marked, inside := map[int]bool{}, map[int]bool{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}
		environ, environErr := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		stat, ok := statOf(pid)
		if !ok {
			continue // it has ended meanwhile
		}
		parents[pid] = stat.parent
		marked[pid] = environErr == nil && worksIn(environ, folder) // those of other users cannot be read
		left.unsure = left.unsure || environErr == nil && len(environ) == 0 && !stat.bare
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
			left.pids = append(left.pids, pid)
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

// processStat is what proc_pid_stat(5) says of a process.
type processStat struct {
	parent int
	// bare says that it has no environment for good: it is one of the kernel's, has ended, or was given none.
	bare bool
}

// kernelThread is the kernel's PF_KTHREAD.
const kernelThread = 0x00200000

// statOf reads of a process; a dead one that waits for its parent counts.
func statOf(pid int) (stat processStat, ok bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat, false
	}
	// The name stands in brackets and may hold anything. The field after it is the third of the manual page, and the first here.
	const state, parent, flags, environment, environmentEnd = 0, 1, 6, 47, 48
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= environmentEnd {
		return stat, false
	}
	stat.parent, err = strconv.Atoi(fields[parent])
	kind, kindErr := strconv.ParseUint(fields[flags], 10, 64)
	stat.bare = kindErr == nil && kind&kernelThread != 0 || strings.Contains("ZX", fields[state]) || fields[environment] != "0" && fields[environment] == fields[environmentEnd]
	return stat, err == nil
}
