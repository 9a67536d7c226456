package filecommands

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"slipway/internal/commandline"
	"slipway/internal/localrun"
	"slipway/internal/pipelines/job"
)

// asker asks on this machine's terminal what a job does at a step that failed.
type asker struct {
	in  *typed
	tty *os.File // nil when the input is none
	out io.Writer
}

func newAsker(cmd *cobra.Command) *asker {
	file, _ := cmd.InOrStdin().(*os.File)
	return &asker{in: readTyped(cmd.InOrStdin()), tty: file, out: cmd.ErrOrStderr()}
}

// decide asks until there is an answer. The end of the input, or of ctx, lets the job go on.
func (a *asker) decide(ctx context.Context, s localrun.Stopped) job.Decision {
	where := s.Step
	if s.Job != "" {
		where = s.Job + ", " + s.Step
	}
	fmt.Fprintf(a.out, "%s has failed: %s\n", where, s.Reason)
	for {
		fmt.Fprint(a.out, "[r]un it again, [c]ontinue, count it as [s]ucceeded, [e]nd the job, or look at it in a [t]erminal? ")
		answer, err := a.in.line(ctx)
		if err != nil {
			fmt.Fprintln(a.out)
			return job.DecisionContinue
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "r", "run", "rerun":
			return job.DecisionRerun
		case "c", "continue":
			return job.DecisionContinue
		case "s", "succeed", "succeeded":
			return job.DecisionSucceed
		case "e", "end":
			return job.DecisionEnd
		case "t", "terminal":
			if err := a.terminal(ctx, s); err != nil {
				fmt.Fprintln(a.out, err)
			}
		}
	}
}

// terminal opens one in the job until its shell ends.
func (a *asker) terminal(ctx context.Context, s localrun.Stopped) error {
	conn, err := s.Terminal(ctx)
	if err != nil {
		return fmt.Errorf("open a terminal: %w", err)
	}
	defer conn.CloseNow()
	over := make(chan struct{})
	defer func() {
		close(over)
		a.in.reading.Lock() // until the last reading is over
		defer a.in.reading.Unlock()
	}()
	_, err = commandline.Converse(ctx, conn, untilOver{a.in, over}, a.tty, a.out)
	fmt.Fprint(a.out, "\r\n")
	return err
}

// typed is what is typed, for several readers one after the other: one that goes takes nothing from the next.
type typed struct {
	pieces  chan []byte
	rest    []byte
	reading sync.Mutex // held by a reader
}

func readTyped(in io.Reader) *typed {
	t := &typed{pieces: make(chan []byte)}
	go func() { // until the input ends, or the program
		defer close(t.pieces)
		for {
			piece := make([]byte, 4<<10)
			n, err := in.Read(piece)
			if n > 0 {
				t.pieces <- piece[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return t
}

// next makes sure that there is something; false says that the input or the wait is over.
func (t *typed) next(over <-chan struct{}) bool {
	if len(t.rest) > 0 {
		return true
	}
	select {
	case piece, ok := <-t.pieces:
		t.rest = piece
		return ok
	case <-over:
		return false
	}
}

// line is the next line.
func (t *typed) line(ctx context.Context) (string, error) {
	var text strings.Builder
	for t.next(ctx.Done()) {
		for i, c := range t.rest {
			if c == '\n' || c == '\r' {
				text.Write(t.rest[:i])
				t.rest = t.rest[i+1:]
				return text.String(), nil
			}
		}
		text.Write(t.rest)
		t.rest = nil
	}
	return "", io.EOF
}

// untilOver reads what is typed until something is over.
type untilOver struct {
	*typed
	over <-chan struct{}
}

func (u untilOver) isOver() bool {
	select {
	case <-u.over:
		return true
	default:
		return false
	}
}

// Read implements io.Reader.
func (u untilOver) Read(p []byte) (int, error) {
	u.reading.Lock()
	defer u.reading.Unlock()
	if u.isOver() || !u.next(u.over) || u.isOver() {
		return 0, io.EOF
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}
