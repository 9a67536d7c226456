package environments

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
)

// EnsureReview returns the review app of a pull request, an environment that is made of another on first use: NAME-pr-NUMBER, with a
// namespace of its own in the same cluster. That of a pull request that is open again is there again; one that is not open has none that is not
// removed, unless it is still to be.
func (s *Service) EnsureReview(ctx context.Context, of Environment, projectName string, pull slipway.PullRequestID, open bool, by slipway.Actor) (Environment, error) {
	suffix := fmt.Sprintf("-pr-%d", pull)
	n := NewEnvironment{Project: of.Project, ProjectName: projectName, Name: of.Name + suffix, Cluster: of.Cluster, Namespace: of.Namespace + suffix,
		Description: fmt.Sprintf("Review app of pull request %d, made of %s. It goes when the pull request is closed.", pull, of.Name),
		reviewOf:    of.ID, pullRequest: pull}
	if len(n.Namespace) > maxNamespace {
		n.Namespace = withHash(n.Namespace, n.Namespace)
	}
	_, err := s.ByName(ctx, n.Project, n.Name)
	fresh := slipway.CodeOf(err) == slipway.CodeNotFound
	e, err := s.Ensure(ctx, n, by)
	switch {
	case err != nil:
		return e, err
	case e.ReviewOf != of.ID || e.PullRequest != pull:
		return e, slipway.Conflict("the environment %s is no review app of %s: give one of them another name", e.Name, of.Name)
	case fresh && !open:
		if err := s.RemoveReview(ctx, e.ID, by); err != nil {
			return e, err
		}
	case open && !e.Removed.IsZero():
		if _, err := s.db.ExecContext(ctx, `UPDATE environments SET removed = 0 WHERE id = $1`, int64(e.ID)); err != nil {
			return e, fmt.Errorf("bring back review app %q: %w", e.Name, err)
		}
	default:
		return e, nil
	}
	return getEnvironment(ctx, s.db, e.ID)
}

// Reviews lists the review apps that there are of a pull request or, with 0, of an environment.
func (s *Service) Reviews(ctx context.Context, pull slipway.PullRequestID, of slipway.EnvironmentID) ([]Environment, error) {
	const query = `SELECT ` + environmentColumns + ` FROM environments
		WHERE review_of <> 0 AND removed = 0 AND ($1 = 0 OR pull_request = $1) AND ($2 = 0 OR review_of = $2) ORDER BY pull_request, id LIMIT $3`
	list, err := db.List(ctx, s.db, scanEnvironment, query, int64(pull), int64(of), maxEnvironments)
	if err != nil {
		return nil, fmt.Errorf("list review apps: %w", err)
	}
	return list, nil
}

// RemoveReview records that a review app's namespace is gone.
func (s *Service) RemoveReview(ctx context.Context, id slipway.EnvironmentID, by slipway.Actor) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		e, err := getEnvironment(ctx, tx, id)
		if err != nil || e.ReviewOf == 0 || !e.Removed.IsZero() {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE environments SET removed = $1 WHERE id = $2`, db.Micros(s.clock.Now()), int64(id)); err != nil {
			return err
		}
		return s.changed(ctx, tx, e, by, "removed")
	})
	if err != nil {
		return fmt.Errorf("remove review app %d: %w", id, err)
	}
	return nil
}
