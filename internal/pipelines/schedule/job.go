package schedule

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/pipelines/plan"
)

// job decides about one job of a running stage.
func (r *run) job(s *plan.Stage, j *plan.Job) {
	id := plan.InstanceID(s.Name, j.Name, "")
	state, _ := r.facts.job(s, j)
	switch state {
	case Completed:
		return
	case Pending:
		if _, ready := r.jobDependencies(s, j); !ready {
			return
		}
		holds, why, err := r.jobCondition(s, j)
		switch {
		case err != nil:
			r.fail(s, j, id, err.Error())
			return
		case !holds:
			r.skip(s, j, id, why)
			return
		}
		r.begin(s, j, why)
		return
	}
	r.again(s, j)
}

func (r *run) jobCondition(s *plan.Stage, j *plan.Job) (holds bool, why string, err error) {
	dependencies, _ := r.jobDependencies(s, j)
	set, err := r.stageVariables(s)
	if err != nil {
		return false, "", err
	}
	set = set.Clone()
	names := r.jobNames(s, j)
	if err := r.addVariables(&set, j.Variables, s.Name, j.Name, names); err != nil {
		return false, "", err
	}
	return decide(j.Condition, dependencies, r.facts.Canceled, r.facts.Stages[s.Name].AfterCancel, withVariables(names, set))
}

func (r *run) skip(s *plan.Stage, j *plan.Job, instance, reason string) {
	r.add(Action{Kind: ActionSkipJob, Stage: s.Name, Job: j.Name, Instance: instance, Attempt: attempt(r.facts.Jobs[instance].Attempt),
		Result: r.skipResult(), Reason: reason})
}

func (r *run) fail(s *plan.Stage, j *plan.Job, instance, reason string) {
	r.add(Action{Kind: ActionFailJob, Stage: s.Name, Job: j.Name, Instance: instance, Attempt: attempt(r.facts.Jobs[instance].Attempt),
		Result: Failed, Reason: reason})
}

// begin starts a job whose condition holds.
func (r *run) begin(s *plan.Stage, j *plan.Job, why string) {
	id := plan.InstanceID(s.Name, j.Name, "")
	if j.Strategy != nil && j.Strategy.MatrixExpression != "" && len(r.facts.Jobs[id].Legs) == 0 {
		legs, err := r.matrix(s, j)
		switch {
		case err != nil:
			r.fail(s, j, id, err.Error())
		case len(legs) == 0:
			r.skip(s, j, id, "the matrix has no legs")
		default:
			r.add(Action{Kind: ActionExpandJob, Stage: s.Name, Job: j.Name, Instance: id, Attempt: attempt(r.facts.Jobs[id].Attempt), Legs: legs})
		}
		return
	}
	if j.Deployment != nil && j.Deployment.Machines() && len(r.facts.Jobs[id].Legs) == 0 {
		r.chooseMachines(s, j)
		return
	}
	r.goOn(s, j, why)
}

// goOn starts those instances of a job that may start now.
func (r *run) goOn(s *plan.Stage, j *plan.Job, why string) {
	instances := plan.Instances(s, j, r.facts.Jobs[plan.InstanceID(s.Name, j.Name, "")].Legs)
	if j.Deployment != nil && j.Deployment.Machines() {
		r.batches(s, j, instances, why)
		return
	}
	if j.Deployment != nil {
		r.hooks(s, j, instances, why)
		return
	}
	active := 0
	for _, in := range instances {
		if state := r.facts.Jobs[in.ID].State; state == Queued || state == Running {
			active++
		}
	}
	for _, in := range instances {
		if r.facts.Jobs[in.ID].State != Pending {
			continue
		}
		if j.Strategy != nil && j.Strategy.MaxParallel > 0 && active >= j.Strategy.MaxParallel {
			return
		}
		r.start(in, why)
		active++
	}
}

// hooks runs the hooks of a deployment one after the other. After one that fails, those that follow are skipped and
// `on: failure` runs; after all went well `on: success` does.
func (r *run) hooks(s *plan.Stage, j *plan.Job, instances []plan.Instance, why string) {
	soFar := Succeeded
	for _, in := range instances {
		facts := r.facts.Jobs[in.ID]
		wanted := soFar.good()
		switch in.Hook.Name {
		case plan.HookFailure:
			wanted = soFar.bad()
		case plan.HookSuccess:
		default:
			if facts.State == Completed {
				soFar = worst(soFar, facts.Result)
			}
		}
		switch {
		case facts.State == Completed:
			continue
		case facts.State != Pending:
			return
		case !wanted:
			r.skip(s, j, in.ID, fmt.Sprintf("the deployment is %s so far", soFar))
			continue
		}
		r.start(in, why)
		return
	}
}

func (r *run) start(in plan.Instance, why string) {
	set, err := r.jobVariables(in)
	if err != nil {
		r.fail(in.Stage, in.Job, in.ID, err.Error())
		return
	}
	if _, _, err := retriesOf(in.Job, set); err != nil {
		r.fail(in.Stage, in.Job, in.ID, err.Error())
		return
	}
	a := Action{Kind: ActionStartJob, Stage: in.Stage.Name, Job: in.Job.Name, Instance: in.ID, Attempt: attempt(r.facts.Jobs[in.ID].Attempt), Reason: why, Variables: set}
	if in.Job.Deployment != nil {
		e := r.environment(in.Stage, in.Job)
		now := environmentOf(in.Job.Deployment.Environment, set)
		if e.Name == "" || strings.Contains(e.Name, "$(") || e.Name != now.Name || e.Resource != now.Resource {
			r.fail(in.Stage, in.Job, in.ID, unknownEnvironment(in.Job))
			return
		}
		if in.Leg != nil {
			e.Resource = in.Leg.Label()
		}
		a.Environment = &e
	}
	r.add(a)
}

func unknownEnvironment(j *plan.Job) string {
	return fmt.Sprintf("the environment %q must be known when the stage starts, since its checks are asked for then", j.Deployment.Environment.Name)
}

// again goes on with a job of which some instances have begun. Its condition is evaluated again, since the run may have been
// canceled, or a retry may have run its dependencies once more: if it does not hold, what has not begun is skipped, and
// after a cancel what runs is told to stop.
func (r *run) again(s *plan.Stage, j *plan.Job) {
	stop := r.facts.Canceled && !r.facts.Stages[s.Name].AfterCancel
	instances := plan.Instances(s, j, r.facts.Jobs[plan.InstanceID(s.Name, j.Name, "")].Legs)
	if !stop && !slices.ContainsFunc(instances, func(in plan.Instance) bool { return r.facts.Jobs[in.ID].State == Pending }) {
		return // all of it has begun
	}
	holds, why, err := r.jobCondition(s, j)
	if err != nil {
		why = err.Error()
	}
	_, ready := r.jobDependencies(s, j)
	switch {
	case holds && ready:
		r.goOn(s, j, why)
		return
	case holds, !ready && !stop:
		return
	}
	for _, in := range instances {
		facts := r.facts.Jobs[in.ID]
		switch {
		case facts.State == Completed:
		case facts.State == Pending:
			r.skip(s, j, in.ID, why)
		case stop && !facts.CancelRequested:
			r.add(Action{Kind: ActionCancelJob, Stage: s.Name, Job: j.Name, Instance: in.ID, Attempt: attempt(facts.Attempt), Reason: why})
		}
	}
}
