package loop

import (
	"context"
	"errors"
	"strconv"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/repos"
)

// errReviewClosed is what a deployment to a review app comes to when its pull request is closed.
var errReviewClosed = slipway.Conflict("the pull request is closed, so that its review app is removed")

// reviewApp is the environment of a pull request to which a deployment goes in the place of another one.
func (l *Loop) reviewApp(ctx context.Context, of environments.Environment, projectName string, pull slipway.PullRequestID, by slipway.Actor) (environments.Environment, error) {
	p, err := l.Repos.PullRequest(ctx, pull)
	if err != nil {
		return environments.Environment{}, err
	}
	return l.Environments.EnsureReview(ctx, of, projectName, pull, p.Status == repos.PullRequestActive, by)
}

// closeReviews removes the review apps of a pull request that is closed, with all that runs in them.
func (l *Loop) closeReviews(ctx context.Context, e events.Event) error {
	id, err := strconv.ParseInt(e.Subject.ID, 10, 64)
	if err != nil {
		return err
	}
	list, err := l.Environments.Reviews(ctx, slipway.PullRequestID(id), 0)
	if err != nil {
		return err
	}
	var errs []error
	for _, one := range list {
		if err := l.Clusters.Delete(ctx, one.Cluster, one.Namespace, one.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		err := l.Pipelines.Hold(ctx, one.Project, "Environment:"+one.Name, nil) // what it ran is kept for it no longer
		if err == nil {
			err = l.Environments.RemoveReview(ctx, one.ID, slipway.System)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
