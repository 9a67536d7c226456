package agentless

import (
	"fmt"
	"strings"
	"time"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// Facts are what has happened in one attempt of an agentless job.
type Facts struct {
	Now     time.Time
	Started time.Time
	// Timeout counts from Started, and CancelTimeout from a cancel or from the end of Timeout. Both are positive.
	Timeout, CancelTimeout time.Duration
	Canceled               time.Time // when the cancel was asked for; zero: it was not
	Steps                  map[int]StepFacts
	Variables              variable.Set
}

// StepFacts are what has happened to one step.
type StepFacts struct {
	State   schedule.State
	Result  schedule.Result
	Started time.Time
	// Due is when a running step succeeds by itself; zero: it does not.
	Due time.Time
	// Asks says that nobody's answer in time is an answer too (see Expire).
	Asks bool
	// Late says that the step began after the job was asked to stop (Decision.Late).
	Late bool
}

// Kind is what a decision asks for.
type Kind string

// The kinds: a closed set.
const (
	Start  Kind = "start"  // begin Step
	Skip   Kind = "skip"   // Step is completed, Skipped, for Reason
	End    Kind = "end"    // Step is completed with Result, for Reason ("" after its time has come)
	Expire Kind = "expire" // the time of Step, which asks, is over: its own rule says what that means
	Wait   Kind = "wait"   // Step goes on; ask again at Until or after another fact
	Finish Kind = "finish" // the job is over with Result and Reason
)

// Decision is what is to be done next.
type Decision struct {
	Kind   Kind
	Step   *plan.Step // of all kinds but Finish
	Result schedule.Result
	Reason string
	Until  time.Time
	// Late says that the step to start begins after the job was asked to stop, which its condition allows.
	Late bool
}

// ReasonCanceled is why steps and jobs of a canceled run ended.
const ReasonCanceled = "the run was canceled"

// Next decides about the first step that is not over, or about the job when all are.
func Next(steps []plan.Step, f Facts) Decision {
	for i := range steps {
		st := &steps[i]
		switch known := f.Steps[st.ID]; known.State {
		case schedule.Completed:
			continue
		case schedule.Running:
			return f.running(st, known)
		}
		return f.pending(steps, st)
	}
	return f.finish(steps)
}

// stop is when and why the job was asked to stop; zero if it was not by now.
func (f Facts) stop() (at time.Time, reason string) {
	limit := f.Started.Add(f.Timeout)
	switch {
	case !f.Canceled.IsZero() && !f.Canceled.After(limit):
		return f.Canceled, ReasonCanceled
	case !f.Now.Before(limit):
		return limit, f.overtime()
	}
	return f.Canceled, ReasonCanceled
}

func (f Facts) overtime() string {
	return fmt.Sprintf("the job ran longer than its limit of %d minutes", int(f.Timeout.Minutes()))
}

// running finds the earliest of what can end a step. A step that began after the job was asked to stop goes on until the
// time for that is over.
func (f Facts) running(st *plan.Step, known StepFacts) Decision {
	stop, reason := f.stop()
	next := Decision{Kind: Wait, Step: st}
	end := func(at time.Time, d Decision) {
		if at.IsZero() || !next.Until.IsZero() && !at.Before(next.Until) {
			return
		}
		next = d
		next.Step, next.Until = st, at
	}
	end(known.Due, Decision{Kind: End, Result: schedule.Succeeded})
	if st.TimeoutInMinutes > 0 {
		d := Decision{Kind: End, Result: schedule.Failed, Reason: "the step ran longer than its timeoutInMinutes"}
		if known.Asks {
			d = Decision{Kind: Expire}
		}
		end(known.Started.Add(time.Duration(st.TimeoutInMinutes)*time.Minute), d)
	}
	over := Decision{Kind: End, Result: schedule.Canceled, Reason: f.overtime()}
	if known.Asks {
		over = Decision{Kind: Expire}
	}
	switch limit := f.Started.Add(f.Timeout); {
	case stop.IsZero():
		end(limit, over)
	case !known.Late && reason != ReasonCanceled:
		end(limit, over)
	case !known.Late:
		end(stop, Decision{Kind: End, Result: schedule.Canceled, Reason: reason})
	default:
		end(stop.Add(f.CancelTimeout), Decision{Kind: End, Result: schedule.Canceled, Reason: "the time after the cancel is over"})
	}
	if f.Now.Before(next.Until) {
		return Decision{Kind: Wait, Step: st, Until: next.Until}
	}
	return next
}

func (f Facts) pending(steps []plan.Step, st *plan.Step) Decision {
	skip := func(reason string) Decision {
		return Decision{Kind: Skip, Step: st, Result: schedule.Skipped, Reason: reason}
	}
	if st.Disabled {
		return skip("the step is disabled")
	}
	stop, reason := f.stop()
	if !stop.IsZero() && !f.Now.Before(stop.Add(f.CancelTimeout)) {
		return skip(reason)
	}
	holds, why, err := f.holds(steps, st)
	switch {
	case err != nil:
		return Decision{Kind: End, Step: st, Result: schedule.Failed, Reason: err.Error()}
	case !holds:
		return skip(why)
	}
	return Decision{Kind: Start, Step: st, Late: !stop.IsZero()}
}

// soFar is what the steps that are over came to.
func (f Facts) soFar(steps []plan.Step) schedule.Result {
	result := schedule.Succeeded
	for i := range steps {
		switch f.Steps[steps[i].ID].Result {
		case schedule.Failed:
			return schedule.Failed
		case schedule.SucceededWithIssues:
			result = schedule.SucceededWithIssues
		}
	}
	return result
}

// finish is how the job ended. Its time limit counts if it cut something off.
func (f Facts) finish(steps []plan.Step) Decision {
	stop, reason := f.stop()
	if !stop.IsZero() && f.cut(steps, stop) {
		result := schedule.Failed
		if reason == ReasonCanceled {
			result = schedule.Canceled
		}
		return Decision{Kind: Finish, Result: result, Reason: reason}
	}
	return Decision{Kind: Finish, Result: f.soFar(steps)}
}

// cut reports a step that was ended by the stop, or that comes after the last one that had begun before it.
func (f Facts) cut(steps []plan.Step, stop time.Time) bool {
	for i := range steps {
		if f.Steps[steps[i].ID].Result == schedule.Canceled {
			return true
		}
	}
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Disabled {
			continue
		}
		started := f.Steps[steps[i].ID].Started
		return started.IsZero() || started.After(stop)
	}
	return false
}

