package compile

import (
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// deployment reads a deployment job.
func (c *compiler) deployment(n *yaml.Node, pool *plan.Pool, i int) (plan.Job, dependency) {
	o, ok := c.object(n, schema.DeploymentObject)
	if !ok {
		return plan.Job{}, dependency{}
	}
	j := c.jobOf(o, "deployment", pool, i)
	j.Kind = plan.JobDeployment
	j.Deployment = &plan.Deployment{Strategy: "runOnce"}
	if e := o.get("environment"); e == nil || e.IsNull() {
		c.problems.Add(o.at("environment"), "deployment job %s needs an environment", j.Name)
	} else {
		j.Deployment.Environment = c.environment(e)
	}
	c.hooks(o, &j)
	return j, c.dependsOn(o, "deployment", j.Name)
}

func (c *compiler) environment(n *yaml.Node) plan.EnvironmentReference {
	e := plan.EnvironmentReference{At: n.At}
	if n.Kind == yaml.Scalar {
		e.Name, e.Resource = splitEnvironment(n.Text)
		return e
	}
	o, ok := c.object(n, schema.Environment)
	if !ok {
		return e
	}
	e.Name, e.Resource, e.Tags = o.needed("name"), o.text("resourceName"), o.texts("tags")
	if e.Resource == "" {
		e.Name, e.Resource = splitEnvironment(e.Name)
	}
	e.ResourceType = o.option("resourceType", "")
	if e.ResourceType == "VirtualMachine" {
		c.problems.Unsupported(o.get("resourceType").At, "environments have no virtual machines: deploy to Kubernetes")
	}
	if len(e.Tags) > 0 {
		c.problems.Unsupported(o.at("tags"), "tags of an environment choose virtual machines, which are not there: leave them out")
	}
	if o.get("resourceId") != nil {
		c.problems.Unsupported(o.at("resourceId"), "resourceId of an environment is not there yet: write resourceName")
	}
	return e
}

// splitEnvironment parts NAME.RESOURCE at the first point outside macros.
func splitEnvironment(text string) (name, resource string) {
	inMacro := false
	for i := range len(text) {
		switch {
		case strings.HasPrefix(text[i:], "$("):
			inMacro = true
		case text[i] == ')':
			inMacro = false
		case text[i] == '.' && !inMacro:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func (c *compiler) hooks(o object, j *plan.Job) {
	n := o.get("strategy")
	if n == nil || n.IsNull() {
		c.problems.Add(o.at("strategy"), "deployment job %s needs a strategy: write strategy.runOnce.deploy.steps", j.Name)
		return
	}
	s, ok := c.object(n, schema.DeploymentStrategy)
	if !ok {
		return
	}
	once := s.get("runOnce")
	if once == nil || once.IsNull() {
		if c.whole() {
			c.problems.Add(n.At, "strategy of a deployment job is runOnce")
		}
		return
	}
	r, ok := s.object("runOnce")
	if !ok {
		return
	}
	if r.get("deploy") == nil {
		c.problems.Add(once.At, "runOnce needs deploy with its steps")
	}
	on, ends := r.object("on")
	for _, name := range plan.HookOrder {
		around := r
		if name == plan.HookSuccess || name == plan.HookFailure {
			if !ends {
				continue
			}
			around = on
		}
		if h, ok := c.hook(around, name, j); ok {
			j.Deployment.Hooks = append(j.Deployment.Hooks, h)
		}
	}
}

func (c *compiler) hook(around object, name plan.HookName, j *plan.Job) (h plan.Hook, ok bool) {
	o, ok := around.object(string(name))
	if !ok {
		return h, false
	}
	h = plan.Hook{Name: name, Pool: j.Pool, At: o.n.At}
	if own := c.pool(o.get("pool")); own != nil {
		h.Pool = *own
	}
	h.Steps = c.steps(o.get("steps"), j, name)
	if len(c.items(o.get("steps"), "steps of "+string(name))) == 0 && c.whole() {
		c.problems.Add(o.at("steps"), "%s has no steps", name)
	}
	return h, true
}
