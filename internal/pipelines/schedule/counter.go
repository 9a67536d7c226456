package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// counterPrefix begins the names under which a run keeps the values of counters in variables of its stages and jobs. No file
// can name such a variable by accident, and no job gets to see it.
const counterPrefix = "\x00counter "

// counterKey names the variable at index i of a stage, or of a job in it.
func counterKey(stage, job string, i int) string {
	return fmt.Sprintf("%s%s.%s %d", counterPrefix, stage, job, i)
}

// countAhead evaluates the counters in variables of stages and jobs when the run is created: the scheduler decides the same
// from the same facts, however often it is asked, and a counter must count once. What such a variable reads are the variables
// that are known by then.
func countAhead(p *plan.Plan, set *variable.Set, groups map[string]variable.Set, counter func(prefix string, seed int) (int, error)) error {
	if !counts(p) {
		return nil
	}
	values := runValues(p, *set)
	count := func(around variable.Set, list []plan.Variable, stage, job string) (variable.Set, error) {
		inner := around.Clone()
		for i, v := range list {
			err := addVariable(&inner, v, groups, expression.Environment{Names: values, Counter: counter})
			if !usesCounter(v) {
				continue // the stage or job says what is wrong with it
			}
			if err != nil {
				return inner, err
			}
			value, _ := inner.Get(v.Name)
			set.Put(counterKey(stage, job, i), value)
		}
		return inner, nil
	}
	known := set.Clone()
	for i := range p.Stages {
		s := &p.Stages[i]
		stage, err := count(known, s.Variables, s.Name, "")
		if err != nil {
			return err
		}
		for k := range s.Jobs {
			if _, err := count(stage, s.Jobs[k].Variables, s.Name, s.Jobs[k].Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// counts reports whether a variable of a stage or job has a counter.
func counts(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Stages, func(s plan.Stage) bool {
		return slices.ContainsFunc(s.Variables, usesCounter) ||
			slices.ContainsFunc(s.Jobs, func(j plan.Job) bool { return slices.ContainsFunc(j.Variables, usesCounter) })
	})
}

func usesCounter(v plan.Variable) bool {
	if !strings.Contains(strings.ToLower(v.Expression), "counter") {
		return false
	}
	e, err := expression.Parse(v.Expression, variableScope)
	return err == nil && e.Uses("counter")
}

// withoutCounters is a copy of the run's variables as stages and jobs see them.
func withoutCounters(set variable.Set) variable.Set {
	out := set.Clone()
	for _, name := range set.Names() {
		if strings.HasPrefix(name, counterPrefix) {
			out.Delete(name)
		}
	}
	return out
}

// addVariables adds the variables of a stage, or of a job in it.
func (r *run) addVariables(set *variable.Set, list []plan.Variable, stage, job string, names map[string]expression.Value) error {
	for i, v := range list {
		if err := r.addVariable(set, v, counterKey(stage, job, i), names); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) addVariable(set *variable.Set, v plan.Variable, key string, names map[string]expression.Value) error {
	if counted, ok := r.facts.Variables.Get(key); ok {
		set.Put(v.Name, counted)
		return nil
	}
	return addVariable(set, v, r.facts.Groups, expression.Environment{Names: names})
}

// resourcePrefix begins the names of variables that tell of the resources of a run.
const resourcePrefix = "resources."

// putResources puts what variables tell of resources: resources.pipeline.ALIAS.runID is resources.pipeline['ALIAS'].runID.
func putResources(resources *expression.Fields, known variable.Set) {
	groups := map[string]map[string]*expression.Fields{}
	for _, name := range known.Names() {
		rest, ok := strings.CutPrefix(name, resourcePrefix)
		kind, rest, inner := strings.Cut(rest, ".")
		if !ok || kind == "repositories" {
			continue
		}
		if !inner {
			resources.Put(kind, expression.Str(known.Text(name)))
			continue
		}
		alias, key, ok := cutLast(rest)
		if !ok {
			continue
		}
		if groups[kind] == nil {
			groups[kind] = map[string]*expression.Fields{}
		}
		if groups[kind][alias] == nil {
			groups[kind][alias] = &expression.Fields{}
		}
		groups[kind][alias].Put(key, expression.Str(known.Text(name)))
	}
	for _, kind := range sortedKeys(groups) {
		var list expression.Fields
		for _, alias := range sortedKeys(groups[kind]) {
			list.Put(alias, expression.Obj(groups[kind][alias]))
		}
		resources.Put(kind, expression.Obj(&list))
	}
}

// cutLast cuts a text at its last dot.
func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// runValues are the named values `resources` and `pipeline`.
func runValues(p *plan.Plan, known variable.Set) map[string]expression.Value {
	var repositories, resources, pipeline expression.Fields
	put := func(alias string, texts map[string]string) {
		var fields expression.Fields
		for _, key := range sortedKeys(texts) {
			fields.Put(key, expression.Str(texts[key]))
		}
		repositories.Put(alias, expression.Obj(&fields))
	}
	put("self", map[string]string{"type": "git", "name": known.Text(variable.BuildRepositoryName), "ref": known.Text(variable.BuildSourceBranch),
		"id": known.Text(variable.BuildRepositoryID), "url": known.Text(variable.BuildRepositoryURI), "version": known.Text(variable.BuildSourceVersion)})
	for _, r := range p.Resources.Repositories {
		if r.Implied {
			continue
		}
		texts := map[string]string{"type": r.Type, "name": r.Name, "ref": r.Ref}
		for _, key := range []string{"id", "url", "version"} {
			texts[key] = known.Text(plan.RepositoryVariable(r.Alias, key))
		}
		texts["ref"] = cmp.Or(known.Text(plan.RepositoryVariable(r.Alias, "ref")), r.Ref) // of the push that started the run
		put(r.Alias, texts)
	}
	resources.Put("repositories", expression.Obj(&repositories))
	putResources(&resources, known)
	if start, ok := expression.ParseTime(known.Text(variable.SystemPipelineStartTime)); ok {
		pipeline.Put("startTime", start)
	}
	return map[string]expression.Value{"resources": expression.Obj(&resources), "pipeline": expression.Obj(&pipeline)}
}
