package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/repos"
)

// reviewerBody is what of an IdentityRefWithVote can be written.
type reviewerBody struct {
	ID         string `json:"id"`
	Vote       int    `json:"vote"`
	IsRequired *bool  `json:"isRequired"`
}

// maxReviewersAsked bounds the reviewers of one request.
const maxReviewersAsked = 100

// setReviewer notes the caller's own vote, or asks somebody to review.
func (g gitRoutes) setReviewer(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	var body reviewerBody
	if err := r.decode(w, maxPullRequestBody, &body, `{"vote": 10} or {"isRequired": true}`); err != nil {
		return err
	}
	reviewer := chi.URLParam(r.Request, "reviewer")
	self := reviewer == r.caller.ID && r.caller.Kind == slipway.ActorUser
	if body.Vote != 0 && !self {
		return slipway.Forbidden("you can vote for yourself alone: your id is %s", r.caller.ID)
	}
	if body.IsRequired != nil || !self {
		if err := g.repos.SetReviewer(r.Context(), r.caller.Actor, p.ID, reviewer, body.IsRequired != nil && *body.IsRequired); err != nil {
			return err
		}
	}
	if self && (body.Vote != 0 || body.IsRequired == nil) {
		if err := g.repos.VotePullRequest(r.Context(), r.caller.Actor, p.ID, repos.Vote(body.Vote)); err != nil {
			return err
		}
	}
	if err := g.writeReviewer(w, r, p, reviewer); slipway.CodeOf(err) != slipway.CodeNotFound { // who takes back a vote may be none any more
		return err
	}
	return nil
}

func (g gitRoutes) getReviewer(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	return g.writeReviewer(w, r, p, chi.URLParam(r.Request, "reviewer"))
}

func (g gitRoutes) writeReviewer(w http.ResponseWriter, r request, p repos.PullRequest, reviewer string) error {
	all, err := g.reviewers(r, p)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.ID == reviewer {
			httpx.WriteJSON(w, http.StatusOK, one)
			return nil
		}
	}
	return slipway.NotFound("pull request %d has no reviewer %q", p.ID, reviewer)
}

// addReviewers asks several people to review.
func (g gitRoutes) addReviewers(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	var body []reviewerBody
	if err := r.decode(w, maxPullRequestBody, &body, `[{"id": "USER", "isRequired": true}]`); err != nil {
		return err
	}
	if err := g.askReviewers(r, p, body); err != nil {
		return err
	}
	return g.listReviewers(w, r)
}

func (g gitRoutes) askReviewers(r request, p repos.PullRequest, all []reviewerBody) error {
	if len(all) > maxReviewersAsked {
		return at("reviewers", slipway.Limit("name at most %d reviewers at once", maxReviewersAsked))
	}
	for _, one := range all {
		if err := g.repos.SetReviewer(r.Context(), r.caller.Actor, p.ID, one.ID, one.IsRequired != nil && *one.IsRequired); err != nil {
			return err
		}
	}
	return nil
}

func (g gitRoutes) removeReviewer(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	if err := g.repos.RemoveReviewer(r.Context(), r.caller.Actor, p.ID, chi.URLParam(r.Request, "reviewer")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// nobody is the id by which clients say that a pull request is not to be completed automatically any more.
const nobody = "00000000-0000-0000-0000-000000000000"

// setAutoComplete asks for it in the caller's name, or no more.
func (g gitRoutes) setAutoComplete(r request, p repos.PullRequest, body pullRequestBody) (repos.PullRequest, error) {
	var by struct {
		ID string `json:"id"`
	}
	if text := string(body.AutoCompleteSetBy); text != "null" {
		if err := json.Unmarshal(body.AutoCompleteSetBy, &by); err != nil {
			return p, at("autoCompleteSetBy", slipway.Invalid(`write {"id": "%s"}: %v`, r.caller.ID, err))
		}
	}
	if by.ID == "" || by.ID == nobody {
		return g.repos.SetAutoComplete(r.Context(), r.caller.Actor, p.ID, nil)
	}
	if by.ID != r.caller.ID {
		return p, at("autoCompleteSetBy", slipway.Forbidden("you can ask for it in your own name alone: your id is %s", r.caller.ID))
	}
	req, err := g.completeRequest(r, body)
	if err != nil {
		return p, err
	}
	return g.repos.SetAutoComplete(r.Context(), r.caller.Actor, p.ID, &repos.AutoComplete{Completion: req.Completion, By: r.caller.Actor, Committer: req.Committer,
		Ignore: body.CompletionOptions.AutoCompleteIgnoreConfigIDs})
}

// completeRequest is how the caller wants a pull request completed.
func (g gitRoutes) completeRequest(r request, body pullRequestBody) (repos.CompleteRequest, error) {
	o := body.CompletionOptions
	strategy, ok := strategies[strings.ToLower(string(o.MergeStrategy))]
	if !ok {
		return repos.CompleteRequest{}, at("completionOptions.mergeStrategy", slipway.Invalid("use noFastForward, squash, rebase or rebaseMerge, not %q", o.MergeStrategy))
	}
	if strategy == "" && o.SquashMerge {
		strategy = repos.Squash
	}
	if r.caller.Kind != slipway.ActorUser {
		return repos.CompleteRequest{}, slipway.Forbidden("only a user completes pull requests")
	}
	if o.BypassPolicy && strings.TrimSpace(o.BypassReason) == "" {
		return repos.CompleteRequest{}, at("completionOptions.bypassReason", slipway.Invalid("say why policies are bypassed"))
	}
	committer, err := g.author(r)
	if err != nil {
		return repos.CompleteRequest{}, err
	}
	req := repos.CompleteRequest{Actor: r.caller.Actor, Committer: committer,
		Completion: repos.Completion{Strategy: strategy, Message: o.MergeCommitMessage, DeleteSource: o.DeleteSourceBranch,
			ResolveItems: o.TransitionWorkItems}}
	if o.BypassPolicy {
		req.Bypass = o.BypassReason
	}
	return req, nil
}
