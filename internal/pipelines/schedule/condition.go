package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

var (
	variableScope  = expression.Scope{Names: runNames, Counter: true}
	conditionScope = expression.Scope{Names: runNames, Status: true}
)

// runNames are the named values of expressions of stages and jobs.
var runNames = []string{"variables", "dependencies", "stageDependencies", "resources", "pipeline"}

// decide evaluates a condition, "" being succeeded(). why says how the answer came about. spared says that the cancel of the
// run does not count but for canceled().
func decide(condition string, dependencies []dependency, canceled, spared bool, names map[string]expression.Value) (holds bool, why string, err error) {
	if condition == "" {
		condition = "succeeded()"
	}
	e, err := expression.Parse(condition, conditionScope)
	if err != nil {
		return false, "", fmt.Errorf("condition %s: %w", condition, err)
	}
	v, why, err := e.Explain(expression.Environment{Names: names, Status: status(dependencies, canceled, spared)})
	if err != nil {
		return false, "", fmt.Errorf("condition %s: %w", condition, err)
	}
	if canceled {
		why += "; the run was canceled"
	}
	if e.UsesStatus() {
		for _, d := range dependencies {
			if !d.ignored {
				why += fmt.Sprintf("; %s is %s", d.name, d.result)
			}
		}
	}
	return v.Truth(), why, nil
}

// stageDependencies of a stage, in the order of its dependsOn; ok is false while one is not over.
func (r *run) stageDependencies(s *plan.Stage) (list []dependency, ok bool) {
	ok = true
	for _, name := range s.DependsOn {
		facts := r.facts.Stages[name]
		if facts.State != Completed {
			ok = false
		}
		list = append(list, dependency{name, facts.Result, facts.Unwanted})
	}
	return list, ok
}

func (r *run) jobDependencies(s *plan.Stage, j *plan.Job) (list []dependency, ok bool) {
	ok = true
	for _, name := range j.DependsOn {
		state, result := r.facts.Job(s, r.jobNamed(s, name))
		if state != Completed {
			ok = false
		}
		list = append(list, dependency{name, result, false})
	}
	return list, ok
}

// stageNames are the named values of a stage's condition and variables, but for `variables`: only the stages that it
// depends on itself are there.
func (r *run) stageNames(s *plan.Stage) map[string]expression.Value {
	if names, ok := r.names[s.Name]; ok {
		return names
	}
	var dependencies, stageDependencies expression.Fields
	for _, name := range s.DependsOn {
		d := r.plan.Stage(name)
		var stage, jobs, outputs expression.Fields
		stage.Put("result", expression.Str(string(r.facts.Stages[name].Result)))
		for i := range d.Jobs {
			j := &d.Jobs[i]
			fields := r.jobFields(d, j)
			jobs.Put(j.Name, expression.Obj(fields))
			own, _ := fields.Get("outputs")
			for k := range own.Fields().Len() {
				key, value := own.Fields().At(k)
				outputs.Put(j.Name+"."+key, value)
			}
		}
		stage.Put("outputs", expression.Obj(&outputs))
		dependencies.Put(name, expression.Obj(&stage))
		stageDependencies.Put(name, expression.Obj(&jobs))
	}
	names := r.outerNames()
	names["dependencies"], names["stagedependencies"] = expression.Obj(&dependencies), expression.Obj(&stageDependencies)
	r.names[s.Name] = names
	return names
}

// jobNames are those of a job: `dependencies` are the jobs that it depends on itself.
func (r *run) jobNames(s *plan.Stage, j *plan.Job) map[string]expression.Value {
	var dependencies expression.Fields
	for _, name := range j.DependsOn {
		dependencies.Put(name, expression.Obj(r.jobFields(s, r.jobNamed(s, name))))
	}
	names := r.outerNames()
	names["dependencies"], names["stagedependencies"] = expression.Obj(&dependencies), r.stageNames(s)["stagedependencies"]
	return names
}

// outerNames are the named values that are the same for the whole run.
func (r *run) outerNames() map[string]expression.Value {
	if r.outer == nil {
		r.outer = runValues(r.plan, r.facts.Variables)
	}
	return maps.Clone(r.outer)
}

// jobFields are `result` and `outputs` of a job.
func (r *run) jobFields(s *plan.Stage, j *plan.Job) *expression.Fields {
	var fields, outputs expression.Fields
	_, result := r.facts.Job(s, j)
	values := r.facts.Outputs(s, j)
	for _, p := range sortedKeys(values) {
		outputs.Put(p, expression.Str(values[p]))
	}
	fields.Put("result", expression.Str(string(result)))
	fields.Put("outputs", expression.Obj(&outputs))
	return &fields
}

