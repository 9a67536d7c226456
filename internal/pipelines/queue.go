package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/variable"
)

// maxFile bounds a pipeline file or template that is read, in bytes.
const maxFile = 1 << 20

// QueueRequest asks for a run.
type QueueRequest struct {
	Pipeline slipway.PipelineID
	Actor    slipway.Actor
	// Ref is a full name, refs/heads/main, or a branch's; "" is the default branch.
	Ref string
	// Commit is "" for what Ref names now. The beginning of its name is enough.
	Commit slipway.CommitID
	// Parameters are run-time parameters by name, as JSON gives them. Text is converted to the parameter's type.
	Parameters map[string]any
	// Variables set for this run alone. They win over those of the file; secrets are not seen by `${{ }}`.
	Variables variable.Set
	// SkipStages are left out, by their names in any case.
	SkipStages []string
	// StopMinutes is for how long in all each job waits for a person at steps that failed, 0 for not at all. Deployment jobs never do.
	StopMinutes int

	reason  string
	message string // of the commit, if known
	tasks   task.Catalog
	cause   string // unique, of an automatic run
	// schedule is the one that starts the run.
	schedule Schedule
	// source is the run of another pipeline that starts the run.
	source RunSource
	// resource is what happened to a resource that starts the run; nil for another reason.
	resource *resourceEvent
	// pullRequest is the one that starts the run; nil for another reason.
	pullRequest *PullRequest
	// fork is what its run may; nil for a pull request from no fork.
	fork *ForkAccess
	// foreign are the commits of repositories of other hosts, by alias, as far as they are known.
	foreign map[string]slipway.CommitID
	// claim is asked in the transaction that creates a run; claimed is told of it, or of the run of the same cause that is
	// there already. Both may be nil.
	claim   func(ctx context.Context, tx *db.Tx) error
	claimed func(ctx context.Context, tx *db.Tx, run slipway.RunID) error
}

// queue compiles and creates a run. A run of an automatic reason is created though its file is broken, and has failed.
func (s *Service) queue(ctx context.Context, d Definition, req QueueRequest) (Run, error) {
	repo, err := s.Source.Repository(ctx, d.Repository)
	if err != nil {
		return Run{}, err
	}
	run, vars, err := s.prepare(ctx, &d, &repo, &req)
	if err != nil {
		return Run{}, err
	}
	p, err := compile.Compile(s.compileInput(ctx, &d, &repo, &req, vars))
	if err != nil {
		if run.Problems = fileProblems(err, d.Path); req.reason == variable.ReasonManual || len(run.Problems) == 0 {
			return Run{}, err
		}
	}
	if p != nil && p.PlainName {
		run.Title = run.PipelineName // in place of the commit's message
	}
	if p != nil && p.ReadsResources() {
		if err := s.pinRepositories(ctx, &d, p, &vars); err != nil {
			return Run{}, err
		}
	}
	if p != nil {
		if err := s.pinForeign(ctx, &d, &req, p, &vars); err != nil {
			if run.Problems = fileProblems(err, d.Path); req.reason == variable.ReasonManual || len(run.Problems) == 0 {
				return Run{}, err
			}
			p = nil
		}
	}
	if p != nil {
		err := s.checkCheckouts(ctx, &d, &req, p)
		if err == nil {
			err = s.pinPackages(ctx, &d, &req, p, &vars)
		}
		if err != nil {
			if run.Problems = fileProblems(err, d.Path); req.reason == variable.ReasonManual || len(run.Problems) == 0 {
				return Run{}, err
			}
			p = nil
		}
	}
	if req.resource != nil {
		for name, text := range req.resource.vars {
			vars.Put(name, variable.Value{Text: text, ReadOnly: true})
		}
	}
	return run, s.create(ctx, &run, p, vars, req)
}

