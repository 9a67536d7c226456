package pipelines

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/variable"
)

// Schedule is a schedule of a pipeline on one branch, as the file of that branch has it.
type Schedule struct {
	ID          int64
	Pipeline    slipway.PipelineID
	Ref         string // of the branch
	Cron        string // in UTC
	DisplayName string
	Always      bool
	Batch       bool
	Next        time.Time // when it is due next; zero for never
	// Passed is when it last was due and started no run, and PassedReason why; zero if it has started one since.
	Passed       time.Time
	PassedReason string
}

const scheduleColumns = `id, pipeline, ref, cron, display_name, always, batch, next, passed, passed_reason`

func scanSchedule(row interface{ Scan(...any) error }, s *Schedule) error {
	var next, passed int64
	err := row.Scan(&s.ID, (*int64)(&s.Pipeline), &s.Ref, &s.Cron, &s.DisplayName, &s.Always, &s.Batch, &next, &passed, &s.PassedReason)
	s.Next, s.Passed = db.Time(next), db.Time(passed)
	return err
}

// maxSchedules bounds the schedules of one pipeline that are listed.
const maxSchedules = 1000

// Schedules lists the schedules of a pipeline on all branches, the next one that is due first and those that never are last.
func (s *Service) Schedules(ctx context.Context, id slipway.PipelineID) ([]Schedule, error) {
	list, err := db.List(ctx, s.db, scanSchedule, `SELECT `+scheduleColumns+` FROM pipeline_schedules WHERE pipeline = $1
		ORDER BY CASE WHEN next = 0 THEN 1 ELSE 0 END, next, id LIMIT $2`, int64(id), maxSchedules)
	if err != nil {
		return nil, fmt.Errorf("list schedules of pipeline %d: %w", id, err)
	}
	return list, nil
}

// readTriggers keeps the schedules of the file of a branch, as the push of that number left it, and of the default branch
// the pipelines and other resources that start this one. A push that is older than the one before changes nothing. A file whose triggers
// cannot be read leaves them as they are: runs fail and say why.
func (s *Service) readTriggers(ctx context.Context, d Definition, ref string, event int64, data []byte) error {
	t, err := compile.Triggers(d.Path, data)
	if err != nil {
		return nil //nolint:nilerr // the run of the push says what is wrong with the file
	}
	return s.keepTriggers(ctx, d, ref, event, t)
}

func (s *Service) keepTriggers(ctx context.Context, d Definition, ref string, event int64, t plan.Triggers) error {
	repo, err := s.Source.Repository(ctx, d.Repository)
	if err != nil {
		return err
	}
	var wanted []plan.Schedule
	for _, one := range t.Schedules {
		if trigger.Scheduled(one, ref, repo.DefaultBranch) {
			wanted = append(wanted, one)
		}
	}
	return s.putTriggers(ctx, d.ID, ref, event, wanted, func(ctx context.Context, tx *db.Tx) error {
		if ref != repo.DefaultBranch {
			return nil
		}
		if err := putSources(ctx, tx, d.ID, t.Pipelines); err != nil {
			return err
		}
		return s.putResources(ctx, tx, d.ID, repo.ProjectName, t.Resources)
	})
}

// putTriggers replaces the schedules of a branch, and does also with it. A schedule that is as before keeps its time, and the
// runs that it started.
func (s *Service) putTriggers(ctx context.Context, pipeline slipway.PipelineID, ref string, event int64, wanted []plan.Schedule,
	also func(ctx context.Context, tx *db.Tx) error) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		// The row is locked until the commit, so that pushes of a branch come one after the other.
		const upsert = `
			INSERT INTO pipeline_branches (pipeline, ref, event) VALUES ($1, $2, $3)
			ON CONFLICT (pipeline, ref) DO UPDATE SET event = excluded.event WHERE pipeline_branches.event <= excluded.event RETURNING event`
		var n int64
		if err := tx.QueryRowContext(ctx, upsert, int64(pipeline), ref, event).Scan(&n); db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return err
		}
		if err := also(ctx, tx); err != nil {
			return err
		}
		old, err := db.List(ctx, tx, scanSchedule, `SELECT `+scheduleColumns+` FROM pipeline_schedules WHERE pipeline = $1 AND ref = $2 ORDER BY id LIMIT $3`,
			int64(pipeline), ref, maxSchedules)
		if err != nil {
			return err
		}
		for _, w := range wanted {
			if old, err = s.putSchedule(ctx, tx, pipeline, ref, w, old); err != nil {
				return err
			}
		}
		for _, o := range old {
			if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_schedules WHERE id = $1`, o.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep triggers of pipeline %d on %s: %w", pipeline, ref, err)
	}
	return nil
}

// putSchedule keeps one schedule, in the place of the same one of old if there is one, and gives what is left of old.
func (s *Service) putSchedule(ctx context.Context, tx *db.Tx, pipeline slipway.PipelineID, ref string, w plan.Schedule, old []Schedule) ([]Schedule, error) {
	for i, o := range old {
		if o.Cron == w.Cron && o.DisplayName == w.DisplayName {
			_, err := tx.ExecContext(ctx, `UPDATE pipeline_schedules SET always = $1, batch = $2 WHERE id = $3`, w.Always, w.Batch, o.ID)
			return append(old[:i:i], old[i+1:]...), err
		}
	}
	cron, err := trigger.ParseCron(w.Cron)
	if err != nil {
		return old, err
	}
	const insert = `INSERT INTO pipeline_schedules (pipeline, ref, cron, display_name, always, batch, next) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	_, err = tx.ExecContext(ctx, insert, int64(pipeline), ref, w.Cron, w.DisplayName, w.Always, w.Batch, db.Micros(cron.Next(s.clock.Now())))
	return old, err
}

