package progress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"slipway"
)

// Call sends a request to the server's REST API, and decodes its answer into out.
type Call func(ctx context.Context, method, path string, in, out any) error

// Canceled is why the context of a Telling ended: By asked for that.
type Canceled struct{ By string }

func (c Canceled) Error() string { return c.By + " asked for that" }

// Telling tells the server of a build while it runs, so that others see it. A build does not fail because that did not work. What Write
// gets is the build's log. Make it with Tell or Follow; a nil one tells nobody.
type Telling struct {
	call    Call
	list    string // where the project's builds are
	mask    func(string) string
	started time.Time
	cancel  context.CancelCauseFunc
	stop    chan struct{}
	stopped sync.WaitGroup

	mu      sync.Mutex // guards what follows
	path    string     // of this build; "" until the server knows of it
	refused bool       // the server takes nothing of it
	line    []byte     // whose end has not come yet
	log     []byte     // not told yet
	at      int64      // where that begins
	full    bool
	report  Report
	steps   map[int]int // by the number of the step: its place in the report
	changed bool        // the report, since it was last told
}

// Times of a Telling.
const (
	tellEvery = time.Second
	tellTime  = 15 * time.Second // bounds one request
	tellEnd   = 30 * time.Second // bounds telling of the end, to a server that starts again
)

// Tell begins: path is where the project's builds are, and mask removes secrets from what is told. Cancelling by somebody
// else ends the context that it returns.
func Tell(ctx context.Context, call Call, path string, mask func(string) string, r Report) (*Telling, context.Context, error) {
	t := newTelling(call, path, mask, r)
	if err := t.begin(ctx); err != nil {
		return nil, nil, err
	}
	return t, t.run(ctx), nil
}

// Follow does the same without waiting for the server, which learns of the build as soon as it answers.
func Follow(ctx context.Context, call Call, path string, mask func(string) string, r Report) (*Telling, context.Context) {
	t := newTelling(call, path, mask, r)
	return t, t.run(ctx)
}

func newTelling(call Call, list string, mask func(string) string, r Report) *Telling {
	t := &Telling{call: call, list: list, mask: mask, started: time.Now(), stop: make(chan struct{}), steps: map[int]int{}}
	t.report = *t.masked(&r)
	return t
}

// run tells each second until Finish, and gives the context that ends when somebody cancels the build.
func (t *Telling) run(ctx context.Context) context.Context {
	ctx, t.cancel = context.WithCancelCause(ctx)
	t.stopped.Go(func() {
		_ = t.begin(ctx) // or with the next one
		every := time.NewTicker(tellEvery)
		defer every.Stop()
		for {
			select {
			case <-t.stop:
				return
			case <-every.C:
				_ = t.tell(ctx, Update{}) // the next one tells it
			}
		}
	})
	return ctx
}

// begin tells the server that there is a build, unless it knows.
func (t *Telling) begin(ctx context.Context) error {
	t.mu.Lock()
	known, r := t.path != "" || t.refused, t.report
	t.mu.Unlock()
	if known {
		return nil
	}
	r.Summary = Summary{}
	ctx, done := context.WithTimeout(ctx, tellTime)
	defer done()
	var begun struct {
		ID int64 `json:"id"`
	}
	err := t.call(ctx, "POST", t.list, r, &begun)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.refused = final(err)
		return err
	}
	t.path = t.list + "/" + strconv.FormatInt(begun.ID, 10)
	return nil
}

// final reports whether the server said no, so that asking again is of no use.
func final(err error) bool {
	var said *slipway.Problem
	return errors.As(err, &said) && said.Code != slipway.CodeUnavailable && said.Code != slipway.CodeInternal
}

// Path is where the server has the build; "" as long as it does not know of it.
func (t *Telling) Path() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.path
}

// Progress passes events on and takes the steps from them.
func (t *Telling) Progress(next func(Event)) func(Event) {
	if t == nil {
		return next
	}
	return func(e Event) {
		t.event(e)
		next(e)
	}
}

func (t *Telling) event(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	place, known := t.steps[e.Step]
	switch e.Kind {
	case EventStarted:
		t.steps[e.Step] = len(t.report.Summary.Steps)
		t.report.Summary.Steps = append(t.report.Summary.Steps, Step{Name: t.mask(e.Name), Running: true})
	case EventDone, EventCached, EventFailed, EventCancelled:
		if !known {
			return
		}
		step := &t.report.Summary.Steps[place]
		step.Running, step.Seconds, step.Cached, step.Failed = false, e.Duration.Seconds(), e.Kind == EventCached, e.Kind == EventFailed || e.Kind == EventCancelled
	case EventLog, EventWarning:
		return
	}
	t.changed = true
}