// pinRepositories makes known what other repositories are when the run is queued: resources.repositories of expressions
// reads these variables. A repository that is not there has none.
func (s *Service) pinRepositories(ctx context.Context, d *Definition, p *plan.Plan, vars *variable.Set) error {
	for _, r := range p.Resources.Repositories {
		if r.Foreign() || r.Implied {
			continue // pinForeign does, or no expression can name it
		}
		other, err := s.Source.FindRepository(ctx, d.Project, r.Name)
		var commit slipway.CommitID
		if err == nil {
			commit, err = s.Source.Resolve(ctx, other.ID, r.Ref)
		}
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			continue
		}
		if err != nil {
			return fmt.Errorf("read repository %s: %w", r.Name, err)
		}
		for key, text := range map[string]string{"id": string(other.ID), "url": other.URL, "version": string(commit)} {
			vars.Put(plan.RepositoryVariable(r.Alias, key), variable.Value{Text: text, ReadOnly: true})
		}
	}
	return nil
}

// prepare fills in what the request leaves open, and makes the run and its predefined variables.
func (s *Service) prepare(ctx context.Context, d *Definition, repo *Repository, req *QueueRequest) (Run, variable.Set, error) {
	if req.Ref == "" {
		req.Ref = repo.DefaultBranch
	}
	if !strings.HasPrefix(req.Ref, "refs/") {
		req.Ref = "refs/heads/" + req.Ref
	}
	var err error
	if req.tasks, err = s.Catalog(ctx); err != nil {
		return Run{}, variable.Set{}, err
	}
	if req.Commit == "" {
		if req.Commit, err = s.Source.Resolve(ctx, repo.ID, req.Ref); err != nil {
			return Run{}, variable.Set{}, field(err, FieldRef)
		}
	}
	commit, err := s.Source.Commit(ctx, repo.ID, req.Commit)
	if err != nil {
		return Run{}, variable.Set{}, field(err, FieldCommit)
	}
	if req.message == "" {
		req.message = commit.Message
	}
	run := Run{Project: d.Project, Pipeline: d.ID, PipelineName: d.Name, Reason: req.reason, Repository: d.Repository, Ref: req.Ref,
		Commit: req.Commit, Actor: req.Actor, Parameters: req.Parameters, State: RunQueued, Title: title(req.message), Queued: s.clock.Now(),
		Schedule: req.schedule.ID, ScheduleName: req.schedule.DisplayName}
	if req.pullRequest == nil {
		if req.fork, err = s.forkOf(ctx, &run); err != nil {
			return Run{}, variable.Set{}, err
		}
	}
	run.Fork = req.fork
	vars := predefined(&run, repo, commit)
	email, err := s.email(ctx, req.Actor)
	if err != nil {
		return Run{}, variable.Set{}, err
	}
	vars.Put(variable.BuildRequestedForEmail, variable.Value{Text: email, ReadOnly: true})
	if req.pullRequest != nil {
		for name, text := range req.pullRequest.variables() {
			vars.Put(name, variable.Value{Text: text, ReadOnly: true})
		}
	}
	return run, vars, nil
}

// email is a person's address; "" for another actor, or one who has none.
func (s *Service) email(ctx context.Context, actor slipway.Actor) (string, error) {
	if s.Email == nil || actor.Kind != slipway.ActorUser {
		return "", nil
	}
	address, err := s.Email(ctx, slipway.UserID(actor.ID))
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return "", nil
	}
	return address, err
}

