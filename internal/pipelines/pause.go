package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// FieldStopMinutes is the field of a QueueRequest that says how long jobs wait at steps that failed.
const FieldStopMinutes = "stopMinutes"

// Pause is a job's wait at a step that failed, for somebody who looks at it and decides.
type Pause struct {
	ID       int64
	Project  slipway.ProjectID
	Run      slipway.RunID
	Job      slipway.JobID
	Number   int    // of the job's attempt, from 1
	Step     int    // its number
	Title    string // of the step
	Reason   string // why it failed
	State    job.PauseState
	Decision job.Decision
	Actor    slipway.Actor // who decided
	Started  time.Time
	Expires  time.Time
	Ended    time.Time // zero while it waits
}

const pauseColumns = `id, project, run, job, number, step, title, reason, state, decision, actor, started, expires, ended`

func scanPause(row interface{ Scan(...any) error }, p *Pause) error {
	var actor string
	var started, expires, ended int64
	err := row.Scan(&p.ID, (*string)(&p.Project), (*int64)(&p.Run), (*int64)(&p.Job), &p.Number, &p.Step, &p.Title, &p.Reason, (*string)(&p.State),
		(*string)(&p.Decision), &actor, &started, &expires, &ended)
	if err != nil {
		return err
	}
	p.Started, p.Expires, p.Ended = db.Time(started), db.Time(expires), db.Time(ended)
	return decodeColumns(column{actor, &p.Actor})
}

// checkStop refuses a wait that cannot be.
func checkStop(req *QueueRequest) error {
	switch {
	case req.StopMinutes == 0:
		return nil
	case req.StopMinutes < 0 || req.StopMinutes > job.MaxStopMinutes:
		return field(slipway.Invalid("a job waits between 1 and %d minutes at a step that failed, not %d", job.MaxStopMinutes, req.StopMinutes), FieldStopMinutes)
	case req.Actor.Kind != slipway.ActorUser:
		return field(slipway.Forbidden("a person has to ask for a run that stops at failures"), FieldStopMinutes)
	}
	run := Run{Ref: req.Ref}
	if _, is := run.PullRequest(); is {
		return field(slipway.Forbidden("a run of a pull request does not stop at failures: nobody has reviewed what it runs; queue one of a branch"), FieldStopMinutes)
	}
	return nil
}

// StopMinutes is for how long in all each job of a run waits at steps that failed, 0 for not at all.
func (s *Service) StopMinutes(ctx context.Context, run slipway.RunID) (int, error) {
	minutes, err := db.One(ctx, s.db, db.Value[int64], `SELECT stop_minutes FROM pipeline_runs WHERE id = $1`, int64(run))
	if err != nil {
		return 0, fmt.Errorf("read whether run %d stops at failures: %w", run, err)
	}
	return int(minutes), nil
}

// stops is for how many minutes a job waits. One that deploys never does: what was approved there is the commit, and not what
// somebody types.
func (s *Service) stops(ctx context.Context, j *Job) (int, error) {
	if j.Environment != nil {
		return 0, nil
	}
	return s.StopMinutes(ctx, j.Run)
}

