package pipelines

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/retention"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

const (
	// retentionInterval is how often runs are looked at whose time may be over.
	retentionInterval = time.Hour
	// deletionBatch bounds the rows of one transaction, since others wait for it.
	deletionBatch = 200
	// maxWeighed bounds the runs of one pipeline that are looked at, newest first; those behind come when others are gone.
	maxWeighed = 100_000
)

// Retention says how long the runs of a project are kept.
func (s *Service) Retention(ctx context.Context, project slipway.ProjectID) (retention.Settings, error) {
	got, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, r *retention.Settings) error {
		return row.Scan(&r.Runs, &r.PullRequestRuns, &r.Artifacts, &r.Recent)
	}, `SELECT runs, pull_request_runs, artifacts, recent FROM pipeline_retention WHERE project = $1`, string(project))
	if db.IsNoRows(err) {
		return retention.Default, nil
	}
	if err != nil {
		return got, fmt.Errorf("read how long runs are kept: %w", err)
	}
	return got, nil
}

// SetRetention changes how long the runs of a project are kept.
func (s *Service) SetRetention(ctx context.Context, project slipway.ProjectID, by slipway.Actor, r retention.Settings) error {
	if err := r.Check(); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		const upsert = `INSERT INTO pipeline_retention (project, runs, pull_request_runs, artifacts, recent) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (project) DO UPDATE SET runs = excluded.runs, pull_request_runs = excluded.pull_request_runs, artifacts = excluded.artifacts,
				recent = excluded.recent`
		if _, err := tx.ExecContext(ctx, upsert, string(project), r.Runs, r.PullRequestRuns, r.Artifacts, r.Recent); err != nil {
			return fmt.Errorf("record how long runs are kept: %w", err)
		}
		return s.announceProject(ctx, tx, project, EventRetentionChanged, by, r)
	})
}

// RunFate is what becomes of a run, and why.
type RunFate struct {
	retention.Fate
	Pipeline slipway.PipelineID
	Name     string // of the pipeline
	Number   string
	Ref      string
	Finished time.Time
}

// Fates says what would become of the runs of a project now: first those that would be deleted. At most limit are returned of each
// action, and how many there are of each.
func (s *Service) Fates(ctx context.Context, project slipway.ProjectID, limit int) ([]RunFate, map[retention.Action]int, error) {
	settings, err := s.Retention(ctx, project)
	if err != nil {
		return nil, nil, err
	}
	definitions, err := s.Definitions(ctx, project)
	if err != nil {
		return nil, nil, err
	}
	counts, lists := map[retention.Action]int{}, map[retention.Action][]RunFate{}
	for i := range definitions {
		fates, err := s.fates(ctx, settings, &definitions[i])
		if err != nil {
			return nil, nil, err
		}
		for _, f := range fates {
			if counts[f.Action]++; len(lists[f.Action]) < limit {
				lists[f.Action] = append(lists[f.Action], f)
			}
		}
	}
	return append(append(lists[retention.Delete], lists[retention.Purge]...), lists[retention.Keep]...), counts, nil
}

// fates weighs the runs of one pipeline, newest first.
func (s *Service) fates(ctx context.Context, settings retention.Settings, d *Definition) ([]RunFate, error) {
	repo, err := s.Source.Repository(ctx, d.Repository)
	if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
		return nil, err
	}
	var runs []retention.Run
	now := s.clock.Now()
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, f *RunFate) error {
		r := retention.Run{}
		var result, reason string
		var state RunState
		var finished int64
		if err := row.Scan((*int64)(&r.ID), &f.Number, &f.Ref, &reason, (*string)(&state), &result, &finished, &r.Schedule, &r.Lease, (*int64)(&r.TakenBy), &r.HasFiles); err != nil {
			return err
		}
		if state == RunCompleted {
			r.Finished = db.Time(finished)
		}
		r.Succeeded = result == string(schedule.Succeeded) || result == string(schedule.SucceededWithIssues)
		r.PullRequest, r.DefaultBranch = reason == variable.ReasonPullRequest, f.Ref == repo.DefaultBranch
		f.Pipeline, f.Name, f.Finished = d.ID, d.Name, r.Finished
		runs = append(runs, r)
		return nil
	}, `SELECT r.id, r.number, r.ref, r.reason, r.state, r.result, r.finished, r.schedule,
			COALESCE((SELECT MIN(l.owner) FROM pipeline_leases l WHERE l.run = r.id AND l.expires > $2), ''),
			COALESCE((SELECT MAX(u.run) FROM pipeline_run_sources u WHERE u.source = r.id), 0),
			EXISTS (SELECT 1 FROM pipeline_artifacts a WHERE a.run = r.id) OR EXISTS (SELECT 1 FROM pipeline_attachments a WHERE a.run = r.id) OR EXISTS (SELECT 1 FROM pipeline_test_attachments a WHERE a.run = r.id)
		FROM pipeline_runs r WHERE r.pipeline = $1 AND NOT EXISTS (SELECT 1 FROM pipeline_run_deletions x WHERE x.run = r.id)
		ORDER BY r.id DESC LIMIT $3`, int64(d.ID), db.Micros(now), maxWeighed)
	if err != nil {
		return nil, fmt.Errorf("weigh the runs of pipeline %d: %w", d.ID, err)
	}
	for i, fate := range retention.Decide(settings, now, runs) {
		list[i].Fate = fate
	}
	return list, nil
}

