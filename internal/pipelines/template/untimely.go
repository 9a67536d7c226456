package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// test is what `${{ if }}` asks about and cannot know, since it is decided before the run exists.
type test struct {
	at slipway.Position
	// why says it; for a variable that the file does not define it is "" until all files are read.
	why      string
	variable string
}

const asCondition = "write the test as the condition of the step, job or stage"

// untimely notes what a condition of `${{ if }}` or `${{ elseif }}` asks about that only a run knows.
func (e *expander) untimely(condition *expression.Expression, n *yaml.Node, offset int, sc *scope) {
	add := func(at int, variable, format string, args ...any) {
		t := test{at: n.Locate(offset + at), variable: variable}
		if format != "" {
			t.why = fmt.Sprintf(format, args...)
		}
		if !slices.Contains(e.tests, t) && len(e.tests) < maxTests {
			e.tests = append(e.tests, t)
		}
	}
	for _, l := range condition.Literals() {
		if m := macro.FindStringSubmatch(l.Text); m != nil {
			add(l.Offset, "", "in ${{ if }} %s is this text and not the value of a variable: write variables['%s'], or %s", m[0], m[1], asCondition)
		}
	}
	for _, p := range condition.Paths() {
		if len(p.Parts) != 2 {
			continue
		}
		name := p.Parts[1]
		if strings.EqualFold(p.Parts[0], "parameters") {
			if v, _ := sc.env["parameters"].Fields().Get(name); macro.MatchString(v.String()) {
				add(p.Offset, "", "${{ if }} sees the text %s that parameter %s was given and not the variable's value, which only a run has: %s", macro.FindString(v.String()), name, asCondition)
			}
			continue
		}
		if !strings.EqualFold(p.Parts[0], "variables") {
			continue
		}
		v, defined := sc.variables.Get(name)
		predefined := schema.PredefinedVariable(name)
		switch text := strings.TrimSpace(v.String()); {
		case defined && strings.HasPrefix(text, "$["):
			add(p.Offset, "", "${{ if }} sees the text $[ ] of variable %s and not its value, which only a run has: %s", name, asCondition)
		case defined && macro.MatchString(text):
			add(p.Offset, "", "${{ if }} sees the text %s in variable %s and not its value, which only a run has: %s", macro.FindString(text), name, asCondition)
		case defined:
		case predefined != nil && !predefined.Templates:
			add(p.Offset, "", "${{ if }} is decided before the run exists, where %s is always empty: %s", predefined.Name, asCondition)
		case predefined == nil:
			add(p.Offset, name, "")
		}
	}
}

// maxTests bounds what is noted, as a file has a bounded number of warnings.
const maxTests = 1000

var macro = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)`)

// setVariable is the logging command by which a step sets a variable.
var setVariable = regexp.MustCompile(`(?i)##vso\[task\.setvariable\s[^\]\n]*?variable=([^;\]\s]+)`)

// late are the warnings about tests, in the files of this repository.
func (e *expander) late() (list []plan.Warning) {
	var set map[string]bool
	for _, t := range e.tests {
		if strings.Contains(t.at.File, "@") {
			continue
		}
		if t.variable != "" {
			if set == nil {
				set = e.setBySteps()
			}
			if !set[strings.ToLower(t.variable)] {
				continue // somebody may give it when the run is queued
			}
			t.why = fmt.Sprintf("variable %s is set by a step, after ${{ if }} was decided, where it is always empty: %s", t.variable, asCondition)
		}
		list = append(list, plan.Warning{At: t.at, Message: t.why})
	}
	return list
}

// setBySteps are the variables that scripts set by logging commands, in lower case.
func (e *expander) setBySteps() map[string]bool {
	set := map[string]bool{}
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n == nil {
			return
		}
		for _, found := range setVariable.FindAllStringSubmatch(n.Text, -1) {
			set[strings.ToLower(found[1])] = true
		}
		for _, item := range n.Items {
			walk(item)
		}
		for _, p := range n.Pairs {
			walk(p.Value)
		}
	}
	for _, tree := range e.trees {
		walk(tree)
	}
	return set
}
