package api

import (
	"net/http"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// addMerges serves merges of two commits that move no branch.
func (g gitRoutes) addMerges() {
	of := "/git/repositories/{repo}/merges"
	g.project("POST", of, identity.Contribute, g.mergeCommits)
	g.project("GET", of+"/{merge}", identity.Read, g.getMerge)
}

// GitMerge is Azure DevOps' GitMerge. It is done when it is answered.
type GitMerge struct {
	MergeOperationID int64          `json:"mergeOperationId"`
	Status           string         `json:"status"` // completed, failed
	Parents          []string       `json:"parents"`
	Comment          string         `json:"comment,omitempty"`
	DetailedStatus   GitMergeDetail `json:"detailedStatus"`
}

// GitMergeDetail names the commit that came of it, or says why there is none.
type GitMergeDetail struct {
	MergeCommitID  string `json:"mergeCommitId,omitempty"`
	FailureMessage string `json:"failureMessage,omitempty"`
}

// gitMerge is the answer about a merge.
func (g gitRoutes) gitMerge(r request, repo repos.Repository, m repos.Merge) (GitMerge, error) {
	out := GitMerge{MergeOperationID: m.ID, Status: "completed"}
	for _, p := range m.Parents {
		out.Parents = append(out.Parents, string(p))
	}
	if m.Commit.IsZero() {
		out.Status, out.DetailedStatus.FailureMessage = "failed", "the commits conflict in "+strings.Join(m.Conflicts, ", ")
		return out, nil
	}
	c, err := g.repos.Commit(r.Context(), repo.ID, m.Commit)
	out.Comment, out.DetailedStatus.MergeCommitID = strings.TrimSpace(c.Message), string(m.Commit)
	return out, err
}

func (g gitRoutes) mergeCommits(w http.ResponseWriter, r request) error {
	var body struct {
		Comment string   `json:"comment"`
		Parents []string `json:"parents"`
	}
	if err := r.decode(w, maxPullRequestBody, &body, `{"comment": "…", "parents": ["COMMIT", "COMMIT"]}`); err != nil {
		return err
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	committer, err := g.author(r)
	if err != nil {
		return err
	}
	ask := repos.MergeRequest{Repository: repo.ID, Message: body.Comment, Committer: committer, Actor: r.caller.Actor}
	for _, p := range body.Parents {
		id, err := slipway.ParseCommitID(strings.ToLower(p))
		if err != nil {
			return at("parents", err)
		}
		ask.Parents = append(ask.Parents, id)
	}
	m, err := g.repos.MergeCommits(r.Context(), ask)
	if err != nil {
		return err
	}
	out, err := g.gitMerge(r, repo, m)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, out)
	return nil
}

func (g gitRoutes) getMerge(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	number, err := r.number("merge")
	if err != nil {
		return err
	}
	m, err := g.repos.MergeByID(r.Context(), repo.ID, number)
	if err != nil {
		return err
	}
	out, err := g.gitMerge(r, repo, m)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}
