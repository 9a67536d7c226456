package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// PolicyEvaluation is Azure DevOps' PolicyEvaluationRecord.
type PolicyEvaluation struct {
	EvaluationID  string              `json:"evaluationId"`
	ArtifactID    string              `json:"artifactId"`
	Status        string              `json:"status"` // queued, running, approved, rejected, notApplicable, broken
	StartedDate   *time.Time          `json:"startedDate,omitempty"`
	CompletedDate *time.Time          `json:"completedDate,omitempty"`
	Configuration PolicyConfiguration `json:"configuration"`
	Context       PolicyContext       `json:"context"`
}

// PolicyContext is what an evaluation goes by.
type PolicyContext struct {
	BuildID     int64      `json:"buildId,omitempty"`
	IsExpired   bool       `json:"isExpired,omitempty"`
	Expires     *time.Time `json:"slipwayExpires,omitempty"` // when a build of an older state of the target is valid no more
	Explanation string     `json:"explanation,omitempty"`    // Slipway's: one sentence
}

const artifactPrefix = "vstfs:///CodeReview/CodeReviewId/"

func (p policyRoutes) evaluationShape(r request, pull repos.PullRequest, e repos.Evaluation) (PolicyEvaluation, error) {
	out := PolicyEvaluation{EvaluationID: e.ID.String(), ArtifactID: fmt.Sprintf("%s%s/%d", artifactPrefix, pull.Project, pull.ID), Status: string(e.State),
		StartedDate: when(e.Started), CompletedDate: when(e.Completed), Context: PolicyContext{BuildID: e.Run, IsExpired: e.Expired, Expires: when(e.Expires), Explanation: e.Why}}
	var err error
	out.Configuration, err = p.shape(r.project, e.Policy)
	return out, err
}

// evaluations lists those of the pull request that the artifact names.
func (p policyRoutes) evaluations(w http.ResponseWriter, r request) error {
	artifact := r.URL.Query().Get("artifactId")
	if decoded, err := url.PathUnescape(artifact); err == nil {
		artifact = decoded
	}
	project, number, _ := strings.Cut(strings.TrimPrefix(artifact, artifactPrefix), "/")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !strings.HasPrefix(artifact, artifactPrefix) || !strings.EqualFold(project, string(r.project.ID)) {
		return at("artifactId", slipway.Invalid("name a pull request of this project, as %s%s/12", artifactPrefix, r.project.ID))
	}
	pull, err := p.pullOf(r, slipway.PullRequestID(id))
	if err != nil {
		return err
	}
	all, err := p.repos.Evaluations(r.Context(), pull)
	if err != nil {
		return err
	}
	withAll := strings.EqualFold(r.URL.Query().Get("includeNotApplicable"), "true")
	out := []PolicyEvaluation{}
	for _, e := range all {
		if e.State == policy.NotApplicable && !withAll {
			continue
		}
		one, err := p.evaluationShape(r, pull, e)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	return list(w, page(out, r.URL.Query()))
}

// page is the part of a list that $skip and $top choose.
func page[T any](values []T, q url.Values) []T {
	skip, _ := strconv.Atoi(q.Get("$skip"))
	values = values[min(max(skip, 0), len(values)):]
	if top, err := strconv.Atoi(q.Get("$top")); err == nil && top > 0 && top < len(values) {
		values = values[:top]
	}
	return values
}

func (p policyRoutes) pullOf(r request, id slipway.PullRequestID) (repos.PullRequest, error) {
	pull, err := p.repos.PullRequest(r.Context(), id)
	if err == nil && pull.Project != r.project.ID {
		err = slipway.NotFound("there is no pull request %d here", id)
	}
	return pull, err
}

func (p policyRoutes) findEvaluation(r request) (repos.Evaluation, repos.PullRequest, error) {
	id, err := uuid.Parse(chi.URLParam(r.Request, "evaluation"))
	if err != nil {
		return repos.Evaluation{}, repos.PullRequest{}, slipway.NotFound("there is no evaluation %q", chi.URLParam(r.Request, "evaluation"))
	}
	e, pull, err := p.repos.Evaluation(r.Context(), id)
	if err == nil && pull.Project != r.project.ID {
		err = slipway.NotFound("there is no evaluation %s here", id)
	}
	return e, pull, err
}

func (p policyRoutes) evaluation(w http.ResponseWriter, r request) error {
	e, pull, err := p.findEvaluation(r)
	if err != nil {
		return err
	}
	out, err := p.evaluationShape(r, pull, e)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

// requeue queues a build anew.
func (p policyRoutes) requeue(w http.ResponseWriter, r request) error {
	e, pull, err := p.findEvaluation(r)
	if err != nil {
		return err
	}
	wanted, err := p.repos.BuildAgain(r.Context(), e, pull)
	if err != nil {
		return err
	}
	if _, err := p.validate(r.Context(), wanted, r.caller.Actor); err != nil {
		return err
	}
	return p.evaluation(w, r)
}

// PolicyBypass is who may do what policies refuse.
type PolicyBypass struct {
	User       IdentityRef  `json:"user"`
	Completion bool         `json:"completion"`
	Push       bool         `json:"push"`
	Granted    time.Time    `json:"granted"`
	GrantedBy  *IdentityRef `json:"grantedBy"`
}

func (p policyRoutes) bypassRepository(r request) (repos.Repository, error) {
	return p.repos.Find(r.Context(), r.project.ID, r.named("repo"))
}

func (p policyRoutes) bypasses(w http.ResponseWriter, r request) error {
	repo, err := p.bypassRepository(r)
	if err != nil {
		return err
	}
	all, err := p.repos.Bypasses(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	var out []PolicyBypass
	for _, b := range all {
		out = append(out, PolicyBypass{IdentityRef{string(b.User), b.Name, b.Name}, b.Completion, b.Push, b.Granted, identityRef(b.GrantedBy)})
	}
	return list(w, out)
}

// setBypass gives a user, by id or name, the right or takes it away.
func (p policyRoutes) setBypass(w http.ResponseWriter, r request) error {
	repo, err := p.bypassRepository(r)
	if err != nil {
		return err
	}
	var body struct {
		Completion bool `json:"completion"`
		Push       bool `json:"push"`
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	user := slipway.UserID(chi.URLParam(r.Request, "user"))
	if u, err := p.identity.UserByName(r.Context(), string(user)); err == nil {
		user = u.ID
	} else if slipway.CodeOf(err) != slipway.CodeNotFound {
		return err
	}
	if err := p.repos.SetBypass(r.Context(), r.caller.Actor, repo.ID, user, body.Completion, body.Push); err != nil {
		return err
	}
	return p.bypasses(w, r)
}
