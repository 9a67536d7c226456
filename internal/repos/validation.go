package repos

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/repos/policy"
)

// EventPullRequestValidated says that a build that validates a pull request was queued, or has ended. It has the shape of the other events
// of pull requests.
const EventPullRequestValidated events.Kind = "repos.pull_request_validated"

// maxBuilds bounds the builds of one policy and pull request that are looked at.
const maxBuilds = 1000

// ValidationState is how far a build is that validates a pull request.
type ValidationState string

// The states.
const (
	ValidationRunning   ValidationState = "running"
	ValidationSucceeded ValidationState = "succeeded"
	ValidationFailed    ValidationState = "failed"
)

// WantedBuild is a run that a policy asks for.
type WantedBuild struct {
	Policy      int64
	Pipeline    slipway.PipelineID
	PullRequest PullRequest
	// Again tells it from the earlier ones of the same source; empty for the first.
	Again string
}

func (s *Service) builds(ctx context.Context, pull slipway.PullRequestID, policyID int64) ([]policy.Run, error) {
	const query = `
		SELECT run, source_commit, merge_commit, state, queued, completed FROM pull_request_builds WHERE pull_request = $1 AND policy = $2
		ORDER BY run DESC LIMIT $3`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, b *policy.Run) error {
		var queued, completed int64
		err := row.Scan(&b.ID, &b.Source, &b.Merge, &b.State, &queued, &completed)
		b.Queued, b.Completed = db.Time(queued), db.Time(completed)
		return err
	}, query, int64(pull), policyID, maxBuilds)
	if err != nil {
		return nil, fmt.Errorf("list builds of pull request %d: %w", pull, err)
	}
	return list, nil
}

// WantedBuilds lists the runs that policies ask for by themselves: of a published pull request that merges, those that nobody has
// queued yet and those that are no more valid. When those that hold now expire is kept for Expired.
func (s *Service) WantedBuilds(ctx context.Context, p PullRequest) ([]WantedBuild, error) {
	if p.Status != PullRequestActive || p.Draft || p.MergeStatus != MergeSucceeded {
		return nil, nil
	}
	evaluations, err := s.Evaluations(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := s.noteExpiry(ctx, p.ID, evaluations); err != nil {
		return nil, err
	}
	var wanted []WantedBuild
	for _, e := range evaluations {
		if e.Policy.Kind != policy.Build || e.Policy.Settings.ManualQueueOnly || e.State != policy.Queued {
			continue
		}
		one, err := s.wantedBuild(ctx, e, p)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, one)
	}
	return wanted, nil
}

// BuildAgain is the run that somebody asks for anew, whatever the ones before it said.
func (s *Service) BuildAgain(ctx context.Context, e Evaluation, p PullRequest) (WantedBuild, error) {
	switch {
	case e.Policy.Kind != policy.Build:
		return WantedBuild{}, slipway.Invalid("only a build is queued: policy %d is %q", e.Policy.ID, e.Policy.Kind.Title())
	case p.Status != PullRequestActive || p.MergeStatus != MergeSucceeded:
		return WantedBuild{}, slipway.Conflict("pull request %d has no merge to build", p.ID)
	case e.State == policy.Running:
		return WantedBuild{}, slipway.Conflict("run %d is under way: wait for it, or cancel it first", e.Run)
	}
	return s.wantedBuild(ctx, e, p)
}

func (s *Service) wantedBuild(ctx context.Context, e Evaluation, p PullRequest) (WantedBuild, error) {
	w := WantedBuild{Policy: e.Policy.ID, Pipeline: slipway.PipelineID(e.Policy.Settings.BuildDefinitionID), PullRequest: p}
	builds, err := s.builds(ctx, p.ID, e.Policy.ID)
	n := 0
	for _, b := range builds {
		if b.Source == string(p.SourceCommit) {
			n++
		}
	}
	if n > 0 {
		w.Again = fmt.Sprint(n)
	}
	return w, err
}

// BuildQueued notes the run that was queued for a policy, of the merge that it is of. Told again it changes nothing.
func (s *Service) BuildQueued(ctx context.Context, w WantedBuild, run slipway.RunID, merge slipway.CommitID, by slipway.Actor) error {
	r, err := s.Get(ctx, w.PullRequest.Repository)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO pull_request_builds (pull_request, policy, run, source_commit, merge_commit, state, queued, completed)
			VALUES ($1, $2, $3, $4, $5, 'running', $6, 0) ON CONFLICT DO NOTHING`
		result, err := tx.ExecContext(ctx, insert, int64(w.PullRequest.ID), w.Policy, int64(run), string(w.PullRequest.SourceCommit), string(merge),
			db.Micros(s.clock.Now()))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestValidated, r, w.PullRequest, by, nil)
	})
	if err != nil {
		return fmt.Errorf("note build of pull request %d: %w", w.PullRequest.ID, err)
	}
	return nil
}

// BuildChanged notes how far the run of a pull request's merge is, if a policy asked for it, and says whether one did.
func (s *Service) BuildChanged(ctx context.Context, pull slipway.PullRequestID, run slipway.RunID, state ValidationState, by slipway.Actor) (bool, error) {
	p, err := s.PullRequest(ctx, pull)
	if err != nil {
		return false, err
	}
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return false, err
	}
	var completed time.Time
	if state != ValidationRunning {
		completed = s.clock.Now()
	}
	changed := false
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE pull_request_builds SET state = $3, completed = $4 WHERE pull_request = $1 AND run = $2 AND state <> $3`,
			int64(pull), int64(run), string(state), db.Micros(completed))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if changed = n > 0; err != nil || !changed {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestValidated, r, p, by, nil)
	})
	if err != nil {
		return false, fmt.Errorf("note build of pull request %d: %w", pull, err)
	}
	return changed, nil
}
