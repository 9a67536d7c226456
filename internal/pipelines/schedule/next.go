package schedule

import "slipway/internal/pipelines/plan"

// Next decides what is to be done now. No action means: wait for a fact, or, if Facts.Result is set, that the run is
// over. It never changes facts.
func Next(p *plan.Plan, facts Facts) []Action {
	return nil
}
