package compile

import (
	"errors"
	"fmt"
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/yaml"
)

// mostServerMinutes bounds what an agentless job may take: 30 days.
const mostServerMinutes = 30 * 24 * 60

// agentless checks what `pool: server` does not go with, and marks the job as such.
func (c *compiler) agentless(j *plan.Job, o object) {
	if !j.Pool.Server {
		return
	}
	if j.Kind == plan.JobAgent {
		j.Kind = plan.JobServer
	}
	for _, key := range []string{"container", "services", "workspace"} {
		if n := o.get(key); n != nil && !n.IsNull() {
			c.problems.Add(o.at(key), "an agentless job (pool: server) runs on no machine: leave out %s", key)
		}
	}
	if j.TimeoutInMinutes > mostServerMinutes {
		c.problems.Limit(o.at("timeoutInMinutes"), "an agentless job takes at most %d minutes, 30 days", mostServerMinutes)
	}
}

// place refuses steps that cannot run where they stand: tasks of the server in a job with an agent, and all others in an
// agentless one. A template of steps or of jobs without a pool may stand in either.
func (c *compiler) place(item *yaml.Node, s *plan.Step, j *plan.Job, pool plan.Pool) {
	if c.template && pool.At == (plan.Pool{}).At {
		return
	}
	var d *task.Definition
	if s.Task != nil && s.Task.Package == nil {
		d, _ = c.in.Tasks.Find(fmt.Sprintf("%s@%d", s.Task.Name, s.Task.Major))
	}
	switch server := d != nil && d.Server; {
	case server == pool.Server:
	case server:
		c.problems.Add(s.At, "task %s runs on the server: put it into a job of its own with pool: server", d)
		return
	default:
		c.problems.Add(s.At, "an agentless job (pool: server) has no agent for this step: it takes the tasks %s alone, put others into a job with another pool", serverTasks())
		return
	}
	if !pool.Server {
		return
	}
	if n := item.Get("retryCountOnTaskFailure"); n != nil && !n.IsNull() {
		c.problems.Add(n.At, "tasks of agentless jobs are not tried again: leave out retryCountOnTaskFailure")
	}
	if s.Target != nil && s.Target.Container != "" {
		c.problems.Add(item.Get("target").At, "an agentless job (pool: server) runs in no container: leave out target")
	}
	if j.TimeoutInMinutes > 0 && s.TimeoutInMinutes > j.TimeoutInMinutes {
		c.warn(item.Get("timeoutInMinutes").At, fmt.Sprintf("the job ends after %d minutes, before the step's time is over: give the job timeoutInMinutes", j.TimeoutInMinutes))
	}
	if n := item.Get("env"); n != nil && !n.IsNull() {
		c.warn(n.At, "env has no effect in an agentless job: use variables")
	}
}

func serverTasks() string {
	var names []string
	for _, d := range task.Catalog(nil).Definitions() {
		if d.Server {
			names = append(names, d.String())
		}
	}
	return strings.Join(names, ", ")
}

// serverInputs checks the inputs of a server's task as far as they are known.
func (c *compiler) serverInputs(o object, d *task.Definition, given, inputs map[string]string) {
	if !d.Server {
		return
	}
	var bad *task.InputError
	if err := d.CheckServer(inputs); !errors.As(err, &bad) || strings.Contains(inputs[bad.Input], "$(") {
		return
	}
	at := c.givenPlace(o, d, given, bad.Input)
	if bad.Unsupported {
		c.problems.Unsupported(at, "%s", bad.Message)
		return
	}
	c.problems.Add(at, "%s", bad.Message)
}
