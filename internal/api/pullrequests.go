package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// maxPullRequestBody bounds the bodies about pull requests, in bytes.
const maxPullRequestBody = 256 << 10

// IdentityRef is Azure DevOps' short form of somebody.
type IdentityRef struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	UniqueName  string `json:"uniqueName"`
}

func identityRef(a slipway.Actor) *IdentityRef {
	if a.ID == "" {
		return nil
	}
	return &IdentityRef{ID: a.ID, DisplayName: a.Name, UniqueName: a.Name}
}

// GitReviewer is Azure DevOps' IdentityRefWithVote.
type GitReviewer struct {
	IdentityRef
	Vote       int  `json:"vote"`
	IsRequired bool `json:"isRequired,omitempty"`
}

// GitCommitRef names a commit.
type GitCommitRef struct {
	CommitID  string       `json:"commitId"`
	Author    *GitUserDate `json:"author,omitempty"`
	Committer *GitUserDate `json:"committer,omitempty"`
	Comment   string       `json:"comment,omitempty"`
}

// GitUserDate is who wrote a commit, and when.
type GitUserDate struct {
	Name  string    `json:"name"`
	Email string    `json:"email"`
	Date  time.Time `json:"date"`
}

func commitRef(c slipway.CommitID) *GitCommitRef {
	if c.IsZero() {
		return nil
	}
	return &GitCommitRef{CommitID: string(c)}
}

// GitPullRequest is Azure DevOps' GitPullRequest.
type GitPullRequest struct {
	Repository            GitRepository         `json:"repository"`
	PullRequestID         int64                 `json:"pullRequestId"`
	CodeReviewID          int64                 `json:"codeReviewId"` // by which policies name it
	ArtifactID            string                `json:"artifactId"`   // by which work items do
	Status                string                `json:"status"`       // active, abandoned, completed
	CreatedBy             *IdentityRef          `json:"createdBy"`
	CreationDate          time.Time             `json:"creationDate"`
	ClosedBy              *IdentityRef          `json:"closedBy,omitempty"`
	ClosedDate            *time.Time            `json:"closedDate,omitempty"`
	Title                 string                `json:"title"`
	Description           string                `json:"description"`
	SourceRefName         string                `json:"sourceRefName"`
	TargetRefName         string                `json:"targetRefName"`
	ForkSource            *GitForkRef           `json:"forkSource,omitempty"` // of one from a fork
	MergeStatus           string                `json:"mergeStatus"`          // queued, succeeded, conflicts, failure
	MergeFailureMessage   string                `json:"mergeFailureMessage,omitempty"`
	IsDraft               bool                  `json:"isDraft"`
	LastMergeSourceCommit *GitCommitRef         `json:"lastMergeSourceCommit,omitempty"`
	LastMergeTargetCommit *GitCommitRef         `json:"lastMergeTargetCommit,omitempty"`
	LastMergeCommit       *GitCommitRef         `json:"lastMergeCommit,omitempty"`
	Reviewers             []GitReviewer         `json:"reviewers"`
	URL                   string                `json:"url"`
	CompletionOptions     *GitCompletionOptions `json:"completionOptions,omitempty"`
	AutoCompleteSetBy     *IdentityRef          `json:"autoCompleteSetBy,omitempty"`
	SupportsIterations    bool                  `json:"supportsIterations"`
	Labels                []Label               `json:"labels,omitempty"`
	Commits               []GitCommitRef        `json:"commits,omitempty"`      // when they are asked for
	WorkItemRefs          []ResourceRef         `json:"workItemRefs,omitempty"` // likewise
	Links                 Links                 `json:"_links"`
}

