package repos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// maxDrafts bounds the comments that one writer has not submitted of one pull request.
const maxDrafts = 200

// DraftComment is a comment that its writer has not submitted: nobody else sees it.
type DraftComment struct {
	ID      int64
	Thread  int64 // that it answers; 0 for one that begins a thread
	Place   Place // of one that begins a thread, at Commit
	Commit  slipway.CommitID
	Text    string
	Created time.Time
	// Now is where its lines are now; Outdated says that they have changed since.
	Now      Place
	Outdated bool
}

// Review is what a reviewer submits at once: the comments drafted so far, a word about the whole, a vote.
type Review struct {
	Text       string // begins a thread about the whole; empty for none
	Vote       *Vote  // nil for none
	KeepDrafts bool   // the drafts stay what they are
}

// AddDraft keeps a comment until its writer submits the review. thread is the one that it answers; 0 begins one at n.Place.
func (s *Service) AddDraft(ctx context.Context, n NewThread, thread int64) (DraftComment, error) {
	p, err := s.PullRequest(ctx, n.PullRequest)
	if err != nil {
		return DraftComment{}, err
	}
	if err := checkComment(n.Text); err != nil {
		return DraftComment{}, err
	}
	d := DraftComment{Thread: thread, Place: n.Place, Text: n.Text, Created: s.clock.Now()}
	if thread != 0 {
		if _, err := s.Thread(ctx, p.ID, thread); err != nil {
			return DraftComment{}, err
		}
		d.Place, d.Commit = Place{}, p.SourceCommit
	} else if d.Commit, err = s.checkPlace(ctx, p, &d.Place, n.Commit); err != nil {
		return DraftComment{}, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const many = `SELECT count(*) FROM pull_request_drafts WHERE pull_request = $1 AND author = $2`
		count, err := db.One(ctx, tx, db.Value[int64], many, int64(p.ID), n.Actor.ID)
		if err != nil {
			return err
		}
		if count >= maxDrafts {
			return slipway.Limit("you have %d comments that wait to be submitted: submit them first", count)
		}
		const insert = `
			INSERT INTO pull_request_drafts (pull_request, author, thread, path, side, line, end_line, commit_id, text, created)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`
		return tx.QueryRowContext(ctx, insert, int64(p.ID), n.Actor.ID, thread, d.Place.Path, string(d.Place.Side), d.Place.Line, d.Place.End, string(d.Commit),
			d.Text, db.Micros(d.Created)).Scan(&d.ID)
	})
	if err != nil {
		return DraftComment{}, fmt.Errorf("keep a comment on pull request %d: %w", p.ID, err)
	}
	d.Now = d.Place
	return d, nil
}

// Drafts lists the comments that somebody has not submitted, oldest first, with where their lines are in a span.
func (s *Service) Drafts(ctx context.Context, by slipway.Actor, p PullRequest, span Span) ([]DraftComment, error) {
	list, err := s.readDrafts(ctx, s.db, by, p.ID)
	if err != nil || len(list) == 0 {
		return list, err
	}
	threads := make([]Thread, len(list)) // as they will be
	for i, d := range list {
		threads[i] = Thread{Place: d.Place, Commit: d.Commit, Now: d.Place}
	}
	if err := s.moveThreads(ctx, p, threads, span.To.BaseCommit, span.To.SourceCommit); err != nil {
		return nil, err
	}
	for i, t := range threads {
		list[i].Now, list[i].Outdated = t.Now, t.Outdated
	}
	return list, nil
}

func (s *Service) readDrafts(ctx context.Context, q db.Querier, by slipway.Actor, id slipway.PullRequestID) ([]DraftComment, error) {
	scan := func(row interface{ Scan(...any) error }, d *DraftComment) error {
		var created int64
		err := row.Scan(&d.ID, &d.Thread, &d.Place.Path, (*string)(&d.Place.Side), &d.Place.Line, &d.Place.End, (*string)(&d.Commit), &d.Text, &created)
		d.Created, d.Now = db.Time(created), d.Place
		return err
	}
	const query = `SELECT id, thread, path, side, line, end_line, commit_id, text, created FROM pull_request_drafts WHERE pull_request = $1 AND author = $2 ORDER BY id`
	list, err := db.List(ctx, q, scan, query, int64(id), by.ID)
	if err != nil {
		return nil, fmt.Errorf("list comments that wait for pull request %d: %w", id, err)
	}
	return list, nil
}

// DeleteDraft drops a comment that was not submitted.
func (s *Service) DeleteDraft(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, draft int64) error {
	const remove = `DELETE FROM pull_request_drafts WHERE id = $1 AND pull_request = $2 AND author = $3`
	if _, err := s.db.ExecContext(ctx, remove, draft, int64(id), by.ID); err != nil {
		return fmt.Errorf("drop comment %d: %w", draft, err)
	}
	return nil
}

// SubmitReview makes the writer's drafts comments that all see, and votes: all of it or, when something is wrong, nothing.
func (s *Service) SubmitReview(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, review Review) error {
	if review.Vote != nil {
		if err := review.Vote.check(); err != nil {
			return err
		}
	}
	if text := strings.TrimSpace(review.Text); text != "" {
		if err := checkComment(text); err != nil {
			return err
		}
	}
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return err
	}
	if review.Vote != nil && p.Status != PullRequestActive {
		return slipway.Conflict("pull request %d is %s: nobody votes on it any more", id, p.Status)
	}
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		said, err := s.submitComments(ctx, tx, by, p, review)
		if err != nil {
			return err
		}
		if said > 0 {
			if err := s.tellPullRequest(ctx, tx, EventPullRequestCommented, r, p, by, nil); err != nil {
				return err
			}
		}
		if review.Vote == nil {
			if said == 0 {
				return slipway.Invalid("there is nothing to submit: write a comment or vote")
			}
			return nil
		}
		if err := s.insertVote(ctx, tx, id, by, *review.Vote); err != nil {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestVoted, r, p, by, nil)
	})
	if err != nil {
		return fmt.Errorf("review pull request %d: %w", id, err)
	}
	return nil
}

// submitComments writes what the reviewer drafted, and says how many comments that were.
func (s *Service) submitComments(ctx context.Context, tx *db.Tx, by slipway.Actor, p PullRequest, review Review) (said int, err error) {
	var drafts []DraftComment
	if !review.KeepDrafts {
		if drafts, err = s.readDrafts(ctx, tx, by, p.ID); err != nil {
			return 0, err
		}
	}
	if text := strings.TrimSpace(review.Text); text != "" {
		drafts = slices.Insert(drafts, 0, DraftComment{Text: text, Commit: p.SourceCommit})
	}
	for _, d := range drafts {
		if d.Thread == 0 {
			t := Thread{PullRequest: p.ID, Status: ThreadActive, Place: d.Place, Commit: d.Commit, Created: s.clock.Now()}
			err = s.insertThread(ctx, tx, &t, d.Text, by)
		} else if _, err = s.insertComment(ctx, tx, d.Thread, 0, d.Text, by); err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE pull_request_threads SET updated = $2 WHERE id = $1`, d.Thread, db.Micros(s.clock.Now()))
		}
		if err != nil {
			return 0, err
		}
	}
	if review.KeepDrafts {
		return len(drafts), nil
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM pull_request_drafts WHERE pull_request = $1 AND author = $2`, int64(p.ID), by.ID)
	return len(drafts), err
}
