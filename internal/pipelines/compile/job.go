package compile

import (
	"strconv"
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

func itoa(i int) string { return strconv.Itoa(i) }

// Defaults of the language.
const (
	defaultTimeout       = 60 // minutes
	defaultCancelTimeout = 5
)

func (c *compiler) jobs(n *yaml.Node, pool *plan.Pool) []plan.Job {
	var list []plan.Job
	var depends []dependency
	for i, item := range c.items(n, "jobs") {
		if item.Kind != yaml.Map {
			c.object(item, schema.JobObject) // which says that it is no map
			continue
		}
		if c.misplaced(item, jobList, pool) {
			continue
		}
		var j plan.Job
		var d dependency
		switch {
		case item.Get("deployment") != nil:
			j, d = c.deployment(item, pool, i)
		case item.Get("template") != nil && len(c.problems) > 0:
			continue
		default:
			j, d = c.job(item, pool, i)
		}
		list = append(list, j)
		depends = append(depends, d)
	}
	for i, names := range c.resolveDependencies("job", depends) {
		list[i].DependsOn = names
		if len(names) > 0 {
			c.dropsSucceeded(depends[i].object, conditionScope, list[i].Condition, "job "+list[i].Name)
		}
	}
	return list
}

func (c *compiler) job(n *yaml.Node, pool *plan.Pool, i int) (plan.Job, dependency) {
	o, ok := c.object(n, schema.JobObject)
	if !ok {
		return plan.Job{}, dependency{}
	}
	j := c.jobOf(o, "job", pool, i)
	c.strategy(&j, o.get("strategy"))
	j.Steps = c.steps(o.get("steps"), &j, j.Pool, "")
	if len(c.items(o.get("steps"), "steps")) == 0 && c.whole() { // checkout: none is one, which plans nothing
		c.problems.Add(o.at("steps"), "job %s has no steps", j.Name)
	}
	return j, c.dependsOn(o, "job", j.Name)
}

// soleJob is the job of a file of steps.
func (c *compiler) soleJob(root object, pool *plan.Pool) plan.Job {
	o := root
	j := c.jobOf(o, "job", pool, 0)
	j.Name = plan.DefaultJob
	c.strategy(&j, o.get("strategy"))
	j.Steps = c.steps(o.get("steps"), &j, j.Pool, "")
	if len(c.items(o.get("steps"), "steps")) == 0 && c.whole() {
		c.problems.Add(o.at("steps"), "the pipeline has no steps")
	}
	return j
}

// jobOf reads what jobs and deployment jobs share.
func (c *compiler) jobOf(o object, key string, around *plan.Pool, i int) plan.Job {
	j := plan.Job{
		Name: c.nameOr(o, key, "Job", i), DisplayName: o.text("displayName"), Kind: plan.JobAgent, Condition: o.condition(conditionScope),
		TimeoutInMinutes: defaultTimeout, CancelTimeoutInMinutes: defaultCancelTimeout, Workspace: c.workspace(o), At: o.n.At,
	}
	if !o.later("timeoutInMinutes", &j.Open) {
		j.TimeoutInMinutes = o.integer("timeoutInMinutes", defaultTimeout)
	}
	if !o.later("cancelTimeoutInMinutes", &j.Open) {
		j.CancelTimeoutInMinutes = o.integer("cancelTimeoutInMinutes", defaultCancelTimeout)
	}
	if !o.later("continueOnError", &j.Open) {
		j.ContinueOnError = o.boolean("continueOnError", false)
	}
	if o.what != "a pipeline" {
		j.Variables = c.variables(o.get("variables"), variableScope)
	}
	c.literal(o.get("displayName"))
	pool := c.poolOr(o.get("pool"), around)
	j.Pool = poolValue(pool)
	j.Container = c.container(o.get("container"), schema.JobContainer)
	j.Services = c.services(o.get("services"))
	c.uses(&j, o)
	c.agentless(&j, o)
	return j
}

func (c *compiler) workspace(o object) string {
	inner, ok := o.object("workspace")
	if !ok {
		return ""
	}
	return inner.option("clean", "")
}

func (c *compiler) uses(j *plan.Job, job object) {
	o, ok := job.object("uses")
	if !ok {
		return
	}
	for _, alias := range o.texts("repositories") {
		if c.alias(alias) == nil && !c.template {
			c.problems.Add(o.get("repositories").At, "no repository %q is declared under resources.repositories", alias)
			continue
		}
		j.UsesRepositories = append(j.UsesRepositories, alias)
	}
}

// alias finds a declared repository.
func (c *compiler) alias(name string) *plan.Repository {
	for i := range c.resources.Repositories {
		if strings.EqualFold(c.resources.Repositories[i].Alias, name) {
			return &c.resources.Repositories[i]
		}
	}
	return nil
}

// strategy reads matrix and parallel.
func (c *compiler) strategy(j *plan.Job, n *yaml.Node) {
	if n == nil || n.IsNull() {
		return
	}
	o, ok := c.object(n, schema.Strategy)
	if !ok {
		return
	}
	s := &plan.Strategy{}
	if !o.later("maxParallel", &j.Open) {
		s.MaxParallel = o.integer("maxParallel", 0)
	}
	switch {
	case o.get("matrix") != nil && o.get("parallel") != nil:
		c.problems.Add(o.at("parallel"), "a job has matrix or parallel, not both")
	case o.get("matrix") != nil:
		c.matrix(s, o.get("matrix"))
	case o.get("parallel") != nil:
		if s.Sliced = true; !o.later("parallel", &j.Open) {
			s.Legs = plan.Slices(o.integer("parallel", 1))
		}
	case o.get("maxParallel") != nil:
		c.warn(o.at("maxParallel"), "maxParallel has no effect without a matrix, since the job is one")
		return
	default:
		return
	}
	j.Strategy = s
}

func (c *compiler) matrix(s *plan.Strategy, n *yaml.Node) {
	if n.Kind == yaml.Scalar && isRuntime(n.Text) {
		s.MatrixExpression = c.runtime(n, valueScope)
		return
	}
	if n.Kind == yaml.Map && len(n.Pairs) == 0 {
		if c.whole() {
			c.problems.Add(n.At, "the matrix has no legs")
		}
		return
	}
	if n.Kind != yaml.Map {
		c.problems.Add(n.At, "matrix is a map of legs, each a map of variables, or one $[ ], not %s", describe(n))
		return
	}
	if len(n.Pairs) > schema.MostLegs {
		c.problems.Limit(n.At, "the matrix has %d legs, more than the %d allowed", len(n.Pairs), schema.MostLegs)
		return
	}
	titles := make([]string, len(n.Pairs))
	for i, p := range n.Pairs {
		titles[i] = p.Key.Text
	}
	names := plan.LegNames(titles)
	for i, p := range n.Pairs {
		leg := plan.Leg{Name: names[i], Variables: map[string]string{}}
		if p.Key.Text != leg.Name {
			leg.Title = p.Key.Text
		}
		if p.Key.Text == "" {
			c.problems.Add(p.Key.At, "the leg has no name")
		}
		if p.Value.Kind != yaml.Map && !p.Value.IsNull() {
			c.problems.Add(p.Value.At, "leg %s is a map of variables, not %s", p.Key.Text, describe(p.Value))
			continue
		}
		for _, v := range p.Value.Pairs {
			if v.Value.Kind != yaml.Scalar {
				c.problems.Add(v.Value.At, "variable %q of leg %s is text, not %s", v.Key.Text, p.Key.Text, v.Value.Kind)
				continue
			}
			leg.Variables[v.Key.Text] = v.Value.Text
		}
		s.Legs = append(s.Legs, leg)
	}
}
