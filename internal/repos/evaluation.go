package repos

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/repos/policy"
)

// maxPolicyPaths bounds the changed files of a pull request that policies look at.
const maxPolicyPaths = 10_000

// Evaluation is what a policy says of a pull request now.
type Evaluation struct {
	policy.Result
	Policy policy.Policy
	ID     uuid.UUID
}

// evaluationID makes the id of an evaluation of the two numbers (RFC 9562, section 5.8), so that none has to be kept.
func evaluationID(pull slipway.PullRequestID, policyID int64) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(pull)<<16|8<<12)
	binary.BigEndian.PutUint64(id[8:], uint64(policyID)|1<<63)
	return id
}

// Evaluation returns an evaluation by its id, and the pull request that it is of.
func (s *Service) Evaluation(ctx context.Context, id uuid.UUID) (Evaluation, PullRequest, error) {
	pull := slipway.PullRequestID(binary.BigEndian.Uint64(id[:8]) >> 16)
	number := int64(binary.BigEndian.Uint64(id[8:]) &^ (1 << 63))
	missing := slipway.NotFound("there is no evaluation %s", id)
	if evaluationID(pull, number) != id {
		return Evaluation{}, PullRequest{}, missing
	}
	p, err := s.PullRequest(ctx, pull)
	if err != nil {
		return Evaluation{}, p, err
	}
	all, err := s.Evaluations(ctx, p)
	if err != nil {
		return Evaluation{}, p, err
	}
	for _, e := range all {
		if e.ID == id {
			return e, p, nil
		}
	}
	return Evaluation{}, p, missing
}

// Evaluations says what each policy of the target says of a pull request now, by the policies' numbers.
func (s *Service) Evaluations(ctx context.Context, p PullRequest) ([]Evaluation, error) {
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return nil, err
	}
	policies, err := s.BranchPolicies(ctx, r, p.Target)
	if err != nil || len(policies) == 0 {
		return nil, err
	}
	facts, err := s.facts(ctx, p)
	if err != nil {
		return nil, err
	}
	var all []Evaluation
	for _, one := range policies {
		f := facts
		switch one.Kind {
		case policy.CodeOwners:
			f.Owners, err = s.codeOwners(ctx, p, f)
		case policy.Build:
			f.Builds, err = s.builds(ctx, p.ID, one.ID)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Evaluation{Policy: one, ID: evaluationID(p.ID, one.ID), Result: one.Evaluate(f)})
	}
	return all, nil
}

