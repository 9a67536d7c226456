package compile

import (
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// deployment reads a deployment job.
func (c *compiler) deployment(n *yaml.Node, pool *plan.Pool, i int) (plan.Job, dependency) {
	keys := append([]string{"deployment", "environment"}, sharedJobKeys...)
	o, ok := c.object(n, "a deployment job", keys, map[string]string{"steps": "write them under strategy.runOnce.deploy.steps"})
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
	o, ok := c.object(n, "an environment", []string{"name", "resourceName", "resourceType", "resourceId", "tags"}, nil)
	if !ok {
		return e
	}
	e.Name, e.Resource, e.Tags = o.needed("name"), o.text("resourceName"), o.texts("tags")
	if e.Resource == "" {
		e.Name, e.Resource = splitEnvironment(e.Name)
	}
	e.ResourceType = o.option("resourceType", "", "Kubernetes", "VirtualMachine")
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
	s, ok := c.object(n, "strategy of a deployment job", []string{"runOnce"}, map[string]string{
		"rolling": "it is for virtual machines, write runOnce", "canary": "write runOnce", "matrix": "write one deployment job for each", "parallel": "write runOnce",
		"maxParallel": "write runOnce"})
	if !ok {
		return
	}
	once := s.get("runOnce")
	if once == nil || once.IsNull() {
		if len(c.problems) == 0 {
			c.problems.Add(n.At, "strategy of a deployment job is runOnce")
		}
		return
	}
	r, ok := c.object(once, "runOnce", []string{"preDeploy", "deploy", "routeTraffic", "postRouteTraffic", "on"}, nil)
	if !ok {
		return
	}
	places := map[plan.HookName]*yaml.Node{
		plan.HookPreDeploy: r.get("preDeploy"), plan.HookDeploy: r.get("deploy"), plan.HookRouteTraffic: r.get("routeTraffic"),
		plan.HookPostRouteTraffic: r.get("postRouteTraffic"),
	}
	if on := r.get("on"); on != nil && !on.IsNull() {
		if inner, ok := c.object(on, "on", []string{"success", "failure"}, nil); ok {
			places[plan.HookSuccess], places[plan.HookFailure] = inner.get("success"), inner.get("failure")
		}
	}
	if places[plan.HookDeploy] == nil {
		c.problems.Add(once.At, "runOnce needs deploy with its steps")
	}
	for _, name := range plan.HookOrder {
		if h, ok := c.hook(places[name], name, j); ok {
			j.Deployment.Hooks = append(j.Deployment.Hooks, h)
		}
	}
}

func (c *compiler) hook(n *yaml.Node, name plan.HookName, j *plan.Job) (h plan.Hook, ok bool) {
	if n == nil || n.IsNull() {
		return h, false
	}
	o, ok := c.object(n, string(name), []string{"steps", "pool"}, nil)
	if !ok {
		return h, false
	}
	h = plan.Hook{Name: name, Pool: j.Pool, At: n.At}
	if own := c.pool(o.get("pool")); own != nil {
		h.Pool = *own
	}
	h.Steps = c.steps(o.get("steps"), j, name)
	if len(c.items(o.get("steps"), "steps of "+string(name))) == 0 && len(c.problems) == 0 {
		c.problems.Add(o.at("steps"), "%s has no steps", name)
	}
	return h, true
}
