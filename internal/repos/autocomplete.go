package repos

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"slipway"
	"slipway/internal/db"
)

// AutoComplete asks that a pull request is completed as soon as its policies let it through.
type AutoComplete struct {
	Completion
	By        slipway.Actor `json:"by"`
	Committer Signature     `json:"committer"`
	Ignore    []int64       `json:"ignore,omitempty"` // optional policies, by number, that it does not wait for
	Set       time.Time     `json:"set"`
}

// maxIgnored bounds the policies that one does not wait for.
const maxIgnored = 100

// SetAutoComplete asks for it, or no more when a is nil.
func (s *Service) SetAutoComplete(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, a *AutoComplete) (PullRequest, error) {
	if err := s.setAutoComplete(ctx, by, id, a); err != nil {
		return PullRequest{}, err
	}
	return s.PullRequest(ctx, id)
}

func (s *Service) setAutoComplete(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, a *AutoComplete) error {
	defer s.pulls.lock(id)()
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return err
	}
	if p.Status != PullRequestActive {
		return slipway.Conflict("pull request %d is %s already", id, p.Status)
	}
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	if a != nil {
		if err := s.checkAutoComplete(ctx, p, a); err != nil {
			return err
		}
		set := *a
		set.Set = s.clock.Now()
		a = &set
	}
	p.AutoComplete = a
	return s.savePullRequest(ctx, r, p, EventPullRequestUpdated, by, nil)
}

func (s *Service) checkAutoComplete(ctx context.Context, p PullRequest, a *AutoComplete) error {
	if a.Bypass != "" {
		return slipway.Invalid("a pull request that bypasses policies is completed at once, not automatically")
	}
	if len(a.Ignore) > maxIgnored {
		return slipway.Limit("auto-complete leaves out at most %d policies", maxIgnored)
	}
	req := CompleteRequest{Completion: a.Completion, Committer: a.Committer, Actor: a.By}
	if err := req.checkForm(); err != nil {
		return err
	}
	if a.DeleteSource {
		if err := s.checkSourceDeletion(ctx, p, a.By); err != nil {
			return err
		}
	}
	if a.Strategy == "" {
		return nil
	}
	if !slices.Contains([]MergeStrategy{NoFastForward, Squash, Rebase, RebaseMerge}, a.Strategy) {
		return badStrategy(a.Strategy)
	}
	evaluations, err := s.Evaluations(ctx, p)
	if err != nil {
		return err
	}
	return checkStrategy(evaluations, a.Strategy)
}

// TryAutoComplete completes a pull request for which that was asked, if all policies hold. What stands in its way is no error.
func (s *Service) TryAutoComplete(ctx context.Context, id slipway.PullRequestID) error {
	p, err := s.PullRequest(ctx, id)
	if err != nil || p.AutoComplete == nil || p.Status != PullRequestActive || p.Draft || p.MergeStatus != MergeSucceeded {
		return err
	}
	evaluations, err := s.Evaluations(ctx, p)
	if err != nil {
		return err
	}
	for _, e := range evaluations {
		if !e.State.Holds() && (e.Policy.Blocking || !slices.Contains(p.AutoComplete.Ignore, e.Policy.ID)) {
			return nil
		}
	}
	a := *p.AutoComplete
	if _, err := s.reviewer(ctx, p.Project, a.By.ID); err != nil { // who asked may push no more
		if code := slipway.CodeOf(err); code == slipway.CodeInvalid || code == slipway.CodeNotFound {
			return nil
		}
		return err
	}
	_, err = s.CompletePullRequest(ctx, id, CompleteRequest{Completion: a.Completion, Expect: p.SourceCommit, Committer: a.Committer, Actor: a.By})
	if code := slipway.CodeOf(err); code == slipway.CodeConflict || code == slipway.CodeForbidden { // somebody pushed, it cannot be rebased, or a right is gone: the next event tries again
		s.logger.Info("a pull request was not completed automatically", "pull request", id, "error", err)
		return nil
	}
	return err
}

// LinkedWorkItems notes how many work items are linked to a pull request, and says whether that is news.
func (s *Service) LinkedWorkItems(ctx context.Context, id slipway.PullRequestID, count int) (bool, error) {
	result, err := s.db.ExecContext(ctx, `UPDATE pull_requests SET work_items = $2 WHERE id = $1 AND work_items <> $2`, int64(id), count)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// pusher is who moved a branch to the commit at which it is, as far as that has been announced.
func (s *Service) pusher(ctx context.Context, id slipway.RepositoryID, ref string, at slipway.CommitID) (by slipway.Actor, known bool, err error) {
	const query = `SELECT actor FROM repository_refs WHERE repository = $1 AND name = $2 AND commit_id = $3`
	text, err := db.One(ctx, s.db, db.Value[string], query, string(id), ref, string(at))
	if db.IsNoRows(err) {
		return by, false, nil
	}
	if err != nil || text == "" { // moved before that was noted
		return by, err == nil, err
	}
	return by, true, json.Unmarshal([]byte(text), &by)
}
