package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// Methods for agents. Each is given the job that the caller's token is good for, and may be called again with the same
// arguments after an answer was lost.

// maxTimeout is what timeoutInMinutes: 0 means.
const maxTimeout = 6 * 60

// Assign gives an agent its job, which is running from then on.
func (s *Service) Assign(ctx context.Context, id slipway.JobID) (job.Assignment, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return job.Assignment{}, err
	}
	if j.State == schedule.Completed {
		return job.Assignment{}, slipway.Conflict("job %d is over", id)
	}
	if err := j.ofAgent(); err != nil {
		return job.Assignment{}, err
	}
	if j.State != schedule.Running {
		err = s.change(ctx, j.Run, func(tx *db.Tx, sit *situation) error {
			now := s.clock.Now()
			current, err := sit.job(ctx, tx, j.Instance)
			if err != nil {
				return err
			}
			if current == nil || current.ID != id || current.State == schedule.Completed {
				return slipway.Conflict("job %d is over", id)
			}
			current.State, current.Started, current.Heard, current.PodNote = schedule.Running, now, now, ""
			sit.jobChanged(current)
			if err := updateJob(ctx, tx, current); err != nil {
				return err
			}
			j = *current
			return s.announceJob(ctx, tx, &sit.run, current, EventJobStarted)
		})
		if err != nil {
			return job.Assignment{}, err
		}
	}
	return s.assignment(ctx, &j)
}

func (s *Service) assignment(ctx context.Context, j *Job) (job.Assignment, error) {
	run, _, err := plainRun(ctx, s.db, j.Run)
	if err != nil {
		return job.Assignment{}, err
	}
	p, err := s.plan(ctx, s.db, j.Run)
	if err != nil {
		return job.Assignment{}, err
	}
	i, err := s.instanceOf(ctx, p, j)
	if err != nil {
		return job.Assignment{}, err
	}
	vars, err := s.jobVariables(ctx, &run, j)
	if err != nil {
		return job.Assignment{}, err
	}
	a := job.Assignment{
		Version: job.Version, Project: run.Project, Run: run.ID, Job: j.ID, Pipeline: run.Pipeline, Instance: j.Instance, Title: i.Title(),
		Attempt: j.Attempt, Steps: i.Steps(), Variables: vars, Repositories: map[string]job.Repository{}, Workspace: i.Job.Workspace,
		TimeoutInMinutes: timeoutOf(i.Job), CancelTimeoutInMinutes: max(i.Job.CancelTimeoutInMinutes, 1),
		Environment: j.Environment, Server: s.URL, Registry: s.Registry, ToolMirrors: s.ToolMirrors,
	}
	if a.StopAtFailure, err = s.stops(ctx, j); err != nil {
		return a, err
	}
	a.HasHost = j.Machine == 0 && fetchesElsewhere(&i)
	return a, s.addResources(ctx, &a, &run, p)
}

func timeoutOf(j *plan.Job) int {
	if j.TimeoutInMinutes <= 0 || j.TimeoutInMinutes > maxTimeout {
		return maxTimeout
	}
	return j.TimeoutInMinutes
}

// instanceOf finds the job's instance; a matrix made by an expression has its legs in the row of the job itself.
func (s *Service) instanceOf(ctx context.Context, p *plan.Plan, j *Job) (plan.Instance, error) {
	if i, err := j.instance(p, nil); err == nil {
		return i, nil
	}
	jobs, err := jobsOf(ctx, s.db, j.Run)
	if err != nil {
		return plan.Instance{}, err
	}
	var legs []plan.Leg
	for _, one := range jobs {
		if one.Instance == plan.InstanceID(j.Stage, j.Name, "") {
			legs = one.Legs
		}
	}
	return j.instance(p, legs)
}