// facts gathers what policies of any kind are evaluated on.
func (s *Service) facts(ctx context.Context, p PullRequest) (policy.Facts, error) {
	f := policy.Facts{Creator: p.CreatedBy.ID, Source: string(p.SourceCommit), Merge: string(p.MergeCommit), WorkItems: p.workItems, Now: s.clock.Now()}
	iterations, err := s.Iterations(ctx, p.ID)
	if err != nil {
		return f, err
	}
	if n := len(iterations); n > 0 {
		f.Iteration, f.LastPusher = iterations[n-1].Number, iterations[n-1].CreatedBy.ID
	}
	reviewers, err := s.Reviewers(ctx, p.ID)
	if err != nil {
		return f, err
	}
	for _, r := range reviewers {
		f.Votes = append(f.Votes, policy.Vote{ID: r.Actor.ID, Name: r.Actor.Name, Vote: int(r.Vote), Iteration: r.Iteration})
	}
	const open = `SELECT count(*) FROM pull_request_threads WHERE pull_request = $1 AND status IN ('active', 'pending')`
	count, err := db.One(ctx, s.db, db.Value[int64], open, int64(p.ID))
	if err != nil {
		return f, fmt.Errorf("count threads of pull request %d: %w", p.ID, err)
	}
	f.Open = int(count)
	if f.Statuses, err = s.posted(ctx, p); err != nil {
		return f, err
	}
	base, err := s.MergeBase(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	if err != nil {
		return f, err
	}
	paths, more, err := s.ChangedPaths(ctx, p.Repository, base, p.SourceCommit, maxPolicyPaths)
	f.Paths, f.AllPaths = paths, !more
	return f, err
}

// Blocking lists what stands in the way of completing a pull request: required policies that do not hold, and reviewers whom
// people made required.
func (s *Service) Blocking(ctx context.Context, p PullRequest) ([]string, error) {
	evaluations, err := s.Evaluations(ctx, p)
	if err != nil {
		return nil, err
	}
	reviewers, err := s.Reviewers(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return blocking(evaluations, reviewers), nil
}

func blocking(evaluations []Evaluation, reviewers []Reviewer) []string {
	var list []string
	for _, e := range evaluations {
		if e.Policy.Blocking && !e.State.Holds() {
			list = append(list, reason(e))
		}
	}
	for _, r := range reviewers {
		if r.Required && r.Policy == 0 && r.Vote <= 0 {
			list = append(list, fmt.Sprintf("%s is a required reviewer and has not approved", r.Actor.Name))
		}
	}
	return list
}

func reason(e Evaluation) string {
	if e.Why == "" {
		return e.Policy.Title()
	}
	return e.Policy.Title() + ": " + e.Why
}

// checkStrategy refuses a merge strategy that a policy does not allow.
func checkStrategy(evaluations []Evaluation, strategy MergeStrategy) error {
	for _, e := range evaluations {
		if e.Policy.Kind != policy.MergeTypes || !e.Policy.Blocking {
			continue
		}
		if allowed := e.Policy.Settings.Strategies(); !slices.Contains(allowed, string(strategy)) {
			bad := slipway.Conflict("branch policies allow pull requests to be completed by %s here, not by %s", strings.Join(allowed, ", "), strategy)
			bad.Field = "completionOptions.mergeStrategy"
			return bad
		}
	}
	return nil
}

// checkPolicies refuses a completion that policies do not let through, or returns those that the actor bypasses.
func (s *Service) checkPolicies(ctx context.Context, p PullRequest, req CompleteRequest) (bypassed []string, err error) {
	evaluations, err := s.Evaluations(ctx, p)
	if err != nil {
		return nil, err
	}
	reviewers, err := s.Reviewers(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	stands := blocking(evaluations, reviewers)
	strategyErr := checkStrategy(evaluations, req.Strategy)
	if strategyErr != nil {
		stands = append(stands, strategyErr.Error())
	}
	if req.DeleteSource {
		if err := s.checkSourceDeletion(ctx, p, req.Actor); err != nil {
			return nil, err
		}
	}
	switch {
	case len(stands) == 0:
		return nil, nil
	case req.Bypass != "":
		return stands, s.mayBypass(ctx, p.Repository, req.Actor, req.Bypass, onCompletion)
	case strategyErr != nil && len(stands) == 1:
		return nil, strategyErr
	}
	return nil, slipway.Conflict("branch policies of %s hold the pull request up: %s", p.TargetBranch(), strings.Join(stands, "; "))
}

// checkDeletion refuses to delete the source branch of a pull request when it is the default one, locked, or protected by policies.
func (s *Service) checkDeletion(ctx context.Context, id slipway.RepositoryID, ref string) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if ref == branchPrefix+r.DefaultBranch {
		return slipway.Conflict("branch %s is the default branch of repository %s: keep the source branch", r.DefaultBranch, r.Name)
	}
	if err := s.checkLocked(ctx, id, ref); err != nil {
		return err
	}
	protecting, err := s.protecting(ctx, id, ref)
	if err != nil || len(protecting) == 0 {
		return err
	}
	return slipway.Conflict("branch %s has required policies and cannot be deleted: keep the source branch", strings.TrimPrefix(ref, branchPrefix))
}

// protecting lists the titles of the required policies on a ref.
func (s *Service) protecting(ctx context.Context, id slipway.RepositoryID, ref string) ([]string, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	all, err := s.Policies(ctx, r.Project)
	return r.requires(all, ref), err
}

// requires lists the titles of the required ones of a project's policies on a ref.
func (r Repository) requires(all []policy.Policy, ref string) []string {
	var titles []string
	for _, p := range all {
		if p.Blocking && p.Applies(r.ID, ref, branchPrefix+r.DefaultBranch) {
			titles = append(titles, p.Title())
		}
	}
	return titles
}
