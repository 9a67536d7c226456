package insights

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Deployment is a deployment as telemetry knows it.
type Deployment struct {
	ID              slipway.DeploymentID
	Project         slipway.ProjectID
	Environment     slipway.EnvironmentID
	EnvironmentName string
	Commit          slipway.CommitID
	Run             slipway.RunID
	Label           string // how charts call it, as the run's number
	Started         time.Time
	Completed       time.Time // zero while it is going on
	Succeeded       bool
	Seen            time.Time // when its first telemetry came; zero before
}

const deploymentColumns = `id, project_id, environment_id, environment_name, commit_id, run_id, label, started, completed, succeeded, seen`

func scanDeployment(row interface{ Scan(...any) error }, d *Deployment) error {
	var started, completed, seen int64
	err := row.Scan((*int64)(&d.ID), (*string)(&d.Project), (*int64)(&d.Environment), &d.EnvironmentName, (*string)(&d.Commit),
		(*int64)(&d.Run), &d.Label, &started, &completed, &d.Succeeded, &seen)
	d.Started, d.Completed, d.Seen = db.Time(started), db.Time(completed), db.Time(seen)
	return err
}

// Announce tells of a deployment that started or completed; the loop calls it for both. Saying the same again is
// harmless, and a completed deployment does not become an incomplete one.
func (s *Service) Announce(ctx context.Context, d Deployment) error {
	if d.ID == 0 || d.Project == "" {
		return slipway.Invalid("a deployment has a number and a project")
	}
	if d.Started.IsZero() {
		d.Started = s.clock.Now()
	}
	const upsert = `
		INSERT INTO insights_deployments (` + deploymentColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)
		ON CONFLICT (id) DO UPDATE SET
			project_id = excluded.project_id, environment_id = excluded.environment_id, environment_name = excluded.environment_name,
			commit_id = excluded.commit_id, run_id = excluded.run_id, label = excluded.label,
			completed = CASE WHEN excluded.completed = 0 THEN insights_deployments.completed ELSE excluded.completed END,
			succeeded = CASE WHEN excluded.completed = 0 THEN insights_deployments.succeeded ELSE excluded.succeeded END`
	_, err := s.db.ExecContext(ctx, upsert, int64(d.ID), string(d.Project), int64(d.Environment), d.EnvironmentName, string(d.Commit),
		int64(d.Run), d.Label, db.Micros(d.Started), db.Micros(d.Completed), d.Succeeded)
	if err != nil {
		return fmt.Errorf("announce deployment %d: %w", d.ID, err)
	}
	s.forget(d.ID)
	return nil
}

// Deployment returns one announced deployment.
func (s *Service) Deployment(ctx context.Context, id slipway.DeploymentID) (Deployment, error) {
	d, err := db.One(ctx, s.db, scanDeployment, `SELECT `+deploymentColumns+` FROM insights_deployments WHERE id = $1`, int64(id))
	if db.IsNoRows(err) {
		return d, slipway.NotFound("no deployment %d was announced to insights", id)
	}
	if err != nil {
		return d, fmt.Errorf("get deployment %d: %w", id, err)
	}
	return d, nil
}

// Deployments lists those of the filter's project, and environment if it names one, that started or completed in
// its time range, newest first, at most 200: the markers of the charts.
func (s *Service) Deployments(ctx context.Context, f Filter) ([]Deployment, error) {
	f = s.defaults(f)
	const query = `
		SELECT ` + deploymentColumns + ` FROM insights_deployments
		WHERE project_id = $1 AND ($2 = 0 OR environment_id = $2) AND started < $4 AND (started >= $3 OR completed >= $3)
		ORDER BY id DESC LIMIT 200`
	list, err := db.List(ctx, s.db, scanDeployment, query, string(f.Project), int64(f.Environment), db.Micros(f.From), db.Micros(f.To))
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	return list, nil
}

// Before returns the newest deployment of the same environment that succeeded before this one; NotFound for the first.
func (s *Service) Before(ctx context.Context, d Deployment) (Deployment, error) {
	const query = `
		SELECT ` + deploymentColumns + ` FROM insights_deployments
		WHERE project_id = $1 AND environment_id = $2 AND id < $3 AND succeeded = TRUE ORDER BY id DESC LIMIT 1`
	b, err := db.One(ctx, s.db, scanDeployment, query, string(d.Project), int64(d.Environment), int64(d.ID))
	if db.IsNoRows(err) {
		return b, slipway.NotFound("no deployment of this environment succeeded before deployment %d", d.ID)
	}
	if err != nil {
		return b, fmt.Errorf("find the deployment before %d: %w", d.ID, err)
	}
	return b, nil
}

// serving lists the newest deployment of every environment that succeeded: those that the rules watch. One that is still
// going on is judged by whoever rolls it out, and what was there before it serves on.
func (s *Service) serving(ctx context.Context) ([]Deployment, error) {
	const query = `
		SELECT ` + deploymentColumns + ` FROM insights_deployments
		WHERE id IN (SELECT max(id) FROM insights_deployments WHERE completed > 0 AND succeeded = TRUE GROUP BY project_id, environment_id)
		ORDER BY id DESC LIMIT 1000`
	list, err := db.List(ctx, s.db, scanDeployment, query)
	if err != nil {
		return nil, fmt.Errorf("list serving deployments: %w", err)
	}
	return list, nil
}

// EnvironmentName is an environment that something was deployed to.
type EnvironmentName struct {
	ID   slipway.EnvironmentID
	Name string
}

// Environments lists the environments of the project that something was deployed to, by number, at most 200.
func (s *Service) Environments(ctx context.Context, project slipway.ProjectID) ([]EnvironmentName, error) {
	const query = `
		SELECT environment_id, max(environment_name) FROM insights_deployments
		WHERE project_id = $1 GROUP BY environment_id ORDER BY environment_id LIMIT 200`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, e *EnvironmentName) error {
		return row.Scan((*int64)(&e.ID), &e.Name)
	}, query, string(project))
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	return list, nil
}
