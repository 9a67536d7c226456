package expression

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
)

// Limits on one expression.
const (
	MaxLength = 20_000
	MaxDepth  = 50
	// MaxResult bounds the text that one function makes.
	MaxResult = 1 << 20
)

// Scope is what may be named where an expression stands.
type Scope struct {
	// Names are the named values: variables, parameters, dependencies ...
	Names []string
	// Status allows succeeded(), failed(), always(), canceled() and succeededOrFailed().
	Status bool
	// Counter allows counter().
	Counter bool
}

// Expression is a parsed expression.
type Expression struct {
	text string
	root node
}

// node is a part of an expression.
type node struct {
	op       op
	offset   int
	end      int
	value    Value  // literal
	name     string // named value, property or function, as written
	fn       *function
	children []node
}

type op uint8

const (
	opLiteral  op = iota
	opName        // a named value
	opProperty    // children[0] . name
	opIndex       // children[0] [ children[1] ]
	opFilter      // children[0] .* or [*]
	opCall
)

// Parse reads an expression without its brackets. The error is an *Error.
func Parse(text string, scope Scope) (*Expression, error) {
	if len(text) > MaxLength {
		return nil, &Error{Offset: 0, Message: fmt.Sprintf("the expression has %d bytes, more than the %d allowed", len(text), MaxLength)}
	}
	p := parser{lexer: lexer{text: text}, scope: scope}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.token.kind == tokenEnd {
		return nil, &Error{Offset: 0, Message: "the expression is empty"}
	}
	root, err := p.parse(1)
	if err != nil {
		return nil, err
	}
	if p.token.kind != tokenEnd {
		return nil, &Error{Offset: p.token.offset, Message: fmt.Sprintf("unexpected %q after the end of the expression", p.token.text)}
	}
	return &Expression{text: text, root: root}, nil
}

// String is the text that was parsed.
func (e *Expression) String() string { return e.text }

// Uses reports whether the expression calls one of the functions, named in lower case.
func (e *Expression) Uses(functions ...string) bool {
	found := false
	e.root.walk(func(n *node) {
		found = found || n.op == opCall && slices.Contains(functions, strings.ToLower(n.name))
	})
	return found
}

// UsesStatus reports whether it calls a status function. A condition that calls none also runs after a failure.
func (e *Expression) UsesStatus() bool {
	return e.Uses("succeeded", "failed", "always", "canceled", "succeededorfailed")
}

// Names reports whether the expression uses the named value.
func (e *Expression) Names(name string) bool {
	found := false
	e.root.walk(func(n *node) { found = found || n.op == opName && strings.EqualFold(n.name, name) })
	return found
}

// Literal is a quoted text in an expression.
type Literal struct {
	Offset int
	Text   string
}

// Literals are the quoted texts of the expression.
func (e *Expression) Literals() []Literal {
	var list []Literal
	e.root.walk(func(n *node) {
		if n.op == opLiteral && n.value.kind == String {
			list = append(list, Literal{n.offset, n.value.text})
		}
	})
	return list
}

// Path is a constant path below a named value: dependencies.A.outputs['s.x'] is dependencies, A, outputs, s.x.
type Path struct {
	Offset int
	Parts  []string
}

// Paths are the longest constant paths in the expression.
func (e *Expression) Paths() []Path {
	var list []Path
	e.root.paths(&list)
	return list
}

// IsPath reports whether the whole expression is one constant path.
func (e *Expression) IsPath() bool {
	_, ok := e.root.path()
	return ok
}

func (n *node) paths(list *[]Path) {
	if parts, ok := n.path(); ok {
		*list = append(*list, Path{n.offset, parts})
		return
	}
	if base := n.base(); base != nil && len(n.children) > 0 {
		n.children[0].paths(list)
		for i := range n.children[1:] {
			n.children[1+i].paths(list)
		}
		return
	}
	for i := range n.children {
		n.children[i].paths(list)
	}
}

func (n *node) base() *node {
	for n.op == opProperty || n.op == opIndex || n.op == opFilter {
		n = &n.children[0]
	}
	if n.op == opName {
		return n
	}
	return nil
}

func (n *node) path() ([]string, bool) {
	switch n.op {
	case opName:
		return []string{n.name}, true
	case opProperty:
		parts, ok := n.children[0].path()
		return append(parts, n.name), ok
	case opIndex:
		parts, ok := n.children[0].path()
		return append(parts, n.children[1].value.String()), ok && n.children[1].op == opLiteral
	}
	return nil, false
}

func (n *node) walk(visit func(*node)) {
	visit(n)
	for i := range n.children {
		n.children[i].walk(visit)
	}
}

type parser struct {
	lexer lexer
	scope Scope
	token token
	last  int // the end of the token before
}

func (p *parser) advance() (err error) {
	p.last = p.lexer.at
	p.token, err = p.lexer.next()
	return err
}

func (p *parser) is(punctuation string) bool {
	return p.token.kind == tokenPunctuation && p.token.text == punctuation
}

func (p *parser) expect(punctuation, after string) error {
	if !p.is(punctuation) {
		return &Error{Offset: p.token.offset, Message: fmt.Sprintf("expected %q after %s, found %s", punctuation, after, p.token.describe())}
	}
	return p.advance()
}

