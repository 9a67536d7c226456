package loop

import (
	"context"
	"errors"
	"time"

	"slipway"
)

// expiryInterval is how late a build that is valid no more is queued anew.
const expiryInterval = time.Second

// Run asks the policies of pull requests again when a build that they go by expires, until ctx ends: nothing else happens then.
func (l *Loop) Run(ctx context.Context) error {
	ticker := time.NewTicker(expiryInterval)
	defer ticker.Stop()
	for {
		if err := l.considerExpired(ctx); err != nil && ctx.Err() == nil {
			l.Logger.Error("the loop could not consider expired builds", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// considerExpired asks the policies of the pull requests whose builds have expired. What fails is tried again.
func (l *Loop) considerExpired(ctx context.Context) error {
	expired, err := l.Repos.Expired(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range expired {
		err := l.consider(ctx, e.PullRequest)
		if err == nil || slipway.CodeOf(err) == slipway.CodeNotFound {
			err = l.Repos.Considered(ctx, e)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
