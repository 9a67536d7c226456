package supervisor

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// The states of a phase.
const (
	Starting = "starting"
	Ready    = "ready"
	Failed   = "failed"
	Stopping = "stopping"
	Stopped  = "stopped"
)

// Progress writes one JSON object per line: what the program that started the node shows to people.
type Progress struct {
	mu    sync.Mutex
	out   *json.Encoder
	begin time.Time
}

// NewProgress counts elapsed time from now.
func NewProgress(w io.Writer) *Progress {
	return &Progress{out: json.NewEncoder(w), begin: time.Now()}
}

// line is the protocol; its field names are a contract.
type line struct {
	Time      time.Time `json:"time"`
	Phase     string    `json:"phase"`
	State     string    `json:"state"`
	Message   string    `json:"message"`
	ElapsedMs int64     `json:"elapsedMs"` // since the program's start
}

// Say writes one line. A reader that went away is no reason to stop a node.
func (p *Progress) Say(phase, state, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	_ = p.out.Encode(line{Time: now.UTC(), Phase: phase, State: state, Message: message, ElapsedMs: now.Sub(p.begin).Milliseconds()})
}

// phase reports the beginning and the end of f. The phase that fails reports its cause.
func (p *Progress) phase(name, message string, f func() error) error {
	p.Say(name, Starting, message)
	if err := f(); err != nil {
		return &PhaseError{Phase: name, Err: err}
	}
	p.Say(name, Ready, message)
	return nil
}

// PhaseError says in which phase something failed.
type PhaseError struct {
	Phase string
	Err   error
}

func (e *PhaseError) Error() string { return e.Err.Error() }
func (e *PhaseError) Unwrap() error { return e.Err }