func (g gitRoutes) pullRequest(r request, repo repos.Repository, p repos.PullRequest) (GitPullRequest, error) {
	out := GitPullRequest{Repository: g.repository(r.project, repo), PullRequestID: int64(p.ID), CodeReviewID: int64(p.ID),
		ArtifactID: fmt.Sprintf("vstfs:///Git/PullRequestId/%s%%2f%s%%2f%d", p.Project, p.Repository, p.ID), Status: string(p.Status), CreatedBy: identityRef(p.CreatedBy),
		CreationDate: p.Created, ClosedBy: identityRef(p.ClosedBy), ClosedDate: when(p.Closed), Title: p.Title, Description: p.Description,
		SourceRefName: p.Source, TargetRefName: p.Target, MergeStatus: string(p.MergeStatus), MergeFailureMessage: p.MergeReason, IsDraft: p.Draft,
		LastMergeSourceCommit: commitRef(p.SourceCommit), LastMergeTargetCommit: commitRef(p.TargetCommit), LastMergeCommit: commitRef(p.MergeCommit),
		SupportsIterations: true}
	if len(p.Conflicts) > 0 {
		out.MergeFailureMessage = "conflicts in " + strings.Join(p.Conflicts, ", ")
	}
	if p.Status == repos.PullRequestCompleted && p.Completion.Strategy != "" {
		out.CompletionOptions = completionOptions(p.Completion)
	}
	if a := p.AutoComplete; a != nil {
		out.AutoCompleteSetBy, out.CompletionOptions = identityRef(a.By), completionOptions(a.Completion)
		out.CompletionOptions.AutoCompleteIgnoreConfigIDs = a.Ignore
	}
	out.URL = fmt.Sprintf("%s/pullRequests/%d", out.Repository.URL, p.ID)
	out.Links.Web.Href = fmt.Sprintf("%s/pullrequest/%d", out.Repository.WebURL, p.ID)
	var err error
	if out.ForkSource, err = g.forkRef(r, p); err != nil {
		return out, err
	}
	if out.Labels, err = g.labels(r, repo, p); err != nil {
		return out, err
	}
	out.Reviewers, err = g.reviewers(r, p)
	return out, err
}

func (g gitRoutes) reviewers(r request, p repos.PullRequest) ([]GitReviewer, error) {
	voters, err := g.repos.Reviewers(r.Context(), p.ID)
	out := []GitReviewer{}
	for _, v := range voters {
		out = append(out, GitReviewer{*identityRef(v.Actor), int(v.Vote), v.Required})
	}
	return out, err
}

// statuses are Azure DevOps' names and numbers of the states that a list can be of; active when none is asked for.
var statuses = map[string]repos.PullRequestStatus{
	"": repos.PullRequestActive, "notset": repos.PullRequestActive, "0": repos.PullRequestActive, "active": repos.PullRequestActive, "1": repos.PullRequestActive,
	"abandoned": repos.PullRequestAbandoned, "2": repos.PullRequestAbandoned, "completed": repos.PullRequestCompleted, "3": repos.PullRequestCompleted,
	"all": "", "4": "",
}

func (g gitRoutes) listPullRequests(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	status, ok := statuses[strings.ToLower(q.Get("searchCriteria.status"))]
	if !ok {
		return at("searchCriteria.status", slipway.Invalid("use active, abandoned, completed or all, not %q", q.Get("searchCriteria.status")))
	}
	filter := repos.PullRequestFilter{Project: r.project.ID, Repository: repo.ID, Status: status, Source: q.Get("searchCriteria.sourceRefName"),
		From:   slipway.RepositoryID(strings.ToLower(q.Get("searchCriteria.sourceRepositoryId"))),
		Target: q.Get("searchCriteria.targetRefName"), Creator: slipway.UserID(q.Get("searchCriteria.creatorId")), Reviewer: slipway.UserID(q.Get("searchCriteria.reviewerId")),
		Text: q.Get("searchCriteria.title"), Label: q.Get("searchCriteria.label"), Limit: 100}
	for name, into := range map[string]*int{"$top": &filter.Limit, "$skip": &filter.Skip} {
		if text := q.Get(name); text != "" {
			if *into, err = strconv.Atoi(text); err != nil || *into < 0 {
				return at(name, slipway.Invalid("%q is no number of pull requests", text))
			}
		}
	}
	all, err := g.repos.PullRequests(r.Context(), filter)
	if err != nil {
		return err
	}
	var out []GitPullRequest
	for _, p := range all {
		if p.Repository != repo.ID {
			if repo, err = g.repos.Get(r.Context(), p.Repository); err != nil {
				return err
			}
		}
		one, err := g.pullRequest(r, repo, p)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	return list(w, out)
}

// pull finds the pull request that the path names, in the path's repository where it has one.
func (g gitRoutes) pull(r request) (repos.Repository, repos.PullRequest, error) {
	repo, err := g.find(r)
	if err != nil {
		return repo, repos.PullRequest{}, err
	}
	id, err := r.number("pull")
	if err != nil {
		return repo, repos.PullRequest{}, err
	}
	p, err := g.repos.PullRequest(r.Context(), slipway.PullRequestID(id))
	if err == nil && (p.Project != r.project.ID || repo.ID != "" && p.Repository != repo.ID) {
		err = slipway.NotFound("there is no pull request %d here", id)
	}
	if err != nil {
		return repo, p, err
	}
	repo, err = g.repos.Get(r.Context(), p.Repository)
	return repo, p, err
}

func (g gitRoutes) show(w http.ResponseWriter, status int, r request, repo repos.Repository, p repos.PullRequest) error {
	out, err := g.pullRequest(r, repo, p)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, status, out)
	return nil
}

