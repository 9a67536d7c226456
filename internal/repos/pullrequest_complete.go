package repos

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// CompletePullRequest brings the source's changes to the target. A merge with conflicts, a draft and a source that is not at
// req.Expect are Conflicts.
//
// What the target gets is written down before it gets it: after a crash in between, following the push of the target
// completes the pull request.
func (s *Service) CompletePullRequest(ctx context.Context, id slipway.PullRequestID, req CompleteRequest) (PullRequest, error) {
	defer s.pulls.lock(id)()
	for try := 1; ; try++ { // another pull request may have been completed into the target meanwhile
		p, err := s.completeLocked(ctx, id, req)
		if !errors.Is(err, errBranchMoved) || try == completionTries {
			return p, err
		}
	}
}

// completionTries is how often a pull request is merged anew because its target moved while it was.
const completionTries = 5

// errBranchMoved says that a branch was moved, or was about to be, while a pull request was completed.
var errBranchMoved = errors.New("a branch moved")

// completeLocked is one try to complete. The caller holds the pull request's lock.
func (s *Service) completeLocked(ctx context.Context, id slipway.PullRequestID, req CompleteRequest) (PullRequest, error) {
	if err := s.followLocked(ctx, id, req.Actor); err != nil { // to what the branches are at now
		return PullRequest{}, err
	}
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return p, err
	}
	if err := req.check(p); err != nil {
		return p, err
	}
	if err := s.checkLocked(ctx, p.Repository, p.Target); err != nil {
		return p, err
	}
	if req.Strategy == "" {
		req.Strategy = NoFastForward
	}
	if req.Bypassed, err = s.checkPolicies(ctx, p, req); err != nil {
		return p, err
	}
	if len(req.Bypassed) == 0 {
		req.Bypass = ""
	}
	if strings.TrimSpace(req.Message) == "" {
		req.Message = p.DefaultMessage()
	}
	if req.Committer.Time.IsZero() {
		req.Committer.Time = s.clock.Now()
	}
	commit, err := s.completion(ctx, p, req)
	if err != nil {
		return p, err
	}
	p.completing, p.Completion, p.ClosedBy = commit, req.Completion, req.Actor
	if err := updatePullRequest(ctx, s.db, p); err != nil {
		return p, fmt.Errorf("complete pull request %d: %w", id, err)
	}
	p.revision++
	moves := []refMove{{Ref: p.Target, Before: p.TargetCommit, After: commit}}
	if req.DeleteSource && p.Fork == "" { // finish deletes that of a fork
		moves = append(moves, refMove{Ref: p.Source, Before: p.SourceCommit})
	}
	lasting := context.WithoutCancel(ctx) // the rest does not hang on whether the caller waits
	if err := s.moveRefs(lasting, p.Repository, moves...); err != nil {
		p.completing, p.Completion, p.ClosedBy = "", Completion{}, slipway.Actor{}
		if undone := updatePullRequest(lasting, s.db, p); undone != nil {
			return p, errors.Join(err, undone)
		}
		if slipway.CodeOf(err) == slipway.CodeConflict {
			err = errors.Join(err, errBranchMoved)
		}
		return p, err
	}
	if err := s.finish(lasting, p, commit); err != nil {
		return p, err
	}
	moved := []string{p.Target}
	if p.Fork == "" {
		moved = append(moved, p.Source)
	}
	if _, err := s.Announce(lasting, p.Repository, req.Actor, moved...); err != nil {
		return p, err
	}
	return s.PullRequest(lasting, id)
}

// completion writes the commits that the target gets, and returns the last one.
func (s *Service) completion(ctx context.Context, p PullRequest, req CompleteRequest) (slipway.CommitID, error) {
	switch req.Strategy {
	case NoFastForward, Squash:
		trial, err := s.Commit(ctx, p.Repository, p.MergeCommit)
		if err != nil {
			return "", err
		}
		c := newCommit{tree: trial.Tree, parents: []slipway.CommitID{p.TargetCommit, p.SourceCommit}, message: req.Message, author: req.Committer, committer: req.Committer}
		if req.Strategy == Squash {
			c.parents = c.parents[:1]
			if c.author, err = s.squashAuthor(ctx, p, req.Committer); err != nil {
				return "", err
			}
		}
		return s.writeCommit(ctx, p.Repository, c)
	case Rebase, RebaseMerge:
		top, err := s.rebase(ctx, p.Repository, p.SourceCommit, p.TargetCommit, req.Committer)
		var conflict rebaseConflict
		if errors.As(err, &conflict) {
			return "", slipway.Conflict("the pull request cannot be rebased: %s; merge it, or rebase the branch and push", conflict)
		}
		if err != nil || req.Strategy == Rebase {
			return top, err
		}
		last, err := s.Commit(ctx, p.Repository, top)
		if err != nil {
			return "", err
		}
		return s.writeCommit(ctx, p.Repository, newCommit{tree: last.Tree, parents: []slipway.CommitID{p.TargetCommit, top}, message: req.Message,
			author: req.Committer, committer: req.Committer})
	}
	return "", badStrategy(req.Strategy)
}

