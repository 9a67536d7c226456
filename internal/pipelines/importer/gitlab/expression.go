package gitlab

import (
	"fmt"
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// expression is the condition of an `if`, otherwise for one that cannot be read, which is told.
func (f *file) expression(n *yaml.Node, notes *[]draft.Note, otherwise string) string {
	p := &conditionParser{f: f, n: n, notes: notes}
	c, err := "", p.scan(n.Text)
	if err == nil {
		c, err = p.or()
	}
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("%s is not expected", p.tokens[p.at])
	}
	if err != nil {
		*notes = append(*notes, f.note(n.At, "if: "+n.Text+": "+err.Error(), "write the condition; until then it is "+otherwise))
		return otherwise
	}
	return c
}

// conditionParser reads conditions of GitLab: comparisons of variables with text, null and regular expressions.
type conditionParser struct {
	f      *file
	n      *yaml.Node
	notes  *[]draft.Note
	tokens []string
	at     int
	depth  int
}

func (p *conditionParser) scan(text string) error {
	for i := 0; i < len(text); {
		rest := text[i:]
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '"' || c == '\'' || c == '/':
			end := 1
			for end < len(rest) && (rest[end] != c || rest[end-1] == '\\') {
				end++
			}
			if end >= len(rest) {
				return fmt.Errorf("%q has no end", rest)
			}
			end++
			for c == '/' && end < len(rest) && (rest[end] == 'i' || rest[end] == 'm') {
				end++
			}
			p.tokens = append(p.tokens, rest[:end])
			i += end
		case c == '$':
			found := variableReference.FindString(rest)
			if !strings.HasPrefix(rest, found) || len(found) < 2 {
				return fmt.Errorf("%q is no variable", rest)
			}
			p.tokens = append(p.tokens, "$"+strings.Trim(found, "${}"))
			i += len(found)
		case c == '(' || c == ')':
			p.tokens = append(p.tokens, string(c))
			i++
		case len(rest) >= 2 && strings.Contains("&& || == != =~ !~", rest[:2]):
			p.tokens = append(p.tokens, rest[:2])
			i += 2
		case strings.HasPrefix(rest, "null"):
			p.tokens = append(p.tokens, "null")
			i += 4
		default:
			return fmt.Errorf("%q is not expected", rest)
		}
	}
	return nil
}

func (p *conditionParser) take(token string) bool {
	if p.at < len(p.tokens) && p.tokens[p.at] == token {
		p.at++
		return true
	}
	return false
}

func (p *conditionParser) or() (string, error) {
	left, err := p.and()
	for err == nil && p.take("||") {
		var right string
		if right, err = p.and(); err == nil {
			left = or(left, right)
		}
	}
	return left, err
}

func (p *conditionParser) and() (string, error) {
	left, err := p.comparison()
	for err == nil && p.take("&&") {
		var right string
		if right, err = p.comparison(); err == nil {
			left = and(left, right)
		}
	}
	return left, err
}

func (p *conditionParser) comparison() (string, error) {
	if p.take("(") {
		if p.depth++; p.depth > maxNesting*5 {
			return "", fmt.Errorf("it nests too deep")
		}
		c, err := p.or()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("( has no )")
		}
		return c, err
	}
	left, ok := p.operand()
	if !ok {
		return "", fmt.Errorf("a variable or a text is missing")
	}
	for _, op := range []string{"==", "!=", "=~", "!~"} {
		if !p.take(op) {
			continue
		}
		if p.at >= len(p.tokens) {
			return "", fmt.Errorf("%s has no right side", op)
		}
		right := p.tokens[p.at]
		if op == "=~" || op == "!~" {
			p.at++
			if strings.HasPrefix(right, "$") {
				pattern := p.f.globals[right[1:]]
				if pattern == "" {
					return "", fmt.Errorf("the pattern in %s is not known", right)
				}
				right = pattern
			}
			if unquoted := strings.Trim(right, `"'`); strings.HasPrefix(unquoted, "/") {
				right = unquoted
			}
			c := p.f.matches(left, right, p.n.At, p.notes)
			if c == "" {
				return "", fmt.Errorf("expressions have no regular expressions, and the pattern %s begins and ends with no text", right)
			}
			if op == "!~" {
				c = not(c)
			}
			return c, nil
		}
		other, ok := p.operand()
		if !ok {
			return "", fmt.Errorf("%s has no right side", op)
		}
		if op == "!=" {
			return "ne(" + left + ", " + other + ")", nil
		}
		return "eq(" + left + ", " + other + ")", nil
	}
	return "ne(" + left + ", '')", nil
}

// operand is a variable, a text or null, which is text that is empty.
func (p *conditionParser) operand() (string, bool) {
	if p.at >= len(p.tokens) {
		return "", false
	}
	t := p.tokens[p.at]
	switch {
	case t == "null":
		p.at++
		return "''", true
	case t[0] == '$':
		p.at++
		p.f.use(t[1:])
		return "variables['" + t[1:] + "']", true
	case t[0] == '"' || t[0] == '\'':
		p.at++
		return quote(t[1 : len(t)-1]), true
	}
	return "", false
}
