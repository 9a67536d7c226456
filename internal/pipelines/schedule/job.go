package schedule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway/internal/pipelines/expression"
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

// maxLegs bounds a matrix that an expression gives.
const maxLegs = 256

// matrix evaluates the legs of a job: JSON, an object of objects of variables.
func (r *run) matrix(s *plan.Stage, j *plan.Job) ([]plan.Leg, error) {
	e, err := expression.Parse(j.Strategy.MatrixExpression, variableScope)
	if err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	set, err := r.stageVariables(s)
	if err != nil {
		return nil, err
	}
	v, err := e.Evaluate(expression.Environment{Names: withVariables(r.jobNames(s, j), set)})
	if err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	text := strings.TrimSpace(v.String())
	if text == "" {
		return nil, nil
	}
	return parseMatrix(text)
}

// parseMatrix keeps the order of the JSON text.
func parseMatrix(text string) ([]plan.Leg, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	open, err := decoder.Token()
	if err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("matrix: the expression gives no JSON object of legs")
	}
	var legs []plan.Leg
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("matrix: not JSON: %w", err)
		}
		leg := plan.Leg{Title: fmt.Sprint(name), Variables: map[string]string{}}
		if leg.Title == "" || len(leg.Title) > 200 {
			return nil, fmt.Errorf("matrix: %q is no name for a leg", leg.Title)
		}
		var values map[string]any
		if err := decoder.Decode(&values); err != nil {
			return nil, fmt.Errorf("matrix: leg %s is no JSON object of variables: %w", leg.Title, err)
		}
		for k, v := range values {
			switch v := v.(type) {
			case string:
				leg.Variables[k] = v
			case json.Number:
				leg.Variables[k] = v.String()
			case bool:
				leg.Variables[k] = expression.Bool(v).String()
			case nil:
				leg.Variables[k] = ""
			default:
				return nil, fmt.Errorf("matrix: variable %s of leg %s is no text", k, leg.Title)
			}
		}
		if legs = append(legs, leg); len(legs) > maxLegs {
			return nil, fmt.Errorf("matrix: more than %d legs", maxLegs)
		}
	}
	titles := make([]string, len(legs))
	for i := range legs {
		titles[i] = legs[i].Title
	}
	for i, name := range plan.LegNames(titles) {
		legs[i].Name = name
		if legs[i].Title == name {
			legs[i].Title = ""
		}
	}
	return legs, nil
}