func (s *Service) compileInput(ctx context.Context, d *Definition, repo *Repository, req *QueueRequest, vars variable.Set) compile.Input {
	in := compile.Input{
		Path: d.Path, Files: commitFiles{ctx, s.Source, repo.ID, req.Commit}, Parameters: req.Parameters, Variables: map[string]string{}, Tasks: req.tasks,
		Repository: func(r plan.Repository) (compile.Files, error) {
			if r.Foreign() {
				return s.foreignFiles(ctx, d, req, &r)
			}
			other, err := s.Source.FindRepository(ctx, d.Project, r.Name)
			if err == nil && other.Project != d.Project && req.fork != nil && !req.fork.Secrets {
				err = slipway.Invalid("repository %s: a pull request from a fork gets no repositories of other projects", r.Name).At(r.At)
			}
			if err != nil {
				return nil, err
			}
			if req.resource.is(plan.ResourceRepository, r.Alias) {
				return commitFiles{ctx, s.Source, other.ID, req.resource.commit}, nil
			}
			ref := r.Ref
			if ref == "" {
				ref = other.DefaultBranch
			}
			commit, err := s.Source.Resolve(ctx, other.ID, ref)
			if err != nil {
				return nil, err
			}
			return commitFiles{ctx, s.Source, other.ID, commit}, nil
		},
	}
	if pools, err := s.poolSet(ctx, s.db); err != nil {
		s.Logger.Error("the pools cannot be read: demands are compared when jobs start", "error", err)
	} else {
		in.Pools = func(name string) (map[string]string, bool) {
			p := pools.named(name)
			if p == nil {
				return nil, false
			}
			return p.capabilities(), true
		}
		in.Images = func(name string) bool {
			p := pools.named(name)
			return s.Images[strings.ToLower(name)] != "" || p != nil && p.Image != ""
		}
	}
	in.Registry = s.Registry
	if req.resource != nil && req.resource.kind == plan.ResourceWebhook {
		in.Webhook, in.Payload = req.resource.alias, req.resource.payload
	}
	for _, name := range vars.Names() {
		in.Variables[name] = vars.Text(name)
	}
	for _, name := range req.Variables.Names() {
		if v, _ := req.Variables.Get(name); !v.Secret {
			in.Variables[name] = v.Text
		}
	}
	return in
}

// commitFiles reads files of a repository at one commit.
type commitFiles struct {
	ctx        context.Context
	source     Source
	repository slipway.RepositoryID
	commit     slipway.CommitID
}

// ReadFile implements compile.Files.
func (f commitFiles) ReadFile(path string) ([]byte, error) {
	b, err := f.source.ReadFile(f.ctx, f.repository, f.commit, path, maxFile)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return b, err
}

// List implements compile.Lister.
func (f commitFiles) List(folder string) []string {
	names, err := f.source.List(f.ctx, f.repository, f.commit, folder)
	if err != nil {
		return nil // what it serves for, a suggestion, is then not made
	}
	return names
}