func putStop(ctx context.Context, tx *db.Tx, run slipway.RunID, minutes int) error {
	if minutes == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET stop_minutes = $1 WHERE id = $2`, minutes, int64(run)); err != nil {
		return fmt.Errorf("record that run %d stops at failures: %w", run, err)
	}
	return nil
}

// PutPause records a pause as the agent tells of it, and says what it has come to. Only a pause that waits changes.
func (s *Service) PutPause(ctx context.Context, id slipway.JobID, p job.Pause) (job.Pause, error) {
	if p.Number < 1 || p.Number > 10_000 || p.Step < 0 || p.Step > 10_000 {
		return p, slipway.Invalid("no pause %d at step %d", p.Number, p.Step)
	}
	switch p.State {
	case job.PauseWaiting, job.PauseExpired, job.PauseCanceled:
	default:
		return p, slipway.Invalid("an agent cannot tell of a pause that it is %q", p.State)
	}
	var stored Pause
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		j, err := getJob(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := j.ofAgent(); err != nil {
			return err
		}
		if j.State == schedule.Completed {
			return slipway.Conflict("job %d is over", id)
		}
		if minutes, err := db.One(ctx, tx, db.Value[int64], `SELECT stop_minutes FROM pipeline_runs WHERE id = $1`, int64(j.Run)); err != nil || minutes == 0 || j.Environment != nil {
			return slipway.Forbidden("job %d does not stop at failures", id)
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		stored, err = s.storePause(ctx, tx, &j, p)
		return err
	})
	return stored.forAgent(), err
}

// storePause inserts the pause, or ends the one that waits.
func (s *Service) storePause(ctx context.Context, tx *db.Tx, j *Job, p job.Pause) (Pause, error) {
	run, err := getRun(ctx, tx, j.Run)
	if err != nil {
		return Pause{}, err
	}
	now := s.clock.Now()
	const insert = `INSERT INTO pipeline_pauses (project, run, job, number, step, title, reason, state, decision, actor, started, expires, ended)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', '', '', $8, $9, 0) ON CONFLICT (job, number) DO NOTHING`
	latest := now.Add(job.MaxStopMinutes * time.Minute)
	result, err := tx.ExecContext(ctx, insert, string(run.Project), int64(j.Run), int64(j.ID), p.Number, p.Step, cut(p.Title, maxTestName),
		cut(p.Reason, job.MaxIssueLength), db.Micros(now), min(p.Expires, db.Micros(latest)))
	if err != nil {
		return Pause{}, fmt.Errorf("record pause of job %d: %w", j.ID, err)
	}
	fresh, err := result.RowsAffected()
	if err != nil {
		return Pause{}, err
	}
	if p.State != job.PauseWaiting {
		const update = `UPDATE pipeline_pauses SET state = $1, ended = $2 WHERE job = $3 AND number = $4 AND state = 'waiting'`
		if _, err := tx.ExecContext(ctx, update, string(p.State), db.Micros(now), int64(j.ID), p.Number); err != nil {
			return Pause{}, fmt.Errorf("end pause of job %d: %w", j.ID, err)
		}
	}
	stored, err := pauseOf(ctx, tx, j.ID, p.Number)
	if err != nil || fresh == 0 {
		return stored, err
	}
	return stored, s.announce(ctx, tx, &run, EventJobPaused, jobActor(j), stored.payload(&run))
}

func jobActor(j *Job) slipway.Actor {
	return slipway.Actor{Kind: slipway.ActorJob, ID: j.ID.String(), Name: j.Instance}
}

func (p *Pause) payload(run *Run) PausePayload {
	return PausePayload{Run: run.ID, Number: run.Number, Job: p.Job, Pause: p.ID, Step: p.Step, Title: p.Title, Decision: string(p.Decision)}
}

func (p *Pause) forAgent() job.Pause {
	return job.Pause{Number: p.Number, Step: p.Step, Title: p.Title, Reason: p.Reason, Started: db.Micros(p.Started), Expires: db.Micros(p.Expires),
		State: p.State, Decision: p.Decision, By: p.Actor.Name}
}

func pauseOf(ctx context.Context, q db.Querier, id slipway.JobID, number int) (Pause, error) {
	p, err := db.One(ctx, q, scanPause, `SELECT `+pauseColumns+` FROM pipeline_pauses WHERE job = $1 AND number = $2`, int64(id), number)
	if db.IsNoRows(err) {
		return p, slipway.NotFound("job %d has no pause %d", id, number)
	}
	if err != nil {
		return p, fmt.Errorf("read pause %d of job %d: %w", number, id, err)
	}
	return p, nil
}

// PauseNews is what a pause has come to, and the terminals that the job's agent shall open.
func (s *Service) PauseNews(ctx context.Context, id slipway.JobID, number int) (job.Pause, error) {
	p, err := pauseOf(ctx, s.db, id, number)
	if err != nil {
		return job.Pause{}, err
	}
	news := p.forAgent()
	if p.State == job.PauseWaiting {
		news.Terminals = s.terminals.Waiting(id)
	}
	return news, nil
}

