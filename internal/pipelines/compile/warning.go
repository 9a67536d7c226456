package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
)

// warner finds what a plan says and most likely does not mean.
type warner struct {
	plan *plan.Plan
	list []plan.Warning
}

// warnings are about outputs and results that are read without being depended on, which are null in the language, and
// about settings that have no effect here.
func warnings(p *plan.Plan) []plan.Warning {
	w := &warner{plan: p}
	if p.LockBehavior != "" && !slices.ContainsFunc(p.Stages, func(s plan.Stage) bool { return s.Deploys() }) {
		w.add(slipway.Position{File: p.File, Line: 1, Column: 1}, "lockBehavior has no effect: no stage deploys to an environment, and only environments have exclusive locks")
	}
	w.triggers(p.Triggers)
	for i := range p.Stages {
		s := &p.Stages[i]
		if s.LockBehavior != "" && !s.Deploys() {
			w.add(s.At, "lockBehavior of stage %s has no effect: it deploys to no environment, and only environments have exclusive locks", s.Name)
		}
		w.stage(s)
		for j := range s.Jobs {
			w.job(s, &s.Jobs[j])
		}
	}
	return w.list
}

// triggers warns of what starts nothing, or not where it seems to.
func (w *warner) triggers(t plan.Triggers) {
	for _, s := range t.Schedules {
		if s.Branches.IsZero() {
			w.add(s.At, "the schedule names no branches and so runs on the default branch alone: write branches, include")
		}
		if s.Always && s.Batch {
			w.add(s.At, "batch of the schedule has no effect beside always: true, which starts a run each time")
		}
	}
}

func (w *warner) add(at slipway.Position, format string, args ...any) {
	warning := plan.Warning{Message: fmt.Sprintf(format, args...), At: at}
	if !slices.Contains(w.list, warning) && len(w.list) < 100 {
		w.list = append(w.list, warning)
	}
}

// paths are the constant paths of an expression that was checked before.
func paths(text string, scope expression.Scope) []expression.Path {
	if text == "" {
		return nil
	}
	e, err := expression.Parse(text, scope)
	if err != nil {
		return nil
	}
	return e.Paths()
}

func (w *warner) stage(s *plan.Stage) {
	who := "stage " + s.Name
	check := func(list []expression.Path, at slipway.Position) {
		for _, p := range list {
			switch root := strings.ToLower(p.Parts[0]); {
			case root == "dependencies" && len(p.Parts) > 1:
				d := w.stageRead(s, p.Parts[1], who, at)
				if d != nil && len(p.Parts) > 3 && strings.EqualFold(p.Parts[2], "outputs") {
					job, output, _ := strings.Cut(p.Parts[3], ".")
					w.output(d, job, output, who, at)
				}
			case root == "stagedependencies":
				w.stageDependency(s, p.Parts, who, at)
			}
		}
	}
	check(paths(s.Condition, conditionScope), s.At)
	w.cascade("stage "+s.Name, s.Condition, s.DependsOn, func(name string) string { return w.plan.Stage(name).Condition }, s.At)
	for _, v := range s.Variables {
		check(paths(v.Expression, variableScope), v.At)
	}
}

// stageRead finds the stage that is read and warns if the reader does not depend on it.
func (w *warner) stageRead(s *plan.Stage, name, who string, at slipway.Position) *plan.Stage {
	for i := range w.plan.Stages {
		d := &w.plan.Stages[i]
		if !strings.EqualFold(d.Name, name) {
			continue
		}
		if !slices.Contains(s.DependsOn, d.Name) {
			w.add(at, "%s reads stage %s without depending on it, so the value is always null: add %s to dependsOn of stage %s", who, d.Name, d.Name, s.Name)
			return nil
		}
		return d
	}
	w.add(at, "%s reads stage %s, which is not there, so the value is always null", who, name)
	return nil
}

func (w *warner) stageDependency(s *plan.Stage, parts []string, who string, at slipway.Position) {
	if len(parts) < 2 {
		return
	}
	d := w.stageRead(s, parts[1], who, at)
	if d == nil || len(parts) < 3 {
		return
	}
	if len(parts) > 4 && strings.EqualFold(parts[3], "outputs") {
		w.output(d, parts[2], parts[4], who, at)
	}
}

func (w *warner) job(s *plan.Stage, j *plan.Job) {
	who := "job " + j.Name
	if len(j.Pool.Demands) > 0 && !j.Pool.Managed {
		w.add(j.Pool.At, "demands have no effect: an administrator has made no pool of that name, and every job gets a pod of the same image")
	}
	check := func(list []expression.Path, at slipway.Position) {
		for _, p := range list {
			switch root := strings.ToLower(p.Parts[0]); {
			case root == "dependencies" && len(p.Parts) > 1:
				w.jobRead(s, j, p.Parts, who, at)
			case root == "stagedependencies":
				w.stageDependency(s, p.Parts, who, at)
			}
		}
	}
	check(paths(j.Condition, conditionScope), j.At)
	w.cascade("job "+j.Name, j.Condition, j.DependsOn, func(name string) string { return s.Job(name).Condition }, j.At)
	for _, v := range j.Variables {
		check(paths(v.Expression, variableScope), v.At)
	}
	if j.Strategy != nil {
		check(paths(j.Strategy.MatrixExpression, valueScope), j.At)
	}
}

