package schedule

import (
	"maps"
	"slices"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// Reset is what a retry puts back to pending: stages and job instances with the number of their next attempt. Checks of
// the stages are asked for again. An instance that is not named keeps its outcome.
type Reset struct {
	Stages map[string]int `json:"stages"`
	Jobs   map[string]int `json:"jobs"`
}

// Again says what of a stage that is over runs again. The zero value but for Stage means its jobs that did not succeed.
type Again struct {
	Stage string
	// All runs every job of the stage again, and works for one that succeeded too.
	All bool
	// Job, if set, runs this job alone again, whatever it came to, and the jobs of the stage that depend on it.
	Job string
}

// Retry runs a stage that is over again, or some of its jobs, and everything in the stages that depend on it. Other jobs
// keep their outcome and outputs; a deployment is retried from its first hook, and one to machines on those where it did not succeed.
func Retry(p *plan.Plan, facts Facts, again Again) (Reset, error) {
	reset := Reset{Stages: map[string]int{}, Jobs: map[string]int{}}
	s := p.Stage(again.Stage)
	if s == nil {
		return reset, slipway.NotFound("there is no stage %q in this run", again.Stage)
	}
	sf := facts.Stages[s.Name]
	switch {
	case sf.State != Completed:
		return reset, slipway.Conflict("stage %s is not over yet", s.Title())
	case again.Job != "" && s.Job(again.Job) == nil:
		return reset, slipway.NotFound("there is no job %q in stage %s", again.Job, s.Title())
	case sf.Result.good() && !again.All && again.Job == "":
		return reset, slipway.Conflict("stage %s succeeded: there is nothing to retry", s.Title())
	}
	reset.Stages[s.Name] = attempt(sf.Attempt) + 1
	chosen := map[string]bool{}
	if again.Job != "" {
		chosen = dependentJobs(s, again.Job)
	}
	for i := range s.Jobs {
		j := &s.Jobs[i]
		if again.Job == "" || chosen[j.Name] {
			resetJob(facts, s, j, again.All || chosen[j.Name], reset)
		}
	}
	for _, d := range dependents(p, s.Name) {
		f := facts.Stages[d.Name]
		if f.State == Pending && f.Attempt <= 1 {
			continue
		}
		if f.State != Pending && f.State != Completed {
			return reset, slipway.Conflict("stage %s, which depends on %s, is not over yet", d.Title(), s.Title())
		}
		reset.Stages[d.Name] = attempt(f.Attempt) + 1
		for i := range d.Jobs {
			resetJob(facts, d, &d.Jobs[i], true, reset)
		}
	}
	return reset, nil
}

// dependentJobs are a job and those of its stage that depend on it, directly or not.
func dependentJobs(s *plan.Stage, job string) map[string]bool {
	reached := map[string]bool{job: true}
	for grown := true; grown; {
		grown = false
		for i := range s.Jobs {
			j := &s.Jobs[i]
			if !reached[j.Name] && slices.ContainsFunc(j.DependsOn, func(name string) bool { return reached[name] }) {
				reached[j.Name], grown = true, true
			}
		}
	}
	return reached
}

func resetJob(facts Facts, s *plan.Stage, j *plan.Job, all bool, reset Reset) {
	id := plan.InstanceID(s.Name, j.Name, "")
	state, result := facts.job(s, j)
	if j.Deployment != nil && j.Deployment.Machines() && !all && state == Completed && facts.Jobs[id].State != Completed {
		resetMachines(facts, s, j, reset)
		return
	}
	all = all || !result.good() && j.Deployment != nil
	instances := plan.Instances(s, j, facts.Jobs[id].Legs)
	if whole, ok := facts.Jobs[id]; ok && (j.Strategy != nil || j.Deployment != nil) && (all || whole.State == Completed && !whole.Result.good()) {
		reset.Jobs[id] = attempt(whole.Attempt) + 1
	}
	for _, in := range instances {
		f, ok := facts.Jobs[in.ID]
		if ok && (all || !f.Result.good()) {
			reset.Jobs[in.ID] = attempt(f.Attempt) + 1
		}
	}
}

// resetMachines runs a deployment again on the machines on which it did not succeed.
func resetMachines(facts Facts, s *plan.Stage, j *plan.Job, reset Reset) {
	for _, hooks := range byMachine(plan.Instances(s, j, facts.Jobs[plan.InstanceID(s.Name, j.Name, "")].Legs)) {
		if facts.deployed(hooks) {
			continue
		}
		for _, in := range hooks {
			if f, ok := facts.Jobs[in.ID]; ok {
				reset.Jobs[in.ID] = attempt(f.Attempt) + 1
			}
		}
	}
}

// dependents are the stages that depend on one, directly or not, in the order of the plan.
func dependents(p *plan.Plan, stage string) []*plan.Stage {
	reached := map[string]bool{stage: true}
	var list []*plan.Stage
	for grown := true; grown; {
		grown = false
		for i := range p.Stages {
			s := &p.Stages[i]
			if !reached[s.Name] && slices.ContainsFunc(s.DependsOn, func(name string) bool { return reached[name] }) {
				reached[s.Name] = true
				grown = true
			}
		}
	}
	for i := range p.Stages {
		if s := &p.Stages[i]; s.Name != stage && reached[s.Name] {
			list = append(list, s)
		}
	}
	return list
}

// Apply is the facts after a reset: the run is open again and no longer canceled.
func (f Facts) Apply(reset Reset) Facts {
	f.Stages, f.Jobs = maps.Clone(f.Stages), maps.Clone(f.Jobs)
	f.Canceled, f.Result = false, ""
	for name, n := range reset.Stages {
		f.Stages[name] = StageFacts{Attempt: n, Unwanted: f.Stages[name].Unwanted}
	}
	for id, n := range reset.Jobs {
		f.Jobs[id] = JobFacts{Attempt: n}
	}
	return f
}
