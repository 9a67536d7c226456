package wiql

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"slipway"
)

// maxQuery bounds a query's text in bytes: Azure DevOps takes 32,000 characters.
const maxQuery = 32_000

type kind int

const (
	end    kind = iota
	word        // SELECT, AND, True
	name        // [System.Id], or a word with dots
	text        // 'a text'
	number      // 12, -3
	macro       // @project
	sign        // ( ) , = <> < <= > >= + -
)

type token struct {
	kind kind
	text string // without quotes and brackets
	at   int    // byte, from 0
}

// is says that the token is a word, in any case, or a sign.
func (t token) is(s string) bool {
	return (t.kind == word || t.kind == sign) && strings.EqualFold(t.text, s)
}

func (t token) String() string {
	if t.kind == end {
		return "the end of the query"
	}
	return `"` + t.text + `"`
}

// lex parts a query into tokens, the last of which is the end.
func lex(query string) ([]token, error) {
	if len(query) > maxQuery {
		return nil, slipway.Limit("a query has at most %d bytes", maxQuery)
	}
	var list []token
	for i := 0; i < len(query); {
		r, size := utf8.DecodeRuneInString(query[i:])
		var t token
		var n int
		var err error
		switch {
		case unicode.IsSpace(r):
			i += size
			continue
		case r == '[':
			t, n, err = bracketed(query[i:])
		case r == '\'' || r == '"':
			t, n, err = quoted(query[i:], byte(r))
		case r == '@' || r == '_' || unicode.IsLetter(r):
			t, n = plain(query[i:])
		case unicode.IsDigit(r):
			n = span(query[i:], func(r rune) bool { return unicode.IsDigit(r) || r == '.' })
			t = token{kind: number, text: query[i : i+n]}
		default:
			t, n = signed(query[i:])
		}
		if n == 0 && err == nil {
			err = slipway.Invalid("the query has %q at character %d, which means nothing there", r, i+1)
		}
		if err != nil {
			return nil, err
		}
		t.at = i
		list = append(list, t)
		i += n
	}
	return append(list, token{kind: end, at: len(query)}), nil
}

func bracketed(s string) (token, int, error) {
	i := strings.IndexByte(s, ']')
	if i < 0 {
		return token{}, 0, slipway.Invalid("a field's name is not closed by ]: %.40s", s)
	}
	return token{kind: name, text: strings.TrimSpace(s[1:i])}, i + 1, nil
}

// quoted reads a text, in which two quotes stand for one.
func quoted(s string, quote byte) (token, int, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			b.WriteByte(s[i])
			continue
		}
		if i+1 == len(s) || s[i+1] != quote {
			return token{kind: text, text: b.String()}, i + 1, nil
		}
		b.WriteByte(quote)
		i++
	}
	return token{}, 0, slipway.Invalid("a text is not closed by %c: %.40s", quote, s)
}

func plain(s string) (token, int) {
	n := span(s, func(r rune) bool {
		return r == '@' || r == '_' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)
	})
	t := token{kind: word, text: s[:n]}
	switch {
	case s[0] == '@':
		t.kind = macro
	case strings.Contains(t.text, "."):
		t.kind = name
	}
	return t, n
}

func signed(s string) (token, int) {
	for _, one := range []string{"<>", "<=", ">=", "(", ")", ",", "=", "<", ">", "+", "-"} {
		if strings.HasPrefix(s, one) {
			return token{kind: sign, text: one}, len(one)
		}
	}
	return token{}, 0
}

// span is the length of the beginning whose runes all are as wanted.
func span(s string, wanted func(rune) bool) int {
	if i := strings.IndexFunc(s, func(r rune) bool { return !wanted(r) }); i >= 0 {
		return i
	}
	return len(s)
}
