package environments

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
)

// NeededImage is one that an environment needs: it serves it, deploys it now, or would go back to it.
type NeededImage struct {
	Image
	Project     slipway.ProjectID
	Environment string
	Deployment  slipway.DeploymentID
	Previous    bool // it is what the environment would go back to
}

// NeededImages lists the images of the running deployments of all environments of all projects, of those that they serve, and of
// those before these, to which a roll-back leads.
func (s *Service) NeededImages(ctx context.Context) ([]NeededImage, error) {
	ids, err := db.List(ctx, s.db, db.Value[int64], `SELECT id FROM environments WHERE removed = 0 ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	var list []NeededImage
	add := func(d Deployment, previous bool) {
		for _, image := range d.Images {
			list = append(list, NeededImage{image, d.Project, d.EnvironmentName, d.ID, previous})
		}
	}
	for _, id := range ids {
		current, err := s.Current(ctx, slipway.EnvironmentID(id))
		if err == nil {
			add(current, false)
			var previous Deployment
			if previous, err = s.Previous(ctx, current.ID); err == nil {
				add(previous, true)
			}
		}
		if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
			return nil, err
		}
		running, err := listDeployments(ctx, s.db, `d.state = 'running' AND d.environment_id = $1`, id, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range running {
			add(d, false)
		}
	}
	return list, nil
}