// fileProblems are the mistakes of files in err's tree.
func fileProblems(err error, path string) []FileProblem {
	var list []FileProblem
	var walk func(error)
	walk = func(err error) {
		if p, ok := err.(*slipway.Problem); ok { //nolint:errorlint // walks the tree itself
			at := slipway.Position{File: path}
			if p.Position != nil {
				at = *p.Position
			}
			list = append(list, FileProblem{At: at, Message: p.Message})
			return
		}
		switch e := err.(type) { //nolint:errorlint // walks the tree itself
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				walk(one)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	if len(list) == 0 && errors.Is(err, fs.ErrNotExist) {
		list = append(list, FileProblem{At: slipway.Position{File: path}, Message: "there is no such file at this commit"})
	}
	return list[:min(len(list), 100)]
}

func title(message string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	if len(first) > 300 {
		first = strings.ToValidUTF8(first[:300], "") + "…"
	}
	return first
}

// predefined are the variables known before a run exists. Only a run that somebody asked for is queued by a person; the server queues the
// others for one (learn.microsoft.com/azure/devops/pipelines/build/variables, How are the identity variables set?).
func predefined(r *Run, repo *Repository, c Commit) variable.Set {
	var set variable.Set
	queuedBy := slipway.System
	if r.Reason == variable.ReasonManual {
		queuedBy = r.Actor
	}
	for name, text := range map[string]string{
		variable.BuildDefinitionID: r.Pipeline.String(), variable.BuildDefinitionName: r.PipelineName,
		variable.BuildReason: r.Reason, variable.BuildSourceBranch: r.Ref, variable.BuildSourceBranchName: variable.BranchName(r.Ref),
		variable.BuildSourceVersion: string(r.Commit), variable.BuildSourceVersionMessage: title(c.Message), variable.BuildSourceVersionAuthor: c.Author,
		variable.BuildRepositoryID: string(repo.ID), variable.BuildRepositoryName: repo.Name, variable.BuildRepositoryProvider: "TfsGit",
		variable.BuildRepositoryURI: repo.URL, variable.BuildRequestedFor: r.Actor.Name, variable.BuildRequestedForID: r.Actor.ID,
		variable.SystemTeamProject: repo.ProjectName, variable.SystemTeamProjectID: string(repo.Project), variable.SystemCollectionID: variable.CollectionID,
		variable.SystemHostType: "build", variable.SystemCulture: "en-US", variable.TFBuild: "True", variable.SystemDefinitionName: r.PipelineName,
		variable.BuildDefinitionVersion: "1", variable.BuildQueuedBy: queuedBy.Name, variable.BuildQueuedByID: queuedBy.ID, variable.SystemIsScheduled: "False",
	} {
		set.Put(name, variable.Value{Text: text, ReadOnly: true})
	}
	if r.Reason == variable.ReasonSchedule {
		set.Put(variable.SystemIsScheduled, variable.Value{Text: "True", ReadOnly: true})
	}
	if r.ScheduleName != "" {
		set.Put(variable.BuildCronScheduleDisplayName, variable.Value{Text: r.ScheduleName, ReadOnly: true})
	}
	return set
}

// create writes the run's rows; p is nil for a broken file. A run of the same cause that is there already is returned.
func (s *Service) create(ctx context.Context, run *Run, p *plan.Plan, vars variable.Set, req QueueRequest) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if req.cause != "" {
			id, err := db.One(ctx, tx, db.Value[int64], `SELECT id FROM pipeline_runs WHERE cause = $1`, req.cause)
			if err == nil {
				if *run, err = getRun(ctx, tx, slipway.RunID(id)); err != nil || req.claimed == nil {
					return err
				}
				return req.claimed(ctx, tx, run.ID)
			}
			if !db.IsNoRows(err) {
				return err
			}
		}
		if req.claim != nil {
			if err := req.claim(ctx, tx); err != nil {
				return err
			}
		}
		if err := s.insertRun(ctx, tx, run, p, req); err != nil {
			return err
		}
		if err := putStop(ctx, tx, run.ID, req.StopMinutes); err != nil {
			return err
		}
		if req.claimed != nil {
			if err := req.claimed(ctx, tx, run.ID); err != nil {
				return err
			}
		}
		if p == nil {
			return s.createBroken(ctx, tx, run)
		}
		return s.begin(ctx, tx, run, p, vars, req)
	})
	if err != nil {
		return fmt.Errorf("queue run of pipeline %q: %w", run.PipelineName, err)
	}
	return nil
}

func (s *Service) insertRun(ctx context.Context, tx *db.Tx, run *Run, p *plan.Plan, req QueueRequest) error {
	texts := [5]string{}
	for i, v := range []any{run.Actor, run.Parameters, run.Problems, run.Tags, run.Fork} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		texts[i] = string(b)
	}
	if run.Fork == nil {
		texts[4] = ""
	}
	var cause any
	if req.cause != "" {
		cause = req.cause
	}
	const insert = `
		INSERT INTO pipeline_runs (project, pipeline, number, title, reason, repository, ref, commit_id, actor, parameters, variables,
			problems, tags, state, result, canceled, canceled_by, queued, started, finished, cause, schedule, schedule_name, fork)
		VALUES ($1, $2, '', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', FALSE, '', $14, 0, 0, $15, $16, $17, $18) RETURNING id`
	err := tx.QueryRowContext(ctx, insert, string(run.Project), int64(run.Pipeline), run.Title, run.Reason, string(run.Repository), run.Ref,
		string(run.Commit), texts[0], texts[1], []byte{}, texts[2], texts[3], string(run.State), db.Micros(run.Queued), cause,
		run.Schedule, run.ScheduleName, texts[4]).Scan((*int64)(&run.ID))
	if err != nil || p == nil {
		return err
	}
	text, err := p.Encode()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO pipeline_plans (run, plan) VALUES ($1, $2)`, int64(run.ID), string(text))
	return err
}

// createBroken completes a run whose file cannot be compiled.
func (s *Service) createBroken(ctx context.Context, tx *db.Tx, run *Run) error {
	number, err := s.number(ctx, tx, run, "", variable.Set{})
	if err != nil {
		return err
	}
	run.Number = number
	if err := updateRun(ctx, tx, run); err != nil {
		return err
	}
	problems, err := json.Marshal(run.Problems)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET problems = $1 WHERE id = $2`, string(problems), int64(run.ID)); err != nil {
		return err
	}
	if err := s.announce(ctx, tx, run, EventRunQueued, run.Actor, run.payload()); err != nil {
		return err
	}
	return s.completeRun(ctx, tx, run, schedule.Failed)
}

