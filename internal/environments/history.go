package environments

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway"
	"slipway/internal/db"
)

const maxDeployments = 1000

// Deployment returns one deployment.
func (s *Service) Deployment(ctx context.Context, id slipway.DeploymentID) (Deployment, error) {
	d, err := getDeployment(ctx, s.db, `d.id = $1`, int64(id))
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return d, slipway.NotFound("there is no deployment %d", id)
	}
	return d, err
}

// History lists an environment's deployments, the newest first, at most limit.
func (s *Service) History(ctx context.Context, id slipway.EnvironmentID, limit int) ([]Deployment, error) {
	return listDeployments(ctx, s.db, `d.environment_id = $1`, int64(id), limit)
}

// DeploymentsOf lists what a run has deployed, the newest first.
func (s *Service) DeploymentsOf(ctx context.Context, run slipway.RunID) ([]Deployment, error) {
	return listDeployments(ctx, s.db, `d.run = $1`, int64(run), 0)
}

// RunningDeployments lists those that have not ended, of all projects: what a server that starts must look after.
func (s *Service) RunningDeployments(ctx context.Context) ([]Deployment, error) {
	return listDeployments(ctx, s.db, `d.state = $1`, string(Running), 0)
}

// Current returns the deployment that an environment serves: the latest successful one. NotFound before the first.
func (s *Service) Current(ctx context.Context, id slipway.EnvironmentID) (Deployment, error) {
	return getDeployment(ctx, s.db, `d.state = 'succeeded' AND d.environment_id = $1`, int64(id))
}

// Previous returns the deployment to go back to from a given one: what the environment served before it. When that
// was itself a rollback it is the deployment that was brought back. NotFound when there is none.
func (s *Service) Previous(ctx context.Context, id slipway.DeploymentID) (Deployment, error) {
	d, err := s.Deployment(ctx, id)
	if err != nil {
		return d, err
	}
	return previousDeployment(ctx, s.db, d)
}

func previousDeployment(ctx context.Context, q db.Querier, of Deployment) (Deployment, error) {
	// From a rollback the way leads on before its target: what it left is what somebody fled from.
	before := of.ID
	if of.RollbackTo != 0 {
		before = of.RollbackTo
	}
	condition := fmt.Sprintf(`d.state = 'succeeded' AND d.environment_id = $1 AND d.id < %d`, before)
	list, err := listDeployments(ctx, q, condition, int64(of.Environment), 1)
	if err != nil {
		return Deployment{}, err
	}
	if len(list) == 0 {
		return Deployment{}, slipway.NotFound("there is no successful deployment to %s before deployment %d", of.EnvironmentName, of.ID)
	}
	if to := list[0].RollbackTo; to != 0 {
		return getDeployment(ctx, q, `d.id = $1`, int64(to))
	}
	return list[0], nil
}

func getDeployment(ctx context.Context, q db.Querier, condition string, arg any) (Deployment, error) {
	list, err := listDeployments(ctx, q, condition, arg, 1)
	if err != nil {
		return Deployment{}, err
	}
	if len(list) == 0 {
		return Deployment{}, slipway.NotFound("there is no such deployment")
	}
	return list[0], nil
}

// listDeployments takes a condition of this package's own with one parameter, never a text from outside.
func listDeployments(ctx context.Context, q db.Querier, condition string, arg any, limit int) ([]Deployment, error) {
	if limit <= 0 || limit > maxDeployments {
		limit = maxDeployments
	}
	query := `
		SELECT d.id, d.project, d.environment_id, e.name, d.run, d.stage, d.job, d.attempt, d.commit_id, d.images, d.parameters,
		       d.manifests_hash, d.rollback_to, d.state, d.reason, d.started, d.completed, d.started_by
		FROM deployments d JOIN environments e ON e.id = d.environment_id
		WHERE ` + condition + ` ORDER BY d.id DESC LIMIT $2`
	list, err := db.List(ctx, q, scanDeployment, query, arg, limit)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	return list, nil
}

func scanDeployment(row interface{ Scan(...any) error }, d *Deployment) error {
	var images, parameters, actor string
	var started, completed int64
	err := row.Scan(&d.ID, &d.Project, &d.Environment, &d.EnvironmentName, &d.Run, &d.Stage, &d.Job, &d.Attempt, &d.Commit,
		&images, &parameters, &d.ManifestsHash, &d.RollbackTo, &d.State, &d.Reason, &started, &completed, &actor)
	if err != nil {
		return err
	}
	d.Started, d.Completed = db.Time(started), db.Time(completed)
	if err := json.Unmarshal([]byte(images), &d.Images); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(parameters), &d.Parameters); err != nil {
		return err
	}
	return json.Unmarshal([]byte(actor), &d.StartedBy)
}