// DeleteRun deletes a run that is over, with all that belongs to it. It is gone from the lists at once; its logs and files go by and by.
func (s *Service) DeleteRun(ctx context.Context, id slipway.RunID, by slipway.Actor) error {
	if err := s.requestDeletion(ctx, id, by, "by hand"); err != nil {
		return err
	}
	s.wakeRetention()
	return nil
}

// requestDeletion marks a run as deleted, from where on Run goes on.
func (s *Service) requestDeletion(ctx context.Context, id slipway.RunID, by slipway.Actor, reason string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := lockRun(ctx, tx, id); err != nil {
			return err
		}
		run, err := getRun(ctx, tx, id)
		if err != nil {
			return err
		}
		if run.State != RunCompleted {
			return slipway.Conflict("run %s is not over: cancel it first", run.Number)
		}
		lease, err := db.One(ctx, tx, db.Value[string], `SELECT owner FROM pipeline_leases WHERE run = $1 AND expires > $2 ORDER BY id LIMIT 1`, int64(id), db.Micros(s.clock.Now()))
		if err == nil {
			return slipway.Conflict("run %s is retained by %s: end that first", run.Number, lease)
		}
		if !db.IsNoRows(err) {
			return fmt.Errorf("look for leases of run %d: %w", id, err)
		}
		const insert = `INSERT INTO pipeline_run_deletions (run, project, number, actor, reason, requested, completed) VALUES ($1, $2, $3, $4, $5, $6, 0)`
		if _, err := tx.ExecContext(ctx, insert, int64(id), string(run.Project), run.Number, by.Name, reason, db.Micros(s.clock.Now())); err != nil {
			return fmt.Errorf("mark run %d as deleted: %w", id, err)
		}
		tx.AfterCommit(func() { s.changed(id) })
		return s.announce(ctx, tx, &run, EventRunDeleted, by, RetentionPayload{Run: run.ID, Number: run.Number, Reason: reason})
	})
}

// deleted is what becomes of asking for a run that is not there: it says when it was deleted, if it was.
func deleted(ctx context.Context, q db.Querier, id slipway.RunID) error {
	var number, actor string
	var requested int64
	err := q.QueryRowContext(ctx, `SELECT number, actor, requested FROM pipeline_run_deletions WHERE run = $1`, int64(id)).Scan(&number, &actor, &requested)
	if db.IsNoRows(err) {
		return slipway.NotFound("there is no run %d", id)
	}
	if err != nil {
		return fmt.Errorf("look for run %d: %w", id, err)
	}
	return slipway.NotFound("run %d (%s) was deleted on %s by %s", id, number, db.Time(requested).Format(time.DateOnly), actor)
}

// stillThere refuses what would start a run again that is being deleted.
func (s *Service) stillThere(ctx context.Context, tx *db.Tx, id slipway.RunID) error {
	_, err := db.One(ctx, tx, db.Value[int64], `SELECT run FROM pipeline_run_deletions WHERE run = $1`, int64(id))
	if db.IsNoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for run %d: %w", id, err)
	}
	return deleted(ctx, tx, id)
}

func (s *Service) wakeRetention() {
	select {
	case s.wakeTrim <- struct{}{}:
	default:
	}
}

// trimRuns deletes the runs whose time is over, and what is left of those that were deleted.
func (s *Service) trimRuns(ctx context.Context) error {
	if err := s.finishDeletions(ctx); err != nil {
		return err
	}
	definitions, err := db.List(ctx, s.db, scanDefinition, `SELECT `+definitionColumns+` FROM pipeline_definitions ORDER BY id`)
	if err != nil {
		return fmt.Errorf("list pipelines: %w", err)
	}
	var failed []error
	for i := range definitions {
		if err := s.trimPipeline(ctx, &definitions[i]); err != nil {
			failed = append(failed, fmt.Errorf("pipeline %s: %w", definitions[i].Name, err))
		}
	}
	return errors.Join(append(failed, s.finishDeletions(ctx), s.collectChunks(ctx))...)
}

func (s *Service) trimPipeline(ctx context.Context, d *Definition) error {
	settings, err := s.Retention(ctx, d.Project)
	if err != nil {
		return err
	}
	fates, err := s.fates(ctx, settings, d)
	if err != nil {
		return err
	}
	for _, f := range fates {
		switch f.Action {
		case retention.Delete:
			err = s.requestDeletion(ctx, f.Run, slipway.System, f.Reason)
		case retention.Purge:
			err = s.purge(ctx, f.Run)
		}
		// It may have been started again, retained or deleted since.
		if code := slipway.CodeOf(err); err != nil && code != slipway.CodeConflict && code != slipway.CodeNotFound {
			return err
		}
	}
	return nil
}

