package repos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// PullRequestChange is what people change of a pull request; what is nil stays.
type PullRequestChange struct {
	Title       *string
	Description *string
	Draft       *bool
	Target      *string // another branch that is to get the changes, with or without refs/heads/
	// Status abandons an active pull request or makes an abandoned one active again. CompletePullRequest completes.
	Status *PullRequestStatus
}

// errStale says that a pull request is not as it was read: another server changed it.
var errStale = errors.New("the pull request was changed meanwhile")

// UpdatePullRequest changes a pull request.
func (s *Service) UpdatePullRequest(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, c PullRequestChange) (PullRequest, error) {
	defer s.pulls.lock(id)()
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return p, err
	}
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return p, err
	}
	kind := EventPullRequestUpdated
	if c.Status != nil && *c.Status != p.Status {
		if kind, err = s.setStatus(ctx, &p, *c.Status, by); err != nil {
			return p, err
		}
	}
	if c.Title != nil {
		p.Title = *c.Title
	}
	if c.Description != nil {
		p.Description = *c.Description
	}
	if c.Draft != nil {
		p.Draft = *c.Draft
	}
	if err := p.check(); err != nil {
		return p, err
	}
	var also []func(tx *db.Tx) error
	if c.Target != nil {
		moves, err := s.retarget(ctx, r, &p, *c.Target, by)
		if err != nil {
			return p, err
		}
		if moves != nil {
			also = append(also, moves)
		}
	}
	if err := s.savePullRequest(ctx, r, p, kind, by, nil, also...); err != nil {
		return p, err
	}
	if (c.Status != nil || c.Target != nil) && p.Status == PullRequestActive {
		if err := s.followLocked(ctx, p.ID, by); err != nil {
			return p, err
		}
	}
	return s.PullRequest(ctx, id)
}

// setStatus abandons or reactivates.
func (s *Service) setStatus(ctx context.Context, p *PullRequest, status PullRequestStatus, by slipway.Actor) (events.Kind, error) {
	switch {
	case p.Status == PullRequestCompleted:
		return "", slipway.Conflict("pull request %d is completed: open another one, or revert its commit", p.ID)
	case status == PullRequestAbandoned:
		p.Status, p.Closed, p.ClosedBy = PullRequestAbandoned, s.clock.Now(), by
		return EventPullRequestAbandoned, nil
	case status == PullRequestActive:
		if _, err := s.sourceTip(ctx, *p); err != nil {
			return "", err
		}
		if _, err := s.Resolve(ctx, p.Repository, p.Target); err != nil {
			return "", err
		}
		p.Status, p.Closed, p.ClosedBy = PullRequestActive, time.Time{}, slipway.Actor{}
		p.MergeStatus = MergeQueued
		return EventPullRequestUpdated, nil
	}
	return "", slipway.Invalid("a pull request is made active or abandoned, not %q; completing it is asked for by itself", status)
}

// savePullRequest writes the row and its event. A row that is not as it was read is errStale.
func (s *Service) savePullRequest(ctx context.Context, r Repository, p PullRequest, kind events.Kind, by slipway.Actor, commits []slipway.CommitID,
	also ...func(tx *db.Tx) error) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := updatePullRequest(ctx, tx, p); err != nil {
			return err
		}
		for _, f := range also {
			if err := f(tx); err != nil {
				return err
			}
		}
		return s.tellPullRequest(ctx, tx, kind, r, p, by, commits)
	})
	if db.IsUniqueViolation(err) {
		return slipway.Conflict("there is an active pull request from %s into %s already", p.SourceBranch(), p.TargetBranch())
	}
	if err != nil {
		return fmt.Errorf("save pull request %d: %w", p.ID, err)
	}
	return nil
}

func updatePullRequest(ctx context.Context, q db.Querier, p PullRequest) error {
	var closed int64
	if !p.Closed.IsZero() {
		closed = db.Micros(p.Closed)
	}
	closedBy, err := json.Marshal(p.ClosedBy)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	conflicts, err := json.Marshal(p.Conflicts)
	if err != nil {
		return fmt.Errorf("encode conflicts: %w", err)
	}
	completion, err := json.Marshal(p.Completion)
	if err != nil {
		return fmt.Errorf("encode completion: %w", err)
	}
	autoComplete := []byte{}
	if p.AutoComplete != nil && p.Status == PullRequestActive {
		if autoComplete, err = json.Marshal(p.AutoComplete); err != nil {
			return fmt.Errorf("encode completion: %w", err)
		}
	}
	const update = `
		UPDATE pull_requests SET title = $2, description = $3, draft = $4, status = $5, closed = $6, closed_by = $7, source_commit = $8,
			target_commit = $9, merge_status = $10, merge_commit = $11, merge_reason = $12, conflicts = $13, completion = $14, completing = $15,
			auto_complete = $17, target = $18, revision = revision + 1
		WHERE id = $1 AND revision = $16`
	result, err := q.ExecContext(ctx, update, int64(p.ID), p.Title, p.Description, p.Draft, string(p.Status), closed, string(closedBy),
		string(p.SourceCommit), string(p.TargetCommit), string(p.MergeStatus), string(p.MergeCommit), p.MergeReason, string(conflicts),
		string(completion), string(p.completing), p.revision, string(autoComplete), p.Target)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errStale)
	}
	return nil
}
