package localrun

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/agent"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// Options say what to run and how.
type Options struct {
	// Input is the pipeline file. Its predefined variables are filled in.
	Input compile.Input
	// Top is the working tree with the file.
	Top string
	// Repositories are the working trees of resources.repositories that are here, by alias in lower case.
	Repositories map[string]string
	Choice       Choice
	// Tasks are those that the file may use besides the built-in ones, by their digests; Input has their definitions.
	Tasks map[slipway.Digest]*extension.Task
	// Variables win over those of the file, as those that are set when a run is queued.
	Variables variable.Set
	// OnHost runs the jobs of containers on this machine too, and starts no services.
	OnHost bool
	// Engine is the program that runs containers, docker or podman; empty is the first of them that answers.
	Engine string
	// Agent is the path of the static agent, which runs in containers.
	Agent string
	// Parallel is how many jobs run at once, 0 for the number of processors.
	Parallel int
	// Registry is the host of the registry that Docker@2 pushes to; empty is localhost:5000.
	Registry string
	// Deployer reaches the cluster for deployment jobs; nil skips these.
	Deployer Deployer
	// Decide is asked what a job does at a step that failed, about one at a time, until ctx ends; nil when jobs do not stop at failures.
	Decide func(ctx context.Context, s Stopped) job.Decision
	// Folder is where the run works: workspaces, artifacts, logs. It must be empty.
	Folder string
	// Out takes the logs and what happens, line by line.
	Out io.Writer
	// Kill, when it ends, stops jobs at once.
	Kill   context.Context
	Logger *slog.Logger
}

// Runner runs one file on this machine, once or again and again.
type Runner struct {
	options Options
	source  *source
	others  map[string]*source
	count   int
}

