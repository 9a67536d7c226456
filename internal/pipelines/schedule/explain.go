package schedule

import (
	"fmt"
	"strings"

	"slipway/internal/pipelines/plan"
)

// Explanation says why a stage or a job runs, waits or does not run.
type Explanation struct {
	Stage string
	// Job and Instance are empty for the stage itself.
	Job      string
	Instance string
	Title    string
	State    State
	Result   Result
	// Condition as the file has it, succeeded() where it has none.
	Condition string
	// Reason is a sentence without its beginning: "runs, since …", "waits for …", "was skipped: …".
	Reason string
}

// Explain says for each stage and each job of a run, in the order of the plan, why it is as it is. Conditions are evaluated over the
// facts, with their values.
func Explain(p *plan.Plan, facts Facts) []Explanation {
	r := &run{plan: p, facts: facts, changed: Changed{All: true}, Memory: &Memory{}}
	r.reset()
	var list []Explanation
	for i := range p.Stages {
		s := &p.Stages[i]
		f := facts.Stages[s.Name]
		list = append(list, Explanation{Stage: s.Name, Title: s.Title(), State: f.State, Result: f.Result, Condition: conditionOf(s.Condition), Reason: r.explainStage(s, f)})
		for k := range s.Jobs {
			list = append(list, r.explainJob(s, &s.Jobs[k])...)
		}
	}
	return list
}

func conditionOf(text string) string {
	if text == "" {
		return "succeeded()"
	}
	return text
}

