package schedule

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Delta is what changed in a run's facts: the new values of what did.
type Delta struct {
	// All says that more may follow from it than from the entries, as after a cancel or a retry.
	All      bool                  `json:"all,omitempty"`
	Canceled bool                  `json:"canceled,omitempty"`
	Result   Result                `json:"result,omitempty"`
	Stages   map[string]StageFacts `json:"stages,omitempty"`
	Jobs     map[string]JobFacts   `json:"jobs,omitempty"`
}

// With is the facts after a change.
func (f Facts) With(d Delta) Facts {
	f.Stages, f.Jobs = maps.Clone(f.Stages), maps.Clone(f.Jobs)
	if f.Stages == nil {
		f.Stages = map[string]StageFacts{}
	}
	if f.Jobs == nil {
		f.Jobs = map[string]JobFacts{}
	}
	f.take(d)
	return f
}

// take makes the change in facts whose maps belong to the caller.
func (f *Facts) take(d Delta) {
	f.Canceled, f.Result = d.Canceled, d.Result
	maps.Copy(f.Stages, d.Stages)
	maps.Copy(f.Jobs, d.Jobs)
}

// changed says the same as the shell said to After when the entry was made.
func (d Delta) changed() Changed {
	return Changed{All: d.All, Stages: slices.Collect(maps.Keys(d.Stages)), Jobs: slices.Collect(maps.Keys(d.Jobs))}
}

// Entry is one moment of a run: facts that changed, and what was decided then. Actions have no variables.
type Entry struct {
	Facts   Delta    `json:"facts"`
	Actions []Action `json:"actions,omitempty"`
}

// Replayed is an entry that was decided again.
type Replayed struct {
	// Changes and Decisions are sentences.
	Changes, Decisions []string
	// Difference says what would be decided otherwise today; "" for nothing.
	Difference string
}

// Replay decides again over the recorded facts of a run, one entry after the other. facts are those before the first entry: variables
// and groups. Each entry looks at what changed in it, as After did then, so that a run of thousands of jobs takes seconds.
func Replay(p *plan.Plan, facts Facts, entries []Entry) iter.Seq[Replayed] {
	return func(yield func(Replayed) bool) {
		now := facts.With(Delta{Canceled: facts.Canceled, Result: facts.Result}) // maps of its own
		var memory Memory
		for _, e := range entries {
			now.take(e.Facts)
			one := Replayed{Changes: e.Facts.describe()}
			for _, a := range e.Actions {
				one.Decisions = append(one.Decisions, a.describe())
			}
			one.Difference = difference(e.Actions, After(p, now, e.Facts.changed(), &memory))
			if !yield(one) {
				return
			}
		}
	}
}

// Recorded is the action as an entry has it: without variables, which may hold secrets.
func (a Action) Recorded() Action {
	a.Variables = variable.Set{}
	return a
}

func difference(recorded, now []Action) string {
	texts := func(list []Action) []string {
		var out []string
		for _, a := range list {
			b, err := json.Marshal(a.Recorded())
			if err != nil {
				b = []byte(err.Error())
			}
			out = append(out, string(b))
		}
		return out
	}
	was, is := texts(recorded), texts(now)
	parts := missing(recorded, was, is, "not any more: ")
	return strings.Join(append(parts, missing(now, is, was, "now: ")...), "; ")
}

// missing are sentences about the actions whose texts are not among the others.
func missing(actions []Action, texts, others []string, before string) (list []string) {
	there := map[string]bool{}
	for _, text := range others {
		there[text] = true
	}
	for i, a := range actions {
		if !there[texts[i]] {
			list = append(list, before+a.describe())
		}
	}
	return list
}

// describe is the action in a sentence.
func (a Action) describe() string {
	what := "stage " + a.Stage
	if a.Instance != "" {
		what = "job " + a.Instance
	}
	if a.Attempt > 1 {
		what += fmt.Sprintf(", attempt %d,", a.Attempt)
	}
	said := map[ActionKind]string{
		ActionStartChecks: what + " asks for its checks", ActionStartStage: what + " starts", ActionSkipStage: what + " ends as " + string(a.Result) + " without running",
		ActionCompleteStage: what + " ends as " + string(a.Result), ActionExpandJob: fmt.Sprintf("%s gets %d legs", what, len(a.Legs)), ActionStartJob: what + " is queued",
		ActionChooseMachines: what + " asks for the machines of its environment",
		ActionSkipJob:        what + " ends as " + string(a.Result) + " without running", ActionFailJob: what + " fails before it starts", ActionCancelJob: what + " is told to stop",
		ActionCompleteRun: "the run ends as " + string(a.Result),
	}[a.Kind]
	if a.Reason != "" {
		said += ": " + a.Reason
	}
	return said
}

// describe says what changed, in sentences.
func (d Delta) describe() []string {
	var list []string
	if d.Canceled {
		list = append(list, "the run is canceled")
	}
	for _, name := range slices.Sorted(maps.Keys(d.Stages)) {
		f := d.Stages[name]
		text := "stage " + name + " is " + stateText(f.State, f.Result)
		if f.State == Checking && f.Checks != "" {
			text += ", its checks are " + string(f.Checks)
		}
		list = append(list, text)
	}
	for _, id := range slices.Sorted(maps.Keys(d.Jobs)) {
		f := d.Jobs[id]
		text := "job " + id + " is " + stateText(f.State, f.Result)
		if f.Retried != "" && f.State == Pending {
			text += " again: " + f.Retried
		}
		list = append(list, text)
	}
	if d.Result != "" {
		list = append(list, "the run is over: "+string(d.Result))
	}
	return list
}

func stateText(s State, r Result) string {
	switch {
	case s == Pending:
		return "pending"
	case s == Completed:
		return "over: " + string(r)
	}
	return string(s)
}
