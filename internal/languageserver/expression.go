package languageserver

import (
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/schema"
)

// directives are the words that begin a directive, with what they do.
var directives = [][2]string{
	{"if", "Keeps what is below if the expression is true."}, {"elseif", "Keeps what is below if no branch before was kept and the expression is true."},
	{"else", "Keeps what is below if no branch before was kept."}, {"each", "Repeats what is below: `each NAME in EXPRESSION`."}, {"insert", "Merges what is below into the map."},
}

// embedded offers what may stand in an open expression or macro.
func (c *completer) embedded(e embedded, n *node) {
	if n == nil {
		n = c.d.outline.before(c.line, c.at)
	}
	if e.kind == "$(" {
		c.start = c.at - len(e.text)
		c.end = c.at + len(e.rest)
		closing := ""
		if !strings.HasPrefix(c.d.line(c.line)[c.end:], ")") {
			c.end = c.at
			closing = ")"
		}
		c.variables(n, closing, false)
		return
	}
	if i := strings.LastIndex(e.text, "['"); i >= 0 && !strings.Contains(e.text[i+2:], "'") {
		root, _ := word(e.text, i)
		c.start, c.end = c.at-len(e.text)+i+2, c.at
		c.bracketed(n, root)
		return
	}
	w, start := word(e.text, len(e.text))
	root, _, dotted := cutLast(w)
	c.start, c.end = c.at-(len(e.text)-start), c.at
	if dotted {
		c.start += len(root) + 1
		c.property(e, n, root)
		return
	}
	if e.kind == "${{" && strings.TrimSpace(e.text[:start]) == "" {
		for _, d := range directives {
			c.add(d[0], d[0], kindKeyword, "", d[1])
		}
	}
	c.names(e, n)
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// names offers the values and functions of the kind of expression.
func (c *completer) names(e embedded, n *node) {
	roots := []string{"variables", "dependencies", "stageDependencies", "resources", "pipeline"}
	if e.kind == "${{" {
		roots = []string{"parameters", "variables"}
		for p := n; p != nil; p = p.parent { // names of the repetitions around
			if f := strings.Fields(strings.TrimPrefix(p.key, "${{")); len(f) > 2 && f[0] == "each" {
				roots = append(roots, f[1])
			}
		}
	}
	for _, r := range roots {
		c.add(r, r, kindVariable, "", "")
	}
	for _, f := range expression.Descriptions() {
		if f.Status && e.kind != "condition" {
			continue
		}
		c.add(f.Name, f.Name+"(", kindFunction, f.Name+f.Arguments, f.Doc)
	}
}

// property offers what may stand behind a point.
func (c *completer) property(e embedded, n *node, root string) {
	parts := strings.Split(root, ".")
	switch first := strings.ToLower(parts[0]); {
	case len(parts) == 1 && first == "parameters":
		c.declarations(c.d.outline.parameters(), kindVariable)
	case len(parts) == 1 && first == "variables":
		c.variables(n, "", e.kind == "${{")
	case len(parts) == 1 && first == "dependencies":
		c.declarations(c.dependencies(n), kindModule)
	case len(parts) == 2 && first == "dependencies", len(parts) == 3 && first == "stagedependencies":
		c.add("result", "result", kindProperty, "", "Succeeded, SucceededWithIssues, Failed, Canceled or Skipped.")
		c.add("outputs", "outputs['", kindProperty, "", "The output variables: outputs['STEP.NAME'].")
	case len(parts) == 1 && first == "pipeline":
		c.add("startTime", "startTime", kindProperty, "", "When the run was queued; format('{0:yyyyMMdd}', pipeline.startTime) writes it.")
	case len(parts) == 1 && first == "resources":
		c.add("repositories", "repositories['", kindProperty, "", "The repositories of the file, and self.")
	case len(parts) == 1 && first == "stagedependencies":
		c.declarations(c.d.outline.stages(), kindModule)
	case len(parts) == 2 && first == "stagedependencies":
		c.declarations(c.d.outline.jobsOfStage(parts[1]), kindModule)
	}
}

// dependencies are what `dependencies` names at a node: jobs inside of a job, else stages.
func (c *completer) dependencies(n *node) []declaration {
	if ancestor(n, "jobs") != nil {
		return c.d.outline.jobsAround(n)
	}
	return c.d.outline.stages()
}

// bracketed offers what may stand in ['…'].
func (c *completer) bracketed(n *node, root string) {
	parts := strings.Split(root, ".")
	switch first := strings.ToLower(parts[0]); {
	case first == "variables" && len(parts) == 1:
		c.variables(n, "", false)
	case first == "parameters" && len(parts) == 1:
		c.declarations(c.d.outline.parameters(), kindVariable)
	case first == "resources" && len(parts) == 2:
		c.add("self", "self", kindModule, "", "The pipeline's own repository.")
		c.declarations(c.d.outline.resources("repositories", "repository", "name"), kindModule)
	case first == "dependencies" && len(parts) == 3:
		if j := find(c.dependencies(n), parts[1]); j != nil {
			c.outputs(j)
		}
	case first == "stagedependencies" && len(parts) == 4:
		if j := find(c.d.outline.jobsOfStage(parts[1]), parts[2]); j != nil {
			c.outputs(j)
		}
	}
}

func (c *completer) outputs(job *declaration) {
	for _, s := range stepNames(job.at.parent) {
		c.add(s.name+".", s.name+".", kindVariable, s.detail, "")
	}
}

// variables offers the variables that a node sees; those of templates alone are known before the run exists.
func (c *completer) variables(n *node, closing string, templates bool) {
	for _, v := range c.d.outline.variables(n) {
		c.add(v.name, v.name+closing, kindVariable, v.detail, "")
	}
	for _, p := range schema.PredefinedVariables() {
		if !templates || p.Templates {
			c.add(p.Name, p.Name+closing, kindVariable, "", p.Doc)
		}
	}
}
