package pipelines

import (
	"context"
	"fmt"
	"maps"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

// Cancel asks a run to stop: waiting work is canceled, running jobs get their cancelTimeoutInMinutes for what runs
// always. Canceling again does nothing; a run that is over is a conflict.
func (s *Service) Cancel(ctx context.Context, id slipway.RunID, by slipway.Actor) error {
	return s.cancel(ctx, id, by.Name)
}

// cancel is Cancel by whoever, or whatever, has that name.
func (s *Service) cancel(ctx context.Context, id slipway.RunID, by string) error {
	return s.change(ctx, id, func(tx *db.Tx, sit *situation) error {
		if sit.run.State == RunCompleted {
			return slipway.Conflict("run %s is over", sit.run.Number)
		}
		if sit.run.Canceled {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET canceled = TRUE, canceled_by = $1 WHERE id = $2`, by, int64(id)); err != nil {
			return fmt.Errorf("cancel run %d: %w", id, err)
		}
		sit.run.Canceled, sit.run.CanceledBy, sit.facts.Canceled, sit.changed.All = true, by, true, true
		return nil
	})
}

// ChecksCompleted records what the checks of a stage's attempt came to, and why if it is not approved. Telling it again does
// nothing.
func (s *Service) ChecksCompleted(ctx context.Context, id slipway.RunID, stage string, attempt int, outcome schedule.CheckState, reason string) error {
	return s.change(ctx, id, func(tx *db.Tx, sit *situation) error {
		st := sit.stages[stage]
		if st == nil || st.Attempt != attempt || st.State != schedule.Checking || st.Checks != schedule.ChecksPending {
			return nil
		}
		st.Checks, st.Reason = outcome, reason
		return sit.putStage(ctx, tx, st)
	})
}

// StartStage starts a stage that waits for a person (`trigger: manual`).
func (s *Service) StartStage(ctx context.Context, id slipway.RunID, stage string) error {
	return s.change(ctx, id, func(tx *db.Tx, sit *situation) error {
		ps, st := sit.plan.Stage(stage), sit.stage(stage)
		if ps == nil || !ps.Manual {
			return slipway.Invalid("stage %q is none that a person starts", stage)
		}
		st.Manual = true
		return sit.putStage(ctx, tx, st)
	})
}

// RetryFailed runs the failed jobs of a run again, each as its next attempt, and everything that depends on them. What
// succeeded keeps its outcome. A run that is not over, or that did not fail, is a conflict.
func (s *Service) RetryFailed(ctx context.Context, id slipway.RunID, by slipway.Actor) error {
	return s.change(ctx, id, func(tx *db.Tx, sit *situation) error {
		if sit.run.State != RunCompleted {
			return slipway.Conflict("run %s is not over yet", sit.run.Number)
		}
		facts, reset := sit.facts, schedule.Reset{Stages: map[string]int{}, Jobs: map[string]int{}}
		for i := range sit.plan.Stages {
			name := sit.plan.Stages[i].Name
			switch facts.Stages[name].Result {
			case schedule.Failed, schedule.Canceled, schedule.Abandoned:
			default:
				continue
			}
			next, err := schedule.Retry(sit.plan, facts, schedule.Again{Stage: name})
			if err != nil {
				return err
			}
			facts = facts.Apply(next)
			maps.Copy(reset.Stages, next.Stages)
			maps.Copy(reset.Jobs, next.Jobs)
		}
		if len(reset.Stages) == 0 {
			return slipway.Conflict("run %s has nothing that failed", sit.run.Number)
		}
		return s.applyReset(ctx, tx, sit, reset, by)
	})
}

// Retry runs a stage that is over again, or jobs of it, each as its next attempt, and the stages that depend on it. Its
// checks are asked for again. A stage that is not over is a conflict, as is one of a run that is being canceled.
func (s *Service) Retry(ctx context.Context, id slipway.RunID, again schedule.Again, by slipway.Actor) error {
	return s.change(ctx, id, func(tx *db.Tx, sit *situation) error {
		if sit.run.Canceled && sit.run.State != RunCompleted {
			return slipway.Conflict("run %s is being canceled: wait until it is over", sit.run.Number)
		}
		reset, err := schedule.Retry(sit.plan, sit.facts, again)
		if err != nil {
			return err
		}
		return s.applyReset(ctx, tx, sit, reset, by)
	})
}

// applyReset records the next attempts and opens the run again.
func (s *Service) applyReset(ctx context.Context, tx *db.Tx, sit *situation, reset schedule.Reset, by slipway.Actor) error {
	for name, attempt := range reset.Stages {
		if err := sit.putStage(ctx, tx, &Stage{Name: name, Attempt: attempt, Unwanted: sit.facts.Stages[name].Unwanted}); err != nil {
			return err
		}
	}
	for instance, attempt := range reset.Jobs {
		stage, name, _ := plan.SplitInstanceID(instance)
		j := &Job{Run: sit.run.ID, Instance: instance, Stage: stage, Name: name, Attempt: attempt, StageAttempt: reset.Stages[stage]}
		if err := s.putJob(ctx, tx, j, nil); err != nil {
			return err
		}
		sit.jobChanged(j)
	}
	sit.changed.All = true
	if sit.run.State != RunCompleted {
		return nil
	}
	if err := s.stillThere(ctx, tx, sit.run.ID); err != nil {
		return err
	}
	const reopen = `UPDATE pipeline_runs SET state = $1, result = '', canceled = FALSE, canceled_by = '', finished = 0 WHERE id = $2`
	if _, err := tx.ExecContext(ctx, reopen, string(RunRunning), int64(sit.run.ID)); err != nil {
		return fmt.Errorf("open run %d again: %w", sit.run.ID, err)
	}
	sit.run.State, sit.run.Result, sit.run.Canceled, sit.run.CanceledBy = RunRunning, "", false, ""
	sit.facts.Canceled, sit.facts.Result = false, ""
	return s.announce(ctx, tx, &sit.run, EventRunStarted, by, sit.run.payload())
}
