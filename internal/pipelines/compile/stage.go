package compile

import (
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

func (c *compiler) stages(n *yaml.Node, pool *plan.Pool) []plan.Stage {
	var list []plan.Stage
	var depends []dependency
	for i, item := range c.items(n, "stages") {
		if c.misplaced(item, stageList, pool) || item.Kind == yaml.Map && item.Get("template") != nil && len(c.problems) > 0 {
			continue
		}
		o, ok := c.object(item, schema.StageObject)
		if !ok {
			continue
		}
		c.looseSteps(o.get("steps"), pool)
		s := plan.Stage{
			Name: c.nameOr(o, "stage", "Stage", i), DisplayName: o.text("displayName"), Condition: o.condition(conditionScope),
			LockBehavior: o.option("lockBehavior", ""), Manual: o.option("trigger", "automatic") == "manual",
			Unskippable: !o.boolean("isSkippable", true), At: item.At,
		}
		c.literal(o.get("displayName"))
		s.Variables = c.variables(o.get("variables"), variableScope)
		around := c.known
		c.known = around.with(s.Variables)
		s.Jobs = c.jobs(o.get("jobs"), c.poolOr(o.get("pool"), pool))
		c.known = around
		switch n := o.get("jobs"); {
		case len(s.Jobs) > 0 || !c.whole():
		case c.draft && n != nil && n.Kind == yaml.List && len(n.Items) == 0:
			c.warnOf(o.at("jobs"), "stage %s has no jobs: it must get some from what a run knows, its variables or the name of the pipeline", s.Name)
		default:
			c.problems.Add(o.at("jobs"), "stage %s has no jobs", s.Name)
		}
		depends = append(depends, c.dependsOn(o, "stage", s.Name))
		list = append(list, s)
	}
	if len(list) == 0 && c.whole() {
		c.problems.Add(n.At, "stages is empty: a pipeline has at least one stage")
	}
	for i := range depends {
		if !depends[i].stated && i > 0 && list[i-1].Name != "" {
			depends[i].names = []named{{list[i-1].Name, list[i].At}}
		}
	}
	for i, names := range c.resolveDependencies("stage", depends) {
		list[i].DependsOn = names
		if len(names) > 0 {
			c.dropsSucceeded(depends[i].object, conditionScope, list[i].Condition, "stage "+list[i].Name)
		}
	}
	return list
}

// nameOr is the name under a key, or one made of a word and the place when the file gives none.
func (c *compiler) nameOr(o object, key, word string, i int) string {
	if o.text(key) == "" {
		return word + itoa(i+1)
	}
	return c.name(o.get(key), "a "+key)
}

// dependency is what one stage or job says about dependsOn.
type dependency struct {
	object object
	name   string
	at     slipway.Position
	stated bool
	names  []named
}

type named struct {
	name string
	at   slipway.Position
}

func (c *compiler) dependsOn(o object, key, name string) dependency {
	d := dependency{object: o, name: name, at: o.n.At}
	if n := o.get(key); n != nil {
		d.at = n.At
	}
	n := o.get("dependsOn")
	if n == nil {
		return d
	}
	d.stated = true
	items := []*yaml.Node{n}
	if n.Kind != yaml.Scalar {
		items = c.items(n, "dependsOn of "+o.what)
	}
	for _, item := range items {
		switch {
		case item.Kind != yaml.Scalar:
			c.problems.Add(item.At, "dependsOn of %s is a list of names, this is %s", o.what, item.Kind)
		case item.IsNull() || item.Text == "":
		case strings.Contains(item.Text, "$(") || isRuntime(item.Text):
			c.problems.Add(item.At, "dependsOn is read before there are variables: write the name out instead of %q", item.Text)
		default:
			d.names = append(d.names, named{item.Text, item.At})
		}
	}
	return d
}

// elsewhere says where in the file the name is that a stage or job depends on in vain, or which one is meant.
func (c *compiler) elsewhere(what, name string, all []string) string {
	if c.allStages == nil {
		return nearest.Suggest(name, all)
	}
	is := func(n *yaml.Node, key string) bool {
		v := n.Get(key)
		return v != nil && v.Kind == yaml.Scalar && strings.EqualFold(v.Text, name)
	}
	for _, stage := range c.allStages.Items {
		if what == "job" && is(stage, "stage") {
			return ": it is a stage, and a job depends on jobs of its own stage: write it under dependsOn of the stage"
		}
		jobs := stage.Get("jobs")
		if jobs == nil || stage.Get("stage") == nil {
			continue
		}
		for _, job := range jobs.Items {
			if is(job, "job") || is(job, "deployment") {
				return fmt.Sprintf(": it is a job of stage %s: write dependsOn: %s at the stage that waits for it", stage.Get("stage").Text, stage.Get("stage").Text)
			}
		}
	}
	return nearest.Suggest(name, all)
}

// resolveDependencies checks names and what they depend on, and gives for each the names as they are declared.
func (c *compiler) resolveDependencies(what string, list []dependency) [][]string {
	declared := map[string]int{}
	var all []string
	for i, d := range list {
		if d.name == "" {
			continue
		}
		key := strings.ToLower(d.name)
		if first, ok := declared[key]; ok {
			c.problems.Add(d.at, "%s %s stands here a second time, first on line %d", what, d.name, list[first].at.Line)
			continue
		}
		declared[key] = i
		all = append(all, d.name)
	}
	out := make([][]string, len(list))
	edges := make([][]int, len(list))
	for i, d := range list {
		for _, n := range d.names {
			j, ok := declared[strings.ToLower(n.name)]
			switch {
			case !ok && c.open() && !nearest.Misspelt(n.name, all):
			case !ok:
				c.problems.Add(n.at, "%s %s depends on %q, which is no %s here%s", what, d.name, n.name, what, c.elsewhere(what, n.name, all))
			case j == i:
				c.problems.Add(n.at, "%s %s depends on itself", what, d.name)
			case !slices.Contains(out[i], list[j].name):
				out[i] = append(out[i], list[j].name)
				edges[i] = append(edges[i], j)
			}
		}
	}
	c.refuseCycle(what, list, edges)
	return out
}

func (c *compiler) refuseCycle(what string, list []dependency, edges [][]int) {
	state := make([]uint8, len(list)) // 0 new, 1 on the path, 2 done
	var path []int
	var visit func(i int)
	visit = func(i int) {
		state[i] = 1
		path = append(path, i)
		for _, j := range edges[i] {
			if state[j] == 1 {
				names := []string{}
				for _, k := range path[slices.Index(path, j):] {
					names = append(names, list[k].name)
				}
				c.problems.Add(list[j].at, "%ss depend on each other in a circle: %s", what, strings.Join(append(names, list[j].name), " on "))
			} else if state[j] == 0 {
				visit(j)
			}
		}
		state[i] = 2
		path = path[:len(path)-1]
	}
	for i := range list {
		if state[i] == 0 {
			visit(i)
		}
	}
}