// unfinished says which of the things that are waited for are not over.
func unfinished(what string, names []string, state func(name string) State) string {
	var list []string
	for _, name := range names {
		switch at := state(name); at {
		case Completed:
		case Pending:
			list = append(list, name+", which has not begun")
		default:
			list = append(list, name+", which is "+string(at))
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "waits for " + what + " " + strings.Join(list, ", and "+what+" ")
}

func (r *run) explainStage(s *plan.Stage, f StageFacts) string {
	switch f.State {
	case Completed:
		if f.Result == Skipped || f.Reason != "" {
			reason := ended(f.Result, f.Reason)
			if dependencies, _ := r.stageDependencies(s); f.Result == Skipped && !f.Unwanted && f.Checks == "" {
				reason += cascaded(s.Condition, dependencies)
			}
			return reason
		}
	case Pending:
		if f.Unwanted {
			return "is left out, as was asked when the run was queued"
		}
		if waits := unfinished("stage", s.DependsOn, func(name string) State { return r.facts.Stages[name].State }); waits != "" {
			return waits
		}
		if s.Manual && !f.Started {
			return "waits for a person to start it"
		}
		return "is about to be decided"
	case Checking:
		return "waits for its checks"
	}
	holds, why, err := r.began(f.AfterCancel).stageCondition(s)
	return began(f.State, holds, why, err)
}

// endedAs is how what did not succeed ended.
var endedAs = map[Result]string{Skipped: "was skipped", Failed: "failed", Canceled: "was canceled", Abandoned: "was abandoned"}

// cascaded is what to write for a skip that skips what depends on it, which surprises many; "" when nothing was skipped before.
func cascaded(condition string, dependencies []dependency) string {
	if condition != "" {
		return ""
	}
	skipped := false
	for _, d := range dependencies {
		if d.ignored {
			continue
		}
		if d.result != Skipped && !d.result.good() {
			return ""
		}
		skipped = skipped || d.result == Skipped
	}
	if !skipped {
		return ""
	}
	return "; what was skipped counts as not succeeded: with condition: not(or(failed(), canceled())) it runs nevertheless"
}

// ended says how something ended that did not run, or whose reason is known.
func ended(result Result, reason string) string {
	word := endedAs[result]
	if word == "" {
		word = "is over"
	}
	if reason == "" {
		return word
	}
	return word + ": " + reason
}

// began says why something runs or ran. A condition that does not hold now did when it began: what it reads has changed since, by
// a retry.
func began(state State, holds bool, why string, err error) string {
	word := "runs"
	if state == Completed {
		word = "ran"
	}
	if err != nil || !holds {
		return word + ", since its condition held when it began"
	}
	return word + ", since " + why
}

// began is the run as it was when something began: a cancel that came later counts for nothing.
func (r *run) began(afterCancel bool) *run {
	if !r.facts.Canceled || afterCancel {
		return r
	}
	before := &run{plan: r.plan, facts: r.facts, changed: r.changed, Memory: &Memory{}}
	before.facts.Canceled = false
	before.reset()
	return before
}

func (r *run) explainJob(s *plan.Stage, j *plan.Job) []Explanation {
	own := plan.InstanceID(s.Name, j.Name, "")
	whole := r.facts.Jobs[own]
	stage := r.facts.Stages[s.Name]
	one := func(in plan.Instance, f JobFacts, reason string) Explanation {
		return Explanation{Stage: s.Name, Job: j.Name, Instance: in.ID, Title: in.Title(), State: f.State, Result: f.Result, Condition: conditionOf(j.Condition), Reason: reason}
	}
	instances := plan.Instances(s, j, whole.Legs)
	if len(instances) == 0 || whole.State == Completed && len(instances) > 1 {
		reason := "waits for its matrix, which is known when it begins"
		if j.Deployment != nil {
			reason = "waits for the machines of its environment, which are chosen when it begins"
		}
		if whole.State == Completed {
			reason = ended(whole.Result, whole.Reason)
		} else if waits := r.jobWaits(s, j, stage); waits != "" {
			reason = waits
		}
		return []Explanation{one(plan.Instance{ID: own, Stage: s, Job: j}, whole, reason)}
	}
	var list []Explanation
	before := "" // the hook that runs
	for i, in := range instances {
		f := r.facts.Jobs[in.ID]
		if i > 0 && in.Leg != instances[i-1].Leg {
			before = "" // another machine
		}
		list = append(list, one(in, f, f.since(r.explainInstance(s, j, f, stage, before))))
		if in.Hook != nil && f.State != Completed && before == "" {
			before = in.Hook.Part()
		}
	}
	return list
}

// since adds to a reason why there is another attempt.
func (f JobFacts) since(reason string) string {
	if f.Retried == "" {
		return reason
	}
	return fmt.Sprintf("%s; this is attempt %d, since %s", reason, f.Attempt, f.Retried)
}

// jobWaits says what a job that has not begun waits for, "" for nothing.
func (r *run) jobWaits(s *plan.Stage, j *plan.Job, stage StageFacts) string {
	switch stage.State {
	case Pending, Checking:
		return "waits for its stage, which has not begun"
	case Completed:
		if word := endedAs[stage.Result]; word != "" {
			return "did not run: its stage " + word + " before it began"
		}
		return "did not run: its stage is over"
	}
	return unfinished("job", j.DependsOn, func(name string) State {
		state, _ := r.facts.Job(s, r.jobNamed(s, name))
		return state
	})
}

func (r *run) explainInstance(s *plan.Stage, j *plan.Job, f JobFacts, stage StageFacts, before string) string {
	switch f.State {
	case Completed:
		if f.Result == Skipped || f.Reason != "" {
			reason := ended(f.Result, f.Reason)
			if dependencies, _ := r.jobDependencies(s, j); f.Result == Skipped {
				reason += cascaded(j.Condition, dependencies)
			}
			return reason
		}
	case Pending:
		if waits := r.jobWaits(s, j, stage); waits != "" {
			return waits
		}
		if before != "" {
			return "waits for hook " + before + " of the deployment"
		}
		if j.Deployment != nil && j.Deployment.Machines() {
			return "waits for the batch of machines before it"
		}
		if j.Strategy != nil && j.Strategy.MaxParallel > 0 {
			return fmt.Sprintf("waits for another leg: maxParallel is %d", j.Strategy.MaxParallel)
		}
		return "is about to be decided"
	}
	holds, why, err := r.began(stage.AfterCancel).jobCondition(s, j)
	if f.State == Queued {
		if err == nil && holds {
			return "is queued, since " + why
		}
		return "is queued"
	}
	return began(f.State, holds, why, err)
}