// stageVariables are the run's variables with the stage's.
func (r *run) stageVariables(s *plan.Stage) (variable.Set, error) {
	if v, ok := r.variables[s.Name]; ok {
		return v.set, v.err
	}
	set := withoutCounters(r.facts.Variables)
	err := r.addVariables(&set, s.Variables, s.Name, "", r.stageNames(s))
	set.PutText(variable.SystemStageName, s.Name)
	set.PutText(variable.SystemStageDisplayName, set.Expand(s.Title()))
	set.PutText(variable.SystemStageAttempt, itoa(attempt(r.facts.Stages[s.Name].Attempt)))
	r.variables[s.Name] = resolved{set, err}
	return set, err
}

// jobVariables are everything that an instance sees.
func (r *run) jobVariables(in plan.Instance) (variable.Set, error) {
	s, j := in.Stage, in.Job
	outer, err := r.stageVariables(s)
	if err != nil {
		return outer, err
	}
	set := outer.Clone()
	addLeg(&set, in.Leg)
	if err := r.addVariables(&set, j.Variables, s.Name, j.Name, r.jobNames(s, j)); err != nil {
		return set, err
	}
	addLeg(&set, in.Leg)
	part := ""
	if in.Leg != nil && in.Hook == nil {
		part = in.Leg.Name
	}
	// A job without legs is one job, __default, of its phase, and a file without stages has none to name: what Azure's own jobs show as
	// SYSTEM_JOBNAME=__default and SYSTEM_JOBIDENTIFIER=Job.__default, or Build.Job.__default in a stage.
	name, identifier := j.Name, strings.TrimPrefix(in.ID, plan.DefaultStage+".")
	switch {
	case part != "":
		name = part
	case in.Hook == nil:
		name = plan.DefaultLeg
		identifier += "." + name
	}
	n := itoa(attempt(r.facts.Jobs[in.ID].Attempt))
	set.PutText(variable.SystemPhaseName, j.Name)
	set.PutText(variable.SystemPhaseDisplayName, set.Expand(j.Title()))
	set.PutText(variable.SystemPhaseAttempt, n)
	set.PutText(variable.SystemJobName, name)
	set.PutText(variable.AgentJobName, set.Expand(in.Title()))
	set.PutText(variable.SystemJobDisplayName, set.Expand(in.Title()))
	set.PutText(variable.SystemJobAttempt, n)
	set.PutText(variable.SystemJobIdentifier, identifier)
	set.PutText(variable.SystemJobPositionInPhase, itoa(in.Position))
	set.PutText(variable.SystemTotalJobsInPhase, itoa(in.Total))
	if d := j.Deployment; d != nil {
		set.PutText(variable.EnvironmentNameName, set.Expand(d.Environment.Name))
		set.PutText(variable.EnvironmentResourceName, set.Expand(d.Environment.Resource))
		if in.Leg != nil {
			set.PutText(variable.EnvironmentResourceName, in.Leg.Label())
		}
		set.PutText(variable.StrategyName, d.Strategy)
		set.PutText(variable.StrategyCycleName, string(in.Hook.Name))
		if action := in.Hook.Action(); d.Strategy == "canary" && action != "" {
			set.PutText(variable.StrategyAction, action)
		}
		if in.Hook.Increment > 0 {
			set.PutText(variable.StrategyIncrement, itoa(in.Hook.Increment))
		}
	}
	return set, nil
}

func addLeg(set *variable.Set, leg *plan.Leg) {
	if leg == nil {
		return
	}
	for _, name := range sortedKeys(leg.Variables) {
		set.PutText(name, leg.Variables[name])
	}
}

// environment is that of a deployment, its names expanded with what is known when the stage starts: its checks are asked
// for then, so what the stage's own jobs set cannot choose it.
func (r *run) environment(s *plan.Stage, j *plan.Job) plan.EnvironmentReference {
	outer, _ := r.stageVariables(s)
	set := outer.Clone()
	names := r.outerNames()
	names["stagedependencies"] = r.stageNames(s)["stagedependencies"]
	for i := range j.Variables {
		// A variable that cannot be evaluated yet leaves its macro as it is written.
		_ = r.addVariable(&set, j.Variables[i], counterKey(s.Name, j.Name, i), names)
	}
	return environmentOf(j.Deployment.Environment, set)
}

func environmentOf(e plan.EnvironmentReference, set variable.Set) plan.EnvironmentReference {
	e.Name, e.Resource = strings.TrimSpace(set.Expand(e.Name)), strings.TrimSpace(set.Expand(e.Resource))
	e.ResourceID = strings.TrimSpace(set.Expand(e.ResourceID))
	e.Tags = slices.Clone(e.Tags)
	for i, tag := range e.Tags {
		e.Tags[i] = strings.TrimSpace(set.Expand(tag))
	}
	return e
}
