package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// reap is what the first process of a container does: it starts the agent proper, hands signals on to it, and takes the
// exit status of every process whose parent is gone, so that none stays a zombie. It ends as the agent does.
func reap(args []string) error {
	if len(args) == 0 {
		args = []string{"work"}
	}
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	child, err := os.StartProcess(own, append([]string{own}, args...), &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Env: os.Environ()})
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range signals {
			_ = child.Signal(s)
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for the agent: %w", err)
		}
		if pid != child.Pid {
			continue
		}
		if status.Signaled() {
			return fmt.Errorf("the agent was ended by signal %d (%v)", int(status.Signal()), status.Signal())
		}
		os.Exit(status.ExitStatus())
	}
}