// NewRunner looks at the repositories. It changes nothing in them.
func NewRunner(ctx context.Context, o Options) (*Runner, error) {
	if o.Parallel <= 0 {
		o.Parallel = runtime.NumCPU()
	}
	if o.Registry == "" {
		o.Registry = "localhost:5000"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Kill == nil {
		o.Kill = context.WithoutCancel(ctx)
	}
	r := &Runner{options: o, others: map[string]*source{}}
	var err error
	if r.source, err = openSource(ctx, o.Top, filepath.Join(o.Folder, "self.git")); err != nil {
		return nil, err
	}
	for alias, top := range o.Repositories {
		if r.others[alias], err = openSource(ctx, top, filepath.Join(o.Folder, "repository-"+alias+".git")); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Tree names the working tree as it is now: another name says that something has changed.
func (r *Runner) Tree(ctx context.Context) (string, error) {
	s, err := r.source.take(ctx)
	return s.tree, err
}

// Run runs the file as it is now. The end of ctx cancels the run: what runs is stopped, and steps that run after a
// cancel do. Mistakes in the file are an error; a run that fails is none.
func (r *Runner) Run(ctx context.Context) (*Report, error) {
	r.count++
	began := time.Now()
	snap, err := r.source.take(ctx)
	if err != nil {
		return nil, err
	}
	known := r.predefined(snap, began)
	p, err := r.compile(known)
	if err != nil {
		return nil, err
	}
	e := &execution{Runner: r, plan: p, began: began, jobs: map[string]*work{}, ended: make(chan ended),
		door:   &door{token: rand.Text(), tasks: r.options.Tasks, deployer: r.options.Deployer, folder: filepath.Join(r.options.Folder, fmt.Sprintf("artifacts-%d", r.count)), jobs: map[slipway.JobID]*work{}, artifacts: map[string]slipway.JobID{}, decide: r.options.Decide},
		places: make(chan struct{}, r.options.Parallel)}
	if e.repositories, err = r.repositories(ctx, p, snap); err != nil {
		return nil, err
	}
	if err := e.resolve(known); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(e.door.folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of artifacts: %w", err)
	}
	if err := e.listen(); err != nil {
		return nil, err
	}
	defer e.close()
	e.loop(ctx)
	return e.report(), nil
}

// compile makes the plan of what is chosen.
func (r *Runner) compile(known variable.Set) (*plan.Plan, error) {
	in := r.options.Input
	in.Variables = maps.Clone(in.Variables)
	if in.Variables == nil {
		in.Variables = map[string]string{}
	}
	for _, name := range known.Names() {
		if _, ok := in.Variables[name]; !ok {
			in.Variables[name] = known.Text(name)
		}
	}
	p, err := compile.Compile(in)
	if err != nil {
		return nil, err
	}
	return p, r.options.Choice.apply(p)
}

// predefined are the variables that a server would know.
func (r *Runner) predefined(snap snapshot, now time.Time) variable.Set {
	var set variable.Set
	first, _, _ := strings.Cut(snap.message, "\n")
	id := fmt.Sprint(r.count)
	for name, text := range map[string]string{
		variable.BuildBuildID: id, variable.BuildBuildURI: "vstfs:///Build/Build/" + id, variable.BuildDefinitionID: "1", variable.BuildDefinitionName: r.source.name,
		variable.BuildReason: variable.ReasonManual, variable.BuildSourceBranch: r.source.branch, variable.BuildSourceBranchName: variable.BranchName(r.source.branch),
		variable.BuildSourceVersion: string(snap.commit), variable.BuildSourceVersionMessage: first, variable.BuildSourceVersionAuthor: r.source.author,
		variable.BuildRepositoryID: r.source.name, variable.BuildRepositoryName: r.source.name, variable.BuildRepositoryProvider: "TfsGit",
		variable.BuildRepositoryURI: r.source.url(), variable.BuildRequestedFor: r.source.author, variable.BuildRequestedForEmail: r.source.email,
		variable.SystemTeamProject: r.source.name, variable.SystemTeamProjectID: r.source.name, variable.SystemCollectionURI: "http://localhost/",
		variable.SystemPipelineStartTime: expression.Time(now).String(),
		variable.SystemHostType:          "build", variable.SystemCulture: "en-US", variable.TFBuild: "True",
	} {
		set.Put(name, variable.Value{Text: text, ReadOnly: true})
	}
	return set
}

// repositories are what checkout steps may fetch.
func (r *Runner) repositories(ctx context.Context, p *plan.Plan, self snapshot) (map[string]job.Repository, error) {
	list := map[string]job.Repository{"self": {Name: r.source.name, URL: r.source.url(), Ref: r.source.branch, Commit: self.commit}}
	for _, declared := range p.Resources.Repositories {
		other := r.others[strings.ToLower(declared.Alias)]
		if other == nil {
			continue // a checkout of it says that it is not here
		}
		snap, err := other.take(ctx)
		if err != nil {
			return nil, err
		}
		list[strings.ToLower(declared.Alias)] = job.Repository{Name: other.name, URL: other.url(), Ref: other.branch, Commit: snap.commit}
	}
	return list, nil
}

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
	case j.Deployment != nil && e.options.Deployer == nil:
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
	}
	e.jobs[a.Instance] = w
	e.door.mu.Lock()
	e.door.jobs[id] = w
	e.door.mu.Unlock()
	go e.work(w)
}

// maxTimeout is the longest that a job without a limit of its own runs, in minutes.
const maxTimeout = 7 * 24 * 60

// work runs a job's agent when there is a place for it.
func (e *execution) work(w *work) {
	select {
	case e.places <- struct{}{}:
		defer func() { <-e.places }()
	case <-w.canceled:
		e.ended <- ended{w.instance, job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"}}
		return
	}
	err := e.runAgent(w)
	end := job.Completion{Result: schedule.Failed, Reason: "its agent ended without a result"}
	select {
	case end = <-w.end:
	default:
		if err != nil {
			end.Reason = err.Error()
		}
		select {
		case <-w.canceled:
			end = job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"}
		default:
		}
		e.say("##[section]Job %s: %s, %s", title(w.instance), end.Result, end.Reason)
	}
	e.ended <- ended{w.instance, end}
}

// runAgent runs a job's agent, here or in the job's container, with the job's services beside it.
func (e *execution) runAgent(w *work) error {
	folder := filepath.Join(e.options.Folder, fmt.Sprintf("run-%d-job-%d", e.count, w.assignment.Job))
	if w.container == nil && len(w.services) == 0 {
		return agent.Run(e.options.Kill, agent.Config{URL: e.url, Job: w.assignment.Job, Token: e.door.token, Registry: e.options.Registry, Folder: folder, Logger: e.options.Logger, PlainLogs: true})
	}
	ctx, stop := e.whileWanted(w)
	defer stop()
	engine, err := e.engine(ctx)
	if err != nil {
		return err
	}
	b := &box{execution: e, engine: engine, work: w, name: engine.name(w.assignment.Job)}
	defer b.remove()
	if err := b.makeVolumes(ctx); err != nil {
		return err
	}
	if err := b.startServices(ctx); err != nil {
		return err
	}
	if w.container == nil {
		return agent.Run(e.options.Kill, agent.Config{URL: e.url, Job: w.assignment.Job, Token: e.door.token, Registry: e.options.Registry, Folder: folder, Logger: e.options.Logger, PlainLogs: true})
	}
	return b.runAgent(ctx)
}

// whileWanted is a context that ends when the job is canceled before its agent has begun, or everything is stopped.
func (e *execution) whileWanted(w *work) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(e.options.Kill)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-w.canceled:
		}
		w.mu.Lock()
		begun := w.begun
		w.mu.Unlock()
		if !begun {
			stop()
		}
	}()
	return ctx, stop
}

// close ends the doors.
func (e *execution) close() {
	e.server.Close()
	e.containers.close()
}

// title is an instance's name without what every file of jobs or steps has.
func title(instance string) string {
	return strings.TrimPrefix(strings.TrimPrefix(instance, plan.DefaultStage+"."), plan.DefaultJob)
}

// say writes a line of the run itself.
func (e *execution) say(format string, args ...any) {
	e.out.Lock()
	defer e.out.Unlock()
	fmt.Fprintf(e.options.Out, format+"\n", args...)
}

// lines writes a job's log without the times, each line with the job's name before it when there are several.
func (e *execution) lines(instance string) func([]byte) {
	prefix := ""
	if several(e.plan) {
		prefix = title(instance) + " | "
	}
	var out []byte // room for the lines, used while e.out is held
	return func(text []byte) {
		e.out.Lock()
		defer e.out.Unlock()
		out = out[:0]
		for line := range bytes.Lines(text) {
			if _, rest, ok := bytes.Cut(line, []byte(" ")); ok {
				line = rest
			}
			out = append(append(out, prefix...), line...)
		}
		_, _ = e.options.Out.Write(out) // who reads no more has his reasons
	}
}

func several(p *plan.Plan) bool {
	n := 0
	for i := range p.Stages {
		for k := range p.Stages[i].Jobs {
			n++
			if p.Stages[i].Jobs[k].Strategy != nil {
				n++
			}
		}
	}
	return n > 1
}
