package compile

import (
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// The lists of the language whose entries people take for one another.
const (
	stageList = "stages"
	jobList   = "jobs"
	stepList  = "steps"
)

// belongs is the list in which an entry belongs, by the key that makes it what it is, "" if none does.
func belongs(item *yaml.Node) string {
	list := ""
	for _, p := range item.Pairs {
		switch key := p.Key.Text; {
		case key == "stage":
			return stageList
		case key == "job", key == "deployment":
			list = jobList
		case list == "" && schema.StepObject(key) != nil:
			list = stepList
		}
	}
	return list
}

// instead says what to write where an entry of one list stands in another.
var instead = map[[2]string]string{
	{stageList, jobList}:  "a stage stands under stages: write stages in place of jobs",
	{stageList, stepList}: "a stage stands under stages: write stages in place of steps",
	{jobList, stageList}:  "a job stands under the jobs of a stage: begin the entry with - stage: NAME, and put the job into its jobs",
	{jobList, stepList}:   "a job stands under jobs: write jobs in place of steps",
	{stepList, stageList}: "a step stands under the steps of a job, in the jobs of a stage",
	{stepList, jobList}:   "a step stands under the steps of a job: begin the entry with - job: NAME, and put the step into its steps",
}

// misplaced reports an entry of a list that belongs in another, and reads it as what it is, so that one pass tells what is wrong in
// it too. It is false for others.
func (c *compiler) misplaced(item *yaml.Node, list string, pool *plan.Pool) bool {
	is := belongs(item)
	why, ok := instead[[2]string{is, list}]
	if !ok || item.Get(list[:len(list)-1]) != nil {
		return false
	}
	c.problems.Add(item.At, "%s", why)
	one := &yaml.Node{Kind: yaml.List, At: item.At, Items: []*yaml.Node{item}}
	switch is {
	case stageList:
		c.stages(one, pool)
	case jobList:
		c.jobs(one, pool)
	default:
		c.looseSteps(one, pool)
	}
	return true
}

// looseSteps reads steps that stand where they cannot, for what is wrong in them.
func (c *compiler) looseSteps(n *yaml.Node, pool *plan.Pool) {
	if n != nil && n.Kind == yaml.List {
		c.steps(n, &plan.Job{}, poolValue(pool), "")
	}
}
