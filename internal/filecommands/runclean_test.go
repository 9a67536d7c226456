package filecommands

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"
)

// A run whose many files are still being removed says so, and ends when somebody does not want to wait for that: once, a run had told its
// result for half a minute before whoever had started it gave it up.
func TestCleanAfterRun(t *testing.T) {
	t.Parallel()
	told := func(err error) <-chan error {
		c := make(chan error, 1)
		c <- err
		return c
	}
	var out bytes.Buffer
	began := time.Now()
	awaitClean(&out, told(nil), told(nil), nil)
	if took := time.Since(began); took >= cleanPatience || out.Len() > 0 {
		t.Errorf("nothing to wait for: %v, %q", took, out.String())
	}
	awaitClean(&out, told(errors.New("remove a: not empty")), make(chan error), nil) // ends though what others left is still being removed
	if got := out.String(); got != "slipway: remove a: not empty\n" {
		t.Errorf("said %q", got)
	}
	out.Reset()
	interrupted := make(chan os.Signal)
	ended := beside(func() error { awaitClean(&out, make(chan error), told(nil), interrupted); return nil })
	select {
	case <-ended:
		t.Fatal("the removal was not waited for")
	case <-time.After(2 * cleanPatience):
	}
	interrupted <- os.Interrupt
	<-ended
	if got := out.String(); got != "removing the files of the run; Ctrl-C leaves them to the next one\n" {
		t.Errorf("said %q", got)
	}
}
