package template

import (
	"maps"
	"slices"
	"strings"

	"slipway/internal/pipelines/expression"
)

// scope is what the expressions of a place see.
type scope struct {
	// variables may grow while a `variables` section is expanded; values are shared with env.
	variables *expression.Fields
	env       map[string]expression.Value
	names     []string
	key       string // names as a key of the cache
	depth     int    // of inclusions
	file      *included
}

// included is a file that is expanded, with the one that includes it.
type included struct {
	label string
	by    *included
}

func newScope(parameters, variables *expression.Fields, depth int) *scope {
	s := &scope{variables: variables, names: []string{"parameters", "variables"}, depth: depth}
	s.env = map[string]expression.Value{"parameters": expression.Obj(parameters), "variables": expression.Obj(variables)}
	return s
}

// inner is a scope whose variables can grow without growing those of s.
func (s *scope) inner() *scope {
	t := *s
	t.variables = copyFields(s.variables)
	t.env = maps.Clone(s.env)
	t.env["variables"] = expression.Obj(t.variables)
	return &t
}

// taken says why the variable of an each cannot have a name, "" if it can.
func (s *scope) taken(name string) string {
	lower := strings.ToLower(name)
	switch {
	case lower == "parameters" || lower == "variables":
		return lower + " has a meaning of its own in expressions"
	case slices.Contains(expression.Functions(), lower):
		return name + " is a function"
	}
	return ""
}

// with is s with one more named value, the variable of an each. Variables are shared.
func (s *scope) with(name string, v expression.Value) *scope {
	t := *s
	t.env = maps.Clone(s.env)
	lower := strings.ToLower(name)
	t.env[lower] = v
	if !slices.Contains(s.names, lower) {
		t.names = append(slices.Clone(s.names), lower)
		t.key = s.key + " " + lower
	}
	return &t
}

func copyFields(f *expression.Fields) *expression.Fields {
	var c expression.Fields
	for i := range f.Len() {
		name, v := f.At(i)
		c.Put(name, v)
	}
	return &c
}
