package agent

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// extended begins an extended glob: ?(a|b), *(a|b), +(a|b), @(a|b) or !(a|b).
var extended = regexp.MustCompile(`[?*+@!]\(`)

// globMatcher says which paths a glob matches. Globs without extended ones are doublestar's, but that folder/** does not match the folder itself, as with
// minimatch.
func globMatcher(pattern string) func(path string) bool {
	if strings.HasSuffix(pattern, "/**") {
		pattern += "/*"
	}
	if !extended.MatchString(pattern) {
		return func(path string) bool {
			ok, err := doublestar.Match(pattern, path)
			return err == nil && ok
		}
	}
	g, _ := newGlobText(pattern).read("")
	return func(path string) bool { return g.match(path, func(rest string) bool { return rest == "" }) }
}

// globBase is the folder below which everything lies that an absolute pattern matches.
func globBase(pattern string) string {
	if at := extended.FindStringIndex(pattern); at != nil {
		pattern = pattern[:at[0]] + "*"
	}
	base, _ := doublestar.SplitPattern(plainBraces(pattern))
	return base
}

// glob is a pattern with extended globs, which mean what they mean to minimatch 3, the one of Azure's task library, where
// wildcards match a dot too: https://github.com/isaacs/minimatch.
type glob []globPart

// globPart is a piece of a glob.
type globPart struct {
	kind         globKind
	text         string // of a literal or a class
	alternatives []glob
}

type globKind int

const (
	globLiteral   globKind = iota
	globSlash              // between two names
	globClass              // one character of [a-z]
	globAny                // one character: ?
	globStar               // any characters of a name: *
	globFolders            // no folder, or several: **/
	globRest               // everything that is left: ** at the end
	globOne                // one of the alternatives: @(a|b)
	globOptional           // one of them or nothing: ?(a|b)
	globMany               // one of them, or several: +(a|b)
	globOptionals          // several of them or nothing: *(a|b)
	globNone               // a name, or a part of one, that none of them matches: !(a|b)
)

// match says whether a path begins with what the glob matches, so that next takes what is left.
func (g glob) match(s string, next func(rest string) bool) bool {
	if len(g) == 0 {
		return next(s)
	}
	p := g[0]
	then := func(s string) bool { return g[1:].match(s, next) }
	switch p.kind {
	case globLiteral, globSlash:
		after, ok := strings.CutPrefix(s, p.text)
		return ok && then(after)
	case globAny, globClass:
		r, size := utf8.DecodeRuneInString(s)
		return size > 0 && r != '/' && p.holds(r) && then(s[size:])
	case globStar:
		return withinName(s, then)
	case globFolders:
		return intoFolders(s, then)
	case globRest:
		return s != "" && then("")
	case globOne:
		return p.one(s, then)
	case globOptional:
		return p.one(s, then) || then(s)
	case globMany:
		return p.many(s, then)
	case globOptionals:
		return p.many(s, then) || then(s)
	}
	return !p.one(s, g[1:].begins(then)) && withinName(s, then)
}

// begins says whether what is left begins with the glob's part of the name: what !( ) must not match stands before that. Nothing
// of the name is left to match when the part is empty.
func (g glob) begins(then func(string) bool) func(string) bool {
	end := slices.IndexFunc(g, func(p globPart) bool { return p.kind == globSlash })
	if end < 0 {
		end = len(g)
	}
	if end == 0 {
		return then
	}
	return func(s string) bool { return g[:end].match(s, func(string) bool { return true }) }
}

// withinName asks then for what is left after each beginning of the name at which the text stands.
func withinName(s string, then func(string) bool) bool {
	for i := 0; ; i++ {
		if then(s[i:]) {
			return true
		}
		if i == len(s) || s[i] == '/' {
			return false
		}
	}
}

func intoFolders(s string, then func(string) bool) bool {
	for {
		if then(s) {
			return true
		}
		_, rest, ok := strings.Cut(s, "/")
		if !ok {
			return false
		}
		s = rest
	}
}

