package pipelines

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/schedule"
)

// Cancel asks a run to stop: waiting work is canceled, running jobs get their cancelTimeoutInMinutes for what runs
// always. Canceling again does nothing; a run that is over is a conflict.
func (s *Service) Cancel(ctx context.Context, id slipway.RunID, by slipway.Actor) error {
	return s.change(ctx, id, func(tx *db.Tx, sit *situation) error {
		if sit.run.State == RunCompleted {
			return slipway.Conflict("run %s is over", sit.run.Number)
		}
		if sit.run.Canceled {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET canceled = TRUE, canceled_by = $1 WHERE id = $2`, by.Name, int64(id)); err != nil {
			return fmt.Errorf("cancel run %d: %w", id, err)
		}
		return nil
	})
}

// ChecksCompleted records what the checks of a stage's attempt came to. Telling it again does nothing.
func (s *Service) ChecksCompleted(ctx context.Context, id slipway.RunID, stage string, attempt int, approved bool) error {
	return s.change(ctx, id, func(tx *db.Tx, sit *situation) error {
		st := sit.stages[stage]
		if st == nil || st.Attempt != attempt || st.State != schedule.Checking || st.Checks != schedule.ChecksPending {
			return nil
		}
		st.Checks = schedule.ChecksRejected
		if approved {
			st.Checks = schedule.ChecksApproved
		}
		return putStage(ctx, tx, id, st)
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
		return putStage(ctx, tx, id, st)
	})
}