func badStrategy(s MergeStrategy) error {
	bad := slipway.Invalid("merge strategy %q: use noFastForward, squash, rebase or rebaseMerge", s)
	bad.Field = "completionOptions.mergeStrategy"
	return bad
}

// squashAuthor is who wrote the newest of the commits that become one.
func (s *Service) squashAuthor(ctx context.Context, p PullRequest, committer Signature) (Signature, error) {
	newest, err := s.Commit(ctx, p.Repository, p.SourceCommit)
	if err != nil {
		return Signature{}, err
	}
	author := newest.Author
	author.Time = committer.Time
	return author, nil
}

// finish makes a pull request completed whose target has the commit.
func (s *Service) finish(ctx context.Context, p PullRequest, commit slipway.CommitID) error {
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	brings, err := s.brings(ctx, p)
	if err != nil {
		return err
	}
	s.deleteForkBranch(ctx, p)
	p.Status, p.Closed, p.completing = PullRequestCompleted, s.clock.Now(), ""
	p.MergeStatus, p.MergeCommit, p.MergeReason, p.Conflicts = MergeSucceeded, commit, "", []string{}
	bypass := func(tx *db.Tx) error {
		if len(p.Completion.Bypassed) == 0 {
			return nil
		}
		return s.tellBypass(ctx, tx, p.Project, slipway.Ref(slipway.RefPullRequest, p.ID), p.ClosedBy, BypassPayload{On: onCompletion, Ref: p.Target,
			Commit: commit, Policies: p.Completion.Bypassed, Reason: p.Completion.Bypass})
	}
	return s.savePullRequest(ctx, r, p, EventPullRequestCompleted, p.ClosedBy, append(brings, commit), bypass)
}

// FollowPush brings the active pull requests of a branch that moved up to date: what is new on a source is an iteration, and what
// merges is tried anew. A target that has got all of the source completes it.
func (s *Service) FollowPush(ctx context.Context, by slipway.Actor, push Pushed) error {
	const query = `SELECT id FROM pull_requests WHERE repository = $1 AND status = 'active' AND (source = $2 AND fork = '' OR target = $2)
		UNION SELECT id FROM pull_requests WHERE fork = $1 AND status = 'active' AND source = $2 ORDER BY 1`
	ids, err := db.List(ctx, s.db, db.Value[int64], query, string(push.Repository), push.Ref)
	if err != nil {
		return fmt.Errorf("list pull requests of %s: %w", push.Ref, err)
	}
	for _, id := range ids {
		if err := s.follow(ctx, slipway.PullRequestID(id), by); err != nil && slipway.CodeOf(err) != slipway.CodeConflict {
			return err
		}
	}
	return nil
}