func (t token) describe() string {
	if t.kind == tokenEnd {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// parse reads a value and everything that is attached to it.
func (p *parser) parse(depth int) (node, error) {
	if depth > MaxDepth {
		return node{}, &Error{Offset: p.token.offset, Message: fmt.Sprintf("the expression nests more than %d levels deep", MaxDepth)}
	}
	n, err := p.primary(depth)
	if err != nil {
		return n, err
	}
	for links := 0; p.is(".") || p.is("["); links++ {
		if links >= MaxDepth {
			return n, &Error{Offset: p.token.offset, Message: fmt.Sprintf("more than %d properties in a row", MaxDepth)}
		}
		if n.op == opLiteral {
			return n, &Error{Offset: p.token.offset, Message: "a literal has no properties"}
		}
		if n, err = p.attached(n, depth); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (p *parser) primary(depth int) (node, error) {
	t := p.token
	n := node{offset: t.offset, value: t.value, name: t.text}
	switch t.kind {
	case tokenLiteral:
		n.op = opLiteral
		err := p.advance()
		n.end = p.last
		return n, err
	case tokenName:
		if err := p.advance(); err != nil {
			return n, err
		}
		n.end = p.last
		if p.is("(") {
			return p.call(n, depth)
		}
		n.op = opName
		return n, p.named(n)
	case tokenEnd:
		return n, &Error{Offset: t.offset, Message: "the expression ends too early"}
	}
	return n, &Error{Offset: t.offset, Message: fmt.Sprintf("unexpected %q", t.text)}
}

// named checks that a named value exists where the expression stands.
func (p *parser) named(n node) error {
	for _, name := range p.scope.Names {
		if strings.EqualFold(name, n.name) {
			return nil
		}
	}
	if _, ok := functions[strings.ToLower(n.name)]; ok {
		return &Error{Offset: n.offset, Message: fmt.Sprintf("%s is a function: write %s(...)", n.name, n.name)}
	}
	if strings.EqualFold(n.name, "dependencies") || strings.EqualFold(n.name, "stageDependencies") {
		return &Error{Offset: n.offset, Message: fmt.Sprintf("%s are not known here: read them in a variable of a job, $[ %s.… ], and that variable here", n.name, n.name)}
	}
	known := "there are none here"
	if len(p.scope.Names) > 0 {
		known = "here are " + strings.Join(p.scope.Names, ", ")
	}
	if strings.EqualFold(n.name, "parameters") {
		return &Error{Offset: n.offset, Message: "parameters are read when the file is expanded, and this is evaluated in a run: write ${{ parameters.NAME }}, in single quotes if it is a text"}
	}
	switch n.name {
	case "if", "elseif", "else", "each", "insert":
		return &Error{Offset: n.offset, Message: fmt.Sprintf("%s is no value: ${{ %s }} chooses whole entries and keys, as a key with a colon behind its }}, and stands within no text: put it around the entry, or write iif(CONDITION, A, B)", n.name, n.name)}
	}
	if meant := nearest.Suggest(n.name, p.scope.Names); meant != "" {
		return &Error{Offset: n.offset, Message: fmt.Sprintf("unknown value %q%s", n.name, meant)}
	}
	return &Error{Offset: n.offset, Message: fmt.Sprintf("unknown value %q: %s; text stands in single quotes", n.name, known)}
}

func (p *parser) attached(base node, depth int) (node, error) {
	n := node{offset: base.offset, children: []node{base}}
	if p.is(".") {
		if err := p.advance(); err != nil {
			return n, err
		}
		switch {
		case p.is("*"):
			n.op = opFilter
		case p.token.kind == tokenName, p.token.kind == tokenLiteral && isNameStart(p.token.text[0]):
			n.op, n.name = opProperty, p.token.text
		default:
			return n, &Error{Offset: p.token.offset, Message: fmt.Sprintf("expected a name after %q, found %s; other names stand in brackets: ['name']", ".", p.token.describe())}
		}
		err := p.advance()
		n.end = p.last
		return n, err
	}
	if err := p.advance(); err != nil {
		return n, err
	}
	if p.is("*") {
		n.op = opFilter
		if err := p.advance(); err != nil {
			return n, err
		}
	} else {
		index, err := p.parse(depth + 1)
		if err != nil {
			return n, err
		}
		n.op, n.children = opIndex, append(n.children, index)
	}
	err := p.expect("]", "the index")
	n.end = p.last
	return n, err
}

func (p *parser) call(n node, depth int) (node, error) {
	n.op = opCall
	f, ok := functions[strings.ToLower(n.name)]
	if !ok {
		return n, &Error{Offset: n.offset, Message: fmt.Sprintf("unknown function %q%s", n.name, nearestFunction(n.name))}
	}
	if f.status && !p.scope.Status {
		return n, &Error{Offset: n.offset, Message: fmt.Sprintf("%s() is only known when a stage, job or step is about to start: use it in a condition", n.name)}
	}
	if f.counter && !p.scope.Counter {
		return n, &Error{Offset: n.offset, Message: "counter() stands only in a variable, as $[counter(...)]"}
	}
	n.fn = f
	if err := p.advance(); err != nil {
		return n, err
	}
	for !p.is(")") {
		argument, err := p.parse(depth + 1)
		if err != nil {
			return n, err
		}
		n.children = append(n.children, argument)
		if !p.is(",") {
			break
		}
		if err := p.advance(); err != nil {
			return n, err
		}
		if p.is(")") {
			return n, &Error{Offset: p.token.offset, Message: "expected a value after \",\", found \")\""}
		}
	}
	if err := p.expect(")", "the arguments of "+n.name); err != nil {
		return n, err
	}
	n.end = p.last
	if len(n.children) < f.min || len(n.children) > f.max {
		return n, &Error{Offset: n.offset, Message: fmt.Sprintf("%s takes %s, not %d", n.name, f.arity(), len(n.children))}
	}
	return n, nil
}
