package api

import (
	"net/http"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const (
	maxPullQueries = 20  // in one request
	maxPullQuery   = 100 // commits of one query
)

// addPullQueries serves the ways from commits and branches to pull requests.
func (g gitRoutes) addPullQueries() {
	of := "/git/repositories/{repo}"
	g.project("POST", of+"/pullRequestQuery", identity.Read, g.queryPullRequests)
	g.project("GET", of+"/suggestions", identity.Read, g.suggestPullRequests)
}

// pullQueryTypes are Azure DevOps' names and numbers of what a query looks for.
var pullQueryTypes = choice{"0": "notSet", "1": "lastMergeCommit", "2": "commit"}

// GitPullRequestQuery is Azure DevOps' GitPullRequestQuery.
type GitPullRequestQuery struct {
	Queries []GitPullRequestQueryInput    `json:"queries"`
	Results []map[string][]GitPullRequest `json:"results"` // of each query, the pull requests of each commit that has some
}

// GitPullRequestQueryInput asks for the pull requests of commits.
type GitPullRequestQueryInput struct {
	Items []string `json:"items"`
	Type  name     `json:"type"` // lastMergeCommit: those whose merge they are; commit: those that brought them
}

func (g gitRoutes) queryPullRequests(w http.ResponseWriter, r request) error {
	var body struct {
		Queries []GitPullRequestQueryInput `json:"queries"`
	}
	if err := r.decode(w, maxPullRequestBody, &body, `{"queries": [{"type": "commit", "items": ["COMMIT"]}]}`); err != nil {
		return err
	}
	if len(body.Queries) > maxPullQueries {
		return at("queries", slipway.Limit("ask at most %d queries at once", maxPullQueries))
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	out := GitPullRequestQuery{Queries: body.Queries, Results: []map[string][]GitPullRequest{}}
	for _, q := range body.Queries {
		found, err := g.queryPulls(r, repo, q)
		if err != nil {
			return err
		}
		out.Results = append(out.Results, found)
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (g gitRoutes) queryPulls(r request, repo repos.Repository, q GitPullRequestQueryInput) (map[string][]GitPullRequest, error) {
	kind, err := pullQueryTypes.of("type", string(q.Type), "notSet")
	if err != nil {
		return nil, err
	}
	search := g.repos.PullRequestsBringing
	switch {
	case kind == "lastMergeCommit":
		search = g.repos.PullRequestsOfMerge
	case kind == "notSet":
		return nil, at("type", slipway.Invalid("say whether to look for the pull requests that made a merge (lastMergeCommit) or brought a commit (commit)"))
	}
	if len(q.Items) > maxPullQuery {
		return nil, at("items", slipway.Limit("name at most %d commits in a query", maxPullQuery))
	}
	found := map[string][]GitPullRequest{}
	for _, item := range q.Items {
		commit, err := slipway.ParseCommitID(strings.ToLower(item))
		if err != nil {
			return nil, at("items", err)
		}
		pulls, err := search(r.Context(), repo.ID, commit)
		if err != nil {
			return nil, err
		}
		for _, p := range pulls {
			shown, err := g.pullRequest(r, repo, p)
			if err != nil {
				return nil, err
			}
			found[item] = append(found[item], shown)
		}
	}
	return found, nil
}

// GitSuggestion is Azure DevOps' GitSuggestion: a branch for which the caller might want to open a pull request.
type GitSuggestion struct {
	Type       string         `json:"type"` // pullRequest
	Properties map[string]any `json:"properties"`
}

// suggestPullRequests offers pull requests of the branches that the caller pushed to lately.
func (g gitRoutes) suggestPullRequests(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	branches, err := g.repos.SuggestedBranches(r.Context(), repo, r.caller.Actor)
	if err != nil {
		return err
	}
	var out []GitSuggestion
	for _, b := range branches {
		out = append(out, GitSuggestion{"pullRequest", map[string]any{"sourceBranch": b.Full, "targetBranch": "refs/heads/" + repo.DefaultBranch, "targetRepositoryId": string(repo.ID),
			"sourceRepository": g.repository(r.project, repo), "pushDate": b.Updated}})
	}
	return list(w, out)
}
