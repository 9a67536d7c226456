package localrun

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// execution is one run.
type execution struct {
	*Runner
	plan         *plan.Plan
	facts        schedule.Facts
	door         *door
	server       *http.Server
	url          string
	repositories map[string]job.Repository
	number       string
	began        time.Time
	places       chan struct{} // one for each job that runs
	ended        chan ended
	jobs         map[string]*work // by instance
	skipped      map[string]string
	containers   containers

	out sync.Mutex
}

// ended is the end of a job's agent.
type ended struct {
	instance   string
	completion job.Completion
}

// resolve makes the variables of the run. Groups live at a server: here they are empty, and their variables are given by hand.
func (e *execution) resolve(known variable.Set) error {
	groups := map[string]variable.Set{}
	for _, name := range e.plan.Groups() {
		groups[name] = variable.Set{}
		e.say("##[warning]The variable group %s is not here: give its variables with --variable or --secret.", name)
	}
	for _, warning := range e.slips() {
		e.say("##[warning]%s", warning)
	}
	for alias, r := range e.repositories {
		known.Put(plan.RepositoryVariable(alias, "url"), variable.Value{Text: r.URL, ReadOnly: true})
		known.Put(plan.RepositoryVariable(alias, "version"), variable.Value{Text: string(r.Commit), ReadOnly: true})
	}
	set, err := schedule.ResolveRun(e.plan, known, e.options.Variables, groups, func(_ string, seed int) (int, error) { return seed + e.count - 1, nil })
	if err != nil {
		return err
	}
	if _, err := schedule.Settle(e.plan, set); err != nil {
		return err
	}
	e.number, err = variable.Number(e.plan.Name, set, e.began, func(string, string) (int, error) { return e.count, nil })
	if err != nil {
		return err
	}
	set.PutText(variable.BuildBuildNumber, e.number)
	e.facts = schedule.Facts{Variables: set, Groups: groups}
	e.skipped = map[string]string{}
	return nil
}

func (e *execution) listen() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the jobs: %w", err)
	}
	e.url = "http://" + listener.Addr().String()
	e.server = &http.Server{Handler: e.door.handler(e.options.Logger), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = e.server.Serve(listener) }() // ends with Close
	return nil
}

// loop decides and does until the run is over.
func (e *execution) loop(ctx context.Context) {
	canceled := ctx.Done()
	for {
		e.decide()
		if e.facts.Result != "" {
			return
		}
		select {
		case end := <-e.ended:
			f := e.facts.Jobs[end.instance]
			f.State, f.Result, f.Outputs, f.Reason = schedule.Completed, end.completion.Result, end.completion.Outputs, end.completion.Reason
			jobs := maps.Clone(e.facts.Jobs)
			jobs[end.instance] = f
			e.facts.Jobs = jobs
		case <-canceled:
			canceled = nil
			e.facts.Canceled = true
			e.say("##[warning]The run is canceled; once more stops it at once.")
		}
	}
}

// decide does what the scheduler says until there is nothing more to do.
func (e *execution) decide() {
	for {
		actions := schedule.Next(e.plan, e.facts)
		if len(actions) == 0 {
			return
		}
		for _, a := range actions {
			e.facts = e.facts.Record(a)
			e.do(a)
		}
	}
}

// do is what an action means here.
func (e *execution) do(a schedule.Action) {
	switch a.Kind {
	case schedule.ActionStartChecks:
		// What approvals protect does not run here.
		e.stage(a.Stage, func(f *schedule.StageFacts) { f.Checks = schedule.ChecksApproved })
	case schedule.ActionChooseMachines:
		e.skipMachines(a)
	case schedule.ActionStartJob:
		e.begin(a)
	case schedule.ActionCancelJob:
		if j := e.jobs[a.Instance]; j != nil {
			close(j.canceled)
		}
	case schedule.ActionSkipStage:
		e.say("##[section]Stage %s: %s, %s", a.Stage, a.Result, a.Reason)
	case schedule.ActionSkipJob, schedule.ActionFailJob:
		e.say("##[section]Job %s: %s, %s", title(a.Instance), a.Result, a.Reason)
	}
}

func (e *execution) stage(name string, change func(*schedule.StageFacts)) {
	stages := maps.Clone(e.facts.Stages)
	f := stages[name]
	change(&f)
	stages[name] = f
	e.facts.Stages = stages
}

