package compile

import (
	"errors"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/variable"
	"slipway/internal/pipelines/yaml"
)

// The named values of expressions that the server evaluates.
var (
	rootScope      = expression.Scope{Names: []string{"variables", "resources", "pipeline"}, Counter: true}
	queueScope     = expression.Scope{Names: []string{"variables", "resources", "pipeline"}}
	variableScope  = expression.Scope{Names: runNames, Counter: true}
	valueScope     = expression.Scope{Names: runNames}
	conditionScope = expression.Scope{Names: runNames, Status: true}
	stepScope      = expression.Scope{Names: []string{"variables"}, Status: true}
)

var runNames = []string{"variables", "dependencies", "stageDependencies", "resources", "pipeline"}

// variables reads a `variables` section in either form; scope is what its `$[ ]` see.
func (c *compiler) variables(n *yaml.Node, scope expression.Scope) []plan.Variable {
	if n == nil || n.IsNull() {
		return nil
	}
	var list []plan.Variable
	switch n.Kind {
	case yaml.Map:
		for _, p := range n.Pairs {
			if p.Key.Text == "" {
				c.problems.Add(p.Key.At, "the variable has no name")
				continue
			}
			if p.Key.Text == "group" && p.Value.Kind == yaml.Scalar {
				c.warnOf(p.Key.At, "this is a variable with the name group: a variable group stands in a list, - group: %s, and so do the other variables then, - name: NAME with value: VALUE", p.Value.Text)
			}
			list = append(list, c.variable(p.Key.Text, p.Value, scope))
		}
	case yaml.List:
		for _, item := range n.Items {
			if v, ok := c.variableItem(item, scope); ok {
				list = append(list, v)
			}
		}
	default:
		c.problems.Add(n.At, "variables are a map of names and values, or a list, not %s", describe(n))
	}
	return list
}

func (c *compiler) variableItem(n *yaml.Node, scope expression.Scope) (v plan.Variable, ok bool) {
	if n.Get("template") != nil {
		return v, false // what is wrong with it is reported already
	}
	if len(n.Pairs) == 1 && schema.Variable.Key(n.Pairs[0].Key.Text) == nil && n.Pairs[0].Value.Kind == yaml.Scalar && nearest.Find(n.Pairs[0].Key.Text, schema.Variable.Names()) == "" {
		c.problems.Add(n.At, "an entry of a list of variables is written name: %s, and value below it; or write variables without the dashes", n.Pairs[0].Key.Text)
		return v, false
	}
	o, ok := c.object(n, schema.Variable)
	if !ok {
		return v, false
	}
	switch {
	case o.get("group") != nil:
		for _, key := range []string{"name", "value", "readonly"} {
			if o.get(key) != nil {
				c.problems.Add(o.at(key), "%s cannot stand beside group", key)
			}
		}
		v = plan.Variable{Group: o.needed("group"), At: n.At}
		return v, v.Group != ""
	case o.get("name") != nil:
		value := o.get("value")
		if value == nil {
			value = yaml.Plain("", n.At)
		}
		v = c.variable(o.needed("name"), value, scope)
		v.ReadOnly = o.boolean("readonly", false)
		v.At = n.At
		return v, v.Name != ""
	default:
		c.problems.Add(n.At, "a variable needs name and value, group, or template")
	}
	return v, false
}

func (c *compiler) variable(name string, value *yaml.Node, scope expression.Scope) plan.Variable {
	v := plan.Variable{Name: name, At: value.At}
	switch {
	case value.Kind != yaml.Scalar:
		c.problems.Add(value.At, "the value of variable %q is text, not %s", name, value.Kind)
	case value.IsNull():
	case isRuntime(value.Text):
		v.Expression = c.runtime(value, scope)
		c.checkCounter(v, value)
	default:
		v.Value = value.Text
		c.openMacros(value, c.known, false)
		if text := strings.TrimSpace(value.Text); strings.HasPrefix(text, "$[") && !strings.HasSuffix(text, "]") && strings.Contains(text, "(") {
			c.warnOf(value.At, "$[ has no closing ] at the end of the value, so it stays as it is written: write $[ EXPRESSION ]")
		} else if _, start := runtimeAt(value.Text); start >= 0 {
			c.warnOf(value.Locate(start), "$[ ] is evaluated only where it is the whole value, so it stays as it is written: write $[ format('…{0}', …) ], or a variable of its own whose macro stands here")
		}
		if strings.EqualFold(name, variable.SlipwayRetryLostJob) && !strings.Contains(v.Value, "$(") {
			if _, err := variable.ParseRetries(v.Value); err != nil {
				c.problems.Add(value.At, "%v", err)
			}
		}
	}
	return v
}

