package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Vote is a reviewer's opinion, in Azure Repos' numbers.
type Vote int

// The votes.
const (
	VoteApproved                Vote = 10
	VoteApprovedWithSuggestions Vote = 5
	VoteNone                    Vote = 0
	VoteWaitingForAuthor        Vote = -5
	VoteRejected                Vote = -10
)

// String is the vote in people's words.
func (v Vote) String() string {
	switch v {
	case VoteApproved:
		return "approved"
	case VoteApprovedWithSuggestions:
		return "approved with suggestions"
	case VoteWaitingForAuthor:
		return "waiting for the author"
	case VoteRejected:
		return "rejected"
	}
	return "no vote"
}

// Reviewer is somebody who looks at a pull request.
type Reviewer struct {
	Actor slipway.Actor
	Vote  Vote
	Voted time.Time // zero before the first vote
	// Required says that completing waits for the approval. Policy is the one that included the reviewer, and decides then; 0
	// for one who voted or was added by people.
	Required  bool
	Policy    int64
	Iteration int // that the vote is of
}

// check refuses what is no vote.
func (v Vote) check() error {
	switch v {
	case VoteApproved, VoteApprovedWithSuggestions, VoteNone, VoteWaitingForAuthor, VoteRejected:
		return nil
	}
	bad := slipway.Invalid("a vote is 10 (approved), 5 (approved with suggestions), 0 (none), -5 (waiting for the author) or -10 (rejected), not %d", v)
	bad.Field = "vote"
	return bad
}

// VotePullRequest notes a vote on an active pull request, in place of the reviewer's earlier one.
func (s *Service) VotePullRequest(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, v Vote) error {
	return s.SubmitReview(ctx, by, id, Review{Vote: &v, KeepDrafts: true})
}

func (s *Service) insertVote(ctx context.Context, tx *db.Tx, id slipway.PullRequestID, by slipway.Actor, v Vote) error {
	actor, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	const upsert = `
		INSERT INTO pull_request_votes (pull_request, reviewer, actor, vote, voted, iteration)
		SELECT $1, $2, $3, $4, $5, coalesce(max(number), 0) FROM pull_request_iterations WHERE pull_request = $1
		ON CONFLICT (pull_request, reviewer) DO UPDATE SET actor = excluded.actor, vote = excluded.vote, voted = excluded.voted,
			iteration = excluded.iteration`
	_, err = tx.ExecContext(ctx, upsert, int64(id), by.ID, string(actor), int64(v), db.Micros(s.clock.Now()))
	return err
}

// Reviewers lists those who voted, in the order of their votes, then those who are asked to.
func (s *Service) Reviewers(ctx context.Context, id slipway.PullRequestID) ([]Reviewer, error) {
	scan := func(row interface{ Scan(...any) error }, r *Reviewer) error {
		var actor string
		var voted int64
		if err := row.Scan(&actor, &r.Vote, &voted, &r.Required, &r.Policy, &r.Iteration); err != nil {
			return err
		}
		r.Voted = db.Time(voted)
		return json.Unmarshal([]byte(actor), &r.Actor)
	}
	const query = `
		SELECT actor, vote, voted, required, policy, iteration FROM pull_request_votes WHERE pull_request = $1
		ORDER BY CASE WHEN voted = 0 THEN 1 ELSE 0 END, voted, reviewer LIMIT 1000`
	list, err := db.List(ctx, s.db, scan, query, int64(id))
	if err != nil {
		return nil, fmt.Errorf("list reviewers of pull request %d: %w", id, err)
	}
	return list, nil
}
