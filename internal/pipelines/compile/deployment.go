package compile

import (
	"slices"
	"strconv"
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
	j.Kind = plan.JobDeployment // agentless hooks are told by their pools
	j.Deployment = &plan.Deployment{Strategy: "runOnce"}
	switch e := o.get("environment"); {
	case e != nil && e.At == yaml.Nowhere: // a draft's, of which nobody knows yet
		j.Deployment.Environment = plan.EnvironmentReference{At: e.At}
	case e == nil || e.IsNull():
		c.problems.Add(o.at("environment"), "deployment job %s needs an environment", j.Name)
	default:
		j.Deployment.Environment = c.environment(e)
	}
	if j.Deployment.Machines() {
		if o.get("pool") != nil {
			c.warnOf(o.at("pool"), "pool of a deployment to virtual machines has no effect: its steps run on these")
		}
		j.Pool = plan.Pool{}
	}
	c.hooks(o, &j)
	c.looseSteps(o.get("steps"), pool)
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
	e.Tags = splitTags(e.Tags)
	if len(e.Tags) > 0 && e.ResourceType != plan.ResourceMachine {
		c.problems.Add(o.at("tags"), "tags of an environment choose virtual machines: write resourceType: virtualMachine beside them, or leave them out")
	}
	e.ResourceID = c.resourceID(o, e.ResourceType)
	return e
}

// resourceID reads the number of a virtual machine. Namespaces of clusters have names and no numbers.
func (c *compiler) resourceID(o object, kind string) string {
	id := strings.TrimSpace(o.text("resourceId"))
	if id == "" {
		return ""
	}
	n, err := strconv.ParseInt(id, 10, 64)
	switch {
	case kind != plan.ResourceMachine:
		c.problems.Unsupported(o.at("resourceId"), "resourceId of an environment is the number of a virtual machine: write resourceType: virtualMachine beside it, "+
			"or resourceName for a namespace of a cluster, which has no number here")
	case !strings.Contains(id, "$(") && (err != nil || n < 1):
		c.problems.Add(o.get("resourceId").At, "resourceId of an environment is a whole number, that of a virtual machine, not %s", describe(o.get("resourceId")))
	default:
		return id
	}
	return ""
}

// splitTags parts tags at commas.
func splitTags(texts []string) (tags []string) {
	for _, text := range texts {
		for tag := range strings.SplitSeq(text, ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
	}
	return tags
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
	once, canary, rolling := s.get("runOnce"), s.get("canary"), s.get("rolling")
	switch {
	case once != nil && canary != nil, canary != nil && rolling != nil, once != nil && rolling != nil:
		c.problems.Add(n.At, "a deployment job has one strategy: runOnce, rolling or canary")
	case canary != nil && j.Deployment.Machines():
		c.problems.Add(s.at("canary"), "canary deploys growing shares of a workload of Kubernetes: write rolling or runOnce to deploy to virtual machines")
	case rolling != nil && !rolling.IsNull():
		if r, ok := s.object("rolling"); ok {
			c.rolling(r, s, j)
		}
	case canary != nil && !canary.IsNull():
		if r, ok := s.object("canary"); ok {
			j.Deployment.Strategy = "canary"
			j.Deployment.Hooks = c.canary(r, c.strategyHooks(r, j))
		}
	case once != nil && !once.IsNull():
		if r, ok := s.object("runOnce"); ok {
			j.Deployment.Hooks = c.strategyHooks(r, j)
		}
	case c.whole():
		c.problems.Add(n.At, "strategy of a deployment job is runOnce, rolling or canary")
	}
}

// rolling reads a rolling deployment, which is for virtual machines.
func (c *compiler) rolling(r, around object, j *plan.Job) {
	j.Deployment.Strategy, j.Deployment.MaxParallel = "rolling", strings.ReplaceAll(r.text("maxParallel"), " ", "")
	j.Deployment.Hooks = c.strategyHooks(r, j)
	if !j.Deployment.Machines() {
		c.problems.Add(around.at("rolling"), "rolling goes over the virtual machines of an environment: write environment: {name: …, resourceType: virtualMachine}; "+
			"to deploy to Kubernetes write runOnce, since a Deployment rolls by itself, as its strategy.rollingUpdate says")
	}
	text, share := strings.CutSuffix(j.Deployment.MaxParallel, "%")
	n, err := strconv.Atoi(text)
	if j.Deployment.MaxParallel != "" && (err != nil || n < 1 || share && n > 100) {
		c.problems.Add(r.at("maxParallel"), "maxParallel of rolling is a number of machines from 1, or a share of them from 1%% to 100%%, not %q", r.text("maxParallel"))
	}
}

// strategyHooks reads the hooks of a strategy, in the order in which they run.
func (c *compiler) strategyHooks(r object, j *plan.Job) (list []plan.Hook) {
	if r.get("deploy") == nil {
		c.problems.Add(r.n.At, "%s needs deploy with its steps", r.what)
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
			list = append(list, h)
		}
	}
	return list
}

// maxIncrements bounds the increments of a canary.
const maxIncrements = 20

// canary repeats the hooks that deploy and route traffic for each increment, and then for the whole.
func (c *compiler) canary(o object, hooks []plan.Hook) (list []plan.Hook) {
	shares := c.increments(o)
	for i, h := range hooks {
		switch h.Name {
		case plan.HookDeploy:
			repeated := slices.DeleteFunc(slices.Clone(hooks[i:]), func(h plan.Hook) bool { return h.Name == plan.HookSuccess || h.Name == plan.HookFailure })
			for _, share := range shares {
				for _, again := range repeated {
					again.Increment = share
					list = append(list, again)
				}
			}
		case plan.HookRouteTraffic, plan.HookPostRouteTraffic: // with deploy
		default:
			list = append(list, h)
		}
	}
	return list
}

// increments are the shares of a canary, 100 the last.
func (c *compiler) increments(o object) []int {
	var shares []int
	last := 0
	for _, item := range c.items(o.get("increments"), "increments of canary") {
		share, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(item.Text), "%"))
		switch {
		case item.Kind != yaml.Scalar || err != nil || share < 1 || share > 100:
			c.problems.Add(item.At, "an increment of canary is a whole number from 1 to 100, not %s", describe(item))
			continue
		case share <= last:
			c.problems.Add(item.At, "increments of canary grow: %d comes after %d", share, last)
			continue
		}
		shares, last = append(shares, share), share
	}
	if len(shares) > maxIncrements {
		c.problems.Limit(o.at("increments"), "canary has %d increments, more than the %d allowed", len(shares), maxIncrements)
		return nil
	}
	if last != 100 {
		shares = append(shares, 100)
	}
	return shares
}

func (c *compiler) hook(around object, name plan.HookName, j *plan.Job) (h plan.Hook, ok bool) {
	o, ok := around.object(string(name))
	if !ok {
		return h, false
	}
	h = plan.Hook{Name: name, Pool: j.Pool, At: o.n.At}
	if own := c.pool(o.get("pool")); own != nil {
		h.Pool = *own
		if j.Deployment.Machines() {
			c.problems.Add(o.at("pool"), "the hooks of a deployment to virtual machines run on these: leave pool out of %s", name)
			h.Pool = plan.Pool{}
		}
	}
	h.Steps = c.steps(o.get("steps"), j, h.Pool, name)
	if len(c.items(o.get("steps"), "steps of "+string(name))) == 0 && c.whole() {
		c.problems.Add(o.at("steps"), "%s has no steps", name)
	}
	return h, true
}