// jobVariables are those that the scheduler resolved, and over them those of the deployment's environment.
func (s *Service) jobVariables(ctx context.Context, run *Run, j *Job) (variable.Set, error) {
	sealed, err := db.One(ctx, s.db, db.Value[[]byte], `SELECT variables FROM pipeline_jobs WHERE id = $1`, int64(j.ID))
	if err != nil {
		return variable.Set{}, fmt.Errorf("read variables of job %d: %w", j.ID, err)
	}
	vars, err := s.openVariables(sealed, fmt.Sprintf("job/%d/%s/%d", j.Run, j.Instance, j.Attempt))
	if err != nil {
		return variable.Set{}, err
	}
	vars.PutText(variable.BuildBuildNumber, run.Number) // a job before this one may have changed it
	vars.PutText(variable.SystemJobID, j.ID.String())
	if s.Issuer != nil {
		vars.PutText(variable.SystemOIDCRequestURI, fmt.Sprintf("%s/%s/_apis/distributedtask/hubs/build/plans/%d/jobs/%d/oidctoken", s.URL, run.Project, run.ID, j.ID))
	}
	if j.Environment == nil {
		return vars, nil
	}
	own, err := s.Environments.Variables(ctx, run.Project, j.Environment.Name)
	if err != nil {
		return variable.Set{}, fmt.Errorf("read variables of environment %q: %w", j.Environment.Name, err)
	}
	if run.Untrusted() {
		own = withoutSecrets(own)
	}
	vars.PutText(variable.EnvironmentNameName, j.Environment.Name)
	for _, name := range own.Names() {
		if v, ok := vars.Get(name); ok && v.ReadOnly {
			continue
		}
		v, _ := own.Get(name)
		vars.Put(name, v)
	}
	return vars, nil
}

// addResources resolves the repositories and pipelines that steps may name.
func (s *Service) addResources(ctx context.Context, a *job.Assignment, run *Run, p *plan.Plan) error {
	self, err := s.Source.Repository(ctx, run.Repository)
	if err != nil {
		return err
	}
	a.Repositories["self"] = job.Repository{Name: self.Name, URL: self.URL, Ref: run.Ref, Commit: run.Commit}
	for _, r := range p.Resources.Repositories {
		if !usesRepository(a.Steps, r.Alias) {
			continue
		}
		if r.Foreign() {
			repository, err := s.foreignRepository(ctx, a, run, &r)
			if err != nil {
				return err
			}
			a.Repositories[strings.ToLower(r.Alias)] = repository
			continue
		}
		repo, err := s.Source.FindRepository(ctx, run.Project, r.Name)
		if err != nil {
			return err
		}
		ref := r.Ref
		if ref == "" {
			ref = repo.DefaultBranch
		}
		var commit slipway.CommitID
		if pushed := a.Variables.Text(plan.RepositoryVariable(r.Alias, "ref")); pushed != "" { // the push that started the run
			ref, commit = pushed, slipway.CommitID(a.Variables.Text(plan.RepositoryVariable(r.Alias, "version")))
		} else if commit, err = s.Source.Resolve(ctx, repo.ID, ref); err != nil {
			return err
		}
		a.Repositories[strings.ToLower(r.Alias)] = job.Repository{Name: repo.Name, URL: repo.URL, Ref: ref, Commit: commit}
	}
	sources, err := sourcesOf(ctx, s.db, run.ID)
	if err != nil {
		return err
	}
	for _, one := range sources {
		if a.Runs == nil {
			a.Runs = map[string]slipway.RunID{}
		}
		a.Runs[one.Alias] = one.Source
	}
	return nil
}

func usesRepository(steps []plan.Step, alias string) bool {
	for _, st := range steps {
		if st.Checkout != nil && strings.EqualFold(st.Checkout.Repository, alias) {
			return true
		}
	}
	return false
}

// resolvePipeline is the latest completed run of another pipeline that did not fail, or the one of the given number.
func resolvePipeline(ctx context.Context, q db.Querier, project slipway.ProjectID, r plan.Pipeline) (slipway.RunID, error) {
	ref := r.Branch
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + ref
	}
	number, err := strconv.ParseInt(r.Source, 10, 64) // of the pipeline, unless one is called so
	if err != nil {
		number = 0
	}
	const query = `WHERE d.project = $1 AND r.state = $3 AND ($4 = '' OR r.ref = $4) AND ($5 = '' OR r.number = $5)
		AND (d.name_key = $2 OR d.id = $6 AND NOT EXISTS (SELECT 1 FROM pipeline_definitions o WHERE o.project = $1 AND o.name_key = $2)) ORDER BY r.id DESC LIMIT 200`
	runs, err := db.List(ctx, q, scanRun, `SELECT `+runColumns+`, FALSE`+runTables+query, string(project), strings.ToLower(r.Source), string(RunCompleted), ref, r.Version, number)
	if err != nil {
		return 0, fmt.Errorf("find a run of pipeline %q: %w", r.Source, err)
	}
	for _, one := range runs {
		good := one.Result == schedule.Succeeded || one.Result == schedule.SucceededWithIssues
		tagged := !slices.ContainsFunc(r.Tags, func(tag string) bool {
			return !slices.ContainsFunc(one.Tags, func(t string) bool { return strings.EqualFold(t, tag) })
		})
		if r.Version != "" || good && tagged {
			return one.ID, nil
		}
	}
	return 0, slipway.NotFound("pipeline %q has no run to take artifacts from", r.Source)
}

