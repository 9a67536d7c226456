package filecommands

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// cleanPatience is how long a run's folder is removed before somebody is told why the program has not ended.
const cleanPatience = time.Second

// beside does something while the caller does something else, and gives what came of it.
func beside(do func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	return done
}

// cleanRun removes the folder of the run, or says where it is if it is kept.
func (o *runOptions) cleanRun(said io.Writer, folder string, abandoned <-chan error) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	remove := func() error { return os.RemoveAll(folder) }
	if o.keep {
		fmt.Fprintf(said, "the run worked in %s\n", folder)
		remove = func() error { return nil }
	}
	awaitClean(said, beside(remove), abandoned, interrupted)
}

// awaitClean waits until the run's folder is removed, which takes minutes if it has hundreds of thousands of files, and a moment for those of
// abandoned runs. An interrupt leaves what is still there to the next run.
func awaitClean(said io.Writer, removed, abandoned <-chan error, interrupted <-chan os.Signal) {
	timer := time.NewTimer(cleanPatience)
	defer timer.Stop()
	late := timer.C
	for removed != nil || abandoned != nil && late != nil {
		select {
		case err := <-removed:
			removed = nil
			sayClean(said, err)
		case err := <-abandoned:
			abandoned = nil
			sayClean(said, err)
		case <-late:
			late = nil
			if removed != nil {
				fmt.Fprintln(said, "removing the files of the run; Ctrl-C leaves them to the next one")
			}
		case <-interrupted:
			return
		}
	}
}

func sayClean(said io.Writer, err error) {
	if err != nil {
		fmt.Fprintf(said, "slipway: %v\n", err)
	}
}