// runtime checks a `$[ ]` and gives its inside.
func (c *compiler) runtime(n *yaml.Node, scope expression.Scope) string {
	start := strings.Index(n.Text, "$[") + 2
	inside := n.Text[start:strings.LastIndexByte(n.Text, ']')]
	c.checkExpression(inside, n, start, scope)
	return strings.TrimSpace(inside)
}

func (c *compiler) checkExpression(text string, n *yaml.Node, offset int, scope expression.Scope) {
	e, err := expression.Parse(text, scope)
	var mistake *expression.Error
	if errors.As(err, &mistake) {
		c.problems.Add(n.Locate(offset+mistake.Offset), "%s", mistake.Message)
	}
	if err != nil {
		return
	}
	for _, p := range e.Paths() {
		c.checkPath(p.Parts, n.Locate(offset+p.Offset))
	}
}

// checkPath refuses paths below resources and pipeline that are always null.
func (c *compiler) checkPath(parts []string, at slipway.Position) {
	part := func(i int) string {
		if i < len(parts) {
			return strings.ToLower(parts[i])
		}
		return ""
	}
	switch {
	case part(0) == "pipeline" && part(1) != "starttime":
		c.problems.Unsupported(at, "pipeline in expressions has startTime alone: other values are variables, such as variables['Build.BuildId']")
	case part(0) != "resources" || len(parts) == 1:
	case part(1) == "pipeline" && len(parts) > 2:
		c.checkPipelinePath(parts[2:], at)
	case oneOf(resourceNames, part(1)):
	case part(1) != "repositories":
		c.problems.Add(at, "resources in expressions has repositories, %s, not %q", strings.Join(resourceNames, ", "), parts[1])
	case len(parts) > 2 && part(2) != "self" && c.alias(parts[2]) == nil && !c.open():
		aliases := []string{"self"}
		for _, r := range c.resources.Repositories {
			aliases = append(aliases, r.Alias)
		}
		c.problems.Add(at, "no repository %q is declared under resources.repositories%s", parts[2], nearest.Suggest(parts[2], aliases))
	case len(parts) > 3 && !slices.Contains(repositoryKeys, part(3)):
		c.problems.Add(at, "a repository in expressions has %s, not %q", strings.Join(repositoryKeys, ", "), parts[3])
	}
}

// resourceNames are what resources of expressions has besides repositories: what variables of the same names tell.
var resourceNames = []string{"pipeline", "container", "triggeringAlias", "triggeringCategory"}

// oneOf reports whether a name is in the list, in any case.
func oneOf(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

// checkPipelinePath refuses paths below resources.pipeline that are always null.
func (c *compiler) checkPipelinePath(parts []string, at slipway.Position) {
	var aliases []string
	for _, p := range c.resources.Pipelines {
		aliases = append(aliases, p.Alias)
	}
	switch {
	case !oneOf(aliases, parts[0]) && !c.open():
		c.problems.Add(at, "no pipeline %q is declared under resources.pipelines%s", parts[0], nearest.Suggest(parts[0], aliases))
	case len(parts) > 1 && !oneOf(plan.PipelineKeys, parts[1]):
		c.problems.Add(at, "a pipeline in expressions has %s, not %q", strings.Join(plan.PipelineKeys, ", "), parts[1])
	}
}

// repositoryKeys are what resources.repositories['ALIAS'] of expressions has.
var repositoryKeys = []string{"name", "ref", "type", "id", "url", "version"}

// checkCounter refuses counters that would have to wait for other jobs: they count once, when the run is queued.
func (c *compiler) checkCounter(v plan.Variable, n *yaml.Node) {
	e, err := expression.Parse(v.Expression, variableScope)
	if err == nil && e.Uses("counter") && (e.Names("dependencies") || e.Names("stageDependencies")) {
		c.problems.Unsupported(n.At, "the counter of variable %q is counted when the run is queued, so it cannot read dependencies: let a variable of its own read them", v.Name)
	}
}

// condition reads a condition, which needs no brackets and may have them.
func (o object) condition(scope expression.Scope) string {
	n := o.get("condition")
	text := o.text("condition")
	if text == "" {
		return ""
	}
	if isRuntime(text) {
		return o.c.runtime(n, scope)
	}
	o.c.checkExpression(text, n, 0, scope)
	return strings.TrimSpace(text)
}
