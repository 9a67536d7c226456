// Package wiql reads queries of work items as Azure DevOps writes them (WIQL), and says which items meet them. It is pure: items and the
// names of people are given to it.
//
//	SELECT [System.Id] FROM WorkItems WHERE [System.State] <> 'Closed' AND [System.AssignedTo] = @me ORDER BY [System.ChangedDate] DESC
//
// What it does not know it refuses: links (FROM WorkItemLinks), ASOF, EVER, groups and comparisons of two fields.
package wiql

import (
	"strings"

	"slipway"
)

// Query is what a text asks for.
type Query struct {
	Columns []Field
	Order   []Order
	where   node // nil for all
}

// Order is a field by which what is found is sorted.
type Order struct {
	Field      Field
	Descending bool
}

// maxConditions bounds a query's conditions, and maxNested how deep they stand in parentheses.
const (
	maxConditions = 500
	maxNested     = 50
)

type parser struct {
	tokens     []token
	conditions int
	nested     int
}

// Parse reads a query. What is wrong with it is an Invalid that says what and where.
func Parse(query string) (Query, error) {
	tokens, err := lex(query)
	if err != nil {
		return Query{}, err
	}
	p := &parser{tokens: tokens}
	q, err := p.query()
	if err == nil && p.peek().kind != end {
		err = p.unexpected("the end")
	}
	return q, err
}

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != end {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) unexpected(wanted string) error {
	return slipway.Invalid("the query has %s at character %d, where %s is expected", p.peek(), p.peek().at+1, wanted)
}

// accept takes the words or signs if they come next.
func (p *parser) accept(words ...string) bool {
	for i, w := range words {
		if i >= len(p.tokens) || !p.tokens[i].is(w) {
			return false
		}
	}
	p.tokens = p.tokens[len(words):]
	return true
}

func (p *parser) query() (Query, error) {
	var q Query
	if !p.accept("SELECT") {
		return q, p.unexpected("SELECT")
	}
	for {
		f, err := p.field()
		if err != nil {
			return q, err
		}
		q.Columns = append(q.Columns, f)
		if !p.accept(",") {
			break
		}
	}
	if !p.accept("FROM") {
		return q, p.unexpected("FROM")
	}
	if t := p.next(); !t.is("WorkItems") {
		return q, slipway.Unsupported("a query is answered FROM WorkItems, not from %s: ask for the items, and for their parents by the field System.Parent", t)
	}
	var err error
	if p.accept("WHERE") {
		if q.where, err = p.any(); err != nil {
			return q, err
		}
	}
	if p.accept("ORDER", "BY") {
		if q.Order, err = p.order(); err != nil {
			return q, err
		}
	}
	for _, unknown := range []string{"ASOF", "MODE", "GROUP"} {
		if p.peek().is(unknown) {
			return q, slipway.Unsupported("%s is not answered: leave it out of the query", unknown)
		}
	}
	return q, nil
}

func (p *parser) order() ([]Order, error) {
	var list []Order
	for {
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		o := Order{Field: f}
		if !p.accept("ASC") {
			o.Descending = p.accept("DESC")
		}
		list = append(list, o)
		if !p.accept(",") {
			return list, nil
		}
	}
}

func (p *parser) field() (Field, error) {
	if t := p.peek(); t.kind != name && t.kind != word {
		return Field{}, p.unexpected("a field, as [System.Title],")
	}
	return FieldOf(p.next().text)
}

// any reads conditions joined by OR.
func (p *parser) any() (node, error) {
	return p.joined("OR", p.all, func(l []node) node { return anyOf(l) })
}

// all reads conditions joined by AND, which binds closer.
func (p *parser) all() (node, error) {
	return p.joined("AND", p.one, func(l []node) node { return allOf(l) })
}

func (p *parser) joined(by string, part func() (node, error), join func([]node) node) (node, error) {
	var list []node
	for {
		n, err := part()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if !p.accept(by) {
			break
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return join(list), nil
}

func (p *parser) one() (node, error) {
	if p.nested++; p.nested > maxNested {
		return nil, slipway.Limit("the query's conditions stand in more than %d parentheses", maxNested)
	}
	defer func() { p.nested-- }()
	switch {
	case p.accept("NOT"):
		n, err := p.one()
		return notOf{n}, err
	case p.accept("("):
		n, err := p.any()
		if err == nil && !p.accept(")") {
			err = p.unexpected("a closing parenthesis")
		}
		return n, err
	}
	if p.conditions++; p.conditions > maxConditions {
		return nil, slipway.Limit("a query has at most %d conditions", maxConditions)
	}
	f, err := p.field()
	if err != nil {
		return nil, err
	}
	c := condition{field: f}
	if c.operator, err = p.operator(f); err != nil {
		return nil, err
	}
	switch c.operator {
	case "IN", "NOT IN":
		c.values, err = p.list()
	case "IS EMPTY", "IS NOT EMPTY":
	default:
		var v value
		v, err = p.value()
		c.values = []value{v}
	}
	if err != nil {
		return nil, err
	}
	return c, c.check()
}

// operators that a kind of fields has; those of several words come first where they begin alike.
var operators = map[fieldKind][]string{
	textField:   {"NOT CONTAINS WORDS", "CONTAINS WORDS", "NOT CONTAINS", "CONTAINS", "NOT IN", "IN", "IS NOT EMPTY", "IS EMPTY", "=", "<>", "<=", ">=", "<", ">"},
	numberField: {"NOT IN", "IN", "=", "<>", "<=", ">=", "<", ">"},
	timeField:   {"=", "<>", "<=", ">=", "<", ">"},
	personField: {"NOT CONTAINS", "CONTAINS", "NOT IN", "IN", "=", "<>"},
	tagsField:   {"NOT CONTAINS", "CONTAINS", "=", "<>", "IS NOT EMPTY", "IS EMPTY"},
	pathField:   {"NOT UNDER", "UNDER", "NOT IN", "IN", "=", "<>"},
}

func (p *parser) operator(f Field) (string, error) {
	for _, o := range operators[f.kind] {
		if p.accept(strings.Fields(o)...) {
			return o, nil
		}
	}
	return "", slipway.Invalid("the query has %s after %s at character %d: choose one of %s", p.peek(), f.Reference, p.peek().at+1, strings.Join(operators[f.kind], ", "))
}

func (p *parser) list() ([]value, error) {
	if !p.accept("(") {
		return nil, p.unexpected("a list in parentheses")
	}
	var list []value
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if p.accept(",") {
			continue
		}
		if !p.accept(")") {
			return nil, p.unexpected("a closing parenthesis")
		}
		return list, nil
	}
}
