package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// invocation is what is started, here or in another container of the job.
type invocation struct {
	path                  string
	args                  []string // after the program's name
	dir                   string
	env                   []string
	stdin, stdout, stderr *os.File
	terminal              bool // which all three are
	owner                 *owner
}

// running is a program that runs.
type running interface {
	// signal is for its whole process group.
	signal(s syscall.Signal)
	// wait waits for its end and says what was wrong with that.
	wait() error
	// close is called when nothing of it is left.
	close()
}

// start starts a program where the step runs.
func (t *task) start(p invocation) (running, error) {
	if t.target != nil {
		return t.target.start(p)
	}
	return startHere(p)
}

// here is a program in this container.
type here struct{ cmd *exec.Cmd }

// startHere starts a program in a process group, or with a terminal in a session, of its own.
func startHere(p invocation) (*here, error) {
	cmd := &exec.Cmd{Path: p.path, Args: append([]string{p.path}, p.args...), Dir: p.dir, Env: p.env, Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: !p.terminal, Setsid: p.terminal, Setctty: p.terminal}}
	if p.owner != nil && os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.owner.UID, Gid: p.owner.GID}
	}
	return &here{cmd}, cmd.Start()
}

func (h *here) signal(s syscall.Signal) { _ = syscall.Kill(-h.cmd.Process.Pid, s) }

func (h *here) close() {}

func (h *here) wait() error {
	code, signal := h.end()
	return endError(filepath.Base(h.cmd.Path), code, signal)
}

// end waits for the end: the exit code, or the signal that ended it.
func (h *here) end() (code int, signal syscall.Signal) {
	_ = h.cmd.Wait() // its state says it all
	status, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 0, status.Signal()
	}
	return h.cmd.ProcessState.ExitCode(), 0
}

// endError is nil for a program that has ended well.
func endError(name string, code int, signal syscall.Signal) error {
	switch {
	case signal == syscall.SIGKILL:
		return fmt.Errorf("%s was killed: most often the job's memory was used up", name)
	case signal != 0:
		return fmt.Errorf("%s was ended by signal %d (%v)", name, int(signal), signal)
	case code != 0:
		return errExit{name, code}
	}
	return nil
}
