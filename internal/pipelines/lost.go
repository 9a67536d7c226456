package pipelines

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// maxLost is how often a job whose pod is lost before its first step is started again.
const maxLost = 3

// lose ends a job whose agent is gone, or starts it again in another pod if that one was lost by no fault of the job: before
// anything of the job was done it goes on as if nothing had been, afterwards as another attempt, if the job allows that. One that was asked to
// cancel is canceled.
func (s *Service) lose(ctx context.Context, j *Job, status PodStatus) error {
	if !j.CancelRequested.IsZero() {
		return s.finish(ctx, j, job.Completion{Result: schedule.Canceled, Reason: status.Note})
	}
	// The agent of a warm pod may have ended before it heard of the job.
	lost := status.Lost || j.State == schedule.Queued && strings.HasPrefix(j.podName, warmPrefix)
	if !lost {
		return s.finish(ctx, j, job.Completion{Result: schedule.Failed, Reason: status.Note})
	}
	begun, err := s.hasBegun(ctx, j.ID)
	switch {
	case err != nil:
		return err
	case !begun && j.lost < maxLost:
		return s.startAgain(ctx, j, status.Note)
	}
	return s.retryLost(ctx, j, status.Note)
}

// retryLost ends an attempt whose pod was lost after its first step, and makes another if the job allows one. The lost attempt
// keeps its steps, logs, outputs and what it published.
func (s *Service) retryLost(ctx context.Context, j *Job, note string) error {
	loss, err := s.lossOf(ctx, j, note)
	if err != nil {
		return err
	}
	// The agent may be alive on a node that nobody reaches now, and must not go on beside the next attempt.
	if err := s.Tokens.RevokeJob(ctx, j.ID); err != nil {
		return err
	}
	return s.change(ctx, j.Run, func(tx *db.Tx, sit *situation) error {
		current, err := sit.running(ctx, tx, j)
		if current == nil || err != nil {
			return err
		}
		next, again := schedule.RetryLost(sit.plan, sit.facts, loss)
		c := job.Completion{Result: schedule.Failed, Reason: note}
		if again {
			c.Reason += fmt.Sprintf("; the job is started again as attempt %d", next.Attempt)
		}
		if err := s.end(ctx, tx, sit, current, c); err != nil || !again {
			return err
		}
		s.Logger.Warn("a job's pod was lost: it is started again", "run", j.Run, "job", j.ID, "pod", j.PodName(), "note", note, "attempt", next.Attempt)
		another := &Job{Run: j.Run, Instance: j.Instance, Stage: j.Stage, Name: j.Name, Attempt: next.Attempt, StageAttempt: j.StageAttempt,
			losses: next.Lost, Retried: next.Retried}
		if err := s.putJob(ctx, tx, another, nil); err != nil {
			return err
		}
		sit.jobChanged(another)
		return nil
	})
}

// lossOf is what the scheduler must know of a lost attempt.
func (s *Service) lossOf(ctx context.Context, j *Job, note string) (schedule.Loss, error) {
	loss := schedule.Loss{Instance: j.Instance, Reason: note}
	run, _, err := plainRun(ctx, s.db, j.Run)
	if err != nil {
		return loss, err
	}
	if loss.Variables, err = s.jobVariables(ctx, &run, j); err != nil {
		return loss, err
	}
	d, err := s.Definition(ctx, run.Pipeline)
	if err != nil {
		return loss, err
	}
	if d.RetryLost != nil {
		loss.Allowed = *d.RetryLost
		return loss, nil
	}
	set, err := s.poolSet(ctx, s.db)
	if err != nil {
		return loss, err
	}
	loss.Allowed = set.of(j.pool).RetryLost
	return loss, nil
}

// hasBegun reports a job of which a step has begun; step 0 is the agent's own.
func (s *Service) hasBegun(ctx context.Context, id slipway.JobID) (bool, error) {
	steps, err := stepsOf(ctx, s.db, id)
	if err != nil {
		return false, err
	}
	for _, step := range steps {
		if step.ID > 0 && (step.State == schedule.Running || step.State == schedule.Completed || step.LogSize > 0) {
			return true, nil
		}
	}
	return false, nil
}

// startAgain makes the job want another pod. The token of the lost one is revoked: its agent may be alive on a node that
// nobody reaches now, and must not go on beside the new one.
func (s *Service) startAgain(ctx context.Context, j *Job, note string) error {
	if err := s.Tokens.RevokeJob(ctx, j.ID); err != nil {
		return err
	}
	if err := s.Executor.Stop(ctx, j.PodName()); err != nil {
		return fmt.Errorf("stop lost pod: %w", err)
	}
	s.Logger.Warn("a job's pod was lost before its first step: it is started again", "run", j.Run, "job", j.ID, "pod", j.PodName(), "note", note)
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		const again = `
			UPDATE pipeline_jobs SET state = $1, started = 0, heard = 0, pod = $2, pod_name = $3, lost = lost + 1, pod_note = $4
			WHERE id = $5 AND pod = $6 AND state <> $7 AND lost = $8`
		result, err := tx.ExecContext(ctx, again, string(schedule.Queued), int(podWanted), fmt.Sprintf("%s-%d", PodName(j.Run, j.ID), j.lost+2),
			"started again: "+note, int64(j.ID), int(podStarted), string(schedule.Completed), j.lost)
		if err != nil {
			return fmt.Errorf("start job %d again: %w", j.ID, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err // it has gone on meanwhile
		}
		// The new agent reports from the beginning.
		for _, table := range []string{"pipeline_logs", "pipeline_steps"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE job = $1`, int64(j.ID)); err != nil {
				return fmt.Errorf("start job %d again: %w", j.ID, err)
			}
		}
		s.mu.Lock()
		delete(s.gone, j.ID)
		s.mu.Unlock()
		tx.AfterCommit(func() { s.Wake(); s.changed(j.Run) })
		return nil
	})
}
