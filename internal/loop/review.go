package loop

import (
	"context"
	"fmt"
	"strconv"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/events"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/repos"
)

// subscribeReview joins the policies of pull requests with what they ask of others.
func (l *Loop) subscribeReview(log *events.Log) {
	log.Subscribe("repos.consider_pull_request", l.considerEvent, repos.EventPullRequestCreated, repos.EventPullRequestUpdated, repos.EventPullRequestVoted,
		repos.EventPullRequestCommented, repos.EventPullRequestReviewers, repos.EventPullRequestValidated, repos.EventStatusPosted,
		boards.EventItemLinked, boards.EventItemUnlinked)
	log.Subscribe("repos.consider_policy", l.considerPolicy, repos.EventPolicyChanged)
	log.Subscribe("repos.note_build", l.noteBuild, pipelines.EventRunStarted, pipelines.EventRunCompleted)
}

// considerEvent asks the policies of the pull requests that an event is about.
func (l *Loop) considerEvent(ctx context.Context, e events.Event) error {
	for _, ref := range append([]slipway.Reference{e.Subject}, e.References...) {
		switch {
		case ref.Kind == slipway.RefPullRequest:
			id, err := strconv.ParseInt(ref.ID, 10, 64)
			if err != nil {
				return fmt.Errorf("read the pull request of event %d: %w", e.ID, err)
			}
			return l.consider(ctx, slipway.PullRequestID(id))
		case ref.Kind == slipway.RefCommit && e.Kind == repos.EventStatusPosted:
			return l.considerCommit(ctx, e)
		}
	}
	return nil
}

func (l *Loop) considerCommit(ctx context.Context, e events.Event) error {
	var status repos.Status
	if err := e.Decode(&status); err != nil {
		return err
	}
	ids, err := l.Repos.PullRequestsOf(ctx, status.Repository, status.Commit)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := l.consider(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (l *Loop) considerPolicy(ctx context.Context, e events.Event) error {
	var p repos.PolicyPayload
	if err := e.Decode(&p); err != nil {
		return err
	}
	list, err := l.Repos.PullRequests(ctx, repos.PullRequestFilter{Project: e.Project, Repository: p.Repository, Status: repos.PullRequestActive})
	if err != nil {
		return err
	}
	for _, one := range list {
		if err := l.consider(ctx, one.ID); err != nil {
			return err
		}
	}
	return nil
}

// consider brings what the policies of a pull request look at up to date, includes reviewers, queues builds, and completes it when
// that was asked for and all hold.
func (l *Loop) consider(ctx context.Context, id slipway.PullRequestID) error {
	p, err := l.Repos.PullRequest(ctx, id)
	if err != nil || p.Status != repos.PullRequestActive {
		return err
	}
	items, err := l.Boards.List(ctx, boards.Filter{Project: p.Project, Reference: slipway.Ref(slipway.RefPullRequest, p.ID)})
	if err != nil {
		return err
	}
	if _, err := l.Repos.LinkedWorkItems(ctx, id, len(items)); err != nil {
		return err
	}
	if p, err = l.Repos.PullRequest(ctx, id); err != nil {
		return err
	}
	if _, err := l.Repos.IncludeReviewers(ctx, p); err != nil {
		return err
	}
	wanted, err := l.Repos.WantedBuilds(ctx, p)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		// A pipeline that is gone, or has no such file, is the policy's fault: its evaluation goes on waiting for a build.
		if _, err := l.Validate(ctx, w, slipway.System); err != nil && slipway.CodeOf(err) != slipway.CodeNotFound && slipway.CodeOf(err) != slipway.CodeInvalid {
			return err
		}
	}
	return l.Repos.TryAutoComplete(ctx, id)
}

// Validate queues the run that a policy wants.
func (l *Loop) Validate(ctx context.Context, w repos.WantedBuild, by slipway.Actor) (slipway.RunID, error) {
	ask, err := l.pulled(ctx, w.PullRequest, by)
	if err != nil {
		return 0, err
	}
	if ask.Fork != nil && by.Kind == slipway.ActorUser { // who has looked at it, and may push
		ask.Fork.ApprovedAll = true
	}
	run, err := l.Pipelines.ValidatePullRequest(ctx, w.Pipeline, ask, w.Again)
	if err != nil {
		return 0, err
	}
	if err := l.Repos.BuildQueued(ctx, w, run.ID, run.Commit, by); err != nil {
		return 0, err
	}
	return run.ID, l.buildChanged(ctx, run.ID, by) // it may have ended before it was noted
}

// pulled is a pull request as pipelines want it.
func (l *Loop) pulled(ctx context.Context, p repos.PullRequest, by slipway.Actor) (pipelines.PullRequest, error) {
	source, err := l.forkSource(ctx, p)
	if err != nil {
		return pipelines.PullRequest{}, err
	}
	uri, err := l.sourceURI(ctx, p)
	if err != nil {
		return pipelines.PullRequest{}, err
	}
	ask := pipelines.PullRequest{ID: p.ID, Repository: p.Repository, Fork: source, SourceURI: uri, Title: p.Title, Source: p.Source, Target: p.Target, SourceCommit: p.SourceCommit,
		MergeRef: p.MergeRef(), MergeCommit: p.MergeCommit, Draft: p.Draft, Actor: by}
	ask.Paths, ask.PathsUnknown, err = l.Repos.ChangedPaths(ctx, p.Repository, p.TargetCommit, p.MergeCommit, maxPulledPaths)
	return ask, err
}

// noteBuild tells a pull request how its run is.
func (l *Loop) noteBuild(ctx context.Context, e events.Event) error {
	id, err := strconv.ParseInt(e.Subject.ID, 10, 64)
	if err != nil {
		return fmt.Errorf("read the run of event %d: %w", e.ID, err)
	}
	return l.buildChanged(ctx, slipway.RunID(id), e.Actor)
}

// buildChanged goes by what the run is now: events may be late.
func (l *Loop) buildChanged(ctx context.Context, id slipway.RunID, by slipway.Actor) error {
	run, err := l.Pipelines.Get(ctx, id)
	if err != nil {
		return err
	}
	pull, ok := run.PullRequest()
	if !ok {
		return nil
	}
	state := repos.ValidationRunning
	if run.State == pipelines.RunCompleted {
		if state = repos.ValidationFailed; validates(run.Result) {
			state = repos.ValidationSucceeded
		}
	}
	_, err = l.Repos.BuildChanged(ctx, pull, id, state, by)
	return err
}

// validates reports that a run's result is good enough for a build policy. One whose conditions skipped everything had nothing to build.
func validates(r schedule.Result) bool {
	return r == schedule.Succeeded || r == schedule.SucceededWithIssues || r == schedule.Skipped
}
