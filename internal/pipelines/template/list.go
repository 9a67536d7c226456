package template

import (
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/yaml"
)

func (e *expander) expandList(n *yaml.Node, w where, sc *scope) *yaml.Node {
	out := &yaml.Node{Kind: yaml.List, At: n.At, Items: make([]*yaml.Node, 0, len(n.Items))}
	var chain chain
	e.expandItems(n.Items, w, sc, out, &chain)
	return out
}

func (e *expander) expandItems(items []*yaml.Node, w where, sc *scope, out *yaml.Node, chain *chain) {
	for _, item := range items {
		if e.stopped {
			return
		}
		e.expandItem(item, w, sc, out, chain)
	}
}

func (e *expander) expandItem(item *yaml.Node, w where, sc *scope, out *yaml.Node, chain *chain) {
	if item.Kind == yaml.Map && allDirectives(item) {
		for _, p := range item.Pairs {
			d, _ := directiveOf(p.Key)
			e.directive(d, p, chain, sc, func(sc *scope) { e.splice(p, w, sc, out) })
		}
		return
	}
	if item.Kind == yaml.Scalar && strings.Contains(item.Text, "${{") {
		v, _, ok := e.scalar(item, sc)
		if !ok || !e.count(item) {
			return
		}
		// A list in a list is put in its place; nothing at all is left out.
		n := e.settle(v, w, sc)
		switch {
		case n.Kind == yaml.List:
			e.addItems(out, n.Items, w, sc)
		case w != elsewhere && n.Kind == yaml.Map && n.Get("template") != nil:
			e.addItems(out, e.include(n, w, sc), w, sc)
		default:
			e.addItems(out, []*yaml.Node{n}, w, sc)
		}
		return
	}
	if w != elsewhere && item.Kind == yaml.Map && item.Get("template") != nil {
		e.addItems(out, e.include(e.expandMap(item, inParameters, sc), w, sc), w, sc)
		return
	}
	n := e.expand(item, w, sc)
	if w != elsewhere && n.Kind == yaml.Map && n.Get("template") != nil {
		e.addItems(out, e.include(n, w, sc), w, sc)
		return
	}
	e.addItems(out, []*yaml.Node{n}, w, sc)
}

func (e *expander) addItems(out *yaml.Node, items []*yaml.Node, w where, sc *scope) {
	for _, item := range items {
		if w == inVariables {
			sc.defineItem(item)
		}
	}
	out.Items = append(out.Items, items...)
}

// splice expands the value under a directive key of a list's item and puts what it gives into the list.
func (e *expander) splice(p yaml.Pair, w where, sc *scope, out *yaml.Node) {
	switch p.Value.Kind {
	case yaml.List:
		var chain chain
		e.expandItems(p.Value.Items, w, sc, out, &chain)
	case yaml.Map:
		var chain chain
		e.expandItem(p.Value, w, sc, out, &chain)
	default:
		if !p.Value.IsNull() {
			var chain chain
			e.expandItem(p.Value, w, sc, out, &chain)
		}
	}
}

// settle is a value as a tree in which the templates that it refers to are included: a list of steps that was given as a
// parameter may hold some.
func (e *expander) settle(v expression.Value, w where, sc *scope) *yaml.Node {
	n := nodeOf(v, placeOf(v))
	if w == elsewhere || w == inParameters || n.Kind == yaml.Scalar {
		return n
	}
	return e.settleNode(n, w, sc)
}

func (e *expander) settleNode(n *yaml.Node, w where, sc *scope) *yaml.Node {
	if w == elsewhere || !e.count(n) {
		return n
	}
	switch n.Kind {
	case yaml.List:
		out := &yaml.Node{Kind: yaml.List, At: n.At}
		for _, item := range n.Items {
			if item.Kind == yaml.Map && item.Get("template") != nil {
				out.Items = append(out.Items, e.include(item, w, sc)...)
			} else {
				out.Items = append(out.Items, e.settleNode(item, w, sc))
			}
		}
		return out
	case yaml.Map:
		out := &yaml.Node{Kind: yaml.Map, At: n.At}
		for _, p := range n.Pairs {
			out.Pairs = append(out.Pairs, yaml.Pair{Key: p.Key, Value: e.settleNode(p.Value, w.below(p.Key.Text), sc)})
		}
		return out
	}
	return n
}