// one says whether one of the alternatives matches.
func (p globPart) one(s string, then func(string) bool) bool {
	return slices.ContainsFunc(p.alternatives, func(g glob) bool { return g.match(s, then) })
}

// many is one, once or several times.
func (p globPart) many(s string, then func(string) bool) bool {
	return p.one(s, func(rest string) bool { return then(rest) || len(rest) < len(s) && p.many(rest, then) })
}

// holds says whether a class has a character.
func (p globPart) holds(r rune) bool {
	if p.kind == globAny {
		return true
	}
	ok, err := path.Match(p.text, string(r))
	return err == nil && ok
}

// globText is a glob that is being read.
type globText struct {
	text    string
	pos     int
	closing map[int]bool // where a parenthesis opens that is closed
}

func newGlobText(text string) *globText {
	g := &globText{text: text, closing: map[int]bool{}}
	var open []int
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '(':
			if i > 0 && strings.IndexByte("?*+@!", text[i-1]) >= 0 {
				open = append(open, i)
			}
		case ')':
			if n := len(open); n > 0 {
				g.closing[open[n-1]] = true
				open = open[:n-1]
			}
		}
	}
	return g
}

// read reads up to one of the bytes of stop, and says which: 0 is the end.
func (g *globText) read(stop string) (parts glob, met byte) {
	for g.pos < len(g.text) {
		c := g.text[g.pos]
		if strings.IndexByte(stop, c) >= 0 {
			g.pos++
			return parts, c
		}
		parts = append(parts, g.part(c, len(parts) == 0 || parts[len(parts)-1].kind == globSlash))
	}
	return parts, 0
}

// part reads one part. atName says that a name begins, which may be **.
func (g *globText) part(c byte, atName bool) globPart {
	rest := g.text[g.pos:]
	if kind, ok := extendedKinds[c]; ok && len(rest) > 1 && rest[1] == '(' && g.closing[g.pos+1] {
		g.pos += 2
		return globPart{kind: kind, alternatives: g.alternatives()}
	}
	if after, ok := strings.CutPrefix(rest, "**"); ok && atName && after == "" {
		g.pos += 2
		return globPart{kind: globRest}
	} else if ok && atName && after[0] == '/' {
		g.pos += 3
		return globPart{kind: globFolders}
	}
	if c == '[' {
		if size := classSize(rest); size > 0 {
			g.pos += size
			return globPart{kind: globClass, text: strings.Replace(rest[:size], "[!", "[^", 1)}
		}
	}
	_, size := utf8.DecodeRuneInString(rest)
	g.pos += size
	switch {
	case c == '/':
		return globPart{kind: globSlash, text: "/"}
	case c == '?':
		return globPart{kind: globAny}
	case c == '*':
		return globPart{kind: globStar}
	case c == '\\' && len(rest) > 1:
		_, size = utf8.DecodeRuneInString(rest[1:])
		g.pos += size
		return globPart{kind: globLiteral, text: rest[1 : 1+size]}
	}
	return globPart{kind: globLiteral, text: rest[:size]}
}

// extendedKinds are the extended globs by their first character. The map is never changed.
var extendedKinds = map[byte]globKind{'?': globOptional, '*': globOptionals, '+': globMany, '@': globOne, '!': globNone}

// alternatives reads what stands in parentheses, which are closed.
func (g *globText) alternatives() []glob {
	var list []glob
	for {
		one, met := g.read("|)")
		list = append(list, one)
		if met != '|' {
			return list
		}
	}
}

// classSize is how long the class is with which the text begins, 0 if that is none.
func classSize(text string) int {
	start := 1
	if len(text) > 1 && (text[1] == '!' || text[1] == '^') {
		start = 2
	}
	for i := start; i < len(text); i++ {
		switch {
		case text[i] == '/':
			return 0
		case text[i] == '\\':
			i++
		case text[i] == ']' && i > start:
			if _, err := path.Match(strings.Replace(text[:i+1], "[!", "[^", 1), "a"); err != nil {
				return 0
			}
			return i + 1
		}
	}
	return 0
}
