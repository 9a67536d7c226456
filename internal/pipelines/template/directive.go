package template

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// directive is a key such as `${{ if x }}`.
type directive struct {
	word string // if, elseif, else, each, insert, or one that people take for them
	rest string
	// offset of rest in the key's text.
	offset int
}

// directiveOf reads a key that is one `${{ }}` which starts with a directive's word.
func directiveOf(key *yaml.Node) (d directive, ok bool) {
	text := strings.TrimSpace(key.Text)
	if !strings.HasPrefix(text, "${{") || !strings.HasSuffix(text, "}}") {
		return d, false
	}
	inside := text[3 : len(text)-2]
	trimmed := strings.TrimLeft(inside, " \t\n")
	word := trimmed
	if i := strings.IndexAny(trimmed, " \t\n("); i >= 0 {
		word = trimmed[:i]
	}
	_, foreign := foreignDirectives[word]
	switch {
	case word == "if", word == "elseif", word == "else", word == "each", word == "insert", foreign && strings.TrimSpace(trimmed[len(word):]) != "":
		d.word = word
		d.rest = trimmed[len(word):]
		d.offset = strings.Index(key.Text, "${{") + 3 + len(inside) - len(trimmed) + len(word)
		return d, true
	}
	return d, false
}

// foreignDirectives are words of other languages that people take for directives, with what to write. The map is never changed.
var foreignDirectives = map[string]string{
	"elif": "elseif", "elsif": "elseif", "elseIf": "elseif", "ElseIf": "elseif", "If": "if", "IF": "if", "Each": "each",
	"unless": "if not(…)", "for": "each NAME in LIST", "foreach": "each NAME in LIST", "forEach": "each NAME in LIST", "forall": "each NAME in LIST",
}

func allDirectives(n *yaml.Node) bool {
	for _, p := range n.Pairs {
		if _, ok := directiveOf(p.Key); !ok {
			return false
		}
	}
	return len(n.Pairs) > 0
}

// chain is an if with the elseif and else that follow it; entries that are no directives may stand between.
type chain struct {
	open bool // an if or elseif came before
	done bool // one of them was true
	// broken conditions make the rest of the chain unknown: it is skipped and not reported.
	broken bool
}

func (c *chain) end() { *c = chain{} }

// directive evaluates a directive and calls body for each time its value is wanted, with the scope it sees.
func (e *expander) directive(d directive, p yaml.Pair, c *chain, sc *scope, body func(*scope)) {
	e.bodyless(p)
	switch d.word {
	case "if":
		*c = chain{open: true}
		e.branch(d, p, c, sc, body)
	case "elseif":
		if !c.open {
			e.problems.Add(p.Key.At, "elseif follows an if or elseif in the same collection, here is none before it, or an each, insert or else between")
			return
		}
		if !c.done {
			e.branch(d, p, c, sc, body)
		}
	case "else":
		if !c.open {
			e.problems.Add(p.Key.At, "else follows an if or elseif in the same collection, here is none before it, or an each, insert or else between")
			return
		}
		if strings.TrimSpace(d.rest) != "" {
			e.problems.Add(p.Key.Locate(d.offset), "else has no condition: write elseif")
		}
		if !c.done && !c.broken {
			body(sc)
		}
		c.end()
	case "each":
		c.end()
		e.each(d, p, sc, body)
	case "insert":
		c.end()
		if strings.TrimSpace(d.rest) != "" {
			e.problems.Add(p.Key.Locate(d.offset), "insert stands alone: ${{ insert }}")
		}
		body(sc)
	default:
		e.problems.Add(p.Key.At, "there is no ${{ %s }}: write ${{ %s }}", d.word, foreignDirectives[d.word])
		*c = chain{open: true, done: true, broken: true} // what an else after it means is not known
	}
}

