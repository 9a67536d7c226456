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

// situation is a run with all that has happened in it: the rows, and the facts made of them.
type situation struct {
	run    Run
	plan   *plan.Plan
	stages map[string]*Stage // latest attempts
	jobs   map[string]*Job   // latest attempts, by instance
	facts  schedule.Facts
}

// load reads the run's rows. On PostgreSQL it locks the run's row, so that two servers decide one after the other.
func (s *Service) load(ctx context.Context, tx *db.Tx, id slipway.RunID) (*situation, error) {
	if tx.Engine() == db.Postgres {
		if _, err := tx.ExecContext(ctx, `SELECT id FROM pipeline_runs WHERE id = $1 FOR UPDATE`, int64(id)); err != nil {
			return nil, fmt.Errorf("lock run %d: %w", id, err)
		}
	}
	run, err := getRun(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	sit := &situation{run: run}
	if sit.plan, err = s.plan(ctx, tx, id); err != nil {
		return nil, err
	}
	sealed, err := db.One(ctx, tx, db.Value[[]byte], `SELECT variables FROM pipeline_runs WHERE id = $1`, int64(id))
	if err != nil {
		return nil, fmt.Errorf("read variables of run %d: %w", id, err)
	}
	vars, err := s.openVariables(sealed, "run")
	if err != nil {
		return nil, fmt.Errorf("read variables of run %d: %w", id, err)
	}
	groups, err := s.groupSets(ctx, tx, run.Project, sit.plan.Groups())
	if err != nil {
		return nil, err
	}
	sit.facts = schedule.Facts{Variables: vars, Groups: groups}
	return sit, s.refresh(ctx, tx, sit)
}

// refresh reads again what changes.
func (s *Service) refresh(ctx context.Context, tx *db.Tx, sit *situation) error {
	run, err := getRun(ctx, tx, sit.run.ID)
	if err != nil {
		return err
	}
	sit.run = run
	stages, err := stagesOf(ctx, tx, run.ID)
	if err != nil {
		return err
	}
	jobs, err := jobsOf(ctx, tx, run.ID)
	if err != nil {
		return err
	}
	f := &sit.facts
	f.Canceled, f.Result = run.Canceled, run.Result
	f.Stages, f.Jobs = map[string]schedule.StageFacts{}, map[string]schedule.JobFacts{}
	sit.stages, sit.jobs = map[string]*Stage{}, map[string]*Job{}
	for i := range stages {
		st := &stages[i]
		sit.stages[st.Name] = st
		f.Stages[st.Name] = schedule.StageFacts{Attempt: st.Attempt, State: st.State, Result: st.Result, Checks: st.Checks,
			Started: st.Manual, Unwanted: st.Unwanted, AfterCancel: st.AfterCancel, Reason: st.Reason}
	}
	for i := range jobs {
		j := &jobs[i]
		sit.jobs[j.Instance] = j
		f.Jobs[j.Instance] = schedule.JobFacts{Attempt: j.Attempt, State: j.State, Result: j.Result, CancelRequested: !j.CancelRequested.IsZero(),
			Outputs: j.Outputs, Legs: j.Legs, Reason: j.Reason}
	}
	return nil
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
