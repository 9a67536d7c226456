package compile

import (
	"regexp"
	"strings"
	"sync"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// target reads where a step runs, and what it may do.
func (c *compiler) target(o object, j *plan.Job) *plan.Target {
	n := o.get("target")
	if n == nil || n.IsNull() {
		return nil
	}
	t := &plan.Target{}
	if n.Kind == yaml.Scalar {
		t.Container = c.targetContainer(n, j)
	} else {
		inner, ok := o.object("target")
		if !ok {
			return nil
		}
		if at := inner.get("container"); at != nil && inner.text("container") != "" {
			t.Container = c.targetContainer(at, j)
		}
		t.Restricted = inner.option("commands", "any") == "restricted"
		if settable := inner.get("settableVariables"); settable != nil && !settable.IsNull() {
			t.LimitsVariables = true
			if !isNone(settable) {
				t.Settable = c.texts(settable, "settableVariables of a target")
			}
		}
	}
	if t.Container == "" && !t.Restricted && !t.LimitsVariables {
		return nil
	}
	return t
}

// targetContainer is the container that a target names, "" for the one in which the job runs anyway.
func (c *compiler) targetContainer(n *yaml.Node, j *plan.Job) string {
	name := n.Text
	known, declared := c.containers[strings.ToLower(name)]
	switch {
	case strings.EqualFold(name, plan.TargetHost):
		if j.Container == nil {
			return ""
		}
		return plan.TargetHost
	case j.Container != nil && (strings.EqualFold(j.Container.Alias, name) || j.Container.Image == name):
		return ""
	case !declared && c.template: // the file that includes this one declares the container and has the job
		return name
	case !declared:
		aliases := []string{plan.TargetHost}
		for _, r := range c.resources.Containers {
			aliases = append(aliases, r.Alias)
		}
		c.problems.Add(n.At, "target is host or a container declared under resources.containers, not %q%s", name, nearest.Suggest(name, aliases))
	case !targetName().MatchString(name):
		c.problems.Add(n.At, "the container %s cannot be a target: its name must be letters, digits, dashes and underscores, at most 40", name)
	default:
		return known.Alias
	}
	return ""
}

// targetName bounds a name that becomes that of a socket, whose path may have no more than about a hundred characters.
var targetName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`) })
