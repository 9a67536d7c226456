package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// runner runs the steps of one job.
type runner struct {
	config  Config
	client  *client
	reports *reporter
	work    job.Assignment
	mask    *masker
	folders folders
	cache   *cache // nil without caches
	builder *builderDoor

	hard context.Context // its end stops everything at once
	stop context.CancelCauseFunc
	soft context.Context // its end cancels: the step that runs is stopped, later ones run if their condition says so

	cancelSoft context.CancelCauseFunc

	mu    sync.Mutex // guards what follows; logging commands come from goroutines of processes
	vars  variable.Set
	path  []string  // folders put before PATH, the last first
	left  []running // that steps left behind
	posts []postStep

	setEnv    map[string]string // that tasks set for the steps that follow
	limit     *allowance        // the job's time, which stands still while it waits for a person
	waitLeft  time.Duration     // how long it may still wait
	pauses    int
	terminals terminals

	endpoints     map[string][]endpointChange // of service connections, by id or name in lower case
	targets       map[string]*target          // containers beside the job's own, by name in lower case
	published     map[string]bool             // artifacts of publish steps, by name in lower case
	secureFiles   []string                    // paths of those that are to be deleted
	taskVariables map[*plan.Step]variable.Set
	sshKeys       *installedKeys // nil without any

	packages map[slipway.Digest]string // folders of unpacked tasks
	preJobs  []int                     // steps that are parts of tasks, before the job's own

	state struct{ failed, issues bool }
}

// folders are where a job finds its things.
type folders struct {
	root, workspace string
	// sources is where steps begin, and checkouts where repositories go; both are s, if no checkout says otherwise.
	sources, checkouts, staging, binaries, tests, temp, tools string
}

func newRunner(c Config, cl *client, reports *reporter, work job.Assignment, hard context.Context, stop context.CancelCauseFunc) *runner {
	workspace := filepath.Join(c.Folder, "1")
	if c.Machine.ID != 0 { // which keeps a workspace for each pipeline
		workspace = filepath.Join(c.Folder, work.Pipeline.String())
	}
	r := &runner{config: c, client: cl, reports: reports, work: work, mask: &masker{}, hard: hard, stop: stop, vars: work.Variables.Clone(), taskVariables: map[*plan.Step]variable.Set{}, packages: map[slipway.Digest]string{}, targets: map[string]*target{}, published: map[string]bool{}, endpoints: map[string][]endpointChange{},
		folders: folders{root: c.Folder, workspace: workspace, sources: filepath.Join(workspace, "s"), checkouts: filepath.Join(workspace, "s"), staging: filepath.Join(workspace, "a"),
			binaries: filepath.Join(workspace, "b"), tests: filepath.Join(workspace, "TestResults"),
			temp: filepath.Join(c.Folder, "_temp"), tools: filepath.Join(c.Folder, "_tool")}}
	r.soft, r.cancelSoft = context.WithCancelCause(hard)
	r.mask.Add(c.Token)
	for _, secret := range work.Variables.Secrets() {
		r.mask.Add(secret)
	}
	r.predefine()
	return r
}