// purge deletes the artifacts and attachments of a run, and leaves the rest.
func (s *Service) purge(ctx context.Context, run slipway.RunID) error {
	if err := s.deleteFiles(ctx, run); err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_runs SET purged = $1 WHERE id = $2`, db.Micros(s.clock.Now()), int64(run)); err != nil {
		return fmt.Errorf("record that the files of run %d are gone: %w", run, err)
	}
	s.Logger.Info("the artifacts of a run are over their time", "run", run)
	s.changed(run)
	return nil
}

// deleteFiles deletes what a run has in the object store, and then its rows, so that a server that is killed goes on.
func (s *Service) deleteFiles(ctx context.Context, run slipway.RunID) error {
	for _, kind := range []string{"artifacts", "attachments"} {
		var keys []string
		err := s.Blobs.List(ctx, fmt.Sprintf("%s/%d/", kind, run), func(key string, _ int64) error {
			keys = append(keys, key)
			return nil
		})
		for _, key := range keys {
			err = errors.Join(err, s.Blobs.Delete(ctx, key))
		}
		if err == nil && kind == "artifacts" {
			_, err = s.db.ExecContext(ctx, `DELETE FROM pipeline_artifact_chunks WHERE artifact IN (SELECT id FROM pipeline_artifacts WHERE run = $1)`, int64(run))
		}
		if err == nil && kind == "attachments" {
			_, err = s.db.ExecContext(ctx, `DELETE FROM pipeline_test_attachments WHERE run = $1`, int64(run))
		}
		if err == nil {
			_, err = s.db.ExecContext(ctx, `DELETE FROM pipeline_`+kind+` WHERE run = $1`, int64(run))
		}
		if err != nil {
			return fmt.Errorf("delete the %s of run %d: %w", kind, run, err)
		}
	}
	return nil
}

// finishDeletions deletes what is left of the runs that were deleted.
func (s *Service) finishDeletions(ctx context.Context) error {
	runs, err := db.List(ctx, s.db, db.Value[int64], `SELECT run FROM pipeline_run_deletions WHERE completed = 0 ORDER BY run`)
	if err != nil {
		return fmt.Errorf("list deleted runs: %w", err)
	}
	for _, run := range runs {
		if err := s.finishDeletion(ctx, slipway.RunID(run)); err != nil {
			return fmt.Errorf("delete run %d: %w", run, err)
		}
	}
	return nil
}

func (s *Service) finishDeletion(ctx context.Context, run slipway.RunID) error {
	busy, err := db.One(ctx, s.db, db.Value[int64], `SELECT COUNT(*) FROM pipeline_jobs WHERE run = $1 AND pod IN (2, 3)`, int64(run))
	if err != nil || busy > 0 { // its pods are still being removed
		return err
	}
	if err := s.deleteFiles(ctx, run); err != nil {
		return err
	}
	const ofJobs = `(SELECT id FROM pipeline_jobs WHERE run = $1)`
	for _, batch := range []string{
		`DELETE FROM pipeline_logs WHERE (job, step, start) IN (SELECT job, step, start FROM pipeline_logs WHERE job IN ` + ofJobs + ` LIMIT $2)`,
		`DELETE FROM pipeline_test_results WHERE (test_run, number) IN (SELECT test_run, number FROM pipeline_test_results
			WHERE test_run IN (SELECT id FROM pipeline_test_runs WHERE run = $1) LIMIT $2)`,
		`DELETE FROM pipeline_coverage_files WHERE run = $1 AND path IN (SELECT path FROM pipeline_coverage_files WHERE run = $1 LIMIT $2)`,
		`DELETE FROM pipeline_decisions WHERE run = $1 AND number IN (SELECT number FROM pipeline_decisions WHERE run = $1 LIMIT $2)`,
	} {
		for n := int64(deletionBatch); n == deletionBatch; {
			result, err := s.db.ExecContext(ctx, batch, int64(run), deletionBatch)
			if err != nil {
				return err
			}
			if n, err = result.RowsAffected(); err != nil {
				return err
			}
		}
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, table := range []string{"pipeline_steps", "pipeline_agentless", "pipeline_machine_jobs"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE job IN `+ofJobs, int64(run)); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		// In this order, since the later ones are named by the earlier.
		for _, table := range strings.Fields(`validations pauses terminals test_runs summaries coverage coverage_sums run_sources decisions revisions plans leases
			jobs stages`) {
			if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_`+table+` WHERE run = $1`, int64(run)); err != nil {
				return fmt.Errorf("pipeline_%s: %w", table, err)
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_runs WHERE id = $1`, int64(run)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE pipeline_run_deletions SET completed = $1 WHERE run = $2`, db.Micros(s.clock.Now()), int64(run))
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.plans, run)
	delete(s.situations, run)
	s.mu.Unlock()
	s.Logger.Info("a run was deleted", "run", run)
	return nil
}
