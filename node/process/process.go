// Package process starts and stops the node's child processes. Children live in the node's network namespace, write to
// logs of bounded size, and are killed by the kernel when the process that started them dies.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
)

// Starter starts processes in one network namespace.
type Starter struct{ requests chan request }

type request struct {
	cmd    *exec.Cmd
	result chan error
}

// NewStarter makes a Starter for the namespace. It keeps one thread until ctx is done: the kernel ties a child's life
// (PR_SET_PDEATHSIG) to the thread that started it, not to the process. So ctx must outlive the children.
func NewStarter(ctx context.Context, ns netns.NsHandle) (*Starter, error) {
	s := &Starter{requests: make(chan request)}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := netns.Set(ns)
		entered <- err
		if err != nil {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case r := <-s.requests:
				r.result <- r.cmd.Start()
			}
		}
	}()
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("enter network namespace: %w", err)
	}
	return s, nil
}

// Command says what to start.
type Command struct {
	Name  string // of the log and in messages
	Path  string
	Args  []string
	Env   []string // added to this process's own
	Files []*os.File
	Log   *Log
}

// Process is a started child.
type Process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // once done is closed
}

// Start starts a child.
func (s *Starter) Start(ctx context.Context, c Command) (*Process, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	cmd.ExtraFiles = c.Files
	// A group of its own: Ctrl-C in a terminal is for the supervisor alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// containerd's shims inherit the log's pipe and live on: do not wait for them to close it.
	cmd.WaitDelay = time.Second
	r := request{cmd: cmd, result: make(chan error, 1)}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case s.requests <- r:
	}
	if err := <-r.result; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	p := &Process{name: c.Name, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		err := cmd.Wait()
		if errors.Is(err, exec.ErrWaitDelay) {
			err = nil
		}
		p.err = err
	}()
	return p, nil
}

// Name is the command's name.
func (p *Process) Name() string { return p.name }

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended; call it after Done.
func (p *Process) Err() error {
	if p.err != nil {
		return fmt.Errorf("%s ended: %w", p.name, p.err)
	}
	return fmt.Errorf("%s ended", p.name)
}

// Stop asks the child to end, and kills it when it has not after the given time.
func (p *Process) Stop(patience time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.done:
		return
	case <-time.After(patience):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}
