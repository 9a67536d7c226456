package loop

import (
	"context"
	"time"

	"slipway"
	"slipway/internal/registry"
)

// Gate asks a project's policy about vulnerabilities what it says of images that jobs push, whatever program pushes them.
type Gate struct{ Loop *Loop }

// pushWait is how long a push waits for the inventories of its images, while its client waits for an answer.
const pushWait = 5 * time.Minute

// Guards implements ociserver.Gate.
func (g Gate) Guards(ctx context.Context, project slipway.ProjectID) (bool, error) {
	policy, err := g.Loop.Scans.Policy(ctx, project)
	return policy.Pushes && policy.Severity != "", err
}

// Admit implements ociserver.Gate. Other artifacts than images have nothing that it knows.
func (g Gate) Admit(ctx context.Context, repo registry.Repository, d slipway.Digest) error {
	ctx, cancel := context.WithTimeout(ctx, pushWait)
	defer cancel()
	parts, err := g.Loop.imagesOf(ctx, repo, d)
	if err != nil {
		return err
	}
	for _, part := range parts {
		err := g.Loop.admitImage(ctx, repo.Project, repo, part, func(string) {})
		if slipway.CodeOf(err) == slipway.CodeConflict {
			return slipway.Unavailable("the packages of %s@%s, which the project's policy wants to know, are still being listed: push it again", repo.Name, part.Short()).Because(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