// holds evaluates a step's condition, with a sentence that says how it came about.
func (f Facts) holds(steps []plan.Step, st *plan.Step) (bool, string, error) {
	condition := st.Condition
	if strings.TrimSpace(condition) == "" {
		condition = "succeeded()"
	}
	e, err := expression.Parse(condition, expression.Scope{Names: []string{"variables"}, Status: true})
	if err != nil {
		return false, "", fmt.Errorf("condition %s: %w", condition, err)
	}
	stop, _ := f.stop()
	status := f.soFar(steps)
	failed := status == schedule.Failed
	if !stop.IsZero() {
		status = schedule.Canceled
	}
	vars := f.Variables.Clone()
	vars.Put(variable.AgentJobStatus, variable.Value{Text: string(status), ReadOnly: true})
	v, why, err := e.Explain(expression.Environment{Names: map[string]expression.Value{"variables": schedule.Variables(vars)},
		Status: func(function string, _ []string) (bool, error) {
			switch function {
			case "always":
				return true, nil
			case "canceled":
				return !stop.IsZero(), nil
			case "succeeded":
				return stop.IsZero() && !failed, nil
			case "failed":
				return stop.IsZero() && failed, nil
			}
			return stop.IsZero(), nil // succeededOrFailed
		}})
	if err != nil {
		return false, "", fmt.Errorf("condition %s: %w", condition, err)
	}
	return v.Truth(), why, nil
}
