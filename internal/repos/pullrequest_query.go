package repos

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// maxQueried bounds the pull requests of one commit that are told.
const maxQueried = 100

// PullRequestsOfMerge lists the pull requests whose merge the commit is: what the target got of a completed one, the trial merge of an active one.
func (s *Service) PullRequestsOfMerge(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) ([]PullRequest, error) {
	const query = `SELECT ` + pullRequestColumns + ` FROM pull_requests WHERE repository = $1 AND merge_commit = $2 ORDER BY id DESC LIMIT $3`
	list, err := db.List(ctx, s.db, scanPullRequest, query, string(id), string(commit), maxQueried)
	if err != nil {
		return nil, fmt.Errorf("list pull requests of merge %s: %w", commit, err)
	}
	return list, nil
}

// PullRequestsBringing lists the pull requests that bring or brought the commit: their source has it, and their target had it not. The newest come
// first.
func (s *Service) PullRequestsBringing(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) ([]PullRequest, error) {
	args := []string{"for-each-ref", "--format=%(refname)", "--contains", string(commit), pullRequestPrefix + "*/head"}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args})
	if exitCode(err) == 129 { // there is no such commit
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find pull requests of commit %s: %w", commit, err)
	}
	var numbers []int64
	for line := range strings.Lines(string(out)) {
		text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), pullRequestPrefix), "/head")
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	var list []PullRequest
	for _, n := range numbers {
		p, err := s.PullRequest(ctx, slipway.PullRequestID(n))
		if err != nil {
			return nil, err
		}
		had, err := s.isAncestor(ctx, id, commit, p.TargetCommit)
		if err != nil {
			return nil, err
		}
		if !had {
			list = append(list, p)
		}
		if len(list) == maxQueried {
			break
		}
	}
	return list, nil
}

const (
	suggestedFor = 24 * time.Hour // after a push
	maxSuggested = 3
)

// SuggestedBranches lists the branches that somebody pushed to in the last day, that have commits which the default branch has not, and of which no
// pull request is active: the latest first, at most three.
func (s *Service) SuggestedBranches(ctx context.Context, r Repository, by slipway.Actor) ([]Ref, error) {
	base, err := s.Resolve(ctx, r.ID, branchPrefix+r.DefaultBranch)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	const query = `
		SELECT b.name, b.target, b.commit_id, b.updated FROM repository_refs b
		WHERE b.repository = $1 AND b.updated > $2 AND b.name LIKE 'refs/heads/%' AND b.name <> $3 AND b.actor LIKE $4 ESCAPE '\'
			AND NOT EXISTS (SELECT 1 FROM pull_requests p WHERE p.status = 'active' AND p.source = b.name AND (p.repository = b.repository AND p.fork = '' OR p.fork = b.repository))
		ORDER BY b.updated DESC, b.name LIMIT 20`
	likely := `%"id":"` + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(by.ID) + `"%`
	list, err := db.List(ctx, s.db, scanRef, query, string(r.ID), db.Micros(s.clock.Now().Add(-suggestedFor)), branchPrefix+r.DefaultBranch, likely)
	if err != nil {
		return nil, fmt.Errorf("list branches pushed by %s: %w", by.Name, err)
	}
	var out []Ref
	for _, b := range list {
		had, err := s.isAncestor(ctx, r.ID, b.Commit, base)
		if err != nil {
			return nil, err
		}
		if !had && len(out) < maxSuggested {
			out = append(out, b)
		}
	}
	return out, nil
}