// bodyless warns of a directive that has nothing below it, in the files of this repository: what it is for stands beside it then.
func (e *expander) bodyless(p yaml.Pair) {
	if !p.Value.IsNull() || p.Key.At == yaml.Nowhere || strings.Contains(p.Key.At.File, "@") || len(e.hollow) >= maxTests {
		return
	}
	w := plan.Warning{At: p.Key.At, Message: "nothing stands below " + strings.TrimSpace(p.Key.Text) + ", so that it changes nothing: indent what it is for deeper than its dollar sign"}
	if !slices.Contains(e.hollow, w) {
		e.hollow = append(e.hollow, w)
	}
}

func (e *expander) branch(d directive, p yaml.Pair, c *chain, sc *scope, body func(*scope)) {
	v, ok := e.evaluate(d.rest, p.Key, d.offset, sc)
	if !ok {
		c.broken, c.done = true, true
		return
	}
	e.untimely(e.parse(d.rest, sc).expression, p.Key, d.offset, sc)
	if v.Truth() {
		c.done = true
		body(sc)
	}
}

// each repeats for every element: `each NAME in EXPRESSION`.
func (e *expander) each(d directive, p yaml.Pair, sc *scope, body func(*scope)) {
	fields := strings.Fields(d.rest)
	if len(fields) < 3 || fields[1] != "in" || !isName(fields[0]) {
		e.problems.Add(p.Key.Locate(d.offset), "each reads ${{ each NAME in EXPRESSION }}")
		return
	}
	name := fields[0]
	if why := sc.taken(name); why != "" {
		e.problems.Add(p.Key.Locate(d.offset+strings.Index(d.rest, name)), "%s: take another name for the variable of each", why)
		return
	}
	start := strings.Index(d.rest, name) + len(name)
	start += strings.Index(d.rest[start:], "in") + 2
	v, ok := e.evaluate(d.rest[start:], p.Key, d.offset+start, sc)
	if !ok {
		return
	}
	l := e.loop(name, p, sc)
	switch v.Kind() {
	case expression.Array:
		l.add(v.Items()...)
		for _, item := range v.Items() {
			if e.stopped {
				return
			}
			body(sc.with(name, item))
		}
	case expression.Object:
		for i := range v.Fields().Len() {
			if e.stopped {
				return
			}
			key, value := v.Fields().At(i)
			var pair expression.Fields
			pair.Put("key", expression.Str(key))
			pair.Put("value", value)
			l.add(expression.Obj(&pair))
			body(sc.with(name, expression.Obj(&pair)))
		}
	case expression.Null:
	default:
		if v.String() != "" {
			e.problems.Add(placeOr(v, p.Key.Locate(d.offset+start)), "each goes over a list or a map, not over a %s", v.Kind())
		}
	}
}

