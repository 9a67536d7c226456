package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

// tellPullRequests answers a push with the pull requests that it concerns and what they wait for, or with how to open one.
func (s *Server) tellPullRequests(ctx context.Context, p gitserver.Push) []string {
	var lines []string
	if p.Refusal != "" {
		lines = append(lines, "The push is taken in, but its pull request is not as you asked: "+p.Refusal)
	}
	page := s.config.URL + "/" + url.PathEscape(p.Project.Name) + "/_git/" + url.PathEscape(p.Repository.Name) + "/pullrequest"
	for _, pull := range p.PullRequests {
		lines = append(lines, fmt.Sprintf("Pull request %d into %s: %s/%d", pull.ID, pull.TargetBranch(), page, pull.ID))
		lines = append(lines, s.pullRequestState(ctx, pull)...)
	}
	if branch := newBranch(p); branch != "" && len(p.PullRequests) == 0 && p.Refusal == "" {
		lines = append(lines, fmt.Sprintf("Open a pull request: %screate?%s", page, url.Values{"sourceRef": {branch}}.Encode()), "or push with -o pullrequest.create")
	}
	return lines
}

// newBranch is the branch that a push made, "" when it is not exactly one or there is nothing to merge it into.
func newBranch(p gitserver.Push) string {
	if len(p.Updates) != 1 {
		return ""
	}
	u := p.Updates[0]
	branch, ok := strings.CutPrefix(u.Ref, "refs/heads/")
	if !ok || !u.Before.IsZero() || u.Deleted() || u.FirstPush || u.DefaultRef {
		return ""
	}
	return branch
}

// pullRequestState says in the client's output what keeps a pull request from its target.
func (s *Server) pullRequestState(ctx context.Context, p repos.PullRequest) []string {
	switch p.MergeStatus {
	case repos.MergeConflicts:
		files := strings.Join(p.Conflicts[:min(len(p.Conflicts), mostAnswered)], ", ")
		if more := len(p.Conflicts) - mostAnswered; more > 0 {
			files += fmt.Sprintf(" and %d more", more)
		}
		return []string{fmt.Sprintf("It conflicts with %s in %s: git pull --no-rebase origin %s, resolve, commit, and push again", p.TargetBranch(), files, p.TargetBranch())}
	case repos.MergeFailure:
		return []string{"It cannot be merged: " + p.MergeReason}
	}
	evaluations, err := s.repos.Evaluations(ctx, p)
	if err != nil {
		s.logger.Warn("evaluate the policies of a pushed pull request", "pull request", p.ID, "error", err)
		return nil
	}
	var lines []string
	for _, e := range evaluations {
		if e.Policy.Blocking && !e.State.Holds() && len(lines) < mostAnswered {
			lines = append(lines, "It waits for: "+e.Policy.Title())
		}
	}
	if p.AutoComplete != nil {
		lines = append(lines, "It completes itself as soon as its policies hold")
	}
	return lines
}