func (g gitRoutes) getPullRequest(w http.ResponseWriter, r request) error {
	repo, p, err := g.pull(r)
	if err != nil {
		return err
	}
	out, err := g.pullRequest(r, repo, p)
	if err != nil {
		return err
	}
	if truth(r.URL.Query(), "includeCommits") {
		commits, _, err := g.repos.PullRequestCommits(r.Context(), p)
		if err != nil {
			return err
		}
		out.Commits = commitRefs(commits)
	}
	if truth(r.URL.Query(), "includeWorkItemRefs") {
		if out.WorkItemRefs, err = g.workItems(r, p); err != nil {
			return err
		}
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

// name is a value of one of Azure DevOps' enumerations, which some clients send as its number.
type name string

// UnmarshalJSON takes a string or a number.
func (n *name) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	*n = name(text)
	return nil
}

// pullRequestBody is what of a GitPullRequest can be written. Clients send more of what they were given; the rest is theirs to keep.
type pullRequestBody struct {
	SourceRefName         string        `json:"sourceRefName"`
	TargetRefName         string        `json:"targetRefName"`
	Title                 *string       `json:"title"`
	Description           *string       `json:"description"`
	IsDraft               *bool         `json:"isDraft"`
	Status                name          `json:"status"`
	LastMergeSourceCommit *GitCommitRef `json:"lastMergeSourceCommit"`
	CompletionOptions     struct {
		MergeStrategy      name   `json:"mergeStrategy"`
		SquashMerge        bool   `json:"squashMerge"` // from before mergeStrategy
		MergeCommitMessage string `json:"mergeCommitMessage"`
		DeleteSourceBranch bool   `json:"deleteSourceBranch"`
		BypassPolicy       bool   `json:"bypassPolicy"`
		BypassReason       string `json:"bypassReason"`
		// TransitionWorkItems finishes the linked work items.
		TransitionWorkItems bool `json:"transitionWorkItems"`

		AutoCompleteIgnoreConfigIDs []int64 `json:"autoCompleteIgnoreConfigIds"`
	} `json:"completionOptions"`
	Reviewers []reviewerBody `json:"reviewers"` // of a new one
	Labels    []struct {
		Name string `json:"name"`
	} `json:"labels"` // of a new one
	WorkItemRefs []struct {
		ID name `json:"id"`
	} `json:"workItemRefs"` // of a new one
	AutoCompleteSetBy json.RawMessage `json:"autoCompleteSetBy"`
	ForkSource        json.RawMessage `json:"forkSource"`
}

func readPullRequest(w http.ResponseWriter, r request) (pullRequestBody, error) {
	var body pullRequestBody
	return body, r.decode(w, maxPullRequestBody, &body, "the JSON of a pull request")
}

func (g gitRoutes) createPullRequest(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	body, err := readPullRequest(w, r)
	if err != nil {
		return err
	}
	fork, branch, err := g.forkSource(r, body.ForkSource)
	if err != nil {
		return err
	}
	if fork == "" || fork == repo.ID {
		if err := g.identity.Authorize(r.Context(), r.caller, identity.Contribute, r.project.ID); err != nil {
			return err
		}
	}
	ask := repos.NewPullRequest{Repository: repo.ID, Fork: fork, Source: cmp.Or(body.SourceRefName, branch), Target: body.TargetRefName, Actor: r.caller.Actor}
	if body.Title != nil {
		ask.Title = *body.Title
	}
	if body.Description != nil {
		ask.Description = *body.Description
	}
	ask.Draft = body.IsDraft != nil && *body.IsDraft
	items, err := g.namedItems(r, body)
	if err != nil {
		return err
	}
	p, err := g.repos.CreatePullRequest(r.Context(), ask)
	if err != nil {
		return err
	}
	if err := g.linkItems(r, repo, p, items); err != nil {
		return err
	}
	if err := g.askReviewers(r, p, body.Reviewers); err != nil {
		return err
	}
	for _, l := range body.Labels {
		if _, err := g.repos.AddLabel(r.Context(), r.caller.Actor, p.ID, l.Name); err != nil {
			return err
		}
	}
	return g.show(w, http.StatusCreated, r, repo, p)
}

// updatePullRequest changes, completes, abandons or reactivates.
func (g gitRoutes) updatePullRequest(w http.ResponseWriter, r request) error {
	repo, p, err := g.pull(r)
	if err != nil {
		return err
	}
	if err := g.mayTakePart(r, p); err != nil {
		return err
	}
	body, err := readPullRequest(w, r)
	if err != nil {
		return err
	}
	change := repos.PullRequestChange{Title: body.Title, Description: body.Description, Draft: body.IsDraft}
	status, ok := statuses[strings.ToLower(string(body.Status))]
	switch {
	case !ok || body.Status != "" && status == "":
		return at("status", slipway.Invalid("use active, abandoned or completed, not %q", body.Status))
	case body.Status != "" && status != repos.PullRequestCompleted:
		change.Status = &status
	}
	if body.TargetRefName != "" && body.TargetRefName != p.Target {
		if err := g.identity.Authorize(r.Context(), r.caller, identity.Contribute, r.project.ID); err != nil {
			return err
		}
		change.Target = &body.TargetRefName
	}
	if body.SourceRefName != "" && body.SourceRefName != p.Source {
		return at("sourceRefName", slipway.Unsupported("the source of a pull request stays %s: open another one from %s", p.Source, body.SourceRefName))
	}
	if change != (repos.PullRequestChange{}) {
		if p, err = g.repos.UpdatePullRequest(r.Context(), r.caller.Actor, p.ID, change); err != nil {
			return err
		}
	}
	completes := body.Status != "" && status == repos.PullRequestCompleted
	if completes || len(body.AutoCompleteSetBy) > 0 {
		if err := g.identity.Authorize(r.Context(), r.caller, identity.Contribute, r.project.ID); err != nil {
			return err
		}
	}
	if len(body.AutoCompleteSetBy) > 0 {
		if p, err = g.setAutoComplete(r, p, body); err != nil {
			return err
		}
	}
	if completes {
		if p, err = g.complete(r, p, body); err != nil {
			return err
		}
	}
	return g.show(w, http.StatusOK, r, repo, p)
}

func (g gitRoutes) listCommits(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	commits, _, err := g.repos.PullRequestCommits(r.Context(), p)
	if err != nil {
		return err
	}
	return list(w, commitRefs(commits))
}

func commitRefs(commits []repos.Commit) []GitCommitRef {
	var out []GitCommitRef
	for _, c := range commits {
		out = append(out, GitCommitRef{CommitID: string(c.ID), Comment: strings.TrimSpace(c.Message),
			Author:    &GitUserDate{c.Author.Name, c.Author.Email, c.Author.Time},
			Committer: &GitUserDate{c.Committer.Name, c.Committer.Email, c.Committer.Time}})
	}
	return out
}

func (g gitRoutes) listReviewers(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	out, err := g.reviewers(r, p)
	if err != nil {
		return err
	}
	return list(w, out)
}
