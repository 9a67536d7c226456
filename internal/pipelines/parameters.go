package pipelines

import (
	"context"
	"strings"

	"slipway"
	"slipway/internal/pipelines/variable"
)

// definedBySlipway are the prefixes of variables that Slipway itself defines; they say where a job runs and not with what.
var definedBySlipway = []string{"system.", "agent.", "common.", "pipeline.", "build.", "environment.", "strategy.", "checks.", "resources."}

// Parameters are the variables that users chose for a job: of its pipeline, its groups and its environment. Secrets
// are among them, with their values, marked.
func (s *Service) Parameters(ctx context.Context, id slipway.JobID) (variable.Set, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return variable.Set{}, err
	}
	run, err := s.Get(ctx, j.Run)
	if err != nil {
		return variable.Set{}, err
	}
	vars, err := s.jobVariables(ctx, &run, &j)
	if err != nil {
		return variable.Set{}, err
	}
	for _, name := range vars.Names() {
		for _, prefix := range definedBySlipway {
			if strings.HasPrefix(strings.ToLower(name), prefix) {
				vars.Delete(name)
			}
		}
	}
	return vars, nil
}
