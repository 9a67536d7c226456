package api

import (
	"slipway"
	"slipway/internal/repos"
)

// GitCompletionOptions say how a pull request is completed.
type GitCompletionOptions struct {
	MergeStrategy      string `json:"mergeStrategy,omitempty"`
	MergeCommitMessage string `json:"mergeCommitMessage,omitempty"`
	DeleteSourceBranch bool   `json:"deleteSourceBranch,omitempty"`
	BypassPolicy       bool   `json:"bypassPolicy,omitempty"`
	BypassReason       string `json:"bypassReason,omitempty"`
	// TransitionWorkItems finishes the linked work items.
	TransitionWorkItems bool `json:"transitionWorkItems,omitempty"`
	// AutoCompleteIgnoreConfigIDs are the optional policies that auto-complete does not wait for.
	AutoCompleteIgnoreConfigIDs []int64 `json:"autoCompleteIgnoreConfigIds,omitempty"`
}

func completionOptions(c repos.Completion) *GitCompletionOptions {
	return &GitCompletionOptions{MergeStrategy: string(c.Strategy), MergeCommitMessage: c.Message, DeleteSourceBranch: c.DeleteSource, BypassPolicy: c.Bypass != "",
		BypassReason: c.Bypass, TransitionWorkItems: c.ResolveItems}
}

// strategies are Azure DevOps' names and numbers of merge strategies.
var strategies = map[string]repos.MergeStrategy{
	"": "", "nofastforward": repos.NoFastForward, "1": repos.NoFastForward, "squash": repos.Squash, "2": repos.Squash,
	"rebase": repos.Rebase, "3": repos.Rebase, "rebasemerge": repos.RebaseMerge, "4": repos.RebaseMerge,
}

// complete wants to know what its caller looked at, as Azure DevOps does: somebody may have pushed since.
func (g gitRoutes) complete(r request, p repos.PullRequest, body pullRequestBody) (repos.PullRequest, error) {
	if body.LastMergeSourceCommit == nil || body.LastMergeSourceCommit.CommitID == "" {
		return p, at("lastMergeSourceCommit", slipway.Invalid("name the commit of the source that you looked at: %s is the last", p.SourceCommit))
	}
	expect, err := slipway.ParseCommitID(body.LastMergeSourceCommit.CommitID)
	if err != nil {
		return p, at("lastMergeSourceCommit.commitId", err)
	}
	req, err := g.completeRequest(r, body)
	if err != nil {
		return p, err
	}
	req.Expect = expect
	return g.repos.CompletePullRequest(r.Context(), p.ID, req)
}
