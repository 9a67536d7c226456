package variable

import (
	"strings"
)

const (
	// maxNesting bounds how deep variables whose values hold macros are followed.
	maxNesting = 20
	// maxExpanded bounds the bytes of an expanded text.
	maxExpanded = 4 << 20
)

// Expand replaces each `$(name)` of text by the variable's value, whose own macros are expanded first. A macro without a
// variable stays as it is written. A variable that refers to itself, or nests deeper than 20, stays as written where the
// limit is met.
func (s Set) Expand(text string) string {
	out, _ := s.expand(text, 0)
	return out
}

// ExpandAll expands every value of a map.
func (s Set) ExpandAll(values map[string]string) map[string]string {
	if values == nil {
		return nil
	}
	out := make(map[string]string, len(values))
	for name, text := range values {
		out[name] = s.Expand(text)
	}
	return out
}

// ExpandValue is Expand that also says whether a secret went into the text.
func (s Set) ExpandValue(text string) (expanded string, secret bool) { return s.expand(text, 0) }

func (s Set) expand(text string, depth int) (string, bool) {
	if depth > maxNesting || !strings.Contains(text, "$(") {
		return text, false
	}
	var b strings.Builder
	secret := false
	for len(text) > 0 {
		start := strings.Index(text, "$(")
		if start < 0 || b.Len() > maxExpanded {
			break
		}
		length := strings.IndexByte(text[start:], ')')
		if length < 0 {
			break
		}
		name := text[start+2 : start+length]
		// An inner $( belongs to the shell, or starts the macro: $(echo $(x)).
		if inner := strings.LastIndex(name, "$("); inner >= 0 {
			b.WriteString(text[:start+2+inner])
			text = text[start+2+inner:]
			continue
		}
		b.WriteString(text[:start])
		if v, ok := s.Get(name); ok {
			value, inside := s.expand(v.Text, depth+1)
			b.WriteString(value)
			secret = secret || inside || v.Secret
		} else {
			b.WriteString(text[start : start+length+1])
		}
		text = text[start+length+1:]
	}
	b.WriteString(text)
	return b.String(), secret
}

// Macros are the names of the macros of text, in order.
func Macros(text string) []string {
	var names []string
	for {
		start := strings.Index(text, "$(")
		if start < 0 {
			return names
		}
		length := strings.IndexByte(text[start:], ')')
		if length < 0 {
			return names
		}
		name := text[start+2 : start+length]
		if inner := strings.LastIndex(name, "$("); inner >= 0 {
			text = text[start+2+inner:]
			continue
		}
		names = append(names, name)
		text = text[start+length+1:]
	}
}

// EnvironmentName is the name under which scripts see a variable: upper case, with an underscore for each dot, space and
// other character that an environment variable cannot have.
func EnvironmentName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		case r == '.', r == ' ':
			return '_'
		case r < 0x80:
			return '_'
		}
		return r
	}, strings.TrimSpace(name))
}

// Environment is what a script sees of the set: every variable but the secret ones, macros in values expanded. A value
// into which a secret went is left out too.
func (s Set) Environment() map[string]string {
	env := make(map[string]string, len(s.entries))
	for _, e := range s.entries {
		if e.value.Secret {
			continue
		}
		text, secret := s.ExpandValue(e.value.Text)
		if !secret {
			env[EnvironmentName(e.name)] = text
		}
	}
	return env
}

// Secrets are the texts to mask in logs: each secret's value and each of its lines, longest first.
func (s Set) Secrets() []string {
	seen := map[string]bool{}
	var list []string
	add := func(text string) {
		if text = strings.Trim(text, "\r\n"); text != "" && !seen[text] {
			seen[text] = true
			list = append(list, text)
		}
	}
	for _, name := range s.Names() {
		v, _ := s.Get(name)
		if !v.Secret {
			continue
		}
		add(v.Text)
		for _, line := range strings.Split(v.Text, "\n") {
			if strings.TrimSpace(line) != "" {
				add(line)
			}
		}
	}
	sortByLength(list)
	return list
}
