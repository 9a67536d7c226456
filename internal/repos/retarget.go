package repos

import (
	"context"
	"fmt"
	"slices"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/repos/policy"
)

// retarget asks that a pull request's changes come to another branch, and returns what is to be written with it: an iteration, since the
// changes are others now, and who reviews by the policies of the new target. Votes are taken back as those want it of a push, and nobody's
// wish for auto-complete goes over to another branch.
func (s *Service) retarget(ctx context.Context, r Repository, p *PullRequest, target string, by slipway.Actor) (func(tx *db.Tx) error, error) {
	name, commit, err := s.branch(ctx, r.ID, "targetRefName", target)
	if err != nil || name == p.Target {
		return nil, err
	}
	switch {
	case p.Status != PullRequestActive:
		return nil, slipway.Conflict("pull request %d is %s: only an active one gets another target", p.ID, p.Status)
	case p.completing != "":
		return nil, slipway.Conflict("pull request %d is being completed", p.ID)
	case name == p.Source && p.Fork == "":
		return nil, slipway.Invalid("a pull request needs two branches, and %s is its source", p.SourceBranch())
	}
	p.Target, p.TargetCommit, p.AutoComplete = name, commit, nil
	p.setMerge("", nil, "")
	p.MergeStatus = MergeQueued
	brings, err := s.brings(ctx, *p)
	if err != nil {
		return nil, err
	}
	if len(brings) == 0 {
		return nil, slipway.Invalid("branch %s has no commit that %s has not: there is nothing to bring", p.SourceBranch(), p.TargetBranch())
	}
	base, err := s.MergeBase(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	if err != nil {
		return nil, err
	}
	policies, err := s.BranchPolicies(ctx, r, p.Target)
	if err != nil {
		return nil, err
	}
	now := *p
	return func(tx *db.Tx) error {
		if err := s.addIteration(ctx, tx, now, base, by); err != nil {
			return err
		}
		if err := releaseReviewers(ctx, tx, now.ID, policies); err != nil {
			return err
		}
		return resetVotes(ctx, tx, now.ID, policies)
	}, nil
}

// releaseReviewers lets go those whom policies included that are not the target's any more: who has not voted was asked by them alone.
func releaseReviewers(ctx context.Context, tx *db.Tx, id slipway.PullRequestID, policies []policy.Policy) error {
	included, err := db.List(ctx, tx, db.Value[int64], `SELECT DISTINCT policy FROM pull_request_votes WHERE pull_request = $1 AND policy <> 0`, int64(id))
	if err != nil {
		return fmt.Errorf("list policies of reviewers: %w", err)
	}
	for _, number := range included {
		if slices.ContainsFunc(policies, func(p policy.Policy) bool { return p.ID == number }) {
			continue
		}
		for _, statement := range []string{
			`DELETE FROM pull_request_votes WHERE pull_request = $1 AND policy = $2 AND vote = 0`,
			`UPDATE pull_request_votes SET policy = 0, required = FALSE WHERE pull_request = $1 AND policy = $2`,
		} {
			if _, err := tx.ExecContext(ctx, statement, int64(id), number); err != nil {
				return fmt.Errorf("release reviewers: %w", err)
			}
		}
	}
	return nil
}
