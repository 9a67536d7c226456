package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

func (g gitRoutes) addStatuses() {
	g.project("GET", "/git/repositories/{repo}/commits/{commit}/statuses", identity.Read, g.commitStatuses)
	g.project("POST", "/git/repositories/{repo}/commits/{commit}/statuses", identity.Contribute, g.postCommitStatus)
}

// GitStatus is Azure DevOps' GitStatus, and its GitPullRequestStatus when it has an iteration.
type GitStatus struct {
	ID           int64            `json:"id"`
	State        name             `json:"state"` // notSet, pending, succeeded, failed, error, notApplicable
	Description  string           `json:"description,omitempty"`
	Context      GitStatusContext `json:"context"`
	TargetURL    string           `json:"targetUrl,omitempty"`
	IterationID  int              `json:"iterationId,omitempty"`
	CreationDate time.Time        `json:"creationDate"`
	UpdatedDate  time.Time        `json:"updatedDate"`
	CreatedBy    *IdentityRef     `json:"createdBy"`
}

// GitStatusContext tells statuses apart.
type GitStatusContext struct {
	Name  string `json:"name"`
	Genre string `json:"genre,omitempty"`
}

// statusStates are Azure DevOps' names and numbers of the states.
var statusStates = map[string]repos.StatusState{"notset": repos.StatusNotSet, "0": repos.StatusNotSet, "pending": repos.StatusPending, "1": repos.StatusPending,
	"succeeded": repos.StatusSucceeded, "2": repos.StatusSucceeded, "failed": repos.StatusFailed, "3": repos.StatusFailed, "error": repos.StatusError,
	"4": repos.StatusError, "notapplicable": repos.StatusNotApplicable, "5": repos.StatusNotApplicable}

func gitStatus(s repos.Status) GitStatus {
	return GitStatus{ID: s.ID, State: name(s.State), Description: s.Description, Context: GitStatusContext{s.Name, s.Genre}, TargetURL: s.URL, IterationID: s.Iteration,
		CreationDate: s.Created, UpdatedDate: s.Created, CreatedBy: identityRef(s.CreatedBy)}
}

func readStatus(w http.ResponseWriter, r request) (repos.Status, error) {
	var body GitStatus
	if err := r.decode(w, maxPullRequestBody, &body, `{"state": "succeeded", "context": {"name": "lint"}}`); err != nil {
		return repos.Status{}, err
	}
	state, ok := statusStates[strings.ToLower(string(body.State))]
	if !ok {
		state = repos.StatusState(body.State) // which is refused with the names that there are
	}
	s := repos.Status{State: state, Genre: body.Context.Genre, Name: body.Context.Name, Description: body.Description, URL: body.TargetURL,
		Iteration: body.IterationID, CreatedBy: r.caller.Actor}
	if b := r.caller.Binding; r.caller.Token == identity.TokenJob {
		s.Origin = &repos.StatusOrigin{Run: b.Run, Pipeline: b.Pipeline, Ref: b.Ref, Commit: b.Commit}
	}
	return s, nil
}

// latest keeps the newest status of each name and genre when the caller asks for that.
func latest(all []repos.Status, q url.Values) []repos.Status {
	if !strings.EqualFold(q.Get("latestOnly"), "true") {
		return all
	}
	seen := map[[2]string]bool{}
	var out []repos.Status
	for _, s := range all {
		key := [2]string{strings.ToLower(s.Genre), strings.ToLower(s.Name)}
		if !seen[key] {
			out = append(out, s)
		}
		seen[key] = true
	}
	return out
}

func listStatuses(w http.ResponseWriter, all []repos.Status) error {
	var out []GitStatus
	for _, s := range all {
		out = append(out, gitStatus(s))
	}
	return list(w, out)
}

func (g gitRoutes) commitStatuses(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	commit, err := slipway.ParseCommitID(chi.URLParam(r.Request, "commit"))
	if err != nil {
		return err
	}
	all, err := g.repos.CommitStatuses(r.Context(), repo.ID, commit)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	all = latest(all, q)
	if skip, err := strconv.Atoi(q.Get("skip")); err == nil && skip > 0 {
		all = all[min(skip, len(all)):]
	}
	if top, err := strconv.Atoi(q.Get("top")); err == nil && top > 0 && top < len(all) {
		all = all[:top]
	}
	return listStatuses(w, all)
}

func (g gitRoutes) postCommitStatus(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	s, err := readStatus(w, r)
	if err != nil {
		return err
	}
	s.Repository, s.Iteration = repo.ID, 0
	if s.Commit, err = slipway.ParseCommitID(chi.URLParam(r.Request, "commit")); err != nil {
		return err
	}
	if s, err = g.repos.PostStatus(r.Context(), s); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, gitStatus(s))
	return nil
}

func (g gitRoutes) pullStatuses(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	all, err := g.iterationStatuses(r, p)
	if err != nil {
		return err
	}
	return listStatuses(w, latest(all, r.URL.Query()))
}

func (g gitRoutes) postPullStatus(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	s, err := readStatus(w, r)
	if err != nil {
		return err
	}
	s.Repository, s.PullRequest = p.Repository, p.ID
	if r.named("iteration") != "" {
		number, err := r.number("iteration")
		if err != nil {
			return err
		}
		if number < 1 || number > 1<<30 {
			return slipway.NotFound("pull request %d has no iteration %d", p.ID, number)
		}
		s.Iteration = int(number)
	}
	if s, err = g.repos.PostStatus(r.Context(), s); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, gitStatus(s))
	return nil
}