// Pauses lists those of a run, oldest first, at most 1000.
func (s *Service) Pauses(ctx context.Context, run slipway.RunID) ([]Pause, error) {
	list, err := db.List(ctx, s.db, scanPause, `SELECT `+pauseColumns+` FROM pipeline_pauses WHERE run = $1 ORDER BY id LIMIT 1000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list pauses of run %d: %w", run, err)
	}
	return list, nil
}

// WaitingPauses lists the pauses of a project at which jobs wait, oldest first, at most 1000.
func (s *Service) WaitingPauses(ctx context.Context, project slipway.ProjectID) ([]Pause, error) {
	const query = `SELECT ` + pauseColumns + ` FROM pipeline_pauses WHERE state = 'waiting' AND project = $1 ORDER BY id LIMIT 1000`
	list, err := db.List(ctx, s.db, scanPause, query, string(project))
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", err)
	}
	return list, nil
}

// WaitingPause is the one at which a job waits, NotFound if it waits at none.
func (s *Service) WaitingPause(ctx context.Context, id slipway.JobID) (Pause, error) {
	const query = `SELECT ` + pauseColumns + ` FROM pipeline_pauses WHERE job = $1 AND state = 'waiting' ORDER BY number DESC LIMIT 1`
	p, err := db.One(ctx, s.db, scanPause, query, int64(id))
	if db.IsNoRows(err) {
		return p, slipway.NotFound("job %d does not wait at a step that failed", id)
	}
	if err != nil {
		return p, fmt.Errorf("find pause of job %d: %w", id, err)
	}
	return p, nil
}

// DecidePause says what a job does that waits at a step that failed. The caller may queue runs of the project; it has to be a
// person. A pause that is over is a conflict.
func (s *Service) DecidePause(ctx context.Context, by slipway.Actor, id slipway.JobID, d job.Decision) (Pause, error) {
	if by.Kind != slipway.ActorUser {
		return Pause{}, slipway.Forbidden("a person has to decide about a step that failed")
	}
	if !d.Valid() {
		return Pause{}, slipway.Invalid("decision %q: write rerun, continue, succeed or end", d)
	}
	p, err := s.WaitingPause(ctx, id)
	if err != nil {
		return p, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		actor, err := json.Marshal(by)
		if err != nil {
			return err
		}
		now := s.clock.Now()
		const update = `UPDATE pipeline_pauses SET state = 'decided', decision = $1, actor = $2, ended = $3 WHERE id = $4 AND state = 'waiting'`
		result, err := tx.ExecContext(ctx, update, string(d), string(actor), db.Micros(now), p.ID)
		if err != nil {
			return fmt.Errorf("decide about job %d: %w", id, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return slipway.Conflict("job %d waits no longer", id)
		}
		p.State, p.Decision, p.Actor, p.Ended = job.PauseDecided, d, by, now
		run, err := getRun(ctx, tx, p.Run)
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { s.changed(p.Run) })
		return s.announce(ctx, tx, &run, EventPauseDecided, by, p.payload(&run))
	})
	return p, err
}

// endPauses closes what a job left open that is over.
func endPauses(ctx context.Context, tx *db.Tx, j *Job) error {
	const pauses = `UPDATE pipeline_pauses SET state = 'canceled', ended = $1 WHERE job = $2 AND state = 'waiting'`
	if _, err := tx.ExecContext(ctx, pauses, db.Micros(j.Finished), int64(j.ID)); err != nil {
		return fmt.Errorf("end pauses of job %d: %w", j.ID, err)
	}
	const terminals = `UPDATE pipeline_terminals SET closed = $1, note = 'the job ended' WHERE job = $2 AND closed = 0`
	if _, err := tx.ExecContext(ctx, terminals, db.Micros(j.Finished), int64(j.ID)); err != nil {
		return fmt.Errorf("end terminals of job %d: %w", j.ID, err)
	}
	return nil
}

// touched reports whether somebody may have changed by hand what a run does: its files may not be those of its commit.
func (s *Service) touched(ctx context.Context, run slipway.RunID) (bool, error) {
	const query = `SELECT (SELECT COUNT(*) FROM pipeline_terminals WHERE run = $1) +
		(SELECT COUNT(*) FROM pipeline_pauses WHERE run = $1 AND decision IN ('rerun', 'succeed')) +
		(SELECT COUNT(*) FROM pipeline_artifacts WHERE run = $1 AND uploaded_by <> '')`
	n, err := db.One(ctx, s.db, db.Value[int64], query, int64(run))
	if err != nil {
		return false, fmt.Errorf("find what was done by hand in run %d: %w", run, err)
	}
	return n > 0, nil
}

// untouched refuses to deploy what somebody may have changed by hand.
func (s *Service) untouched(ctx context.Context, j *Job) error {
	if j.Environment == nil {
		return nil
	}
	touched, err := s.touched(ctx, j.Run)
	if err == nil && touched {
		err = slipway.Unsupported("somebody has worked by hand in this run, or uploaded an artifact to it: its files may not be those of the commit; queue a run without that to deploy")
	}
	return err
}
