package template

import (
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/yaml"
)

// define makes a variable visible to the expressions that follow.
func (s *scope) define(name string, value *yaml.Node) {
	if value.Kind == yaml.Scalar {
		s.variables.Put(name, expression.Str(value.Text))
	}
}

func (e *expander) expandVariables(n *yaml.Node, sc *scope) *yaml.Node {
	switch n.Kind {
	case yaml.Map:
		out := &yaml.Node{Kind: yaml.Map, At: n.At}
		e.expandPairs(n.Pairs, inVariables, sc, out)
		return out
	case yaml.List:
		return e.expandList(n, inVariables, sc)
	}
	v := e.expand(n, inVariables, sc)
	e.defineAll(v, sc)
	return v
}

// defineAll makes the variables of an expanded section visible.
func (e *expander) defineAll(n *yaml.Node, sc *scope) {
	for _, p := range n.Pairs {
		sc.define(p.Key.Text, p.Value)
	}
	for _, item := range n.Items {
		sc.defineItem(item)
	}
}

func (s *scope) defineItem(item *yaml.Node) {
	name, value := item.Get("name"), item.Get("value")
	if name != nil && value != nil && name.Kind == yaml.Scalar {
		s.define(name.Text, value)
	}
}