// article is the kind of a value with its article.
func article(k expression.Kind) string {
	if k == expression.Object || k == expression.Array {
		return "an " + k.String()
	}
	return "a " + k.String()
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// placed is the origin of a value that an expression made.
type placed struct{ at slipway.Position }

func placeOf(v expression.Value) slipway.Position {
	switch origin := v.Origin.(type) {
	case *yaml.Node:
		return origin.At
	case placed:
		return origin.at
	}
	return slipway.Position{}
}

// placeOr is at, unless the value is a draft's, about which nothing is said.
func placeOr(v expression.Value, at slipway.Position) slipway.Position {
	if placeOf(v) == yaml.Nowhere {
		return yaml.Nowhere
	}
	return at
}

// evaluate is the value of the expression that stands at an offset of a scalar's text. Where a draft says nothing of a mistake, a text stands for the value.
func (e *expander) evaluate(text string, n *yaml.Node, offset int, sc *scope) (expression.Value, bool) {
	if e.evaluations++; e.evaluations > MaxEvaluations {
		if !e.stopped {
			e.problems.Limit(n.At, "the expansion evaluates more than %d expressions", MaxEvaluations)
		}
		e.stopped = true
		return expression.Value{}, false
	}
	p := e.parse(text, sc)
	var v expression.Value
	err := p.err
	if err == nil {
		v, err = p.expression.Evaluate(expression.Environment{Names: sc.env})
	}
	var mistake *expression.Error
	known := errors.As(err, &mistake)
	if err != nil && p.err == nil && e.doubtful(p.expression) && (!known || !mistake.Missing) {
		v = expression.Str("unknown") // it may be right with the values of a run
		v.Origin = placed{yaml.Nowhere}
		return v, false
	}
	if err != nil {
		at := n.Locate(offset)
		if known {
			at = n.Locate(offset + mistake.Offset)
		}
		e.problems.Add(at, "%v", err)
		return v, false
	}
	if v.Kind() == expression.Null && (e.template && e.drafted && p.expression.Names("parameters") || e.left(p.expression)) {
		v.Origin = placed{yaml.Nowhere} // what a run's object, or a template that is not here, may have
	}
	return v, true
}

// doubtful reports an expression of a draft that reads what nobody has given yet.
func (e *expander) doubtful(x *expression.Expression) bool {
	return e.in.Draft && (e.drafted || e.template) && x.Names("parameters") || e.left(x)
}

// left reports an expression that reads variables, of which templates that the draft left out may set more.
func (e *expander) left(x *expression.Expression) bool {
	return len(e.unread) > 0 && x.Names("variables")
}

// parse reads an expression as a scope sees it, each text once.
func (e *expander) parse(text string, sc *scope) parsed {
	key := text + "\x00" + sc.key
	p, ok := e.parsed[key]
	if !ok {
		p.expression, p.err = expression.Parse(text, expression.Scope{Names: sc.names})
		e.parsed[key] = p
	}
	return p
}

// scalar evaluates the expressions of a text. One that is the whole text gives its value as it is; otherwise all become
// text. at is where the value is written.
func (e *expander) scalar(n *yaml.Node, sc *scope) (v expression.Value, at slipway.Position, ok bool) {
	text := n.Text
	var b strings.Builder
	place := 0
	at = n.At
	broken := false
	for {
		start := strings.Index(text[place:], "${{")
		if start < 0 {
			break
		}
		start += place
		end := closing(text, start+3)
		if end < 0 {
			e.problems.Add(n.Locate(start), "${{ has no closing }}")
			return v, n.At, false
		}
		inside := text[start+3 : end]
		value, ok := e.evaluate(inside, n, start+3, sc)
		if !ok && placeOf(value) != yaml.Nowhere {
			if e.stopped {
				return v, n.At, false
			}
			broken = true // and so may be those after it
			place = end + 2
			continue
		}
		tree := value.Kind() == expression.Object || value.Kind() == expression.Array
		if start == 0 && end+2 == len(text) {
			if value.Origin == nil {
				value.Origin = placed{n.Locate(start)}
			}
			return value, n.At, true
		}
		if tree {
			instead := "write it alone, or use convertToJson or join"
			if strings.TrimSpace(text[:start]+text[end+2:]) == "" {
				instead = "take the spaces and line breaks around it away"
			}
			e.problems.Add(placeOr(value, n.Locate(start)), "%s cannot stand inside text: %s", article(value.Kind()), instead)
			return v, n.At, false
		}
		if placeOf(value) == yaml.Nowhere {
			at = yaml.Nowhere
		}
		b.WriteString(text[place:start])
		b.WriteString(value.String())
		place = end + 2
		if e.bytes += len(value.String()); e.bytes > MaxBytes {
			e.count(n)
			return v, n.At, false
		}
	}
	if broken {
		return v, n.At, false
	}
	b.WriteString(text[place:])
	v = expression.Str(b.String())
	v.Origin = placed{at}
	return v, at, true
}

// closing is the place of the }} that ends an expression, which does not count inside quotes.
func closing(text string, from int) int {
	quoted := false
	for i := from; i < len(text); i++ {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], "}}"):
			return i
		}
	}
	return -1
}

func sortedPairs(m map[string]string) [][2]string {
	list := make([][2]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, [2]string{k, m[k]})
	}
	return list
}
