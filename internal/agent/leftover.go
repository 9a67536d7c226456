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
// directory there, with all below them. Steps that an agent began that is no more are among them.
func EndLeft(folder string) error {
	if err := checkFolder(folder); err != nil {
		return err
	}
	return endWhile(func() (remains, error) { return leftBehind(folder, whose{}) })
}

// endOwnLeft ends what EndLeft ends, of what was started by this process.
func endOwnLeft(folder string) error {
	if err := checkFolder(folder); err != nil {
		return err
	}
	return endWhile(func() (remains, error) { return leftBehind(folder, whose{own: true}) })
}

// EndAllLeft ends what EndLeft ends, of what was started by this process, and whatever else has become a child of this process, with all
// below it. Nobody else may wait for a child meanwhile.
func EndAllLeft(folder string) error {
	return endWhile(func() (remains, error) {
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		return leftBehind(folder, whose{own: true, children: true})
	})
}

func checkFolder(folder string) error {
	if parent := filepath.Dir(filepath.Clean(folder)); parent == filepath.Clean(folder) || folder == "" {
		return fmt.Errorf("%q is no folder of a job alone", folder)
	}
	return nil
}

// whose says which processes are looked at.
type whose struct {
	// own leaves out all that were there before this process: to read of each what it works with takes a tenth of a millisecond, and a machine
	// of somebody who works at it has hundreds.
	own bool
	// children counts every child of this process as left behind.
	children bool
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

// leftBehind are the processes that work in the folder, with all below them.
func leftBehind(folder string, which whose) (left remains, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return left, fmt.Errorf("list processes: %w", err)
	}
	self := os.Getpid()
	var oldest uint64
	if which.own {
		stat, ok := statOf(self)
		if !ok {
			return left, errors.New("find out since when this process runs: /proc does not say it")
		}
		oldest = stat.started
	}
	parents := map[int]int{}
	marked, inside := map[int]bool{}, map[int]bool{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}
		stat, ok := statOf(pid)
		if !ok || stat.kernel || stat.started < oldest {
			continue // or it has ended meanwhile
		}
		environ, environErr := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if environErr == nil && len(environ) == 0 { // of which nothing is sure that was read before
			if stat, ok = statOf(pid); !ok {
				continue
			}
			left.unsure = left.unsure || !stat.bare
		}
		parents[pid] = stat.parent
		marked[pid] = environErr == nil && worksIn(environ, folder) // those of other users cannot be read
		directory, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		inside[pid] = err == nil && within(folder, directory)
	}
	for pid := range parents {
		below, looking, up := marked[pid], inside[pid], pid
		for range len(parents) {
			// Where it works says something of a process below this one alone: others may look into the folder, too.
			if up = parents[up]; marked[up] || up == self && (which.children || looking) {
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
	parent  int
	started uint64 // in clock ticks since the machine's start
	kernel  bool   // it is one of the kernel's own
	// bare says that it has no environment for good: it has ended, or was given none.
	bare bool
}

// kernelThread is the kernel's PF_KTHREAD.
const kernelThread = 0x00200000

// statOf reads of a process; a dead one that waits for its parent counts.
func statOf(pid int) (stat processStat, ok bool) {
	// A machine has hundreds of processes, of which each run looks at all: os.ReadFile calls the kernel nine times where three do.
	file, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return stat, false
	}
	var room [4 << 10]byte // of which a name and 52 numbers take no more than a third
	n, err := unix.Read(file, room[:])
	_ = unix.Close(file)
	if err != nil {
		return stat, false
	}
	text := room[:n]
	// The name stands in brackets and may hold anything. The field after it is the third of the manual page, and the first here.
	const state, parent, flags, startTime, startCode, environment, environmentEnd = 0, 1, 6, 19, 23, 47, 48
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= environmentEnd {
		return stat, false
	}
	kind, kindErr := strconv.ParseUint(fields[flags], 10, 64)
	stat.kernel = kindErr == nil && kind&kernelThread != 0
	// A process that becomes another program has an environment that begins and ends at one place for a moment, when its code has no place yet.
	stat.bare = strings.Contains("ZX", fields[state]) || fields[environment] != "0" && fields[environment] == fields[environmentEnd] && fields[startCode] != "0"
	var parentErr, startErr error
	stat.parent, parentErr = strconv.Atoi(fields[parent])
	stat.started, startErr = strconv.ParseUint(fields[startTime], 10, 64)
	return stat, parentErr == nil && startErr == nil
}