// FollowMany is FollowPush for refs that moved together.
func (s *Service) FollowMany(ctx context.Context, by slipway.Actor, many PushedMany) error {
	moved := map[string]bool{}
	for _, u := range many.Updates {
		moved[u.Ref] = true
	}
	type pull struct {
		id                   int64
		fork, source, target string
	}
	const query = `SELECT id, fork, source, target FROM pull_requests WHERE status = 'active' AND (repository = $1 OR fork = $1) ORDER BY id LIMIT 100000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, p *pull) error {
		return row.Scan(&p.id, &p.fork, &p.source, &p.target)
	}, query, string(many.Repository))
	if err != nil {
		return fmt.Errorf("list pull requests of repository %s: %w", many.Repository, err)
	}
	for _, p := range list {
		ofFork := p.fork == string(many.Repository)
		if !(moved[p.source] && (ofFork || p.fork == "") || moved[p.target] && !ofFork) {
			continue
		}
		if err := s.follow(ctx, slipway.PullRequestID(p.id), by); err != nil && slipway.CodeOf(err) != slipway.CodeConflict {
			return err
		}
	}
	return nil
}

func (s *Service) follow(ctx context.Context, id slipway.PullRequestID, by slipway.Actor) error {
	defer s.pulls.lock(id)()
	return s.followLocked(ctx, id, by)
}

// followLocked compares a pull request with its branches. The caller holds its lock.
func (s *Service) followLocked(ctx context.Context, id slipway.PullRequestID, by slipway.Actor) error {
	p, err := s.PullRequest(ctx, id)
	if err != nil || p.Status != PullRequestActive {
		return err
	}
	source, sourceErr := s.sourceTip(ctx, p)
	target, targetErr := s.Resolve(ctx, p.Repository, p.Target)
	for _, err := range []error{sourceErr, targetErr} {
		if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
			return err
		}
	}
	if targetErr == nil {
		if done, err := s.completedByPush(ctx, p, target, by); done || err != nil {
			return err
		}
	}
	moved := p
	switch {
	case sourceErr != nil:
		moved.setMerge("", nil, "branch "+p.SourceBranch()+" is gone")
	case targetErr != nil:
		moved.setMerge("", nil, "branch "+p.TargetBranch()+" is gone")
	case source == p.SourceCommit && target == p.TargetCommit && (p.MergeStatus == MergeSucceeded || p.MergeStatus == MergeConflicts):
		return nil
	default:
		moved.TargetCommit = target
		if refused, err := s.followSource(ctx, &moved, source, by); err != nil {
			return err
		} else if refused {
			break
		}
		if err := s.tryMerge(ctx, &moved); err != nil {
			return err
		}
	}
	if moved.MergeStatus == p.MergeStatus && moved.MergeReason == p.MergeReason && moved.MergeStatus == MergeFailure &&
		moved.SourceCommit == p.SourceCommit && moved.TargetCommit == p.TargetCommit {
		return nil
	}
	return s.saveMoved(ctx, p, moved, by)
}

// completedByPush completes a pull request whose commits are on the target: by a completion that a crash cut short, or
// because somebody pushed them there.
func (s *Service) completedByPush(ctx context.Context, p PullRequest, target slipway.CommitID, by slipway.Actor) (bool, error) {
	if p.completing != "" {
		done, err := s.isAncestor(ctx, p.Repository, p.completing, target)
		if err != nil {
			return false, err
		}
		if done {
			return true, s.finish(ctx, p, p.completing)
		}
	}
	had, err := s.isAncestor(ctx, p.Repository, p.SourceCommit, p.TargetCommit)
	if err != nil || had { // a source that was set back to what the target had brings nothing
		return false, err
	}
	done, err := s.isAncestor(ctx, p.Repository, p.SourceCommit, target)
	if err != nil || !done {
		return false, err
	}
	p.ClosedBy, p.Completion = by, Completion{}
	return true, s.finish(ctx, p, target)
}

// setMerge notes the outcome of a trial: a commit, conflicts, or the reason why there is neither.
func (p *PullRequest) setMerge(commit slipway.CommitID, conflicts []string, reason string) {
	p.MergeCommit, p.Conflicts, p.MergeReason = commit, conflicts, reason
	switch {
	case reason != "":
		p.MergeStatus = MergeFailure
	case len(conflicts) > 0:
		p.MergeStatus = MergeConflicts
	default:
		p.MergeStatus = MergeSucceeded
	}
	if p.Conflicts == nil {
		p.Conflicts = []string{}
	}
}

// tryMerge merges source and target beside the branches; the result is at MergeRef, the source at refs/pull/N/head, so that
// it stays when its branch goes.
func (s *Service) tryMerge(ctx context.Context, p *PullRequest) error {
	nothing, err := s.isAncestor(ctx, p.Repository, p.SourceCommit, p.TargetCommit)
	if err != nil {
		return err
	}
	if nothing {
		p.setMerge("", nil, fmt.Sprintf("branch %s has no commit that %s has not", p.SourceBranch(), p.TargetBranch()))
		return nil
	}
	m, err := s.mergeTrees(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	if err != nil {
		return err
	}
	moves := []refMove{{Ref: fmt.Sprintf("%s%d/head", pullRequestPrefix, p.ID), After: p.SourceCommit, Anywhere: true},
		{Ref: fmt.Sprintf("refs/slipway/pull/%d/%s", p.ID, p.SourceCommit), After: p.SourceCommit, Anywhere: true}} // what threads and iterations are of stays
	if len(m.conflicts) > 0 {
		p.setMerge("", m.conflicts, "")
		return s.moveRefs(ctx, p.Repository, moves...)
	}
	who := Signature{Name: slipway.System.Name, Email: slipway.System.ID + "@localhost", Time: s.clock.Now()}
	commit, err := s.writeCommit(ctx, p.Repository, newCommit{tree: m.tree, parents: []slipway.CommitID{p.TargetCommit, p.SourceCommit},
		message: fmt.Sprintf("Merge pull request %d from %s into %s", p.ID, p.SourceBranch(), p.TargetBranch()), author: who, committer: who})
	if err != nil {
		return err
	}
	p.setMerge(commit, nil, "")
	return s.moveRefs(ctx, p.Repository, append(moves, refMove{Ref: p.MergeRef(), After: commit, Anywhere: true})...)
}

// saveMoved writes what following found out.
func (s *Service) saveMoved(ctx context.Context, was, p PullRequest, by slipway.Actor) error {
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	if p.SourceCommit == was.SourceCommit {
		return s.savePullRequest(ctx, r, p, EventPullRequestUpdated, by, nil)
	}
	pusher, known, err := s.pusher(ctx, p.source(), p.Source, p.SourceCommit)
	if err != nil {
		return err
	}
	if !known { // who pushed is about to be announced, and the pull request follows then
		return slipway.Conflict("branch %s was pushed to a moment ago: look at it again", p.SourceBranch())
	}
	if pusher.ID != "" {
		by = pusher
	}
	base, err := s.MergeBase(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	if err != nil {
		return err
	}
	brings, err := s.brings(ctx, p)
	if err != nil {
		return err
	}
	policies, err := s.BranchPolicies(ctx, r, p.Target)
	if err != nil {
		return err
	}
	return s.savePullRequest(ctx, r, p, EventPullRequestUpdated, by, brings, func(tx *db.Tx) error {
		if err := s.addIteration(ctx, tx, p, base, by); err != nil {
			return err
		}
		return resetVotes(ctx, tx, p.ID, policies)
	})
}