// predefine sets the variables that only the agent knows.
func (r *runner) predefine() {
	f, host := r.folders, hostName()
	id, name := "1", "Slipway "+host
	if r.config.Machine.ID != 0 {
		id, name = strconv.FormatInt(r.config.Machine.ID, 10), r.config.Machine.Name
	}
	machine := map[string]string{"amd64": "X64", "arm64": "ARM64", "arm": "ARM", "386": "X86"}[runtime.GOARCH]
	for name, text := range map[string]string{
		variable.AgentBuildDirectory: f.workspace, variable.AgentHomeDirectory: f.root, variable.AgentID: id, variable.AgentJobName: r.work.Title,
		variable.AgentMachineName: host, variable.AgentName: name, variable.AgentOS: "Linux", variable.AgentOSArchitecture: machine,
		variable.AgentTempDirectory: f.temp, variable.AgentToolsDirectory: f.tools, variable.AgentWorkFolder: f.root, variable.SystemWorkFolder: f.root,
		variable.PipelineWorkspace: f.workspace, variable.BuildSourcesDirectory: f.sources, variable.BuildRepositoryLocalPath: f.sources,
		variable.SystemDefaultWorkingDirectory: f.sources, variable.BuildArtifactStagingDirectory: f.staging, variable.BuildStagingDirectory: f.staging,
		variable.BuildBinariesDirectory: f.binaries, variable.CommonTestResultsDirectory: f.tests, variable.SystemArtifactsDirectory: f.staging,
		variable.AgentJobStatus: string(schedule.Succeeded), variable.SystemTeamFoundationURI: r.config.URL + "/", variable.SystemTeamFoundationServerURI: r.config.URL + "/",
		variable.AgentVersion: variable.AgentRelease, variable.AgentRootDirectory: f.root, variable.AgentIsSelfHosted: "1",
	} {
		r.vars.Put(name, variable.Value{Text: text, ReadOnly: true})
	}
	r.predefineCheckout()
	r.vars.Put(variable.SystemAccessToken, variable.Value{Text: r.config.Token, Secret: true, ReadOnly: true})
}

// predefineCheckout sets what the checkout of the run's own repository, or the only one, asks for: UpdateCheckoutTasksAndVariables in
// BuildJobExtension.cs of microsoft/azure-pipelines-agent.
func (r *runner) predefineCheckout() {
	var checkouts []*plan.Checkout
	for _, st := range r.work.Steps {
		if st.Checkout != nil {
			checkouts = append(checkouts, st.Checkout)
		}
	}
	clean := false
	for _, c := range checkouts {
		if len(checkouts) > 1 && !strings.EqualFold(c.Repository, "self") {
			continue
		}
		asked := r.vars.Expand(c.Clean)
		clean = asked != "" && !strings.EqualFold(asked, "false") // what is no boolean counts as true there
		submodules := r.vars.Expand(c.Submodules)
		r.vars.Put(variable.BuildRepositorySubmodules, variable.Value{Text: trueOrFalse(submodules != "" && !strings.EqualFold(submodules, "false")), ReadOnly: true})
	}
	r.vars.Put(variable.BuildRepositoryClean, variable.Value{Text: trueOrFalse(clean), ReadOnly: true})
}

// trueOrFalse is a boolean as variables of Azure Pipelines have it.
func trueOrFalse(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "agent"
	}
	return name
}

// cancel asks to stop gently, for the reason; what still runs when the job's time after a cancel is over is ended.
func (r *runner) cancel(reason error) {
	r.cancelSoft(reason)
	limit := time.Duration(r.work.CancelTimeoutInMinutes) * time.Minute
	timer := time.AfterFunc(limit, func() { r.stop(errCancelLimit) })
	context.AfterFunc(r.hard, func() { timer.Stop() })
}

// run runs all steps and says how the job ended.
func (r *runner) run() job.Completion {
	r.limit = newAllowance(time.Duration(r.work.TimeoutInMinutes)*time.Minute, func() { r.cancel(errTimeout) })
	defer r.limit.stop()
	r.waitLeft = time.Duration(min(r.work.StopAtFailure, job.MaxStopMinutes)) * time.Minute
	for _, st := range r.work.Steps {
		r.reports.put(job.StepRecord{ID: st.ID, Name: st.Name, DisplayName: r.expand(st.DisplayName)})
	}
	end := job.Completion{}
	if err := r.prepare(); err != nil {
		end = job.Completion{Result: schedule.Failed, Reason: err.Error()}
	} else {
		r.builder = r.openBuilder()
		defer r.builder.close()
		r.runPres()
		for i := range r.work.Steps {
			r.step(&r.work.Steps[i], (*task).do)
		}
		r.runPosts()
		end = r.result()
	}
	r.terminals.end()
	r.endProcesses()
	r.removeSecureFiles()
	r.reports.mu.Lock()
	end.Outputs = r.reports.outputs
	r.reports.mu.Unlock()
	return end
}

