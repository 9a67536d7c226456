package schedule

import (
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// chooseMachines asks for the machines of a deployment that begins.
func (r *run) chooseMachines(s *plan.Stage, j *plan.Job) {
	id, e := plan.InstanceID(s.Name, j.Name, ""), r.environment(s, j)
	if e.Name == "" || strings.Contains(e.Name, "$(") {
		r.fail(s, j, id, unknownEnvironment(j))
		return
	}
	r.add(Action{Kind: ActionChooseMachines, Stage: s.Name, Job: j.Name, Instance: id, Attempt: attempt(r.facts.Jobs[id].Attempt), Environment: &e})
}

// byMachine parts the instances of a deployment to machines.
func byMachine(instances []plan.Instance) (machines [][]plan.Instance) {
	for i := 0; i < len(instances); {
		n := i
		for n < len(instances) && instances[n].Leg == instances[i].Leg {
			n++
		}
		machines = append(machines, instances[i:n])
		i = n
	}
	return machines
}

// batches runs the hooks of a deployment on its machines, one batch after the other. Once a machine of a batch has failed, that batch
// comes to its end and the machines after it are left as they are.
func (r *run) batches(s *plan.Stage, j *plan.Job, instances []plan.Instance, why string) {
	machines := byMachine(instances)
	failed := ""
	for batch := range slices.Chunk(machines, j.Deployment.BatchSize(len(machines))) {
		over := true
		for _, hooks := range batch {
			if failed != "" {
				r.leave(s, j, hooks, failed)
				continue
			}
			r.hooks(s, j, hooks, why)
			over = over && !slices.ContainsFunc(hooks, func(in plan.Instance) bool { return r.facts.Jobs[in.ID].State != Completed })
		}
		if !over {
			return
		}
		for _, hooks := range batch {
			if failed == "" && !r.facts.deployed(hooks) {
				failed = hooks[0].Leg.Label()
			}
		}
	}
}

// leave skips what has not begun on a machine.
func (r *run) leave(s *plan.Stage, j *plan.Job, hooks []plan.Instance, failed string) {
	for _, in := range hooks {
		if r.facts.Jobs[in.ID].State == Pending {
			r.skip(s, j, in.ID, fmt.Sprintf("the deployment to machine %s failed, so those after it are left as they are", failed))
		}
	}
}

// deployed reports a machine on which deploy ran and no hook failed or was canceled.
func (f Facts) deployed(hooks []plan.Instance) bool {
	ran := false
	for _, in := range hooks {
		result := f.Jobs[in.ID].Result
		if result.bad() || result == Canceled {
			return false
		}
		ran = ran || in.Hook.Name == plan.HookDeploy && result.good()
	}
	return ran
}

// Machine is one on which jobs may run.
type Machine struct {
	ID   int64
	Name string
	// Pool is the pool of which it is, in lower case; "" for a machine of an environment.
	Pool         string
	Enabled      bool
	Online       bool // its agent was heard of lately
	Busy         bool // it has a job
	Capabilities map[string]string
}

// MachineJob is a job that waits for a machine.
type MachineJob struct {
	ID slipway.JobID
	// Machine is the only one that may take it, 0 for any machine of the Pool that meets the Demands.
	Machine int64
	Pool    string
	Demands []string
}

// Place gives machines that are free to the jobs that wait for one, in their order, each at most one. Of the others it says what
// they wait for. A job whose machine is not there any more has neither.
func Place(jobs []MachineJob, machines []Machine) (given map[slipway.JobID]int64, waits map[slipway.JobID]string) {
	given, waits = map[slipway.JobID]int64{}, map[slipway.JobID]string{}
	taken := map[int64]bool{}
	for _, j := range jobs {
		candidates, why := j.candidates(machines)
		free := slices.IndexFunc(candidates, func(m Machine) bool { return m.Enabled && m.Online && !m.Busy && !taken[m.ID] })
		switch {
		case free >= 0:
			given[j.ID] = candidates[free].ID
			taken[candidates[free].ID] = true
		case len(candidates) > 0:
			waits[j.ID] = j.unfree(candidates)
		case why != "":
			waits[j.ID] = why
		}
	}
	return given, waits
}

// candidates are the machines that may ever take the job.
func (j *MachineJob) candidates(machines []Machine) (list []Machine, why string) {
	if j.Machine != 0 {
		for _, m := range machines {
			if m.ID == j.Machine {
				list = append(list, m)
			}
		}
		return list, ""
	}
	why = fmt.Sprintf("waits for a machine: the pool %s has none", j.Pool)
	for _, m := range machines {
		if m.Pool != j.Pool {
			continue
		}
		if unmet := plan.Unmet(j.Demands, m.Capabilities); unmet == "" {
			list = append(list, m)
		} else if len(list) == 0 {
			why = fmt.Sprintf("waits for a machine: none of the pool %s meets the demand %q", j.Pool, unmet)
		}
	}
	return list, why
}

// unfree says why none of the machines takes the job now.
func (j *MachineJob) unfree(machines []Machine) string {
	what := "the pool " + j.Pool
	if j.Machine != 0 {
		what = "machine " + machines[0].Name
	}
	usable := slices.DeleteFunc(slices.Clone(machines), func(m Machine) bool { return !m.Enabled })
	switch {
	case len(usable) == 0 && j.Machine != 0:
		return "waits for " + what + ", which is disabled"
	case len(usable) == 0:
		return "waits for a machine: all of " + what + " that meet its demands are disabled"
	case !slices.ContainsFunc(usable, func(m Machine) bool { return m.Online }) && j.Machine != 0:
		return "waits for " + what + ", which is offline"
	case !slices.ContainsFunc(usable, func(m Machine) bool { return m.Online }):
		return "waits for a machine: none of " + what + " that meets its demands is online"
	case j.Machine != 0:
		return "waits for " + what + ", which has another job"
	}
	return "waits for a machine: no machine of " + what + " is free"
}
