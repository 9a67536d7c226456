package pipelines

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// resolve makes the run's variables: those known before, the root's, and those given when it was queued, and settles what of
// the plan depends on them. A mistake of the file is a slipway.Problem.
func (s *Service) resolve(ctx context.Context, tx *db.Tx, run *Run, p *plan.Plan, known variable.Set, given variable.Set) (variable.Set, error) {
	groups, err := s.groupsOf(ctx, tx, run, p.Groups())
	if err != nil {
		return known, err
	}
	var counterErr error
	set, err := schedule.ResolveRun(p, known, given, groups, func(prefix string, seed int) (int, error) {
		n, err := nextCount(ctx, tx, run.Pipeline, "counter:"+prefix, seed)
		counterErr = err
		return n, err
	})
	if counterErr != nil {
		return known, counterErr
	}
	if err != nil {
		return known, slipway.Invalid("%v", err)
	}
	changed, err := schedule.Settle(p, set)
	if err != nil || !changed {
		return set, err
	}
	text, err := p.Encode()
	if err != nil {
		return set, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_plans SET plan = $1 WHERE run = $2`, string(text), int64(run.ID)); err != nil {
		return set, fmt.Errorf("store the plan of run %d: %w", run.ID, err)
	}
	return set, nil
}
