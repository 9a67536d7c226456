package task

import (
	"fmt"
	"strings"
)

// rule is a visibleRule: comparisons of inputs, joined by && or by ||. An input that is not visible is not required.
type rule struct {
	any   bool // one must hold, not all
	terms []comparison
}

type comparison struct {
	input, operator, value string
}

// operators of visibleRule, those first that begin with another.
var operators = []string{"==", "!=", "<=", ">=", "=", "<", ">", " NotContains ", " Contains ", " NotStartsWith ", " StartsWith ", " NotEndsWith ", " EndsWith "}

// parseRule reads a visibleRule; nil for an empty one.
func parseRule(s string) (*rule, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil //nolint:nilnil // nil is the rule that always holds
	}
	r := &rule{any: strings.Contains(s, "||")}
	if r.any && strings.Contains(s, "&&") {
		return nil, fmt.Errorf("%q joins by && or by ||, not by both", s)
	}
	separator := "&&"
	if r.any {
		separator = "||"
	}
	for _, part := range strings.Split(s, separator) {
		c, ok := parseComparison(part)
		if !ok {
			return nil, fmt.Errorf("%q is not understood: write INPUT = VALUE", strings.TrimSpace(part))
		}
		r.terms = append(r.terms, c)
	}
	return r, nil
}

// rules are those of a built-in task; all must hold. One that is not understood is a mistake in the table, which is made when the program
// starts.
func rules(texts ...string) []*rule {
	list := make([]*rule, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = parseRule(text); err != nil {
			panic(err)
		}
	}
	return list
}

// parseComparison takes the operator that stands first, and of several at one place the longest.
func parseComparison(s string) (c comparison, ok bool) {
	best := -1
	for _, op := range operators {
		at := strings.Index(strings.ToLower(s), strings.ToLower(op))
		if at > 0 && (best < 0 || at < best || at == best && len(op) > len(c.operator)) {
			best = at
			c = comparison{input: strings.TrimSpace(s[:at]), operator: op, value: strings.Trim(strings.TrimSpace(s[at+len(op):]), `"'`)}
		}
	}
	c.operator = strings.ToLower(strings.TrimSpace(c.operator))
	return c, best > 0 && c.input != ""
}

// holds reports whether the rule holds for inputs. What depends on a macro is not known: known is false then.
func (r *rule) holds(value func(input string) string) (holds, known bool) {
	if r == nil {
		return true, true
	}
	open := false
	for _, t := range r.terms {
		v := value(t.input)
		if strings.Contains(v, "$(") {
			open = true
			continue
		}
		if t.holds(v) == r.any {
			return r.any, true // one that decides
		}
	}
	return !r.any, !open
}

func (c comparison) holds(v string) bool {
	v, want := strings.ToLower(v), strings.ToLower(c.value)
	switch c.operator {
	case "=", "==":
		return v == want
	case "!=":
		return v != want
	case "<":
		return v < want
	case ">":
		return v > want
	case "<=":
		return v <= want
	case ">=":
		return v >= want
	case "contains":
		return strings.Contains(v, want)
	case "notcontains":
		return !strings.Contains(v, want)
	case "startswith":
		return strings.HasPrefix(v, want)
	case "notstartswith":
		return !strings.HasPrefix(v, want)
	case "endswith":
		return strings.HasSuffix(v, want)
	}
	return !strings.HasSuffix(v, want) // notendswith
}
