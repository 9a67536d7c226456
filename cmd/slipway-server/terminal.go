package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Terminal writes what happens, a line each, and while something takes more than two seconds a line of progress that
// is written over again on a terminal, and every ten seconds anew elsewhere.
type Terminal struct {
	mu       sync.Mutex
	out      io.Writer
	tty      bool
	start    time.Time
	busy     string    // what is under way
	since    time.Time // since when
	last     time.Time // when its progress was last written
	drawn    bool      // a progress line stands on the terminal
	stopTick chan struct{}
}

// quietFor is how long something may take before it needs a progress line.
const quietFor = 2 * time.Second

func newTerminal(out *os.File) *Terminal {
	info, err := out.Stat()
	t := &Terminal{out: out, tty: err == nil && info.Mode()&os.ModeCharDevice != 0, start: time.Now(), stopTick: make(chan struct{})}
	go t.tick()
	return t
}

func (t *Terminal) tick() {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-t.stopTick:
			return
		case <-ticker.C:
			t.progress()
		}
	}
}

// Close ends the progress lines.
func (t *Terminal) Close() {
	close(t.stopTick)
	t.Done()
}

func (t *Terminal) progress() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.busy == "" || now.Sub(t.since) < quietFor {
		return
	}
	line := fmt.Sprintf("        … %s (%s)", t.busy, span(now.Sub(t.since)))
	if t.tty {
		fmt.Fprintf(t.out, "\r\x1b[K%s", line)
		t.drawn = true
		return
	}
	if now.Sub(t.last) >= 10*time.Second {
		t.last = now
		fmt.Fprintln(t.out, line)
	}
}

// Busy says what is under way until the next Busy or Done.
func (t *Terminal) Busy(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	what := fmt.Sprintf(format, args...)
	if what == t.busy {
		return
	}
	t.busy, t.since, t.last = what, time.Now(), time.Now()
}

// Done says that nothing is under way.
func (t *Terminal) Done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = ""
	t.erase()
}

func (t *Terminal) erase() {
	if t.drawn {
		fmt.Fprint(t.out, "\r\x1b[K")
		t.drawn = false
	}
}

// Say writes a line with the time since the start.
func (t *Terminal) Say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	fmt.Fprintf(t.out, "%7s %s\n", span(time.Since(t.start)), fmt.Sprintf(format, args...))
}

// Step writes that one of the ten steps is complete.
func (t *Terminal) Step(number int, took time.Duration, what, link string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	fmt.Fprintf(t.out, "%7s %2d. %-58s %7s  %s\n", span(time.Since(t.start)), number, what, span(took), link)
}

// Block writes lines without a time, indented.
func (t *Terminal) Block(lines ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	fmt.Fprintln(t.out, "\n    "+strings.Join(lines, "\n    ")+"\n")
}

// span writes a duration short: 0.34s, 12.3s, 2m05s.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
