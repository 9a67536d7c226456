package template

import (
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/yaml"
)

func (e *expander) expandMap(n *yaml.Node, w where, sc *scope) *yaml.Node {
	if w == inRoot || w == inStages || w == inJobs {
		sc = sc.inner()
	}
	out := &yaml.Node{Kind: yaml.Map, At: n.At, Pairs: make([]yaml.Pair, 0, len(n.Pairs))}
	e.expandPairs(n.Pairs, w, sc, out)
	return out
}

// expandPairs expands the entries of a map into out. Variables come first, since the other entries see them.
func (e *expander) expandPairs(pairs []yaml.Pair, w where, sc *scope, out *yaml.Node) {
	var early map[int]*yaml.Node
	for i, p := range pairs {
		if p.Key.Text == "variables" && w.below("variables") == inVariables {
			if early == nil {
				early = map[int]*yaml.Node{}
			}
			early[i] = e.expandVariables(p.Value, sc)
		}
	}
	var chain chain
	for i, p := range pairs {
		if e.stopped {
			return
		}
		if d, ok := directiveOf(p.Key); ok {
			e.directive(d, p, &chain, sc, func(sc *scope) { e.mergeInto(p, w, sc, out) })
			continue
		}
		if w == inRoot && p.Key.Text == "parameters" {
			continue
		}
		key := p.Key
		if strings.Contains(key.Text, "${{") {
			v, at, ok := e.scalar(key, sc)
			if !ok {
				out.At = yaml.Nowhere // nothing is said of what its map lacks then
				continue
			}
			if kind := v.Kind(); kind == expression.Object || kind == expression.Array {
				e.problems.Add(placeOr(v, at), "a key is text, and this is %s: write ${{ insert }}: before it to put its entries here", article(kind))
				continue
			}
			key = yaml.Text(v.String(), at)
		}
		value := early[i]
		if value == nil {
			value = e.expand(p.Value, w.below(key.Text), sc)
		}
		e.put(out, yaml.Pair{Key: key, Value: value})
		if w == inVariables {
			sc.define(key.Text, value)
		}
	}
}

// put adds an entry, which must not be there yet, in whatever letters.
func (e *expander) put(out *yaml.Node, p yaml.Pair) {
	for _, old := range out.Pairs {
		if strings.EqualFold(old.Key.Text, p.Key.Text) {
			if old.Value.At == yaml.Nowhere || e.template && e.drafted {
				return // a draft's, of which nobody knows whether a run's has the key, or both conditions
			}
			e.problems.Add(p.Key.At, "after the templates are expanded, %s", yaml.Again(p.Key.Text, old.Key.Text, old.Key.At.Line))
			return
		}
	}
	out.Pairs = append(out.Pairs, p)
}

// mergeInto expands the value under a directive key and merges it into a map.
func (e *expander) mergeInto(p yaml.Pair, w where, sc *scope, out *yaml.Node) {
	if p.Value.Kind == yaml.Map {
		e.expandPairs(p.Value.Pairs, w, sc, out)
		return
	}
	if d, _ := directiveOf(p.Key); d.word == "insert" && p.Value.IsNull() {
		e.problems.Add(p.Key.At, "under ${{ insert }} stands a map, and here is nothing: leave it out, or write {}")
		return
	}
	v := e.expand(p.Value, w, sc)
	switch {
	case v.Kind == yaml.Map:
		for _, pair := range v.Pairs {
			e.put(out, pair)
			if w == inVariables {
				sc.define(pair.Key.Text, pair.Value)
			}
		}
	case v.IsNull(), v.At == yaml.Nowhere:
	case v.Kind == yaml.List:
		e.problems.Add(p.Key.At, "%s stands among the keys of a map, and below it is a list: begin its line with a dash, indented as the other entries of the list that it belongs to", strings.TrimSpace(p.Key.Text))
	default:
		e.problems.Add(p.Value.At, "under %s in a map stands a map, not %s", p.Key.Text, v.Kind)
	}
}
