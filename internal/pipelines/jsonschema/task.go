package jsonschema

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/task"
)

// taskInputs say for each task which inputs it has.
func (g *generator) taskInputs() []any {
	var list []any
	for _, d := range g.tasks.Definitions() {
		references := g.tasks.References(d)
		if len(references) == 0 {
			continue
		}
		name := "inputs-of-" + references[0]
		g.definitions[name] = inputs(d)
		then := node{"properties": node{"inputs": node{"$ref": "#/definitions/" + name}}}
		if _, mistakes := d.Resolve(nil); len(mistakes) > 0 {
			then["anyOf"] = []any{required("inputs"), hasDirective()}
		}
		list = append(list, node{
			"if":   node{"required": []string{"task"}, "properties": node{"task": node{"pattern": anyTask(references...)}}},
			"then": then,
		})
	}
	return list
}

func inputs(d *task.Definition) node {
	properties := node{}
	var names []string
	var rules []any
	for i := range d.Inputs {
		in := &d.Inputs[i]
		spellings := append([]string{in.Name}, in.Aliases...)
		names = append(names, spellings...)
		for _, s := range spellings {
			properties[s] = input(in)
		}
		given := node{"anyOf": []any{hasKey(anyCase(spellings...)), hasDirective()}}
		switch {
		case in.Default != "":
		case in.NeededFor != "":
			other := d.Input(in.NeededFor)
			when := []any{node{"required": []string{other.Name}, "properties": node{other.Name: node{"pattern": anyCase(in.NeededForValues...)}}}}
			if slices.ContainsFunc(in.NeededForValues, func(v string) bool { return strings.EqualFold(v, other.Default) }) {
				when = append(when, node{"not": hasKey(anyCase(append([]string{other.Name}, other.Aliases...)...))})
			}
			rules = append(rules, node{"if": node{"anyOf": when}, "then": given})
		case in.Required && !in.Conditional():
			rules = append(rules, given)
		}
	}
	n := node{"type": []string{"object", "null"}, "description": d.Doc, "properties": properties,
		"propertyNames": node{"anyOf": []any{node{"pattern": anyCase(names...)}, node{"pattern": directive}}}}
	if len(rules) > 0 {
		n["allOf"] = rules
	}
	return n
}

func input(in *task.Input) node {
	if instead, ok := in.Unsupported[""]; ok {
		return node{"enum": []any{"", nil}, "description": "Not there: " + instead + "."}
	}
	n := node{"description": in.Doc}
	if in.Default != "" {
		n["description"] = strings.TrimSpace(in.Doc + " Default: " + in.Default)
	}
	var words []string
	switch {
	case in.Boolean:
		words = []string{"true", "false"}
	case len(in.Options) > 0:
		words = in.Options
	default:
		n["type"] = []string{"string", "number", "boolean", "null"}
		return n
	}
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool {
		return in.Refuses(w)
	})
	shapes := []any{node{"type": "null"}, node{"enum": []string{""}}, node{"type": "string", "pattern": macro}, node{"type": "string", "pattern": anyCase(words...)}}
	if in.Boolean {
		booleans := []bool{}
		for _, w := range words {
			booleans = append(booleans, w == "true")
		}
		shapes = append(shapes, node{"enum": booleans})
	} else {
		shapes = append(shapes, node{"enum": words})
	}
	n["anyOf"] = shapes
	return n
}
