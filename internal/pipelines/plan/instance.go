package plan

import (
	"strconv"
	"strings"
)

// Instance is one unit that runs on one agent: a job, a leg of a job, or a hook of a deployment.
type Instance struct {
	// ID is unique in the plan and stable: STAGE.JOB, STAGE.JOB.LEG, STAGE.JOB.HOOK, or STAGE.JOB.HOOK.MACHINE.
	ID    string
	Stage *Stage
	Job   *Job
	Leg   *Leg  // of a job with a strategy, or the machine of a deployment to machines
	Hook  *Hook // of a deployment
	// Position and Total are System.JobPositionInPhase (from 1) and System.TotalJobsInPhase.
	Position, Total int
}

// InstanceID joins the parts of an instance's ID; part is the leg, the hook or "".
func InstanceID(stage, job, part string) string {
	id := stage + "." + job
	if part != "" {
		id += "." + part
	}
	return id
}

// SplitInstanceID is the reverse of InstanceID.
func SplitInstanceID(id string) (stage, job, part string) {
	stage, rest, _ := strings.Cut(id, ".")
	job, part, _ = strings.Cut(rest, ".")
	return stage, job, part
}

// Agentless reports whether the server itself runs the steps of the instance with that ID.
func (p *Plan) Agentless(id string) bool { return p.PoolOf(id).Server }

// PoolOf is where the instance with that ID runs: its hook's or its job's pool.
func (p *Plan) PoolOf(id string) Pool {
	stage, job, part := SplitInstanceID(id)
	s := p.Stage(stage)
	if s == nil {
		return Pool{}
	}
	j := s.Job(job)
	if j == nil {
		return Pool{}
	}
	if j.Deployment != nil {
		part, _, _ = strings.Cut(part, ".")
		for i := range j.Deployment.Hooks {
			if h := &j.Deployment.Hooks[i]; h.Part() == part {
				return h.Pool
			}
		}
	}
	return j.Pool
}

// Steps are what the agent runs.
func (i Instance) Steps() []Step {
	if i.Hook != nil {
		return i.Hook.Steps
	}
	return i.Job.Steps
}

// Pool is where it runs.
func (i Instance) Pool() Pool {
	if i.Hook != nil {
		return i.Hook.Pool
	}
	return i.Job.Pool
}

// Title is the name for people: the job's, with its leg or hook.
func (i Instance) Title() string {
	title := i.Job.Title()
	if i.Leg != nil {
		title += " " + i.Leg.Label()
	}
	if i.Hook != nil && len(i.Job.Deployment.Hooks) > 1 {
		title += " " + i.Hook.Title()
	}
	return title
}

// Machine is the number of the machine that a hook of a deployment to machines runs on, 0 for all else.
func (i Instance) Machine() int64 {
	if i.Hook == nil || i.Leg == nil {
		return 0
	}
	n, err := strconv.ParseInt(i.Leg.Variables[MachineVariable], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// MachineVariable is the variable of a machine's leg that holds its number.
const MachineVariable = "Environment.ResourceId"

// machineInstances are the hooks on each machine, machine by machine.
func machineInstances(s *Stage, j *Job, machines []Leg) []Instance {
	var list []Instance
	for k := range machines {
		for n := range j.Deployment.Hooks {
			h := &j.Deployment.Hooks[n]
			list = append(list, Instance{ID: InstanceID(s.Name, j.Name, h.Part()+"."+machines[k].Name), Stage: s, Job: j, Leg: &machines[k], Hook: h,
				Position: k + 1, Total: len(machines)})
		}
	}
	return list
}

// Instances are the units of job j of stage s, in order. legs are used instead of the strategy's own when its matrix is
// an expression, and are the machines of a deployment to machines (see schedule.JobFacts.Legs).
func Instances(s *Stage, j *Job, legs []Leg) []Instance {
	if j.Deployment != nil && j.Deployment.Machines() {
		return machineInstances(s, j, legs)
	}
	if j.Deployment != nil {
		list := make([]Instance, 0, len(j.Deployment.Hooks))
		for k := range j.Deployment.Hooks {
			h := &j.Deployment.Hooks[k]
			list = append(list, Instance{ID: InstanceID(s.Name, j.Name, h.Part()), Stage: s, Job: j, Hook: h, Position: 1, Total: 1})
		}
		return list
	}
	if j.Strategy == nil {
		return []Instance{{ID: InstanceID(s.Name, j.Name, ""), Stage: s, Job: j, Position: 1, Total: 1}}
	}
	if j.Strategy.MatrixExpression == "" {
		legs = j.Strategy.Legs
	}
	list := make([]Instance, 0, len(legs))
	for k := range legs {
		list = append(list, Instance{ID: InstanceID(s.Name, j.Name, legs[k].Name), Stage: s, Job: j, Leg: &legs[k], Position: k + 1, Total: len(legs)})
	}
	return list
}
