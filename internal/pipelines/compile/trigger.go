package compile

import (
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/yaml"
)

func (c *compiler) triggers(root *yaml.Node) plan.Triggers {
	var t plan.Triggers
	if n := root.Get("trigger"); n != nil {
		t.Push = c.push(n)
	}
	if n := root.Get("pr"); n != nil {
		t.PullRequest = c.pullRequest(n)
		t.PullRequest.At = object{c: c, n: root}.at("pr")
	}
	for i, item := range c.items(root.Get("schedules"), "schedules") {
		if i == MaxSchedules {
			c.problems.Limit(item.At, "a pipeline has up to %d schedules", MaxSchedules)
			break
		}
		t.Schedules = append(t.Schedules, c.schedule(item))
	}
	return t
}

// MaxSchedules bounds the schedules of a file.
const MaxSchedules = 50

func isNone(n *yaml.Node) bool { return n.Kind == yaml.Scalar && strings.EqualFold(n.Text, "none") }

func (c *compiler) push(n *yaml.Node) (p plan.Push) {
	switch {
	case isNone(n):
		p.None = true
		return p
	case n.Kind == yaml.List:
		p.Branches.Include = c.patterns(n, "trigger")
		return p
	}
	o, ok := c.object(n, schema.Trigger)
	if !ok {
		return p
	}
	p.None = !o.boolean("enabled", true)
	p.Batch = o.boolean("batch", false)
	p.Branches = c.filter(o, "branches")
	p.Paths = c.filter(o, "paths")
	p.Tags = c.filter(o, "tags")
	return p
}

func (c *compiler) pullRequest(n *yaml.Node) plan.PullRequest {
	p := plan.PullRequest{Stated: true}
	switch {
	case isNone(n):
		p.None = true
		return p
	case n.Kind == yaml.List:
		p.Branches.Include = c.patterns(n, "pr")
		return p
	}
	o, ok := c.object(n, schema.PullRequest)
	if !ok {
		return p
	}
	p.None = !o.boolean("enabled", true)
	p.KeepRunning = !o.boolean("autoCancel", true)
	p.SkipDrafts = !o.boolean("drafts", true)
	p.Branches = c.filter(o, "branches")
	p.Paths = c.filter(o, "paths")
	return p
}

func (c *compiler) filter(o object, key string) (f plan.Filter) {
	inner, ok := o.object(key)
	if !ok {
		return f
	}
	f.Include = c.patterns(inner.get("include"), "include")
	f.Exclude = c.patterns(inner.get("exclude"), "exclude")
	return f
}

// patterns reads filter patterns, in which macros and expressions are not expanded.
func (c *compiler) patterns(n *yaml.Node, what string) []string {
	if n == nil || n.IsNull() {
		return nil
	}
	items := []*yaml.Node{n}
	if n.Kind != yaml.Scalar {
		items = c.items(n, what)
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		switch {
		case item.Kind != yaml.Scalar:
			c.problems.Add(item.At, "%s is a list of patterns, this is %s", what, item.Kind)
		case strings.Contains(item.Text, "${{") || isRuntime(item.Text):
			c.problems.Add(item.At, "a trigger is read before there are variables: write the pattern out instead of %q", item.Text)
		case item.Text == "":
			c.warnOf(item.At, "%s has an empty pattern, which matches nothing: leave it out", what)
		default:
			if strings.Contains(item.Text, "$(") {
				c.warnOf(item.At, "a trigger is read before there are variables, so that %q is taken as it is written: write the pattern out", item.Text)
			}
			list = append(list, item.Text)
		}
	}
	return list
}

func (c *compiler) schedule(n *yaml.Node) (s plan.Schedule) {
	o, ok := c.object(n, schema.Schedule)
	if !ok {
		return s
	}
	s = plan.Schedule{Cron: strings.Join(strings.Fields(o.needed("cron")), " "), DisplayName: o.text("displayName"), Always: o.boolean("always", false),
		Batch: o.boolean("batch", false), Branches: c.filter(o, "branches"), At: n.At}
	if s.Cron != "" {
		if _, err := trigger.ParseCron(s.Cron); err != nil {
			c.problems.Add(o.get("cron").At, "%v", err)
		}
	}
	return s
}

// sources are the pipelines of a file, not expanded, whose runs start this one. What is wrong with them is for the
// compilation to say, which sees the expanded file.
func sources(root *yaml.Node) (list []plan.Pipeline) {
	resources := root.Get("resources")
	if resources == nil || resources.Kind != yaml.Map {
		return nil
	}
	n := resources.Get("pipelines")
	if n == nil || n.Kind != yaml.List {
		return nil
	}
	for _, item := range n.Items {
		c := &compiler{}
		if r, ok := c.pipelineResource(item); ok && r.Trigger != nil && len(c.problems) == 0 {
			list = append(list, r)
		}
	}
	return list
}