// Report records steps and outputs.
func (s *Service) Report(ctx context.Context, id slipway.JobID, r job.Report) error {
	if len(r.Steps) > 2000 || len(r.Tags) > 100 {
		return slipway.Limit("a report has at most 2000 steps and 100 tags")
	}
	if err := checkOutputs(r.Outputs); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		j, err := getJob(ctx, tx, id)
		if err != nil {
			return err
		}
		if j.State == schedule.Completed {
			return slipway.Conflict("job %d is over", id)
		}
		if err := j.ofAgent(); err != nil {
			return err
		}
		j.Heard = s.clock.Now()
		if r.Outputs != nil {
			j.Outputs = r.Outputs
		}
		if err := updateJob(ctx, tx, &j); err != nil {
			return err
		}
		for i := range r.Steps {
			if err := putStep(ctx, tx, id, &r.Steps[i]); err != nil {
				return err
			}
		}
		if err := s.reportRun(ctx, tx, j.Run, r); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		return nil
	})
}

func (s *Service) reportRun(ctx context.Context, tx *db.Tx, id slipway.RunID, r job.Report) error {
	if r.BuildNumber == "" && len(r.Tags) == 0 {
		return nil
	}
	run, err := getRun(ctx, tx, id)
	if err != nil {
		return err
	}
	if r.BuildNumber != "" {
		run.Number, err = variable.Number(r.BuildNumber, variable.Set{}, s.clock.Now(), func(before, after string) (int, error) {
			return nextCount(ctx, tx, run.Pipeline, "rev:"+before+"|"+after, 1)
		})
		if err != nil {
			return err
		}
	}
	for _, tag := range r.Tags {
		if tag = strings.TrimSpace(tag); tag != "" && len(tag) <= MaxRunTag && len(run.Tags) < maxRunTags && !contains(run.Tags, tag) {
			run.Tags = append(run.Tags, tag)
		}
	}
	return updateRun(ctx, tx, &run)
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if strings.EqualFold(one, s) {
			return true
		}
	}
	return false
}

func checkOutputs(outputs map[string]string) error {
	if len(outputs) > job.MaxOutputs {
		return slipway.Limit("a job has at most %d output variables", job.MaxOutputs)
	}
	for name, value := range outputs {
		if len(name) > 300 || len(value) > job.MaxOutputLength {
			return slipway.Limit("output variable %.50q: a value has at most %d bytes", name, job.MaxOutputLength)
		}
	}
	return nil
}

