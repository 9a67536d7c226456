package schedule

import (
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// ResolveRun makes the variables of a run when it is created: known are the predefined ones and those of the pipeline's
// settings, then come the root's of the file, and queued, those that were set when the run was queued, win over both.
// counter gives the next value of a counter of the pipeline: seed the first time a prefix is used, then one more each time.
// A failing counter is a mistake of the variable. It is called for each `$[counter(...)]`, of stages and jobs too, whose values
// the set keeps for them; a run must be resolved only once.
func ResolveRun(p *plan.Plan, known, queued variable.Set, groups map[string]variable.Set, counter func(prefix string, seed int) (int, error)) (variable.Set, error) {
	set := known.Clone()
	set.Add(queued)
	queuedNames := map[string]bool{}
	for _, name := range queued.Names() {
		queuedNames[strings.ToLower(name)] = true
	}
	for _, v := range p.Variables {
		if v.Group == "" && queuedNames[strings.ToLower(v.Name)] {
			continue
		}
		env := expression.Environment{Names: runValues(p, set), Counter: counter}
		if err := addVariable(&set, v, groups, env); err != nil {
			return set, err
		}
	}
	set.Add(queued)
	return set, countAhead(p, &set, groups, counter)
}

// addVariable adds one entry of a variables section. env lacks the variables, which are those of set.
func addVariable(set *variable.Set, v plan.Variable, groups map[string]variable.Set, env expression.Environment) error {
	switch {
	case v.Group != "":
		group, ok := groups[v.Group]
		if !ok {
			return slipway.Invalid("there is no variable group %q that this pipeline may use", v.Group).At(v.At)
		}
		set.Add(group)
	case v.Expression != "":
		e, err := expression.Parse(v.Expression, variableScope)
		if err != nil {
			return slipway.Invalid("variable %s: %v", v.Name, err).At(v.At)
		}
		env.Names = withVariables(env.Names, *set)
		value, err := e.Evaluate(env)
		if err != nil {
			return slipway.Invalid("variable %s: %v", v.Name, err).At(v.At)
		}
		set.Put(v.Name, variable.Value{Text: value.String(), ReadOnly: v.ReadOnly})
	default:
		set.Put(v.Name, variable.Value{Text: v.Value, ReadOnly: v.ReadOnly})
	}
	return nil
}

// withVariables is names with the set as `variables`. Macros in values are expanded.
func withVariables(names map[string]expression.Value, set variable.Set) map[string]expression.Value {
	out := make(map[string]expression.Value, len(names)+1)
	for name, v := range names {
		out[name] = v
	}
	out["variables"] = Variables(set)
	return out
}

// Variables is a set as the named value `variables` of expressions: an object of strings, macros expanded, secrets marked.
func Variables(set variable.Set) expression.Value {
	var fields expression.Fields
	for _, name := range set.Names() {
		v, _ := set.Get(name)
		text, secret := set.ExpandValue(v.Text)
		if v.Secret || secret {
			fields.Put(name, expression.Secret(text))
		} else {
			fields.Put(name, expression.Str(text))
		}
	}
	return expression.Obj(&fields)
}
