package progress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// EventKind says what an Event tells.
type EventKind string

// The kinds of events. A step has one EventStarted and then one of the four ends.
const (
	EventStarted   EventKind = "started"   // a step began
	EventLog       EventKind = "log"       // a step's command wrote a line
	EventDone      EventKind = "done"      // a step ended well
	EventCached    EventKind = "cached"    // a step's result was there already
	EventFailed    EventKind = "failed"    // a step ended with Error
	EventCancelled EventKind = "cancelled" // a step was given up, since another one failed
	EventWarning   EventKind = "warning"   // the Dockerfile's check found something
)

// Event is one thing that a build tells while it runs.
type Event struct {
	Kind     EventKind
	Step     int           // counts from 1 in the order in which steps begin; 0 when no step is meant
	Name     string        // the step, as `[2/3] RUN go build`
	Duration time.Duration // how long the step took, at its end
	Line     string        // a log line without its end, or a warning
	Stderr   bool          // the line was written to standard error
	Error    string        // why the step failed
}

// maxLogLine bounds a line of a step's log; what is longer comes as several lines.
const maxLogLine = 64 << 10

// Status is what the builder tells at once. Steps repeat themselves with what has changed.
type Status struct {
	Steps    []StepStatus `json:"steps,omitempty"`
	Logs     []LogPart    `json:"logs,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
}

// StepStatus is a step as far as it has come.
type StepStatus struct {
	Key       string     `json:"key"` // the same for the same step of a build
	Name      string     `json:"name"`
	Started   *time.Time `json:"started,omitempty"` // nil: it has not begun
	Completed *time.Time `json:"completed,omitempty"`
	Cached    bool       `json:"cached,omitempty"`
	Error     string     `json:"error,omitempty"`
}

// LogPart is what a step's command wrote, not by lines.
type LogPart struct {
	Key    string `json:"key"` // of the step
	Stream int    `json:"stream"`
	Data   []byte `json:"data"`
}

// Reporter turns a builder's messages, which repeat themselves, into events that do not. Make it with NewReporter; its methods are called one at a time.
type Reporter struct {
	progress func(Event)
	steps    map[string]*step
	failed   *step // the step that ended the build
	ended    []Step
}

type step struct {
	number  int
	name    string
	ended   bool
	partial map[int][]byte // by stream: a line whose end has not come yet
	last    string         // the last line of its log
}

// NewReporter calls progress with each event, unless it is nil.
func NewReporter(progress func(Event)) *Reporter {
	if progress == nil {
		progress = func(Event) {}
	}
	return &Reporter{progress: progress, steps: map[string]*step{}}
}

// Update takes a message.
func (r *Reporter) Update(s Status) {
	for _, v := range s.Steps {
		if v.Started != nil {
			r.begin(v)
		}
	}
	for _, l := range s.Logs {
		if st := r.steps[l.Key]; st != nil {
			r.log(st, l.Stream, l.Data)
		}
	}
	for _, w := range s.Warnings {
		r.Warn(w)
	}
	for _, v := range s.Steps {
		if v.Completed != nil {
			r.end(v)
		}
	}
}

// Summary is what has been done so far.
func (r *Reporter) Summary(took time.Duration) Summary {
	return Summary{Steps: slices.Clone(r.ended), Seconds: took.Seconds()}
}

// FailedStep is the step that ended a build.
type FailedStep struct {
	Name string
	Last string // line of its log
}

// Failed is nil when no step has ended the build.
func (r *Reporter) Failed() *FailedStep {
	if r.failed == nil {
		return nil
	}
	return &FailedStep{r.failed.name, r.failed.last}
}

func (r *Reporter) begin(v StepStatus) {
	if r.steps[v.Key] != nil {
		return
	}
	st := &step{number: len(r.steps) + 1, name: v.Name, partial: map[int][]byte{}}
	r.steps[v.Key] = st
	r.progress(Event{Kind: EventStarted, Step: st.number, Name: st.name})
}

func (r *Reporter) end(v StepStatus) {
	st := r.steps[v.Key]
	if st == nil || st.ended {
		return
	}
	st.ended = true
	r.flushStep(st)
	e := Event{Kind: EventDone, Step: st.number, Name: st.name}
	if v.Started != nil {
		e.Duration = v.Completed.Sub(*v.Started)
	}
	r.ended = append(r.ended, Step{Name: st.name, Cached: v.Cached, Seconds: e.Duration.Seconds(), Failed: v.Error != ""})
	switch {
	case strings.HasSuffix(v.Error, context.Canceled.Error()):
		e.Kind = EventCancelled
	case v.Error != "":
		e.Kind, e.Error = EventFailed, v.Error
		if r.failed == nil {
			r.failed = st
		}
	case v.Cached:
		e.Kind = EventCached
	}
	r.progress(e)
}

func (r *Reporter) log(st *step, stream int, data []byte) {
	data = append(st.partial[stream], data...)
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 && len(data) <= maxLogLine {
			break
		}
		end, next := i, i+1
		if i < 0 || i > maxLogLine {
			end, next = maxLogLine, maxLogLine
		}
		r.line(st, stream, data[:end])
		data = data[next:]
	}
	st.partial[stream] = bytes.Clone(data)
}

func (r *Reporter) line(st *step, stream int, line []byte) {
	st.last = string(line)
	r.progress(Event{Kind: EventLog, Step: st.number, Name: st.name, Line: string(bytes.TrimRight(line, "\r")), Stderr: stream == 2})
}

// Warn tells what is found outside of a step.
func (r *Reporter) Warn(line string) { r.progress(Event{Kind: EventWarning, Line: line}) }

// Flush gives out lines that had no end when the build was over.
func (r *Reporter) Flush() {
	for _, st := range r.steps {
		r.flushStep(st)
	}
}

func (r *Reporter) flushStep(st *step) {
	for _, stream := range []int{1, 2} {
		if rest := st.partial[stream]; len(rest) > 0 {
			r.line(st, stream, rest)
		}
		delete(st.partial, stream)
	}
}

// PrintPlain writes events as docker's `--progress=plain` does. A write error is kept silent:
// a build does not fail because nobody reads its log.
func PrintPlain(w io.Writer) func(Event) {
	return func(e Event) {
		switch e.Kind {
		case EventStarted:
			fmt.Fprintf(w, "#%d %s\n", e.Step, e.Name)
		case EventLog:
			fmt.Fprintf(w, "#%d %s\n", e.Step, e.Line)
		case EventDone:
			fmt.Fprintf(w, "#%d DONE %.1fs\n", e.Step, e.Duration.Seconds())
		case EventCached:
			fmt.Fprintf(w, "#%d CACHED\n", e.Step)
		case EventCancelled:
			fmt.Fprintf(w, "#%d CANCELED\n", e.Step)
		case EventFailed:
			fmt.Fprintf(w, "#%d ERROR: %s\n", e.Step, e.Error)
		case EventWarning:
			fmt.Fprintf(w, "WARN: %s\n", e.Line)
		}
	}
}
