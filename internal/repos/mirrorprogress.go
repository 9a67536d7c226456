package repos

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// maxProgress bounds the lines that are kept of a transfer.
const maxProgress = 40

// transfers are what git says of the transfers under way, and how they are ended.
type transfers struct {
	mu  sync.Mutex // guards what follows
	all map[int64]*transfer
}

// transfer is one that is under way.
type transfer struct {
	cancel context.CancelCauseFunc
	mu     sync.Mutex // guards what follows
	lines  []string
	rest   string // of a line whose end has not come
}

func (t *transfers) start(id int64, cancel context.CancelCauseFunc) *transfer {
	one := &transfer{cancel: cancel}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[int64]*transfer{}
	}
	t.all[id] = one
	return one
}

func (t *transfers) end(id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, id)
}

func (t *transfers) find(id int64) *transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[id]
}

// cancel ends a transfer and says whether one was under way.
func (t *transfers) cancel(id int64, cause error) bool {
	one := t.find(id)
	if one != nil {
		one.cancel(cause)
	}
	return one != nil
}

// progressForm is a line of git's that the next of its kind replaces: `Receiving objects:  45% (…)`.
var progressForm = regexp.MustCompile(`^(.*?):\s+\d+`)

// Write takes what git writes to its standard error; lines end with a line feed, or a carriage return when the next replaces them.
func (t *transfer) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.rest + strings.ReplaceAll(string(b), "\r", "\n")
	for {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			break
		}
		t.add(line)
		text = rest
	}
	t.rest = text[:min(len(text), 1<<10)]
	return len(b), nil
}

// say adds a line of the server's own.
func (t *transfer) say(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(line)
}

func (t *transfer) add(line string) {
	line = strings.TrimRight(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?")), " ")
	line = shorten(strings.TrimSuffix(line, "\x1b[K"), 300)
	if line == "" {
		return
	}
	if m := progressForm.FindStringSubmatch(line); m != nil {
		for i := len(t.lines) - 1; i >= 0; i-- {
			if old := progressForm.FindStringSubmatch(t.lines[i]); old != nil && old[1] == m[1] {
				t.lines[i] = line
				return
			}
		}
	}
	if t.lines = append(t.lines, line); len(t.lines) > maxProgress {
		t.lines = t.lines[len(t.lines)-maxProgress:]
	}
}

func (t *transfer) progress() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// MirrorProgress is what git has said of the transfer of a mirror that is under way; nil when none is.
func (s *Service) MirrorProgress(id int64) []string {
	t := s.transfers.find(id)
	if t == nil {
		return nil
	}
	return append([]string{}, t.progress()...)
}
