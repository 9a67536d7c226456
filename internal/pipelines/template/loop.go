package template

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// loop is an each with what its variable was, over all the times that it was expanded.
type loop struct {
	name   string // of the variable
	pair   yaml.Pair
	scope  *scope // of the body
	values []expression.Value
	over   bool // there were more than are kept, so nothing is said
}

// Bounds of what is kept of the variables of each, to be looked at when all is expanded.
const (
	maxLoops      = 1000
	maxLoopValues = 200
)

// loop finds what is kept of an each, nil where nothing is: in a file of another repository, or past the bound.
func (e *expander) loop(name string, p yaml.Pair, sc *scope) *loop {
	at := p.Key.At
	if at == yaml.Nowhere || strings.Contains(at.File, "@") {
		return nil
	}
	l, known := e.loops[p.Key]
	if !known && len(e.loops) < maxLoops {
		l = &loop{name: name, pair: p, scope: sc.with(name, expression.Value{})}
		e.loops[p.Key] = l
	}
	return l
}

func (l *loop) add(values ...expression.Value) {
	switch {
	case l == nil || l.over:
	case len(l.values)+len(values) > maxLoopValues:
		l.values, l.over = nil, true
	default:
		l.values = append(l.values, values...)
	}
}

// lacking warns of fields that the body of an each reads, no value has, and are slips of one that a value has. Others may be left out by
// those who write the list.
func (e *expander) lacking() (list []plan.Warning) {
	inOrder := slices.SortedFunc(maps.Values(e.loops), func(a, b *loop) int {
		x, y := a.pair.Key.At, b.pair.Key.At
		return cmp.Or(strings.Compare(x.File, y.File), x.Line-y.Line, x.Column-y.Column)
	})
	for _, l := range inOrder {
		if l.over || len(l.values) == 0 {
			continue
		}
		e.expressions(l.pair.Value, l.scope, l.name, func(text string, n *yaml.Node, offset int, sc *scope) {
			p := e.parse(text, sc)
			if p.err != nil {
				return
			}
			for _, path := range p.expression.Paths() {
				if !strings.EqualFold(path.Parts[0], l.name) {
					continue
				}
				if message := l.lacks(path.Parts[1:]); message != "" {
					list = append(list, plan.Warning{At: n.Locate(offset + path.Offset), Message: message})
				}
			}
		})
	}
	return list
}

// expressions visits the expressions of a body, each with the scope that it has below the variables of further ones, unless one of these has
// the name.
func (e *expander) expressions(n *yaml.Node, sc *scope, name string, visit func(text string, n *yaml.Node, offset int, sc *scope)) {
	inText := func(n *yaml.Node) {
		for place := strings.Index(n.Text, "${{"); place >= 0; {
			end := closing(n.Text, place+3)
			if end < 0 {
				return
			}
			visit(n.Text[place+3:end], n, place+3, sc)
			next := strings.Index(n.Text[end:], "${{")
			if next < 0 {
				return
			}
			place = end + next
		}
	}
	if n.Kind == yaml.Scalar {
		inText(n)
	}
	for _, item := range n.Items {
		e.expressions(item, sc, name, visit)
	}
	for _, p := range n.Pairs {
		inner := sc
		switch d, ok := directiveOf(p.Key); {
		case !ok:
			inText(p.Key)
		case d.word == "each":
			variable, rest, _ := strings.Cut(strings.TrimSpace(d.rest), " ")
			if list := strings.TrimPrefix(strings.TrimLeft(rest, " \t\n"), "in"); isName(variable) {
				visit(list, p.Key, d.offset+len(d.rest)-len(list), sc)
				inner = sc.with(variable, expression.Value{})
			}
			if strings.EqualFold(variable, name) {
				continue
			}
		default:
			visit(d.rest, p.Key, d.offset, sc)
		}
		e.expressions(p.Value, inner, name, visit)
	}
}

// lacks says which field of a path no value has, "" if there is nothing to say.
func (l *loop) lacks(path []string) string {
	values := l.values
	for _, part := range path {
		var below []expression.Value
		var names []string
		for _, v := range values {
			if v.Kind() != expression.Object || placeOf(v) == yaml.Nowhere || v.Fields().Missing != nil {
				return ""
			}
			for i := range v.Fields().Len() {
				if name, _ := v.Fields().At(i); !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			if field, ok := v.Fields().Get(part); ok {
				below = append(below, field)
			}
		}
		if len(below) > 0 {
			values = below
			continue
		}
		if i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, part) }); i >= 0 {
			return fmt.Sprintf("no value of %s has %q, which is null therefore: case matters in keys, write %q", l.name, part, names[i])
		}
		if meant := nearest.Slip(part, names); meant != "" {
			return fmt.Sprintf("no value of %s has %q, which is null therefore, did you mean %q?", l.name, part, meant)
		}
		return ""
	}
	return ""
}
