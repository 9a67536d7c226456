package pipelines

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// A key vault of Azure is the variable group of its name: AzureKeyVault makes the group's variables secret ones of the steps that
// follow.

// checkVaults says which groups, or variables of them, steps name that are not there.
func (s *Service) checkVaults(ctx context.Context, q db.Querier, project slipway.ProjectID, p *plan.Plan, vars variable.Set) error {
	steps := p.Vaults()
	if len(steps) == 0 {
		return nil
	}
	names, err := db.List(ctx, q, db.Value[string], `SELECT name FROM variable_groups WHERE project = $1 ORDER BY name_key LIMIT 1000`, string(project))
	if err != nil {
		return fmt.Errorf("list variable groups: %w", err)
	}
	var problems []error
	for _, st := range steps {
		name, filter := vars.Expand(st.Task.Inputs["KeyVaultName"]), vars.Expand(st.Task.Inputs["SecretsFilter"])
		if strings.Contains(name, "$(") {
			continue
		}
		set, ok, err := s.groupSet(ctx, q, project, strings.TrimSpace(name))
		if err != nil {
			return err
		}
		if !ok {
			hint := nearest.Suggest(name, names)
			if hint == "" {
				hint = ": a key vault of Azure is the variable group of its name here, make it in the library"
			}
			problems = append(problems, slipway.Invalid("there is no variable group %q%s", name, hint).At(st.At))
			continue
		}
		if strings.Contains(filter, "$(") {
			continue
		}
		if _, err := chosen(set, filter); err != nil {
			problems = append(problems, slipway.Invalid("variable group %q: %v", name, err).At(st.At))
		}
	}
	return errors.Join(problems...)
}

// chosen are the variables of a group that SecretsFilter names.
func chosen(set variable.Set, filter string) ([]job.VaultSecret, error) {
	var list []job.VaultSecret
	names := set.Names()
	wanted := job.SecretNames(filter)
	if wanted == nil {
		wanted = names
	}
	for _, name := range wanted {
		v, ok := set.Get(name)
		if !ok {
			return nil, fmt.Errorf("it has no variable %q%s", name, nearest.Suggest(name, names))
		}
		list = append(list, job.VaultSecret{Name: name, Value: v.Text})
	}
	return list, nil
}

// FetchVault gives a running job the variables of the group that its step AzureKeyVault names.
func (s *Service) FetchVault(ctx context.Context, id slipway.JobID, step int) ([]job.VaultSecret, error) {
	run, _, i, vars, err := s.jobThatFetches(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := run.refuseFork("secrets of key vaults"); err != nil {
		return nil, err
	}
	for _, st := range i.Steps() {
		if st.ID != step || st.Task == nil || st.Task.Name != "AzureKeyVault" {
			continue
		}
		name := strings.TrimSpace(vars.Expand(st.Task.Inputs["KeyVaultName"]))
		set, ok, err := s.groupSet(ctx, s.db, run.Project, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, slipway.NotFound("there is no variable group %q: a key vault of Azure is the variable group of its name here", name)
		}
		list, err := chosen(set, vars.Expand(st.Task.Inputs["SecretsFilter"]))
		if err != nil {
			return nil, slipway.Invalid("variable group %q: %v", name, err)
		}
		return list, nil
	}
	return nil, slipway.Forbidden("step %d of this job takes no secrets of a key vault", step)
}
