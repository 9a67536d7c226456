package pipelines

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// Stage is one attempt of a stage.
type Stage struct {
	Name     string
	Attempt  int
	State    schedule.State
	Result   schedule.Result
	Checks   schedule.CheckState
	Manual   bool // a person has started it
	Unwanted bool
	// AfterCancel says that it started although the run was canceled: its jobs are not canceled with the run.
	AfterCancel bool
	Reason      string
	Started     time.Time
	Finished    time.Time
}

func scanStage(row interface{ Scan(...any) error }, st *Stage) error {
	var started, finished int64
	err := row.Scan(&st.Name, &st.Attempt, (*string)(&st.State), (*string)(&st.Result), (*string)(&st.Checks), &st.Manual, &st.Unwanted, &st.AfterCancel, &st.Reason, &started, &finished)
	st.Started, st.Finished = db.Time(started), db.Time(finished)
	return err
}

// stagesOf lists all attempts of all stages of a run that have begun, attempts in order.
func stagesOf(ctx context.Context, q db.Querier, run slipway.RunID) ([]Stage, error) {
	const query = `SELECT stage, attempt, state, result, checks, manual, unwanted, after_cancel, reason, started, finished FROM pipeline_stages
		WHERE run = $1 ORDER BY attempt, stage LIMIT 10000`
	list, err := db.List(ctx, q, scanStage, query, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list stages of run %d: %w", run, err)
	}
	return list, nil
}

func putStage(ctx context.Context, tx *db.Tx, run slipway.RunID, st *Stage) error {
	const upsert = `
		INSERT INTO pipeline_stages (run, stage, attempt, state, result, checks, manual, unwanted, after_cancel, reason, started, finished)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (run, stage, attempt) DO UPDATE SET state = excluded.state, result = excluded.result, checks = excluded.checks,
			manual = excluded.manual, unwanted = excluded.unwanted, after_cancel = excluded.after_cancel, reason = excluded.reason, started = excluded.started, finished = excluded.finished`
	_, err := tx.ExecContext(ctx, upsert, int64(run), st.Name, st.Attempt, string(st.State), string(st.Result), string(st.Checks), st.Manual, st.Unwanted,
		st.AfterCancel, st.Reason, db.Micros(st.Started), db.Micros(st.Finished))
	if err != nil {
		return fmt.Errorf("record stage %s of run %d: %w", st.Name, run, err)
	}
	return nil
}

// situation is a run with all that has happened in it: the rows, and the facts made of them. It belongs to one transaction, and
// is remembered between them (see remember).
type situation struct {
	run      Run
	plan     *plan.Plan
	stages   map[string]*Stage // latest attempts
	known    map[string]*Job   // latest attempts, by instance: see job
	facts    schedule.Facts
	groups   []string // names that the plan refers to
	memory   schedule.Memory
	changed  schedule.Changed
	revision int64
	number   int // of the next entry in pipeline_decisions
}

// maxSituations bounds the runs that a server remembers.
const maxSituations = 64

// lockRun lets other transactions that change the run wait; on SQLite they do anyway.
func lockRun(ctx context.Context, tx *db.Tx, id slipway.RunID) error {
	if tx.Engine() != db.Postgres {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `SELECT id FROM pipeline_runs WHERE id = $1 FOR UPDATE`, int64(id)); err != nil {
		return fmt.Errorf("lock run %d: %w", id, err)
	}
	return nil
}

// load gives the run's situation: remembered, if no other server has changed the run since, or read from its rows. On PostgreSQL it
// locks the run's row, so that two servers decide one after the other.
func (s *Service) load(ctx context.Context, tx *db.Tx, id slipway.RunID) (*situation, error) {
	if err := lockRun(ctx, tx, id); err != nil {
		return nil, err
	}
	run, revision, err := plainRun(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	sit := s.situations[id]
	delete(s.situations, id) // a transaction that fails leaves nothing behind
	s.mu.Unlock()
	if sit == nil || sit.revision != revision {
		sit = &situation{revision: revision}
		if err := s.read(ctx, tx, sit, run); err != nil {
			return nil, err
		}
	}
	sit.run = run
	sit.facts.Canceled, sit.facts.Result = run.Canceled, run.Result
	if len(sit.groups) > 0 {
		sit.facts.Groups, err = s.groupsOf(ctx, tx, &run, sit.groups)
	}
	return sit, err
}

// remember keeps a situation for the next change once the transaction has been committed.
func (s *Service) remember(ctx context.Context, tx *db.Tx, sit *situation) error {
	sit.revision++
	const upsert = `INSERT INTO pipeline_revisions (run, revision) VALUES ($1, $2) ON CONFLICT (run) DO UPDATE SET revision = excluded.revision`
	if _, err := tx.ExecContext(ctx, upsert, int64(sit.run.ID), sit.revision); err != nil {
		return fmt.Errorf("record revision of run %d: %w", sit.run.ID, err)
	}
	tx.AfterCommit(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sit.run.Result != "" {
			return
		}
		if len(s.situations) >= maxSituations {
			clear(s.situations)
		}
		s.situations[sit.run.ID] = sit
	})
	return nil
}