// putStep records a step; the size of its log stays.
func putStep(ctx context.Context, tx *db.Tx, id slipway.JobID, r *job.StepRecord) error {
	if len(r.Issues) > job.MaxIssues {
		r.Issues = r.Issues[:job.MaxIssues]
	}
	if len(r.Details) > job.MaxDetails {
		r.Details = r.Details[:job.MaxDetails]
	}
	for i := range r.Details {
		d := &r.Details[i]
		for _, text := range []*string{&d.ID, &d.Parent, &d.Type, &d.Name, &d.Operation} {
			if len(*text) > job.MaxDetailText {
				*text = strings.ToValidUTF8((*text)[:job.MaxDetailText], "")
			}
		}
	}
	for i := range r.Issues {
		if m := &r.Issues[i].Message; len(*m) > job.MaxIssueLength {
			*m = strings.ToValidUTF8((*m)[:job.MaxIssueLength], "")
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode step %d of job %d: %w", r.ID, id, err)
	}
	text := strings.ReplaceAll(string(b), `\u0000`, "") // PostgreSQL keeps no NUL
	const upsert = `
		INSERT INTO pipeline_steps (job, step, record, log_size) VALUES ($1, $2, $3, 0)
		ON CONFLICT (job, step) DO UPDATE SET record = excluded.record`
	if _, err := tx.ExecContext(ctx, upsert, int64(id), r.ID, text); err != nil {
		return fmt.Errorf("record step %d of job %d: %w", r.ID, id, err)
	}
	return nil
}

// Control says what the agent should know now, and that it was heard.
func (s *Service) Control(ctx context.Context, id slipway.JobID) (job.Control, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return job.Control{}, err
	}
	if now := s.clock.Now(); j.State == schedule.Running && now.Sub(j.Heard) > heardResolution {
		if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_jobs SET heard = $1 WHERE id = $2 AND heard < $1`, db.Micros(now), int64(id)); err != nil {
			return job.Control{}, fmt.Errorf("hear of job %d: %w", id, err)
		}
	}
	return job.Control{Cancel: !j.CancelRequested.IsZero(), Over: j.State == schedule.Completed}, nil
}

// Complete ends a job with the agent's result.
func (s *Service) Complete(ctx context.Context, id slipway.JobID, c job.Completion) error {
	switch c.Result {
	case schedule.Succeeded, schedule.SucceededWithIssues, schedule.Failed, schedule.Canceled:
	default:
		return slipway.Invalid("result %q is none that a job can have", c.Result)
	}
	if err := checkOutputs(c.Outputs); err != nil {
		return err
	}
	j, err := s.Job(ctx, id)
	if err != nil || j.State == schedule.Completed {
		return err
	}
	if err := j.ofAgent(); err != nil {
		return err
	}
	return s.finish(ctx, &j, c)
}

// finish records the end of a job and lets the scheduler go on. A job that is over already stays as it is.
func (s *Service) finish(ctx context.Context, j *Job, c job.Completion) error {
	return s.change(ctx, j.Run, func(tx *db.Tx, sit *situation) error {
		current, err := sit.running(ctx, tx, j)
		if current == nil || err != nil {
			return err
		}
		return s.end(ctx, tx, sit, current, c)
	})
}

// running is the row of an attempt as it is now, nil when it is over or there is a later one.
func (sit *situation) running(ctx context.Context, tx *db.Tx, j *Job) (*Job, error) {
	current, err := sit.job(ctx, tx, j.Instance)
	if err != nil || current == nil || current.ID != j.ID || current.State == schedule.Completed {
		return nil, err
	}
	return current, nil
}

// end records the end of an attempt that runs.
func (s *Service) end(ctx context.Context, tx *db.Tx, sit *situation, j *Job, c job.Completion) error {
	j.State, j.Result, j.Finished = schedule.Completed, c.Result, s.clock.Now()
	begun := !j.Heard.IsZero() // start says so before it asks for a pod
	j.Heard = j.Finished
	if c.Reason != "" {
		j.Reason = c.Reason
	}
	if c.Outputs != nil {
		j.Outputs = c.Outputs
	}
	switch {
	case j.pod == podWanted && !begun:
		j.pod = podRemoved // thousands of these may be canceled, and the cluster takes few questions a second
	case j.pod == podWanted, j.pod == podStarted:
		j.pod = podUnwanted
	}
	machines := j.pod == podMachineWanted || j.pod == podMachineGiven
	if j.pod == podServer || machines {
		j.pod = podNone
	}
	sit.jobChanged(j)
	if err := updateJob(ctx, tx, j); err != nil {
		return err
	}
	if machines {
		if err := s.freeMachine(ctx, tx, j); err != nil {
			return err
		}
	}
	if err := errors.Join(endSteps(ctx, tx, j), endPauses(ctx, tx, j)); err != nil {
		return err
	}
	return s.announceJob(ctx, tx, &sit.run, j, EventJobCompleted)
}

// endSteps closes the steps that a lost agent left open.
func endSteps(ctx context.Context, tx *db.Tx, j *Job) error {
	steps, err := stepsOf(ctx, tx, j.ID)
	if err != nil {
		return err
	}
	for i := range steps {
		r := &steps[i].StepRecord
		if r.State == schedule.Completed {
			continue
		}
		if r.State == schedule.Running {
			r.Result = j.Result
		} else {
			r.Result = schedule.Skipped
		}
		r.State, r.Finished = schedule.Completed, db.Micros(j.Finished)
		if err := putStep(ctx, tx, j.ID, r); err != nil {
			return err
		}
	}
	return nil
}

// announceJob appends an event about one attempt of a job.
func (s *Service) announceJob(ctx context.Context, tx *db.Tx, r *Run, j *Job, kind events.Kind) error {
	p := JobPayload{Run: r.ID, Pipeline: r.Pipeline, Stage: j.Stage, Job: j.Name, Instance: j.Instance, JobID: j.ID, Attempt: j.Attempt,
		Commit: r.Commit, Environment: j.Environment}
	if kind == EventJobCompleted {
		p.Result, p.Reason = string(j.Result), j.Reason
	}
	return s.announce(ctx, tx, r, kind, slipway.Actor{Kind: slipway.ActorJob, ID: strconv.FormatInt(int64(j.ID), 10), Name: j.Instance}, p)
}