// skipMachines settles a deployment to machines, or makes this one the only one.
func (e *execution) skipMachines(a schedule.Action) {
	jobs := maps.Clone(e.facts.Jobs)
	f := jobs[a.Instance]
	if e.options.Machine {
		e.say("##[section]Job %s deploys to the machines of environment %s: it runs on this one, and its checks are not asked for", title(a.Instance), a.Environment.Name)
		f.Legs = []plan.Leg{{Name: "localhost", Variables: map[string]string{plan.MachineVariable: "1"}}}
	} else {
		f.State, f.Result, f.Reason = schedule.Completed, schedule.Skipped, "it deploys to the machines of environment "+a.Environment.Name+": give --as-machine to run it on this one"
		e.say("##[section]Job %s: %s, %s", title(a.Instance), f.Result, f.Reason)
	}
	jobs[a.Instance] = f
	e.facts.Jobs = jobs
}

// begin starts a job that can run here, and settles one that cannot.
func (e *execution) begin(a schedule.Action) {
	stage := e.plan.Stage(a.Stage)
	j := stage.Job(a.Job)
	if j == nil {
		_, name, _ := plan.SplitInstanceID(a.Instance)
		j = stage.Job(name)
	}
	settle := func(instance string, result schedule.Result, reason string) {
		jobs := maps.Clone(e.facts.Jobs)
		jobs[instance] = schedule.JobFacts{Attempt: 1, State: schedule.Completed, Result: result, Reason: reason}
		e.facts.Jobs = jobs
		e.say("##[section]Job %s: %s, %s", title(instance), result, reason)
	}
	switch {
	case j.Deployment != nil && !j.Deployment.Machines() && e.options.Deployer == nil:
		name := j.Deployment.Environment.Name
		if a.Environment != nil {
			name = a.Environment.Name
		}
		settle(plan.InstanceID(stage.Name, j.Name, ""), schedule.Skipped, "it deploys to environment "+name+": name a cluster with --kubeconfig to run it")
	default:
		e.start(a, stage, j)
	}
}

// start gives the job to an agent.
func (e *execution) start(a schedule.Action, stage *plan.Stage, j *plan.Job) {
	instances := plan.Instances(stage, j, e.facts.Jobs[plan.InstanceID(stage.Name, j.Name, "")].Legs)
	i := instances[slices.IndexFunc(instances, func(i plan.Instance) bool { return i.ID == a.Instance })]
	id := slipway.JobID(len(e.jobs) + 1)
	w := &work{instance: a.Instance, canceled: make(chan struct{}), end: make(chan job.Completion, 1),
		sizes: map[int]int64{}, partial: map[int][]byte{}, steps: map[int]job.StepRecord{}, lines: e.lines(a.Instance),
		assignment: job.Assignment{Version: job.Version, Project: slipway.ProjectID(e.source.name), Run: slipway.RunID(e.count), Job: id, Pipeline: 1, Instance: a.Instance,
			Title: i.Title(), Attempt: 1, Steps: i.Steps(), Variables: a.Variables, Repositories: e.repositories, Workspace: j.Workspace,
			TimeoutInMinutes: j.TimeoutInMinutes, CancelTimeoutInMinutes: max(j.CancelTimeoutInMinutes, 1), Registry: e.options.Registry}}
	if w.assignment.TimeoutInMinutes <= 0 {
		w.assignment.TimeoutInMinutes = maxTimeout
	}
	if a.Environment != nil {
		w.environment = a.Environment.Name
		w.deployment = slipway.DeploymentID(e.began.Unix()*1000 + int64(id))
		e.say("##[section]Job %s deploys to environment %s; its checks are not asked for", title(a.Instance), w.environment)
	}
	if e.options.Decide != nil {
		w.assignment.StopAtFailure = job.MaxStopMinutes
	}
	if !e.options.OnHost {
		w.container, w.services = e.containersOf(j, a.Variables)
		w.targets = e.targetsOf(i, a.Variables)
	} else {
		w.assignment.Steps = withoutTargets(w.assignment.Steps)
	}
	e.jobs[a.Instance] = w
	e.door.mu.Lock()
	e.door.jobs[id] = w
	e.door.mu.Unlock()
	go e.work(w)
}

// maxTimeout is the longest that a job without a limit of its own runs, in minutes.
const maxTimeout = 7 * 24 * 60

// close ends the doors.
func (e *execution) close() {
	e.server.Close()
	e.containers.close()
}
