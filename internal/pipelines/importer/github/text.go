package github

import (
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/pipelines/importer/draft"
)

// scope is what a text can see beside the workflow: inputs and secrets of the action or workflow it stands in, and env around it.
type scope struct {
	outer   *scope
	at      slipway.Position
	inputs  map[string]string // raw text by name in lower case; nil in the workflow itself
	secrets map[string]string
	env     map[string]string // raw text that is put in place, since it is no variable of the pipeline
	// prefix stands before the ids of steps, and jobPrefix before those of jobs.
	prefix, jobPrefix string
	folder            string // of a local action, $GITHUB_ACTION_PATH
}

// at is the scope at another place of the file.
func (s *scope) place(at slipway.Position) *scope {
	c := *s
	c.at = at
	return &c
}

// with is the scope inside of env.
func (s *scope) with(env map[string]string) *scope {
	if len(env) == 0 {
		return s
	}
	c := *s
	c.env = map[string]string{}
	for name, raw := range s.env {
		c.env[name] = raw
	}
	for name, raw := range env {
		c.env[name] = raw
	}
	return &c
}

// without is the scope in which the value of a variable is read, which does not mean itself.
func (s *scope) without(name string) *scope {
	c := *s
	c.env = map[string]string{}
	for other, raw := range s.env {
		if other != name {
			c.env[other] = raw
		}
	}
	return &c
}

// textValue is text with expressions in it as one value.
func (t *translator) textValue(text string) (value, error) {
	list, err := pieces(text)
	if err != nil {
		return value{}, err
	}
	switch {
	case len(list) == 0:
		return known(""), nil
	case len(list) == 1 && list[0].expr == nil:
		return known(list[0].text), nil
	case len(list) == 1:
		return t.value(list[0].expr)
	}
	var format, macro strings.Builder
	var args []string
	for _, p := range list {
		if p.expr == nil {
			format.WriteString(strings.NewReplacer("{", "{{", "}", "}}").Replace(p.text))
			macro.WriteString(p.text)
			continue
		}
		v, err := t.value(p.expr)
		if err != nil {
			return v, err
		}
		if v.isLit() {
			format.WriteString(strings.NewReplacer("{", "{{", "}", "}}").Replace(v.lit.text))
			macro.WriteString(v.lit.text)
			continue
		}
		fmt.Fprintf(&format, "{%d}", len(args))
		args = append(args, v.asText())
		text, err := t.macro(v)
		if err != nil {
			return v, err
		}
		macro.WriteString(text)
	}
	if len(args) == 0 {
		return known(macro.String()), nil
	}
	return value{expr: "format(" + quote(format.String()) + ", " + strings.Join(args, ", ") + ")", macro: macro.String()}, nil
}

// macro is how text says a value: a macro of a variable, or one of a variable that is made for it.
func (t *translator) macro(v value) (string, error) {
	switch {
	case v.isLit():
		return v.lit.text, nil
	case v.macro != "":
		return v.macro, nil
	case t.j == nil:
		return "$(" + t.w.rootVariable("", v.asText()) + ")", nil
	case strings.Contains(v.expr, "dependencies.") || t.place != inStep || !t.readsSteps(v.expr):
		return "$(" + t.j.variable("", v.asText()) + ")", nil
	}
	return "", fmt.Errorf("an expression of what steps have set has no counterpart in text")
}

// readsSteps reports that an expression reads outputs of steps of the same job.
func (t *translator) readsSteps(expr string) bool {
	for _, s := range t.j.stepIDs {
		if s.name != "" && strings.Contains(expr, "variables['"+s.name+".") {
			return true
		}
	}
	return strings.Contains(expr, "Agent.JobStatus")
}

// text is text with its expressions as macros. What cannot be is noted, and a variable of another name is put there, whose value
// somebody has to give.
func (t *translator) text(raw string, notes *[]draft.Note) string {
	if !strings.Contains(raw, "${{") {
		return raw
	}
	list, err := pieces(raw)
	if err != nil {
		*notes = append(*notes, t.w.note(t.scope.at, err.Error(), "write what is meant"))
		return strings.ReplaceAll(raw, "${{", "$ {{")
	}
	var b strings.Builder
	for _, p := range list {
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := t.value(p.expr)
		text := ""
		if err == nil {
			text, err = t.macro(v)
		}
		if err != nil {
			t.w.unknown++
			name := fmt.Sprintf("import.unknown_%d", t.w.unknown)
			*notes = append(*notes, t.w.note(t.scope.at, fmt.Sprintf("${{ %s }}: %v", p.raw, err), "set the variable "+name+", which stands in its place"))
			text = "$(" + name + ")"
		}
		b.WriteString(text)
	}
	return b.String()
}
