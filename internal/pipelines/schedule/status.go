package schedule

import (
	"strings"

	"slipway/internal/pipelines/plan"
)

// good reports a result that counts as success.
func (r Result) good() bool { return r == Succeeded || r == SucceededWithIssues }

// bad reports a result that counts as failure.
func (r Result) bad() bool { return r == Failed || r == Abandoned }

// Stage is what has happened to a stage, as pages and expressions see it.
func (f Facts) Stage(s *plan.Stage) StageFacts { return f.Stages[s.Name] }

// Job is what a job of several instances came to, all of them together: its state, and its result as the rest of the run
// sees it (continueOnError turns a failure into SucceededWithIssues).
func (f Facts) Job(s *plan.Stage, j *plan.Job) (State, Result) {
	state, result := f.job(s, j)
	if result.bad() && j.ContinueOnError {
		result = SucceededWithIssues
	}
	return state, result
}

// severity orders results: the worst of a job's instances, or of a stage's jobs, is the whole's.
var severity = map[Result]int{Skipped: 0, Succeeded: 1, SucceededWithIssues: 2, Canceled: 3, Abandoned: 4, Failed: 4}

func worst(a, b Result) Result {
	if b == Abandoned {
		b = Failed
	}
	if a == "" || severity[b] > severity[a] {
		return b
	}
	return a
}

// Outcome is what a job came to by itself, whatever the run makes of a failure.
func (f Facts) Outcome(s *plan.Stage, j *plan.Job) (State, Result) { return f.job(s, j) }

func (f Facts) job(s *plan.Stage, j *plan.Job) (State, Result) {
	whole := f.Jobs[plan.InstanceID(s.Name, j.Name, "")]
	if j.Strategy == nil && j.Deployment == nil || whole.State == Completed {
		return whole.State, whole.Result
	}
	instances := plan.Instances(s, j, whole.Legs)
	if len(instances) == 0 {
		return Pending, ""
	}
	done, begun, result := true, false, Result("")
	for _, in := range instances {
		facts := f.Jobs[in.ID]
		switch facts.State {
		case Completed:
			begun = true
			result = worst(result, facts.Result)
		case Pending:
			done = false
		default:
			begun, done = true, false
		}
	}
	switch {
	case done:
		return Completed, result
	case begun:
		return Running, ""
	}
	return Pending, ""
}

// Outputs are a job's output variables under the names by which `dependencies.JOB.outputs` has them: STEP.VARIABLE for a
// job, LEG.STEP.VARIABLE for one with a strategy, HOOK_MACHINE.STEP.VARIABLE for a deployment to machines,
// HOOK_INCREMENT.STEP.VARIABLE for a canary, and for another deployment
// JOB.STEP.VARIABLE or HOOK.STEP.VARIABLE, with a resource also JOB_RESOURCE.STEP.VARIABLE and Deploy_RESOURCE.STEP.VARIABLE.
func (f Facts) Outputs(s *plan.Stage, j *plan.Job) map[string]string {
	outputs := map[string]string{}
	for _, in := range plan.Instances(s, j, f.Jobs[plan.InstanceID(s.Name, j.Name, "")].Legs) {
		for name, value := range f.Jobs[in.ID].Outputs {
			switch {
			case in.Leg != nil && in.Hook != nil:
				outputs[in.Hook.Part()+"_"+in.Leg.Label()+"."+name] = value
			case in.Leg != nil:
				outputs[in.Leg.Name+"."+name] = value
			case in.Hook != nil && j.Deployment.Strategy == "canary":
				outputs[in.Hook.Part()+"."+name] = value
			case in.Hook != nil:
				outputs[j.Name+"."+name] = value
				outputs[in.Hook.Part()+"."+name] = value
				if resource := j.Deployment.Environment.Resource; resource != "" {
					outputs[j.Name+"_"+resource+"."+name] = value
					outputs["Deploy_"+resource+"."+name] = value
				}
			default:
				outputs[name] = value
			}
		}
	}
	return outputs
}

// stageResult is what the jobs of a stage came to; ok is false while any is not over.
func (f Facts) stageResult(s *plan.Stage) (result Result, ok bool) {
	for i := len(s.Jobs) - 1; i >= 0; i-- { // the last one is most likely not over yet
		state, r := f.Job(s, &s.Jobs[i])
		if state != Completed {
			return "", false
		}
		if f.Canceled && r == Canceled {
			// Of a run that was canceled, what was stopped weighs more than what had failed before.
			result = Canceled
			continue
		}
		if result != Canceled || !f.Canceled {
			result = worst(result, r)
		}
	}
	return result, true
}

// runResult is what the stages of a run came to; ok is false while any is not over.
func (f Facts) runResult(p *plan.Plan) (result Result, ok bool) {
	for i := range p.Stages {
		facts := f.Stages[p.Stages[i].Name]
		if facts.State != Completed {
			return "", false
		}
		result = worst(result, facts.Result)
	}
	if f.Canceled {
		result = Canceled
	}
	return result, true
}

// dependency is one thing that a stage or job depends on.
type dependency struct {
	name   string
	result Result
	// ignored is a stage that was left out when the run was queued: it is as if it were not depended on.
	ignored bool
}

// status answers the status functions of a condition. spared says that a cancel counts for canceled() alone.
func status(dependencies []dependency, canceled, spared bool) func(string, []string) (bool, error) {
	return func(function string, names []string) (bool, error) {
		chosen := dependencies
		if len(names) > 0 {
			chosen = nil
			for _, d := range dependencies {
				for _, name := range names {
					if strings.EqualFold(d.name, name) {
						chosen = append(chosen, d)
					}
				}
			}
			if len(chosen) < len(names) && function == "succeeded" {
				return false, nil
			}
		}
		all := func(f func(Result) bool) bool {
			for _, d := range chosen {
				if !d.ignored && !f(d.result) {
					return false
				}
			}
			return true
		}
		stopped := canceled && !spared
		switch function {
		case "always":
			return true, nil
		case "canceled":
			return canceled, nil
		case "succeeded":
			return !stopped && all(Result.good), nil
		case "failed":
			return !stopped && !all(func(r Result) bool { return !r.bad() }), nil
		}
		// succeededOrFailed is always, but for a cancel.
		return !stopped && all(func(r Result) bool { return r != Canceled }), nil
	}
}
