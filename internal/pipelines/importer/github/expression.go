package github

import (
	"fmt"
	"strconv"
	"strings"
)

// kind is what a node of an expression is.
type kind uint8

const (
	literal     kind = iota // text, number, boolean, null: text and boolean say which
	contextPath             // a context with its keys: github.ref is ["github", "ref"]; * is a filter
	call                    // name and args
	index                   // text is a key of what args[0] gives
	not                     // args[0]
	binary                  // name is the operator, args the sides
)

// node is an expression of GitHub Actions.
type node struct {
	kind    kind
	text    string // of a literal, as text
	boolean bool   // the literal is true, false or null
	name    string // of a function in lower case, or an operator
	keys    []string
	args    []*node
}

// isText reports a literal.
func (n *node) isText() bool { return n.kind == literal }

// truth is that of a literal.
func (n *node) truth() bool {
	if n.boolean {
		return n.text == "true"
	}
	return n.text != "" && n.text != "0"
}

// maxExpression bounds the length of an expression in bytes, as GitHub does, and maxNesting its depth.
const (
	maxExpression = 21000
	maxNesting    = 50
)

// parse reads an expression without its brackets.
func parse(text string) (*node, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d characters", maxExpression)
	}
	tokens, err := scan(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, fmt.Errorf("%q is not expected in the expression", p.tokens[p.at].text)
	}
	return n, nil
}

// token is a word, a quoted text, or an operator.
type token struct {
	text   string
	quoted bool
}

var operators = []string{"&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "*"}

func scan(text string) ([]token, error) {
	var list []token
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\'':
			value, size, ok := quotedText(text[i:])
			if !ok {
				return nil, fmt.Errorf("the expression has a quote without its end: %s", text)
			}
			list = append(list, token{value, true})
			i += size
		case isWord(c) || c == '-' || c == '+':
			end := i + 1
			for end < len(text) && (isWord(text[end]) || text[end] == '-' || text[end] == '.' && c >= '0' && c <= '9') {
				end++
			}
			list = append(list, token{text: text[i:end]})
			i = end
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(text[i:], o) {
					op = o
					break
				}
			}
			if op == "" {
				return nil, fmt.Errorf("the expression has %q, which is no part of the language", string(c))
			}
			list = append(list, token{text: op})
			i += len(op)
		}
	}
	return list, nil
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quotedText reads a text in quotes, in which two quotes are one.
func quotedText(text string) (value string, size int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

type parser struct {
	tokens []token
	at     int
	depth  int
}

// take goes on if the next token is the operator.
func (p *parser) take(op string) bool {
	if p.at < len(p.tokens) && !p.tokens[p.at].quoted && p.tokens[p.at].text == op {
		p.at++
		return true
	}
	return false
}

func (p *parser) or() (*node, error)  { return p.chain([]string{"||"}, p.and) }
func (p *parser) and() (*node, error) { return p.chain([]string{"&&"}, p.comparison) }
func (p *parser) comparison() (*node, error) {
	return p.chain([]string{"==", "!=", "<=", ">=", "<", ">"}, p.unary)
}

// chain reads operators of one level, which hold from left to right.
func (p *parser) chain(ops []string, next func() (*node, error)) (*node, error) {
	left, err := next()
	if err != nil {
		return nil, err
	}
	for {
		op := ""
		for _, o := range ops {
			if p.take(o) {
				op = o
				break
			}
		}
		if op == "" {
			return left, nil
		}
		right, err := next()
		if err != nil {
			return nil, err
		}
		left = &node{kind: binary, name: op, args: []*node{left, right}}
	}
}

func (p *parser) unary() (*node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("the expression nests more than %d levels deep", maxNesting)
	}
	defer func() { p.depth-- }()
	if p.take("!") {
		n, err := p.unary()
		return &node{kind: not, args: []*node{n}}, err
	}
	return p.primary()
}

func (p *parser) primary() (*node, error) {
	if p.at >= len(p.tokens) {
		return nil, fmt.Errorf("the expression ends too early")
	}
	if p.take("(") {
		n, err := p.or()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("the expression has ( without )")
		}
		if err != nil {
			return nil, err
		}
		return p.index(n)
	}
	t := p.tokens[p.at]
	p.at++
	if t.quoted {
		return &node{kind: literal, text: t.text}, nil
	}
	switch t.text {
	case "true", "false":
		return &node{kind: literal, text: t.text, boolean: true}, nil
	case "null":
		return &node{kind: literal, boolean: true}, nil
	}
	if _, err := strconv.ParseFloat(t.text, 64); err == nil && !isName(t.text) {
		return &node{kind: literal, text: t.text}, nil
	}
	if !isWord(t.text[0]) {
		return nil, fmt.Errorf("%q is not expected in the expression", t.text)
	}
	if p.take("(") {
		n, err := p.call(t.text)
		if err != nil {
			return nil, err
		}
		return p.index(n)
	}
	return p.index(&node{kind: contextPath, keys: []string{strings.ToLower(t.text)}})
}

// isName reports words such as inf and nan, which are no numbers here.
func isName(text string) bool { return text[0] > '9' }

func (p *parser) call(name string) (*node, error) {
	n := &node{kind: call, name: strings.ToLower(name)}
	if p.take(")") {
		return n, nil
	}
	for {
		arg, err := p.or()
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
		if p.take(")") {
			return n, nil
		}
		if !p.take(",") {
			return nil, fmt.Errorf("the arguments of %s have no end", name)
		}
	}
}

// index reads the keys behind a value. One that is computed makes it an error, since nothing here computes names.
func (p *parser) index(n *node) (*node, error) {
	for {
		key := ""
		switch {
		case p.take("."):
			if p.at >= len(p.tokens) {
				return nil, fmt.Errorf("the expression ends too early")
			}
			key = p.tokens[p.at].text
			p.at++
		case p.take("["):
			inner, err := p.or()
			if err != nil {
				return nil, err
			}
			if !p.take("]") {
				return nil, fmt.Errorf("the expression has [ without ]")
			}
			if !inner.isText() {
				return nil, fmt.Errorf("the key of %s is computed", n)
			}
			key = inner.text
		default:
			return n, nil
		}
		if n.kind == contextPath {
			n.keys = append(n.keys, key)
		} else {
			n = &node{kind: index, text: key, args: []*node{n}}
		}
	}
}

// String names what a key is of.
func (n *node) String() string {
	switch n.kind {
	case contextPath:
		return strings.Join(n.keys, ".")
	case call:
		return "what " + n.name + "() gives"
	case index:
		return n.args[0].String() + "." + n.text
	}
	return "a value"
}

// piece is text, or an expression in it.
type piece struct {
	text string
	expr *node
	raw  string // the expression as written
}

// pieces parts text at ${{ }}.
func pieces(text string) ([]piece, error) {
	var list []piece
	for {
		start := strings.Index(text, "${{")
		if start < 0 {
			break
		}
		end := endOf(text[start:])
		if end < 0 {
			return nil, fmt.Errorf("${{ has no }}")
		}
		if start > 0 {
			list = append(list, piece{text: text[:start]})
		}
		raw := strings.TrimSpace(text[start+3 : start+end])
		n, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("${{ %s }}: %w", raw, err)
		}
		list = append(list, piece{expr: n, raw: raw})
		text = text[start+end+2:]
	}
	if text != "" {
		list = append(list, piece{text: text})
	}
	return list, nil
}

// endOf is where the brackets of an expression close, outside of quotes.
func endOf(text string) int {
	quoted := false
	for i := range len(text) - 1 {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case !quoted && text[i] == '}' && text[i+1] == '}':
			return i
		}
	}
	return -1
}