// prepare makes the folders and writes the job's own first log.
func (r *runner) prepare() error {
	record := job.StepRecord{ID: 0, DisplayName: "Initialize job", State: schedule.Running, Started: time.Now().UnixMicro()}
	r.reports.put(record)
	spool, err := r.reports.open(0)
	if err != nil {
		return err
	}
	log := &stepLog{spool: spool, mask: r.mask}
	log.Printf("##[section]Starting: %s", r.work.Title)
	log.Printf("Job %d of run %d, attempt %d, on %s (%s/%s)", r.work.Job, r.work.Run, r.work.Attempt, hostName(), runtime.GOOS, runtime.GOARCH)
	r.servicePorts(log.Printf)
	f := r.folders
	err = nil
	for _, dir := range map[string][]string{"outputs": {f.binaries}, "resources": {f.sources}, "all": {f.workspace}}[r.work.Workspace] {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if r.config.Machine.ID != 0 { // which keeps its folders, but for those that every job finds empty
		for _, dir := range []string{f.staging, f.tests, f.temp} {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	for _, dir := range []string{f.sources, f.staging, f.binaries, f.tests, f.temp, f.tools} {
		err = errors.Join(err, os.MkdirAll(dir, 0o755))
	}
	record.Result = schedule.Succeeded
	if err != nil {
		log.Printf("##[error]The workspace cannot be made: %v", err)
		record.Result = schedule.Failed
		err = fmt.Errorf("make the workspace: %w", err)
	}
	record.State, record.Finished = schedule.Completed, time.Now().UnixMicro()
	r.reports.put(record)
	return err
}

// result is how the job ended, by what its steps came to.
func (r *runner) result() job.Completion {
	cause := context.Cause(r.soft)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(cause, errTimeout):
		return job.Completion{Result: schedule.Failed, Reason: fmt.Sprintf("the job ran longer than its limit of %d minutes", r.work.TimeoutInMinutes)}
	case errors.Is(cause, errCanceled):
		return job.Completion{Result: schedule.Canceled, Reason: errCanceled.Error()}
	case cause != nil:
		return job.Completion{Result: schedule.Failed, Reason: cause.Error()}
	case r.state.failed:
		return job.Completion{Result: schedule.Failed}
	case r.state.issues:
		return job.Completion{Result: schedule.SucceededWithIssues}
	}
	return job.Completion{Result: schedule.Succeeded}
}

// expand replaces macros of text by the variables as they are now.
func (r *runner) expand(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.vars.Expand(text)
}

// status answers the status functions of a step's condition.
func (r *runner) status(function string, _ []string) (bool, error) {
	canceled := r.soft.Err() != nil
	r.mu.Lock()
	failed := r.state.failed
	r.mu.Unlock()
	switch function {
	case "always":
		return true, nil
	case "canceled":
		return canceled, nil
	case "succeeded":
		return !canceled && !failed, nil
	case "failed":
		return !canceled && failed, nil
	case "succeededorfailed":
		return !canceled, nil
	}
	return false, fmt.Errorf("%s() is not known", function)
}

// holds evaluates a step's condition, with a sentence that says how it came about.
func (r *runner) holds(st *plan.Step) (bool, string, error) {
	condition := st.Condition
	if strings.TrimSpace(condition) == "" {
		condition = "succeeded()"
	}
	e, err := expression.Parse(condition, expression.Scope{Names: []string{"variables"}, Status: true})
	if err != nil {
		return false, "", fmt.Errorf("condition %s: %w", condition, err)
	}
	fields := &expression.Fields{}
	r.mu.Lock()
	for _, name := range r.vars.Names() {
		v, _ := r.vars.Get(name)
		value := expression.Str(r.vars.Expand(v.Text))
		if v.Secret {
			value = expression.Secret(v.Text)
		}
		fields.Put(name, value)
	}
	r.mu.Unlock()
	v, why, err := e.Explain(expression.Environment{Names: map[string]expression.Value{"variables": expression.Obj(fields)}, Status: r.status})
	if err != nil {
		return false, "", fmt.Errorf("condition %s: %w", condition, err)
	}
	return v.Truth(), why, nil
}
