package compile

import (
	"regexp"
	"slices"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/yaml"
)

// runtimeText is a `$[ ]` within a text.
var runtimeText = regexp.MustCompile(`\$\[((?:[^\[\]]|\[[^\[\]]*\])*)\]`)

// misspeltExpression is a parameter or variable in braces that lack one, or their dollar sign.
var misspeltExpression = regexp.MustCompile(`(?:^|[^${])(\{\{ *(?:parameters|variables)\.[A-Za-z_][A-Za-z0-9_.]* *\}\}|\$\{ *(?:parameters|variables)\.[A-Za-z_][A-Za-z0-9_.]* *\})`)

// literalScope has everything that `$[ ]` can name anywhere.
var literalScope = expression.Scope{Names: runNames, Status: true, Counter: true}

// runtimeAt finds a `$[ ]` that is an expression of this language: in a shell $[1 + 2] is arithmetic. start is -1 without one.
func runtimeAt(text string) (e *expression.Expression, start int) {
	if !strings.Contains(text, "$[") {
		return nil, -1
	}
	for _, place := range runtimeText.FindAllStringSubmatchIndex(text, -1) {
		inside := text[place[2]:place[3]]
		e, err := expression.Parse(inside, literalScope)
		if err == nil && (len(e.Paths()) > 0 || strings.Contains(inside, "(")) {
			return e, place[0]
		}
	}
	return nil, -1
}

// literal warns of `$[ ]` in a text that nothing evaluates.
func (c *compiler) literal(n *yaml.Node) {
	if n == nil || n.Kind != yaml.Scalar {
		return
	}
	if strings.Contains(n.Text, "{") {
		if m := misspeltExpression.FindStringSubmatchIndex(n.Text); m != nil {
			found := n.Text[m[2]:m[3]]
			c.warnOf(n.Locate(m[2]), "%s is no expression, so it stays as it is written: write ${{ %s }}", found, strings.Trim(found, "${} "))
		}
	}
	e, start := runtimeAt(n.Text)
	if start < 0 {
		return
	}
	instead := "make it the value of a variable, and write that variable's macro here"
	if paths := e.Paths(); e.IsPath() && len(paths[0].Parts) == 2 && strings.EqualFold(paths[0].Parts[0], "variables") {
		instead = "write $(" + paths[0].Parts[1] + ")"
	}
	c.warnOf(n.Locate(start), "$[ ] is not evaluated here, so it stays as it is written: %s", instead)
}

// readWhenQueued are the keys of a step whose whole value may be `$[ ]`.
var readWhenQueued = []string{"condition", "continueOnError", "enabled", "timeoutInMinutes", "retryCountOnTaskFailure"}

// literals warns of `$[ ]` in the texts of a step.
func (c *compiler) literals(step *yaml.Node) {
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		c.literal(n)
		for _, item := range n.Items {
			walk(item)
		}
		for _, p := range n.Pairs {
			walk(p.Value)
		}
	}
	for _, p := range step.Pairs {
		if !slices.Contains(readWhenQueued, p.Key.Text) {
			walk(p.Value)
		}
	}
}

// dropsSucceeded warns of the condition of what comes after something else if it asks for nothing's success, and so also holds
// when that failed or the run was canceled. Whoever looks at results has thought of it.
func (c *compiler) dropsSucceeded(o object, scope expression.Scope, condition, who string) {
	if condition == "" {
		return
	}
	e, err := expression.Parse(condition, scope)
	if err != nil || e.UsesStatus() || len(e.Paths()) == 0 {
		return
	}
	for _, p := range e.Paths() {
		last := p.Parts[len(p.Parts)-1]
		if strings.EqualFold(last, "result") || strings.EqualFold(last, "Agent.JobStatus") {
			return
		}
	}
	c.warnOf(o.get("condition").At, "%s also runs after a failure or a cancel, since its condition takes the place of succeeded(): write and(succeeded(), …), or and(always(), …) if that is meant", who)
}