// startScheduled starts the runs of schedules that are due.
//
// Times that were missed, since no server ran, are one run together, as soon as a server runs again: what a schedule is
// for (a nightly build, a weekly scan) is still owed, and several runs of one commit would say nothing more than one.
func (s *Service) startScheduled(ctx context.Context) error {
	list, err := db.List(ctx, s.db, scanSchedule, `SELECT `+scheduleColumns+` FROM pipeline_schedules WHERE next > 0 AND next <= $1 ORDER BY next, id LIMIT 100`,
		db.Micros(s.clock.Now()))
	if err != nil {
		return fmt.Errorf("list schedules that are due: %w", err)
	}
	var errs []error
	for _, one := range list {
		if err := s.startDue(ctx, one); err != nil && !errors.Is(err, errOvertaken) {
			errs = append(errs, fmt.Errorf("schedule %q of pipeline %d on %s: %w", one.Cron, one.Pipeline, one.Ref, err))
		}
	}
	return errors.Join(errs...)
}

// startDue starts the run of one schedule, or not, as trigger.Due decides, and sets its next time. It is errOvertaken when
// another server did.
func (s *Service) startDue(ctx context.Context, one Schedule) error {
	d, err := s.Definition(ctx, one.Pipeline)
	if err != nil {
		return err
	}
	commit, err := s.Source.Resolve(ctx, d.Repository, one.Ref)
	if slipway.CodeOf(err) == slipway.CodeNotFound { // the push that deletes the branch is about to be told of
		return s.db.Tx(ctx, func(tx *db.Tx) error { return s.claimSchedule(ctx, tx, one, "the branch is gone") })
	}
	if err != nil {
		return err
	}
	starts, err := s.decideDue(ctx, one, d, commit)
	if err != nil || !starts {
		return err
	}
	req := QueueRequest{Pipeline: d.ID, Actor: slipway.System, Ref: one.Ref, Commit: commit, reason: variable.ReasonSchedule,
		cause: fmt.Sprintf("schedule/%d/%d", one.ID, db.Micros(one.Next)), schedule: one}
	req.claim = func(ctx context.Context, tx *db.Tx) error { return s.claimSchedule(ctx, tx, one, "") }
	_, err = s.queue(ctx, d, req)
	return err
}

// decideDue decides; a schedule that starts nothing this time goes on to its next one.
func (s *Service) decideDue(ctx context.Context, one Schedule, d Definition, commit slipway.CommitID) (starts bool, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		var runs trigger.ScheduledRuns
		const last = `SELECT commit_id FROM pipeline_runs
			WHERE schedule = $1 AND schedule <> 0 AND result IN ('Succeeded', 'SucceededWithIssues', 'Skipped') ORDER BY id DESC LIMIT 1`
		runs.Succeeded, err = db.One(ctx, tx, db.Value[string], last, one.ID)
		if err != nil && !db.IsNoRows(err) {
			return err
		}
		const count = `SELECT COUNT(*) FROM pipeline_runs WHERE schedule = $1 AND schedule <> 0 AND state <> 'completed'`
		n, err := db.One(ctx, tx, db.Value[int], count, one.ID)
		if err != nil {
			return err
		}
		runs.UnderWay = n > 0
		why := "the pipeline was disabled"
		if !d.Disabled {
			starts, why = trigger.Due(one.Always, one.Batch, string(commit), runs)
		}
		if starts {
			return nil
		}
		return s.claimSchedule(ctx, tx, one, why)
	})
	return starts, err
}

// claimSchedule sets the schedule's next time if it still is at the one that is due. passed is why it starts no run, "" if it does.
func (s *Service) claimSchedule(ctx context.Context, tx *db.Tx, one Schedule, passed string) error {
	cron, err := trigger.ParseCron(one.Cron)
	if err != nil {
		return err
	}
	var at time.Time
	if passed != "" {
		at = one.Next
	}
	const update = `UPDATE pipeline_schedules SET next = $1, passed = $2, passed_reason = $3 WHERE id = $4 AND next = $5`
	result, err := tx.ExecContext(ctx, update, db.Micros(cron.Next(s.clock.Now())), db.Micros(at), passed, one.ID, db.Micros(one.Next))
	if err != nil {
		return fmt.Errorf("set next time: %w", err)
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = errOvertaken
	}
	return err
}

// readBranches reads the schedules of all branches of pipelines that were created since it was last called; after that,
// pushes tell of changes.
func (s *Service) readBranches(ctx context.Context) error {
	list, err := db.List(ctx, s.db, scanDefinition, `SELECT `+definitionColumns+` FROM pipeline_definitions WHERE branches_read = FALSE ORDER BY id LIMIT 100`)
	if err != nil {
		return fmt.Errorf("list new pipelines: %w", err)
	}
	var errs []error
	for _, d := range list {
		if err := s.readBranchesOf(ctx, d); err != nil && slipway.CodeOf(err) != slipway.CodeNotFound { // a repository that is gone has none
			errs = append(errs, fmt.Errorf("read the schedules of pipeline %d: %w", d.ID, err))
			continue
		}
		if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_definitions SET branches_read = TRUE WHERE id = $1`, int64(d.ID)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Service) readBranchesOf(ctx context.Context, d Definition) error {
	branches, err := s.Source.Branches(ctx, d.Repository)
	if err != nil {
		return err
	}
	for _, b := range branches {
		data, err := s.Source.ReadFile(ctx, d.Repository, b.Commit, d.Path, maxFile)
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.readTriggers(ctx, d, b.Ref, 0, data); err != nil {
			return err
		}
	}
	return nil
}
