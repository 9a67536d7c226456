package expression

import (
	"fmt"
	"strings"
)

// Error is a mistake in an expression. Offset counts bytes from its start.
type Error struct {
	Offset  int
	Message string
	Missing bool // a field was read that its object knows not to have (Fields.Missing), whatever the values of the others
}

func (e *Error) Error() string { return e.Message }

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenLiteral
	tokenPunctuation // one of ( ) [ ] , . *
)

type token struct {
	kind   tokenKind
	offset int
	text   string
	value  Value
}

type lexer struct {
	text string
	at   int
}

func (l *lexer) next() (token, error) {
	for l.at < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.at]) >= 0 {
		l.at++
	}
	start := l.at
	if start == len(l.text) {
		return token{kind: tokenEnd, offset: start}, nil
	}
	c := l.text[start]
	switch {
	case c == '\'':
		return l.quoted()
	case isNameStart(c):
		for l.at < len(l.text) && isName(l.text[l.at]) {
			l.at++
		}
		return l.word(start), nil
	case isDigit(c), (c == '-' || c == '.' || c == '+') && start+1 < len(l.text) && (isDigit(l.text[start+1]) || c != '.' && l.text[start+1] == '.'):
		return l.number()
	case strings.IndexByte("()[],.*", c) >= 0:
		l.at++
		return token{kind: tokenPunctuation, offset: start, text: string(c)}, nil
	}
	return token{}, &Error{Offset: start, Message: unexpected(l.text[start:])}
}

// unexpected says what to write instead of a character that the language does not have.
func unexpected(rest string) string {
	for _, op := range [...][2]string{
		{"==", "eq(a, b)"}, {"!=", "ne(a, b)"}, {">=", "ge(a, b)"}, {"<=", "le(a, b)"}, {"&&", "and(a, b)"}, {"||", "or(a, b)"},
		{">", "gt(a, b)"}, {"<", "lt(a, b)"}, {"!", "not(a)"},
	} {
		if strings.HasPrefix(rest, op[0]) {
			return fmt.Sprintf("the language has no operator %s: write %s", op[0], op[1])
		}
	}
	switch rest[0] {
	case '"':
		return `text stands in single quotes: 'text', not "text"`
	case '$':
		if strings.HasPrefix(rest, "$(") {
			return "a macro $(name) is not expanded in an expression: write variables['name']"
		}
		if strings.HasPrefix(rest, "${{") || strings.HasPrefix(rest, "$[") {
			return "an expression does not stand inside another: leave the inner brackets out"
		}
	}
	if strings.ContainsRune("+-/%?", rune(rest[0])) {
		return fmt.Sprintf("the language has no operator %c: it joins texts with format('{0}{1}', a, b), chooses with iif(test, a, b), and does not calculate", rest[0])
	}
	r := []rune(rest)[0]
	if strings.ContainsRune("‘’“”´`", r) {
		return fmt.Sprintf("text stands in straight single quotes: 'text', not %c", r)
	}
	return fmt.Sprintf("unexpected character %q", r)
}

func (l *lexer) quoted() (token, error) {
	start := l.at
	var b strings.Builder
	for l.at++; l.at < len(l.text); l.at++ {
		if l.text[l.at] != '\'' {
			b.WriteByte(l.text[l.at])
			continue
		}
		if l.at+1 < len(l.text) && l.text[l.at+1] == '\'' {
			b.WriteByte('\'')
			l.at++
			continue
		}
		l.at++
		return token{kind: tokenLiteral, offset: start, text: l.text[start:l.at], value: Str(b.String())}, nil
	}
	return token{}, &Error{Offset: start, Message: "the text has no closing quote"}
}

func (l *lexer) word(start int) token {
	t := token{kind: tokenName, offset: start, text: l.text[start:l.at]}
	switch strings.ToLower(t.text) {
	case "true", "false":
		t.kind, t.value = tokenLiteral, Bool(strings.EqualFold(t.text, "true"))
	case "null":
		t.kind = tokenLiteral
	}
	return t
}

func (l *lexer) number() (token, error) {
	start := l.at
	for l.at++; l.at < len(l.text) && (isDigit(l.text[l.at]) || l.text[l.at] == '.' || isName(l.text[l.at])); l.at++ {
	}
	text := l.text[start:l.at]
	t := token{kind: tokenLiteral, offset: start, text: text}
	if strings.Count(text, ".") >= 2 {
		version, ok := parseVersion(text)
		if !ok {
			return t, &Error{Offset: start, Message: fmt.Sprintf("%q is no version: write two to four numbers with points between", text)}
		}
		t.value = Value{kind: Version, version: version}
		return t, nil
	}
	f, ok := parseNumber(text)
	if !ok {
		return t, &Error{Offset: start, Message: fmt.Sprintf("%q is no number", text)}
	}
	t.value = Num(f)
	return t, nil
}

func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isNameStart(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isName(c byte) bool      { return isNameStart(c) || isDigit(c) }
