package localrun

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/agent"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Options say what to run and how.
type Options struct {
	// Input is the pipeline file. Its predefined variables are filled in.
	Input compile.Input
	// Top is the working tree with the file.
	Top string
	// Repositories are the working trees of resources.repositories, and of checkouts as git://PROJECT/REPOSITORY@REF, that are here, by alias in
	// lower case.
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
	// Machine runs deployments to machines on this one; false skips these.
	Machine bool
	// Deployer reaches the cluster for deployment jobs; nil skips these.
	Deployer Deployer
	// Decide is asked what a job does at a step that failed, about one at a time, until ctx ends; nil when jobs do not stop at failures.
	Decide func(ctx context.Context, s Stopped) job.Decision
	// OwnProcess says that this process does nothing but this run: what steps leave running becomes its child, however they detach it,
	// and ends with the run. Without it some of what has shaken off its step's environment runs on.
	OwnProcess bool
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
	if o.OwnProcess {
		if err = agent.BecomeSubreaper(); err != nil {
			return nil, err
		}
	}
	if r.source, err = openSource(ctx, o.Top, filepath.Join(o.Folder, "self.git")); err != nil {
		return nil, err
	}
	for i, alias := range slices.Sorted(maps.Keys(o.Repositories)) {
		if r.others[alias], err = openSource(ctx, o.Repositories[alias], filepath.Join(o.Folder, fmt.Sprintf("repository-%d.git", i+1))); err != nil {
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

// Changes lists the files, from the working tree's folder on, in which one tree is another than before, but for those in the folder
// without, which may be "" for none.
func (r *Runner) Changes(ctx context.Context, before, after, without string) ([]string, error) {
	return r.source.changes(ctx, before, after, without)
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
	if err := r.checkRepositories(p); err != nil {
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
	e.loop(ctx)
	e.close()
	if r.options.OwnProcess {
		if err := agent.EndAllLeft(r.options.Folder); err != nil {
			return nil, fmt.Errorf("end what steps have left running: %w", err)
		}
	}
	return e.report(), nil
}

// compile makes the plan of what is chosen.
func (r *Runner) compile(known variable.Set) (*plan.Plan, error) {
	in := r.options.Input
	in.Registry = cmp.Or(in.Registry, r.options.Registry)
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
		variable.SystemTeamProject: r.source.name, variable.SystemTeamProjectID: r.source.name, variable.SystemCollectionURI: "http://localhost/", variable.SystemCollectionID: variable.CollectionID,
		variable.SystemPipelineStartTime: expression.Time(now).String(),
		variable.SystemHostType:          "build", variable.SystemCulture: "en-US", variable.TFBuild: "True", variable.SystemIsScheduled: "False",
		variable.SystemDefinitionName: r.source.name, variable.BuildDefinitionVersion: "1", variable.BuildQueuedBy: r.source.author, variable.BuildQueuedByID: r.source.author,
	} {
		set.Put(name, variable.Value{Text: text, ReadOnly: true})
	}
	return set
}

// checkRepositories refuses folders of repositories that the file does not declare.
func (r *Runner) checkRepositories(p *plan.Plan) error {
	var declared []string
	for _, one := range p.Resources.Repositories {
		declared = append(declared, one.Alias)
	}
	for _, alias := range slices.Sorted(maps.Keys(r.others)) {
		if among(declared, alias) {
			continue
		}
		instead := nearest.Suggest(alias, declared)
		if instead == "" {
			instead = ": resources.repositories has " + cmp.Or(strings.Join(declared, ", "), "none")
		}
		return slipway.Invalid("--repository %s=…: the file declares no such repository%s", alias, instead)
	}
	return nil
}

// repositories are what checkout steps may fetch.
func (r *Runner) repositories(ctx context.Context, p *plan.Plan, self snapshot) (map[string]job.Repository, error) {
	list := map[string]job.Repository{"self": r.source.repository(self)}
	for _, declared := range p.Resources.Repositories {
		other := r.others[strings.ToLower(declared.Alias)]
		if other == nil {
			continue // a checkout of it says that it is not here
		}
		snap, err := other.take(ctx)
		if err != nil {
			return nil, err
		}
		list[strings.ToLower(declared.Alias)] = other.repository(snap)
	}
	return list, nil
}