func (w *warner) jobRead(s *plan.Stage, j *plan.Job, parts []string, who string, at slipway.Position) {
	name := parts[1]
	for i := range s.Jobs {
		d := &s.Jobs[i]
		if !strings.EqualFold(d.Name, name) {
			continue
		}
		switch {
		case !slices.Contains(j.DependsOn, d.Name):
			w.add(at, "%s reads job %s without depending on it, so the value is always null: add %s to dependsOn of job %s", who, d.Name, d.Name, j.Name)
		case len(parts) > 3 && strings.EqualFold(parts[2], "outputs"):
			w.output(s, d.Name, parts[3], who, at)
		}
		return
	}
	if w.plan.Stage(name) != nil {
		w.add(at, "%s reads stage %s as a job, so the value is always null: write stageDependencies.%s.JOB.outputs['STEP.VARIABLE']", who, name, name)
		return
	}
	w.add(at, "%s reads job %s, which is not in its stage, so the value is always null", who, name)
}

// output warns if no step of the job can set the output.
func (w *warner) output(s *plan.Stage, job, output, who string, at slipway.Position) {
	for i := range s.Jobs {
		j := &s.Jobs[i]
		if !strings.EqualFold(j.Name, job) {
			continue
		}
		prefixes, also := []string{""}, []string(nil)
		switch {
		case j.Deployment != nil && j.Deployment.Strategy == "canary":
			prefixes = nil
			for k := range j.Deployment.Hooks {
				prefixes = append(prefixes, j.Deployment.Hooks[k].Part()+".")
			}
		case j.Deployment != nil:
			prefixes = []string{j.Name + ".", j.Name + "_" + j.Deployment.Environment.Resource + ".", "Deploy_" + j.Deployment.Environment.Resource + "."}
			for k := range j.Deployment.Hooks {
				also = append(also, j.Deployment.Hooks[k].Part()+".")
			}
		case j.Strategy != nil && j.Strategy.MatrixExpression != "":
			return // the legs are not known yet
		case j.Strategy != nil:
			prefixes = nil
			for _, leg := range j.Strategy.Legs {
				prefixes = append(prefixes, leg.Name+".")
			}
		}
		var known []string
		for _, name := range stepNames(j) {
			for i, prefix := range slices.Concat(prefixes, also) {
				if strings.HasPrefix(strings.ToLower(output), strings.ToLower(prefix+name+".")) {
					w.hidden(j, name, output[len(prefix+name)+1:], who, at)
					return
				}
				if i < len(prefixes) {
					known = append(known, prefix+name+".VARIABLE")
				}
			}
		}
		hint := "none of its steps has a name"
		if len(known) > 0 {
			hint = "it has " + strings.Join(known[:min(len(known), 5)], ", ")
		}
		w.add(at, "%s reads output %s of job %s, which no step there can set: %s", who, output, j.Name, hint)
		return
	}
	w.add(at, "%s reads job %s of stage %s, which is not there, so the value is always null", who, job, s.Name)
}

// hidden warns if the step's script sets the variable for its own job alone.
func (w *warner) hidden(j *plan.Job, step, variable, who string, at slipway.Position) {
	steps := slices.Clone(j.Steps)
	if j.Deployment != nil {
		for _, h := range j.Deployment.Hooks {
			steps = append(steps, h.Steps...)
		}
	}
	own := false
	for _, s := range steps {
		if s.Name != step || s.Script == nil {
			continue
		}
		for _, command := range setCommands(s.Script.Text) {
			if !strings.Contains(strings.ToLower(command[1])+";", "variable="+strings.ToLower(variable)+";") {
				continue
			}
			if setsOutput(command[1]) {
				return
			}
			own = true
		}
	}
	if own {
		w.add(at, "%s reads output %s of step %s, which sets it for its own job alone: write ##vso[task.setvariable variable=%s;isOutput=true] there", who, variable, step, variable)
	}
}

var setCommand = regexp.MustCompile(`(?i)##vso\[task\.setvariable\s+([^\]\n]*)\]`)

// setCommands are the logging commands in a script by which it sets variables, each with its properties after it.
func setCommands(script string) [][]string {
	if !strings.Contains(script, "##") { // most have none, which is found out faster so
		return nil
	}
	return setCommand.FindAllStringSubmatch(script, -1)
}

// cascade warns of a condition with succeeded() beside several dependencies of which one has a condition of its own: if that
// one is skipped, so is this, although the others have succeeded.
func (w *warner) cascade(who, condition string, dependsOn []string, conditionOf func(name string) string, at slipway.Position) {
	if condition == "" || len(dependsOn) < 2 {
		return
	}
	e, err := expression.Parse(condition, conditionScope)
	if err != nil || !e.Uses("succeeded") || e.Uses("or", "not", "always", "failed", "succeededorfailed") {
		return
	}
	for _, p := range e.Paths() {
		if strings.EqualFold(p.Parts[0], "dependencies") {
			return // it looks at results itself
		}
	}
	for _, name := range dependsOn {
		own := conditionOf(name)
		d, err := expression.Parse(own, conditionScope)
		if err != nil || own == condition || !d.Uses("eq", "ne", "in", "notin", "contains", "startswith", "endswith", "gt", "ge", "lt", "le") {
			continue
		}
		w.add(at, "%s is skipped whenever %s is skipped by its condition, since succeeded() is false then: if it should run nevertheless, write in(dependencies.%s.result, 'Succeeded', 'SucceededWithIssues', 'Skipped') in place of succeeded()", who, name, name)
	}
}

func stepNames(j *plan.Job) []string {
	var names []string
	add := func(list []plan.Step) {
		for _, s := range list {
			if s.Name != "" {
				names = append(names, s.Name)
			}
		}
	}
	add(j.Steps)
	if j.Deployment != nil {
		for _, h := range j.Deployment.Hooks {
			add(h.Steps)
		}
	}
	return names
}