// Write takes a part of the log.
func (t *Telling) Write(p []byte) (int, error) {
	if t == nil {
		return len(p), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = append(t.line, p...)
	for {
		i := bytes.IndexByte(t.line, '\n')
		if i < 0 && len(t.line) <= maxLogLine {
			return len(p), nil
		}
		if i < 0 || i > maxLogLine {
			i = maxLogLine - 1
		}
		t.keep(t.line[:i+1])
		t.line = t.line[i+1:]
	}
}

// keep takes a line of the log, or the part of a very long one; mu is held.
func (t *Telling) keep(line []byte) {
	text := strings.ReplaceAll(strings.ToValidUTF8(t.mask(string(bytes.TrimRight(line, "\r\n"))), "\uFFFD"), "\x00", "") + "\n"
	const rest = "What follows is not kept: the log of a build has up to 1 MiB.\n"
	switch {
	case t.full:
	case t.at+int64(len(t.log)+len(text)+len(rest)) > MaxBuildLog:
		t.log, t.full = append(t.log, rest...), true
	default:
		t.log = append(t.log, text...)
	}
}

// tell sends what is new.
func (t *Telling) tell(ctx context.Context, u Update) error {
	if err := t.begin(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	if t.refused {
		t.mu.Unlock()
		return nil
	}
	path := t.path
	u.At = t.at
	piece := t.log[:min(len(t.log), MaxUpdateLog)]
	if len(piece) < len(t.log) {
		piece = piece[:bytes.LastIndexByte(piece, '\n')+1]
		u.Done = false
	}
	u.Log = string(piece)
	if t.changed && u.Report == nil {
		r := t.report
		r.Summary.Seconds = time.Since(t.started).Seconds()
		r = r.Bounded()
		u.Report, t.changed = &r, false
	}
	t.mu.Unlock()
	ctx, done := context.WithTimeout(ctx, tellTime)
	defer done()
	var kept Updated
	err := t.call(ctx, "PATCH", path, u, &kept)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.changed = t.changed || u.Report != nil
		return err
	}
	told := min(max(kept.At-t.at, 0), int64(len(t.log)))
	t.log, t.at = bytes.Clone(t.log[told:]), t.at+told
	if kept.CanceledBy != "" {
		t.cancel(Canceled{kept.CanceledBy})
	}
	if told < int64(len(u.Log)) {
		return errors.New("the server has not kept all of the log")
	}
	return nil
}

// Finish tells of the end. A nil report leaves the one that was told; failure is why it failed, or "".
func (t *Telling) Finish(ctx context.Context, report *Report, failure string) {
	if t == nil {
		return
	}
	t.end(ctx, Update{Report: t.masked(report), Canceled: failure != "" && ctx.Err() != nil, Error: failure})
}

// Lose tells that nobody will know how the build ended, and why.
func (t *Telling) Lose(ctx context.Context, why string) {
	t.end(ctx, Update{Lost: true, Error: why})
}

// end tells the last of it.
func (t *Telling) end(ctx context.Context, last Update) {
	close(t.stop)
	t.stopped.Wait()
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), tellEnd)
	defer done()
	defer t.cancel(nil)
	t.mu.Lock()
	if len(t.line) > 0 {
		t.keep(t.line)
		t.line = nil
	}
	t.changed = false
	t.mu.Unlock()
	last.Done, last.Error = true, cut(t.mask(last.Error))
	for {
		err := t.tell(ctx, last)
		if err == nil && t.told() || final(err) || ctx.Err() != nil {
			return
		}
		if err == nil {
			continue // a long log takes several
		}
		select {
		case <-ctx.Done():
		case <-time.After(tellEvery):
		}
	}
}

// told reports whether the whole log is, or nothing of it ever will be.
func (t *Telling) told() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.log) == 0 || t.refused
}

// masked is the report as the server may have it.
func (t *Telling) masked(r *Report) *Report {
	if r == nil {
		return nil
	}
	out := r.Bounded()
	out.Error, out.Target = t.mask(out.Error), t.mask(out.Target)
	out.Tags = slices.Clone(out.Tags)
	for i := range out.Tags {
		out.Tags[i] = t.mask(out.Tags[i])
	}
	for i := range out.Summary.Steps {
		out.Summary.Steps[i].Name = t.mask(out.Summary.Steps[i].Name)
	}
	return &out
}

var _ io.Writer = (*Telling)(nil)
