package api

import (
	"fmt"
	"net/http"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

func (g gitRoutes) addPicks() {
	for kind, names := range map[repos.PickKind][]string{repos.CherryPick: {"cherryPicks", "cherrypicks"}, repos.Revert: {"reverts"}} {
		for _, name := range names {
			of := "/git/repositories/{repo}/" + name
			g.project("POST", of, identity.Contribute, func(w http.ResponseWriter, r request) error { return g.startPick(w, r, kind) })
			g.project("GET", of, identity.Read, func(w http.ResponseWriter, r request) error { return g.findPick(w, r, kind) })
			g.project("GET", of+"/{pick}", identity.Read, func(w http.ResponseWriter, r request) error { return g.getPick(w, r, kind) })
		}
	}
}

// GitPick is Azure DevOps' GitCherryPick or GitRevert. It is done when it is answered.
type GitPick struct {
	CherryPickID   int64             `json:"cherryPickId,omitempty"`
	RevertID       int64             `json:"revertId,omitempty"`
	Status         string            `json:"status"` // completed, failed
	Parameters     GitPickParameters `json:"parameters"`
	DetailedStatus GitPickDetail     `json:"detailedStatus"`
	URL            string            `json:"url"`
}

// GitPickParameters is Azure DevOps' GitAsyncRefOperationParameters.
type GitPickParameters struct {
	GeneratedRefName string         `json:"generatedRefName"`
	OntoRefName      string         `json:"ontoRefName"`
	Repository       *GitRepository `json:"repository,omitempty"`
	Source           GitPickSource  `json:"source"`
}

// GitPickSource names commits or a pull request.
type GitPickSource struct {
	CommitList    []GitCommitRef `json:"commitList,omitempty"`
	PullRequestID int64          `json:"pullRequestId,omitempty"`
}

// GitPickDetail says why it failed.
type GitPickDetail struct {
	Status          string  `json:"status"` // none, mergeConflict, other
	Conflict        bool    `json:"conflict"`
	CurrentCommitID string  `json:"currentCommitId,omitempty"` // that conflicts
	FailureMessage  string  `json:"failureMessage,omitempty"`
	Progress        float64 `json:"progress"`
	Timedout        bool    `json:"timedout"`
}

func (g gitRoutes) gitPick(r request, repo repos.Repository, p repos.Pick) GitPick {
	about := g.repository(r.project, repo)
	out := GitPick{Status: "completed", Parameters: GitPickParameters{GeneratedRefName: p.Branch, OntoRefName: p.Onto, Repository: &about,
		Source: GitPickSource{PullRequestID: int64(p.PullRequest)}}, DetailedStatus: GitPickDetail{Status: "none", Progress: 1}}
	if p.PullRequest == 0 {
		for _, c := range p.Commits {
			out.Parameters.Source.CommitList = append(out.Parameters.Source.CommitList, GitCommitRef{CommitID: string(c)})
		}
	}
	if p.Reason != "" {
		out.Status = "failed"
		out.DetailedStatus = GitPickDetail{Status: "other", Conflict: len(p.Conflicts) > 0, CurrentCommitID: string(p.Conflicting), FailureMessage: p.Reason}
		if out.DetailedStatus.Conflict {
			out.DetailedStatus.Status = "mergeConflict"
		}
	}
	if p.Kind == repos.Revert {
		out.RevertID, out.URL = p.ID, fmt.Sprintf("%s/reverts/%d", about.URL, p.ID)
	} else {
		out.CherryPickID, out.URL = p.ID, fmt.Sprintf("%s/cherryPicks/%d", about.URL, p.ID)
	}
	return out
}

func (g gitRoutes) startPick(w http.ResponseWriter, r request, kind repos.PickKind) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	var body GitPickParameters
	if err := r.decode(w, maxPullRequestBody, &body, `{"generatedRefName": "refs/heads/…", "ontoRefName": "refs/heads/…", "source": {"pullRequestId": 12}}`); err != nil {
		return err
	}
	if r.caller.Kind != slipway.ActorUser {
		return slipway.Forbidden("only a user picks commits")
	}
	committer, err := g.author(r)
	if err != nil {
		return err
	}
	ask := repos.PickRequest{Repository: repo.ID, Kind: kind, PullRequest: slipway.PullRequestID(body.Source.PullRequestID), Onto: body.OntoRefName, Branch: body.GeneratedRefName,
		Committer: committer, Actor: r.caller.Actor}
	for _, c := range body.Source.CommitList {
		id, err := slipway.ParseCommitID(c.CommitID)
		if err != nil {
			return at("source.commitList", err)
		}
		ask.Commits = append(ask.Commits, id)
	}
	p, err := g.repos.Pick(r.Context(), ask)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, g.gitPick(r, repo, p))
	return nil
}

func (g gitRoutes) getPick(w http.ResponseWriter, r request, kind repos.PickKind) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	number, err := r.number("pick")
	if err != nil {
		return err
	}
	p, err := g.repos.PickByID(r.Context(), repo.ID, kind, number)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.gitPick(r, repo, p))
	return nil
}

// findPick finds the one that made a branch.
func (g gitRoutes) findPick(w http.ResponseWriter, r request, kind repos.PickKind) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	branch := r.URL.Query().Get("refName")
	if branch == "" {
		return at("refName", slipway.Invalid("name the branch that was made: refs/heads/…"))
	}
	p, err := g.repos.PickOfBranch(r.Context(), repo.ID, kind, "refs/heads/"+strings.TrimPrefix(branch, "refs/heads/"))
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.gitPick(r, repo, p))
	return nil
}
