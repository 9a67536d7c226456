package repos

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/repos/policy"
)

// EventPullRequestReviewers says that reviewers were added or removed. It has the shape of the other events of pull requests.
const EventPullRequestReviewers events.Kind = "repos.pull_request_reviewers_changed"

// maxReviewers bounds the reviewers of one pull request.
const maxReviewers = 200

// SetReviewer asks a user to review, as a required or an optional reviewer; a vote that is there stays. One whom a policy included stays
// as the policy wants it.
func (s *Service) SetReviewer(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, user string, required bool) error {
	p, r, err := s.reviewed(ctx, id)
	if err != nil {
		return err
	}
	who, err := s.reviewer(ctx, p.Project, user)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := addReviewer(ctx, tx, id, who, required, 0); err != nil {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestReviewers, r, p, by, nil)
	})
	if err != nil {
		return fmt.Errorf("add reviewer to pull request %d: %w", id, err)
	}
	return nil
}

// RemoveReviewer takes a reviewer and their vote away. Those whom a required policy included stay.
func (s *Service) RemoveReviewer(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, user string) error {
	p, r, err := s.reviewed(ctx, id)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		included, err := db.One(ctx, tx, db.Value[int64], `SELECT policy FROM pull_request_votes WHERE pull_request = $1 AND reviewer = $2`, int64(id), user)
		switch {
		case db.IsNoRows(err):
			return slipway.NotFound("pull request %d has no such reviewer", id)
		case err != nil:
			return err
		case included != 0:
			return slipway.Conflict("policy %d included this reviewer: change the policy to leave them out", included)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM pull_request_votes WHERE pull_request = $1 AND reviewer = $2`, int64(id), user); err != nil {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestReviewers, r, p, by, nil)
	})
	if err != nil {
		return fmt.Errorf("remove reviewer of pull request %d: %w", id, err)
	}
	return nil
}

// reviewed is an active pull request with its repository.
func (s *Service) reviewed(ctx context.Context, id slipway.PullRequestID) (PullRequest, Repository, error) {
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return p, Repository{}, err
	}
	if p.Status != PullRequestActive {
		return p, Repository{}, slipway.Conflict("pull request %d is %s: its reviewers stay as they are", id, p.Status)
	}
	r, err := s.Get(ctx, p.Repository)
	return p, r, err
}

func addReviewer(ctx context.Context, tx *db.Tx, id slipway.PullRequestID, who slipway.Actor, required bool, policyID int64) error {
	n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM pull_request_votes WHERE pull_request = $1 AND reviewer <> $2`, int64(id), who.ID)
	if err != nil {
		return err
	}
	if n >= maxReviewers {
		return slipway.Limit("pull request %d has %d reviewers already", id, n)
	}
	actor, err := json.Marshal(who)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	const upsert = `
		INSERT INTO pull_request_votes (pull_request, reviewer, actor, vote, voted, required, policy) VALUES ($1, $2, $3, 0, 0, $4, $5)
		ON CONFLICT (pull_request, reviewer) DO UPDATE SET required = excluded.required, policy = excluded.policy
			WHERE excluded.policy <> 0 OR pull_request_votes.policy = 0`
	_, err = tx.ExecContext(ctx, upsert, int64(id), who.ID, string(actor), required, policyID)
	return err
}

// IncludeReviewers adds the reviewers whom policies name for what a pull request changes, and says whether some are new.
func (s *Service) IncludeReviewers(ctx context.Context, p PullRequest) (bool, error) {
	evaluations, err := s.Evaluations(ctx, p)
	if err != nil {
		return false, err
	}
	there, err := s.Reviewers(ctx, p.ID)
	if err != nil {
		return false, err
	}
	known := map[string]bool{p.CreatedBy.ID: true} // who asks is not asked to look
	for _, r := range there {
		known[r.Actor.ID] = known[r.Actor.ID] || r.Policy != 0
	}
	type inclusion struct {
		who    slipway.Actor
		policy policy.Policy
	}
	var add []inclusion
	for _, e := range evaluations {
		ids, err := s.included(ctx, p, e)
		if err != nil {
			return false, err
		}
		for _, id := range ids {
			who, err := s.reviewer(ctx, p.Project, id)
			if err != nil && slipway.CodeOf(err) != slipway.CodeInvalid && slipway.CodeOf(err) != slipway.CodeNotFound { // has left
				return false, err
			}
			if err == nil && !known[id] {
				known[id] = true
				add = append(add, inclusion{who, e.Policy})
			}
		}
	}
	if len(add) == 0 {
		return false, nil
	}
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return false, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, a := range add {
			if err := addReviewer(ctx, tx, p.ID, a.who, a.policy.Blocking, a.policy.ID); err != nil {
				return err
			}
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestReviewers, r, p, slipway.System, nil)
	})
	if err != nil {
		return false, fmt.Errorf("include reviewers of pull request %d: %w", p.ID, err)
	}
	return true, nil
}

// included are the ids of the people whom a policy asks to review.
func (s *Service) included(ctx context.Context, p PullRequest, e Evaluation) ([]string, error) {
	switch {
	case e.State == policy.NotApplicable:
		return nil, nil
	case e.Policy.Kind == policy.RequiredReviewers:
		return e.Policy.Settings.RequiredReviewerIDs, nil
	case e.Policy.Kind != policy.CodeOwners:
		return nil, nil
	}
	f, err := s.facts(ctx, p)
	if err != nil {
		return nil, err
	}
	owners, err := s.codeOwners(ctx, p, f)
	var ids []string
	for _, g := range owners.Groups {
		for _, o := range g.Owners {
			ids = append(ids, o.ID)
		}
	}
	return ids, err
}

// resetVotes takes votes back after a push to the source, as the target's policies want it.
func resetVotes(ctx context.Context, tx *db.Tx, id slipway.PullRequestID, policies []policy.Policy) error {
	which := ""
	for _, p := range policies {
		switch {
		case p.Kind != policy.MinimumReviewers:
		case p.Settings.ResetRejectionsOnSourcePush:
			which = "vote <> 0"
		case p.Settings.ResetOnSourcePush && which == "":
			which = "vote > 0"
		}
	}
	if which == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE pull_request_votes SET vote = 0 WHERE pull_request = $1 AND `+which, int64(id))
	return err
}
