package repos

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"slipway"
)

// source is the repository that has the source branch.
func (p PullRequest) source() slipway.RepositoryID { return cmp.Or(p.Fork, p.Repository) }

// FromFork says whether the source branch is one of a fork.
func (p PullRequest) FromFork() bool { return p.Fork != "" }

// openFork notes the fork from which a pull request is asked for, and returns the repository of its source.
func (s *Service) openFork(ctx context.Context, target Repository, req NewPullRequest, p *PullRequest) (Repository, error) {
	if req.Fork == "" || req.Fork == target.ID {
		return target, nil
	}
	fork, err := s.Get(ctx, req.Fork)
	if err == nil {
		err = fork.CheckEnabled()
	}
	if err != nil {
		return fork, err
	}
	related, err := s.Related(ctx, fork, target)
	if err == nil && !related {
		err = slipway.Invalid("repository %s is neither a fork of %s nor forked from the same one: push the branch to such a fork", fork.Name, target.Name)
	}
	if err != nil {
		return fork, err
	}
	if err := s.checkFilled(ctx, target.ID); err != nil {
		return fork, err
	}
	p.Fork, p.ForkName = fork.ID, fork.Name
	return fork, nil
}

// sourceTip is what the source branch is at. Of a fork that is gone it is what it was at: nothing more comes.
func (s *Service) sourceTip(ctx context.Context, p PullRequest) (slipway.CommitID, error) {
	if p.Fork == "" {
		return s.Resolve(ctx, p.Repository, p.Source)
	}
	fork, err := s.Get(ctx, p.Fork)
	if slipway.CodeOf(err) == slipway.CodeNotFound || err == nil && fork.Disabled {
		return p.SourceCommit, nil
	}
	if err != nil {
		return "", err
	}
	return s.Resolve(ctx, p.Fork, p.Source)
}

// takeSource brings a commit of a pull request's fork to the repository of its target.
func (s *Service) takeSource(ctx context.Context, p PullRequest, commit slipway.CommitID, by slipway.Actor) error {
	if p.Fork == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	to, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	from, err := s.Get(ctx, p.Fork)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil // what it had is here
	}
	if err != nil {
		return err
	}
	if err := s.takeIn(ctx, incoming{from: from, to: to, moves: []refMove{{Ref: p.MergeRef(), Before: commit, After: commit}}, actor: by, limit: maxTaken}); err != nil {
		return err
	}
	return s.copyLarge(ctx, from.ID, to.ID, by, nil, string(commit), "^"+string(p.TargetCommit))
}

// giveSource brings a commit that was made for a pull request's source branch to its fork.
func (s *Service) giveSource(ctx context.Context, p PullRequest, commit slipway.CommitID, by slipway.Actor) error {
	if p.Fork == "" {
		return nil
	}
	from, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	to, err := s.Get(ctx, p.Fork)
	if err != nil {
		return err
	}
	return s.takeIn(ctx, incoming{from: from, to: to, moves: []refMove{{Ref: p.Source, Before: p.SourceCommit, After: commit}}, actor: by})
}

// followSource takes the source to a commit, of a fork when the repository of the target takes its commits. One that does not says why, and
// the pull request stays at what it had.
func (s *Service) followSource(ctx context.Context, p *PullRequest, source slipway.CommitID, by slipway.Actor) (refused bool, err error) {
	if source != p.SourceCommit {
		err = s.takeSource(ctx, *p, source, by)
		switch slipway.CodeOf(err) {
		case slipway.CodeInvalid, slipway.CodeLimit, slipway.CodeConflict, slipway.CodeForbidden:
			p.setMerge("", nil, shorten(message(err), 2<<10))
			return true, nil
		}
	}
	if err == nil {
		p.SourceCommit = source
	}
	return false, err
}

// mayPush refuses a change of a fork's branch to somebody who may not push to the fork. Whether the actor may push to the repository itself
// the caller knows.
func (s *Service) mayPush(ctx context.Context, p PullRequest, by slipway.Actor) error {
	if p.Fork == "" {
		return nil
	}
	fork, err := s.Get(ctx, p.Fork)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return slipway.Conflict("fork %s, which had the source branch, was deleted", p.ForkName)
	}
	if err == nil {
		err = fork.CheckEnabled()
	}
	if err != nil {
		return err
	}
	refused := slipway.Forbidden("branch %s is one of the fork %s, and you may not push there: ask its owner to", p.SourceBranch(), fork.Name)
	if by.Kind != slipway.ActorUser || s.People == nil {
		return refused
	}
	u, err := s.People.User(ctx, slipway.UserID(by.ID))
	if err != nil {
		return err
	}
	role, err := s.People.Role(ctx, u.ID, fork.Project)
	if err != nil {
		return err
	}
	if !mayReview(u, role) { // which takes the right to push
		return refused
	}
	return nil
}

// MayPushSource says whether somebody who may push to the repository of a pull request may push to its source branch too.
func (s *Service) MayPushSource(ctx context.Context, p PullRequest, by slipway.Actor) (bool, error) {
	err := s.mayPush(ctx, p, by)
	switch slipway.CodeOf(err) {
	case slipway.CodeForbidden, slipway.CodeConflict, slipway.CodeNotFound:
		return false, nil
	}
	return err == nil, err
}

// checkSourceDeletion refuses to delete the source branch to whoever may not, and when it is needed.
func (s *Service) checkSourceDeletion(ctx context.Context, p PullRequest, by slipway.Actor) error {
	if p.Fork == "" {
		return s.checkDeletion(ctx, p.Repository, p.Source)
	}
	if err := s.mayPush(ctx, p, by); err != nil {
		return err
	}
	return s.checkDeletion(ctx, p.Fork, p.Source)
}

// deleteForkBranch deletes the source branch in the fork of a pull request that is being completed, as was asked for. Should it not be what it
// was, or be gone, it stays so: the pull request is completed all the same.
func (s *Service) deleteForkBranch(ctx context.Context, p PullRequest) {
	if p.Fork == "" || !p.Completion.DeleteSource {
		return
	}
	err := s.checkSourceDeletion(ctx, p, p.ClosedBy)
	if err == nil {
		err = s.DeleteRef(ctx, p.Fork, p.ClosedBy, p.Source, string(p.SourceCommit))
	}
	if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
		s.logger.Info("the source branch of a pull request was not deleted", "pull request", p.ID, "error", fmt.Errorf("%s: %w", strings.TrimPrefix(p.Source, branchPrefix), err))
	}
}
