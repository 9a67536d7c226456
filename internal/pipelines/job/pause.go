package job

import "slipway/internal/pipelines/schedule"

// Bounds of a job that waits at a step that failed, and of the terminals in it.
const (
	// DefaultStopMinutes is how long a job waits in all, if nothing else is said; MaxStopMinutes is the most.
	DefaultStopMinutes = 30
	MaxStopMinutes     = 8 * 60

	MaxTerminalMessage = 64 << 10 // bytes of one message, either way
	MaxTerminalOutput  = 64 << 20 // bytes that one terminal shows
	MaxTerminalSide    = 1000     // columns or rows of a window
)

// PauseState says how far a pause is.
type PauseState string

// The states of a pause.
const (
	PauseWaiting  PauseState = "waiting"
	PauseDecided  PauseState = "decided"  // somebody did
	PauseExpired  PauseState = "expired"  // nobody did in time: the step counts as failed
	PauseCanceled PauseState = "canceled" // with the run, or with the job's end
)

// Decision is what a job does that waits at a step that failed.
type Decision string

// The decisions.
const (
	DecisionRerun    Decision = "rerun"    // run the step again, with the files as they are
	DecisionContinue Decision = "continue" // the step failed; those after it run as their conditions say
	DecisionSucceed  Decision = "succeed"  // the step succeeded with issues
	DecisionEnd      Decision = "end"      // the job fails; only steps that always run still do
)

// Valid reports whether the decision is one of those above.
func (d Decision) Valid() bool {
	return d == DecisionRerun || d == DecisionContinue || d == DecisionSucceed || d == DecisionEnd
}

// Pause is a job's wait at a step that failed. Number counts those of the job's attempt from 1. The agent tells of it with State
// waiting, expired or canceled; the server answers with what it has come to: once somebody has decided, that counts.
type Pause struct {
	Number int    `json:"number"`
	Step   int    `json:"step"`
	Title  string `json:"title"`  // of the step
	Reason string `json:"reason"` // why it failed
	// Started and Expires are microseconds since 1970 in UTC.
	Started int64 `json:"started"`
	Expires int64 `json:"expires"`

	State    PauseState `json:"state"`
	Decision Decision   `json:"decision,omitempty"`
	By       string     `json:"by,omitempty"` // who decided
	// Terminals are the ids of those that the agent shall open.
	Terminals []string `json:"terminals,omitempty"`
}

// TerminalControl is a text message of a terminal; binary messages are what is typed and what is shown. The person's side sends the
// size of its window, the server says why the terminal ends.
type TerminalControl struct {
	Type    string `json:"type"` // size or end
	Columns int    `json:"columns,omitempty"`
	Rows    int    `json:"rows,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// Result is what a step that failed comes to by the decision.
func (d Decision) Result() schedule.Result {
	if d == DecisionSucceed {
		return schedule.SucceededWithIssues
	}
	return schedule.Failed
}
