// Package token replaces tokens in text, such as #{name}#, by values, as the extension Replace Tokens does.
//
// It is pure: values come from a function.
package token

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Escape says how values are made safe for what is around them.
type Escape string

// The ways to escape.
const (
	EscapeNone   Escape = ""
	EscapeJSON   Escape = "json"
	EscapeXML    Escape = "xml"
	EscapeCustom Escape = "custom" // EscapeChar before each of CharsToEscape
)

// maxRecursion bounds how deep values may hold tokens.
const maxRecursion = 50

// Replacer says what tokens look like and what becomes of them.
type Replacer struct {
	// Prefix and Suffix of a token, neither empty.
	Prefix, Suffix string
	// KeepBlanks takes blanks between these and the name for part of it.
	KeepBlanks bool
	// TransformPrefix and TransformSuffix of TRANSFORM(NAME); "" is without transformations.
	TransformPrefix, TransformSuffix string
	// Raw is the name of the transformation that does not escape.
	Raw string
	// Recursive replaces tokens in values too.
	Recursive bool

	Escape        Escape
	EscapeChar    string
	CharsToEscape string

	// Lookup finds a value.
	Lookup func(name string) (text string, ok bool)
	// EmptyIsMissing takes an empty value for a missing one, and EmptyValue for an empty one.
	EmptyIsMissing bool
	EmptyValue     string
	// UseDefault puts Default in place of missing values, and does not tell of them.
	UseDefault bool
	Default    string
	// Keep leaves tokens without a value as they are; otherwise nothing is put in their place.
	Keep bool
	// CountMissing counts missing values that left no token behind as replaced.
	CountMissing bool
	// Missing is told of each missing value.
	Missing func(name string)
}

// Counts is what was done.
type Counts struct{ Tokens, Replaced, Defaults, Transforms int }

// Add adds up.
func (c *Counts) Add(d Counts) {
	c.Tokens += d.Tokens
	c.Replaced += d.Replaced
	c.Defaults += d.Defaults
	c.Transforms += d.Transforms
}

// Replace replaces the tokens of a text. Its error is a value that holds itself.
func (r *Replacer) Replace(text string) (string, Counts, error) {
	var counts Counts
	out, err := r.replace(text, &counts, nil)
	return out, counts, err
}

func (r *Replacer) replace(text string, counts *Counts, way []string) (string, error) {
	var out strings.Builder
	for {
		start := strings.Index(text, r.Prefix)
		if start < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		name, end, ok := r.token(text[start:])
		if !ok { // a prefix without its suffix: the next one may begin inside of it
			out.WriteString(text[:start+1])
			text = text[start+1:]
			continue
		}
		value, err := r.value(text[start:start+end], name, counts, way)
		if err != nil {
			return "", err
		}
		out.WriteString(text[:start])
		out.WriteString(value)
		text = text[start+end:]
	}
}

// token reads the token that the text begins with: its name and how long it is. A name stands on one line and holds no
// other token's prefix.
func (r *Replacer) token(text string) (name string, length int, ok bool) {
	inside := text[len(r.Prefix):]
	end := strings.Index(inside, r.Suffix)
	if end < 0 {
		return "", 0, false
	}
	name = inside[:end]
	if !r.KeepBlanks {
		name = strings.TrimSpace(name)
		if strings.Contains(name, r.Prefix) {
			return "", 0, false
		}
	}
	return name, len(r.Prefix) + end + len(r.Suffix), !strings.ContainsAny(name, "\r\n")
}

// value is what is put in a token's place.
func (r *Replacer) value(token, name string, counts *Counts, way []string) (string, error) {
	counts.Tokens++
	name, transform, params := r.transformation(name)
	if transform != "" {
		counts.Transforms++
	}
	key := strings.ToLower(name)
	if r.Recursive && slices.Contains(way, key) {
		return "", fmt.Errorf("the value of %q holds its own token", name)
	}
	value, found := r.Lookup(name)
	if r.EmptyIsMissing && value == "" {
		found = false
	}
	if !found && r.UseDefault {
		value, found = r.Default, true
		counts.Defaults++
	}
	if found {
		counts.Replaced++
		if r.EmptyIsMissing && r.EmptyValue != "" && value == r.EmptyValue {
			value = ""
		}
		if r.Recursive {
			if len(way) > maxRecursion {
				return "", fmt.Errorf("values hold tokens deeper than %d", maxRecursion)
			}
			plain := *r
			plain.Escape = EscapeNone // the whole is escaped once
			var err error
			if value, err = plain.replace(value, counts, append(slices.Clone(way), key)); err != nil {
				return "", err
			}
		}
	} else {
		r.Missing(name)
		if value = ""; r.Keep {
			value = token
		} else if r.CountMissing {
			counts.Replaced++
		}
	}
	value, known := apply(transform, value, params)
	if transform == r.Raw && transform != "" {
		return value, nil
	}
	if !known {
		counts.Transforms--
	}
	return r.escape(value), nil
}

// transformation parts TRANSFORM(NAME, PARAMETERS); without one the name is the whole.
func (r *Replacer) transformation(text string) (name, transform string, params []string) {
	if r.TransformPrefix == "" {
		return text, "", nil
	}
	start := strings.LastIndex(text, r.TransformPrefix)
	if start < 0 {
		return text, "", nil
	}
	inside, _, ok := strings.Cut(text[start+len(r.TransformPrefix):], r.TransformSuffix)
	if !ok {
		return text, "", nil
	}
	params = strings.Split(inside, ",")
	for i := range params {
		params[i] = strings.TrimSpace(params[i])
	}
	return params[0], strings.ToLower(strings.TrimSpace(text[:start])), params[1:]
}

// apply transforms a value; an unknown transformation leaves it as it is.
func apply(transform, value string, params []string) (string, bool) {
	switch transform {
	case "lower":
		return strings.ToLower(value), true
	case "upper":
		return strings.ToUpper(value), true
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(value)), true
	case "indent": // the lines, by 2 blanks or the first parameter, and the first line if the second is true
		n := 2
		if len(params) > 0 {
			if given, err := strconv.Atoi(params[0]); err == nil && given > 0 && given <= 1000 {
				n = given
			}
		}
		blanks := strings.Repeat(" ", n)
		value = strings.ReplaceAll(value, "\n", "\n"+blanks)
		if len(params) > 1 && strings.EqualFold(params[1], "true") {
			value = blanks + value
		}
		return value, true
	}
	return value, transform == ""
}

var (
	jsonEscapes = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	xmlEscapes  = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", "'", "&apos;", `"`, "&quot;")
)

func (r *Replacer) escape(value string) string {
	switch r.Escape {
	case EscapeJSON:
		return jsonEscapes.Replace(value)
	case EscapeXML:
		return xmlEscapes.Replace(value)
	case EscapeCustom:
		var b strings.Builder
		for _, c := range value {
			if strings.ContainsRune(r.CharsToEscape, c) {
				b.WriteString(r.EscapeChar)
			}
			b.WriteRune(c)
		}
		return b.String()
	}
	return value
}