func (s *Service) number(ctx context.Context, tx *db.Tx, run *Run, format string, vars variable.Set) (string, error) {
	return variable.Number(format, vars, run.Queued, func(before, after string) (int, error) {
		return nextCount(ctx, tx, run.Pipeline, "rev:"+before+"|"+after, 1)
	})
}

// begin gives a run its number and variables and lets the scheduler decide what is first.
func (s *Service) begin(ctx context.Context, tx *db.Tx, run *Run, p *plan.Plan, vars variable.Set, req QueueRequest) error {
	for name, text := range map[string]string{
		variable.BuildBuildID: run.ID.String(), variable.BuildBuildURI: "vstfs:///Build/Build/" + run.ID.String(), variable.SystemCollectionURI: s.URL + "/",
		variable.SystemPipelineStartTime: expression.Time(run.Queued).String(),
	} {
		vars.Put(name, variable.Value{Text: text, ReadOnly: true})
	}
	sources, err := s.pinSources(ctx, tx, run, p, &req, nil)
	for name, text := range sources {
		vars.Put(name, variable.Value{Text: text, ReadOnly: true})
	}
	var resolved variable.Set
	if err == nil {
		resolved, err = s.resolve(ctx, tx, run, p, vars, req.Variables)
	}
	if err == nil {
		_, err = s.pinSources(ctx, tx, run, p, &req, &resolved)
	}
	if err == nil {
		err = s.checkNames(ctx, tx, run.Project, run.Pipeline, p, resolved)
	}
	if err == nil {
		err = s.recordForeign(ctx, tx, run, p)
	}
	if err == nil {
		err = s.recordPackages(ctx, tx, run, p, vars)
	}
	if slipway.CodeOf(err) == slipway.CodeInvalid && req.reason != variable.ReasonManual {
		run.Problems = fileProblems(err, p.File)
		return s.createBroken(ctx, tx, run)
	}
	if err != nil {
		return err
	}
	if run.Number, err = s.number(ctx, tx, run, p.Name, resolved); err != nil {
		return err
	}
	resolved.PutText(variable.BuildBuildNumber, run.Number)
	sealed, err := s.sealVariables(resolved, "run")
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET variables = $1 WHERE id = $2`, sealed, int64(run.ID)); err != nil {
		return err
	}
	if err := updateRun(ctx, tx, run); err != nil {
		return err
	}
	if err := s.announce(ctx, tx, run, EventRunQueued, run.Actor, run.payload()); err != nil {
		return err
	}
	sit, err := s.load(ctx, tx, run.ID)
	if err != nil {
		return err
	}
	unwanted := map[string]bool{}
	for _, name := range req.SkipStages {
		st, err := skippable(p, name)
		if err != nil {
			return err
		}
		if unwanted[st.Name] = true; len(unwanted) == len(p.Stages) {
			return field(slipway.Invalid("all stages are left out: leave one, so that something runs"), FieldSkipStages)
		}
		if err := sit.putStage(ctx, tx, &Stage{Name: st.Name, Attempt: 1, Unwanted: true}); err != nil {
			return err
		}
	}
	if err := s.advance(ctx, tx, sit); err != nil {
		return err
	}
	*run, err = getRun(ctx, tx, run.ID)
	return err
}
