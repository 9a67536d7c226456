package repos

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// PullRequestFilter chooses pull requests; what is empty matches all.
type PullRequestFilter struct {
	Project    slipway.ProjectID
	Repository slipway.RepositoryID
	Status     PullRequestStatus
	From       slipway.RepositoryID // that has the source branch: a fork, or Repository itself
	Source     string               // `refs/heads/topic`
	Target     string
	Creator    slipway.UserID
	Reviewer   slipway.UserID // who voted or is asked to
	Waiting    bool           // with Reviewer: whose vote is still to come
	Label      string         // in any case
	Text       string         // in the title, in any case
	Skip       int
	Limit      int // at most 1000, which is also the default
}

// PullRequests lists pull requests, newest first.
func (s *Service) PullRequests(ctx context.Context, f PullRequestFilter) ([]PullRequest, error) {
	if f.Limit <= 0 || f.Limit > maxPullRequests {
		f.Limit = maxPullRequests
	}
	var where []string
	var args []any
	add := func(column, value string) {
		if value != "" {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s = $%d", column, len(args)))
		}
	}
	add("project", string(f.Project))
	add("repository", string(f.Repository))
	add("status", string(f.Status))
	add("source", f.Source)
	add("target", f.Target)
	add("creator", string(f.Creator))
	f.addConditions(func(condition string, value string) {
		args = append(args, value)
		where = append(where, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	})
	query := `SELECT ` + pullRequestColumns + ` FROM pull_requests`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	args = append(args, f.Limit, max(f.Skip, 0))
	query += fmt.Sprintf(` ORDER BY id DESC LIMIT $%d OFFSET $%d`, len(args)-1, len(args))
	list, err := db.List(ctx, s.db, scanPullRequest, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list pull requests: %w", err)
	}
	return list, nil
}

// addConditions gives the conditions that are more than a column's value.
func (f PullRequestFilter) addConditions(add func(condition, value string)) {
	if f.Reviewer != "" {
		condition := `EXISTS (SELECT 1 FROM pull_request_votes v WHERE v.pull_request = pull_requests.id AND v.reviewer = ?`
		if f.Waiting {
			condition += ` AND v.vote = 0`
		}
		add(condition+`)`, string(f.Reviewer))
	}
	if f.From != "" {
		add(`(fork = ? OR fork = '' AND repository = ?)`, string(f.From))
	}
	if f.Label != "" {
		add(`EXISTS (SELECT 1 FROM pull_request_labels l WHERE l.pull_request = pull_requests.id AND l.name_key = ?)`, strings.ToLower(f.Label))
	}
	if f.Text != "" {
		escape := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")
		add(`lower(title) LIKE ? ESCAPE '!'`, "%"+escape.Replace(strings.ToLower(f.Text))+"%")
	}
}

// CountPullRequests counts the active pull requests of a repository.
func (s *Service) CountPullRequests(ctx context.Context, id slipway.RepositoryID) (int, error) {
	n, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM pull_requests WHERE repository = $1 AND status = 'active'`, string(id))
	if err != nil {
		return 0, fmt.Errorf("count pull requests: %w", err)
	}
	return int(n), nil
}

// PullRequestsMerged returns the completed pull requests by which any of the commits came to their branch.
func (s *Service) PullRequestsMerged(ctx context.Context, id slipway.RepositoryID, commits []slipway.CommitID) ([]PullRequest, error) {
	var all []PullRequest
	for part := range slices.Chunk(commits, 100) {
		args := []any{string(id)}
		var places []string
		for _, c := range part {
			args = append(args, string(c))
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
		query := `SELECT ` + pullRequestColumns + ` FROM pull_requests WHERE repository = $1 AND status = 'completed' AND merge_commit IN (` +
			strings.Join(places, ", ") + `) ORDER BY id`
		list, err := db.List(ctx, s.db, scanPullRequest, query, args...)
		if err != nil {
			return nil, fmt.Errorf("list pull requests of commits: %w", err)
		}
		all = append(all, list...)
	}
	return all, nil
}