// read fills a situation from the rows.
func (s *Service) read(ctx context.Context, q db.Querier, sit *situation, run Run) error {
	var err error
	if sit.plan, err = s.plan(ctx, q, run.ID); err != nil {
		return err
	}
	vars, err := s.runVariables(ctx, q, run.ID)
	if err != nil {
		return err
	}
	sit.groups = sit.plan.Groups()
	sit.facts = schedule.Facts{Variables: vars, Stages: map[string]schedule.StageFacts{}, Jobs: map[string]schedule.JobFacts{}}
	sit.stages, sit.known = map[string]*Stage{}, map[string]*Job{}
	sit.changed.All = true
	stages, err := stagesOf(ctx, q, run.ID)
	if err != nil {
		return err
	}
	for i := range stages {
		sit.stages[stages[i].Name] = &stages[i]
		sit.facts.Stages[stages[i].Name] = stages[i].facts()
	}
	jobs, err := jobsOf(ctx, q, run.ID)
	if err != nil {
		return err
	}
	for i := range jobs {
		sit.known[jobs[i].Instance] = &jobs[i]
		sit.facts.Jobs[jobs[i].Instance] = jobs[i].facts()
	}
	sit.number, err = db.One(ctx, q, db.Value[int], `SELECT COALESCE(MAX(number), 0) + 1 FROM pipeline_decisions WHERE run = $1`, int64(run.ID))
	if err != nil {
		return fmt.Errorf("read decisions of run %d: %w", run.ID, err)
	}
	return nil
}

// runVariables opens the variables of a run.
func (s *Service) runVariables(ctx context.Context, q db.Querier, id slipway.RunID) (variable.Set, error) {
	sealed, err := db.One(ctx, q, db.Value[[]byte], `SELECT variables FROM pipeline_runs WHERE id = $1`, int64(id))
	if err != nil {
		return variable.Set{}, fmt.Errorf("read variables of run %d: %w", id, err)
	}
	vars, err := s.openVariables(sealed, "run")
	if err != nil {
		return vars, fmt.Errorf("read variables of run %d: %w", id, err)
	}
	return vars, nil
}

func (st *Stage) facts() schedule.StageFacts {
	return schedule.StageFacts{Attempt: st.Attempt, State: st.State, Result: st.Result, Checks: st.Checks,
		Started: st.Manual, Unwanted: st.Unwanted, AfterCancel: st.AfterCancel, Reason: st.Reason}
}

func (j *Job) facts() schedule.JobFacts {
	return schedule.JobFacts{Attempt: j.Attempt, State: j.State, Result: j.Result, CancelRequested: !j.CancelRequested.IsZero(),
		Outputs: j.Outputs, Legs: j.Legs, Reason: j.Reason, Lost: j.losses, Retried: j.Retried}
}

// stage is the latest attempt of a stage, made when there is none.
func (sit *situation) stage(name string) *Stage {
	if st := sit.stages[name]; st != nil {
		return st
	}
	st := &Stage{Name: name, Attempt: 1}
	sit.stages[name] = st
	return st
}

// job reads the latest attempt of an instance, whose row changes between decisions too; nil if there is none.
func (sit *situation) job(ctx context.Context, tx *db.Tx, instance string) (*Job, error) {
	known := sit.known[instance]
	if known == nil {
		return nil, nil
	}
	fresh, err := getJob(ctx, tx, known.ID)
	if err != nil {
		return nil, err
	}
	sit.known[instance] = &fresh
	return &fresh, nil
}

// putStage records a stage's attempt, and that it has changed.
func (sit *situation) putStage(ctx context.Context, tx *db.Tx, st *Stage) error {
	sit.stages[st.Name] = st
	sit.facts.Stages[st.Name] = st.facts()
	sit.changed.Stages = append(sit.changed.Stages, st.Name)
	return putStage(ctx, tx, sit.run.ID, st)
}

// jobChanged makes what was recorded of a job known to the scheduler.
func (sit *situation) jobChanged(j *Job) {
	sit.known[j.Instance] = j
	sit.facts.Jobs[j.Instance] = j.facts()
	sit.changed.Jobs = append(sit.changed.Jobs, j.Instance)
}

// cancelJob records that a job is asked to stop, and nothing else of its row: a run may have thousands of them.
func (sit *situation) cancelJob(ctx context.Context, tx *db.Tx, instance string, now time.Time) error {
	j := sit.known[instance]
	if j == nil {
		return fmt.Errorf("no job %s to cancel", instance)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_jobs SET cancel_requested = $1 WHERE id = $2`, db.Micros(now), int64(j.ID)); err != nil {
		return fmt.Errorf("ask job %d to stop: %w", j.ID, err)
	}
	j.CancelRequested = now
	f := sit.facts.Jobs[instance]
	f.CancelRequested = true
	sit.facts.Jobs[instance] = f
	sit.changed.Jobs = append(sit.changed.Jobs, instance)
	return nil
}

// groupSets opens the variable groups of those names that exist.
func (s *Service) groupSets(ctx context.Context, q db.Querier, project slipway.ProjectID, names []string) (map[string]variable.Set, error) {
	sets := map[string]variable.Set{}
	for _, name := range names {
		set, ok, err := s.groupSet(ctx, q, project, name)
		if err != nil {
			return nil, err
		}
		if ok {
			sets[name] = set
		}
	}
	return sets, nil
}
