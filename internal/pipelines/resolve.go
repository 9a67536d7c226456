package pipelines

import (
	"context"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// resolve makes the run's variables: those known before, the root's, and those given when it was queued. A mistake of the
// file is a slipway.Problem.
func (s *Service) resolve(ctx context.Context, tx *db.Tx, run *Run, p *plan.Plan, known variable.Set, given variable.Set) (variable.Set, error) {
	groups, err := s.groupSets(ctx, tx, run.Project, p.Groups())
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
	return set, nil
}
