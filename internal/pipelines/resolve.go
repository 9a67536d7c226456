package pipelines

import (
	"context"

	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// resolve makes the run's variables: those known before, the root's, and those given when it was queued.
func (s *Service) resolve(_ context.Context, _ *db.Tx, _ *Run, p *plan.Plan, vars variable.Set, given map[string]string) (variable.Set, error) {
	for _, v := range p.Variables {
		if v.Name != "" {
			vars.Put(v.Name, variable.Value{Text: v.Value, ReadOnly: v.ReadOnly})
		}
	}
	vars.Add(variable.Of(given))
	return vars, nil
}
