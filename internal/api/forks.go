package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

func (g gitRoutes) addForks() {
	g.project("GET", "/git/repositories/{repo}/forks/{collection}", identity.Read, g.listForks)
	const syncs = "/git/repositories/{repo}/forkSyncRequests"
	g.project("GET", syncs, identity.Read, g.listForkSyncs)
	g.project("POST", syncs, identity.Contribute, g.createForkSync)
	g.project("GET", syncs+"/{sync}", identity.Read, g.getForkSync)
}

// GitRepositoryRef is Azure DevOps' short form of a repository.
type GitRepositoryRef struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	IsFork    bool        `json:"isFork"`
	Project   *GitProject `json:"project,omitempty"`
	URL       string      `json:"url,omitempty"`
	RemoteURL string      `json:"remoteUrl,omitempty"`
}

// readable finds a repository that the caller may read, with its project; NotFound also when they may not.
func (g gitRoutes) readable(r request, id slipway.RepositoryID) (repos.Repository, identity.Project, error) {
	missing := slipway.NotFound("there is no repository with the id %q, or you may not read it", id)
	repo, err := g.repos.Get(r.Context(), id)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		err = missing
	}
	if err != nil {
		return repo, identity.Project{}, err
	}
	project, err := g.identity.Project(r.Context(), repo.Project)
	if err != nil {
		return repo, project, err
	}
	if err := g.identity.Authorize(r.Context(), r.caller, identity.Read, project.ID); err != nil {
		return repo, project, missing.Because(err)
	}
	return repo, project, nil
}

// reference is the short form of a repository, nil when the caller may not read it or it is gone.
func (g gitRoutes) reference(r request, id slipway.RepositoryID) (*GitRepositoryRef, error) {
	repo, project, err := g.readable(r, id)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	full := g.repository(project, repo)
	return &GitRepositoryRef{full.ID, full.Name, full.IsFork, &full.Project, full.URL, full.RemoteURL}, nil
}

// listForks lists the forks that the caller may read. There is one collection, by any id.
func (g gitRoutes) listForks(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	all, err := g.repos.Forks(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	var out []GitRepositoryRef
	for _, one := range all {
		ref, err := g.reference(r, one.ID)
		if err != nil {
			return err
		}
		if ref != nil {
			out = append(out, *ref)
		}
	}
	return list(w, out)
}

// newRepository is the body of a new repository, which is a fork when it has a parent.
type newRepository struct {
	Name   string `json:"name"`
	Parent *struct {
		ID string `json:"id"`
	} `json:"parentRepository"`
	Format string `json:"objectFormat"` // Slipway's own; a fork has its parent's
}

// createFork makes a fork of a repository that the caller may read; sourceRef names the only branch of it.
func (g gitRoutes) createFork(w http.ResponseWriter, r request, body newRepository) error {
	parent, _, err := g.readable(r, slipway.RepositoryID(strings.ToLower(body.Parent.ID)))
	if err != nil {
		return at("parentRepository", err)
	}
	repo, _, err := g.repos.Fork(r.Context(), repos.ForkRequest{Source: parent.ID, Project: r.project.ID, Name: body.Name, Branch: r.URL.Query().Get("sourceRef"), Actor: r.caller.Actor})
	if err != nil {
		return err
	}
	out, err := g.withParent(r, repo)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, out)
	return nil
}

// withParent is a repository with what it was forked from.
func (g gitRoutes) withParent(r request, repo repos.Repository) (GitRepository, error) {
	out := g.repository(r.project, repo)
	var err error
	if repo.Parent != "" {
		out.Parent, err = g.reference(r, repo.Parent)
	}
	return out, err
}

// ForkSyncRequest is Azure DevOps' GitForkSyncRequest.
type ForkSyncRequest struct {
	ID                 int64               `json:"operationId"`
	Source             *ForkSource         `json:"source"`
	SourceToTargetRefs []SourceToTargetRef `json:"sourceToTargetRefs,omitempty"`
	Status             string              `json:"status"` // queued, inProgress, completed, failed, abandoned
	DetailedStatus     *ImportStatus       `json:"detailedStatus,omitempty"`
	Progress           []string            `json:"progress,omitempty"` // what git says, while it runs
	Links              map[string]any      `json:"_links,omitempty"`
}

// ForkSource is Azure DevOps' GlobalGitRepositoryKey.
type ForkSource struct {
	ProjectID    string `json:"projectId,omitempty"`
	RepositoryID string `json:"repositoryId"`
}

// SourceToTargetRef says which branch becomes which.
type SourceToTargetRef struct {
	SourceRef string `json:"sourceRef"`
	TargetRef string `json:"targetRef"`
}

func (g gitRoutes) forkSync(r request, repo repos.Repository, f repos.ForkSync) ForkSyncRequest {
	out := ForkSyncRequest{ID: f.ID, Source: &ForkSource{RepositoryID: string(f.Source)}, Status: importStatuses[f.State], Progress: g.repos.ForkProgress(f.ID)}
	if from, err := g.repos.Get(r.Context(), f.Source); err == nil {
		out.Source.ProjectID = string(from.Project)
	}
	for _, b := range f.Branches {
		out.SourceToTargetRefs = append(out.SourceToTargetRefs, SourceToTargetRef{b.Source, b.Target})
	}
	step := map[repos.MirrorState]int{repos.MirrorQueued: 1, repos.MirrorSucceeded: 3}[f.State]
	if step == 0 {
		step = 2
	}
	out.DetailedStatus = &ImportStatus{CurrentStep: step, AllSteps: importSteps, ErrorMessage: f.Problem}
	out.Links = map[string]any{"self": map[string]string{"href": g.repository(r.project, repo).URL + "/forkSyncRequests/" + strconv.FormatInt(f.ID, 10)}}
	return out
}

func (g gitRoutes) listForkSyncs(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	all, err := g.repos.ForkSyncs(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	abandoned := strings.EqualFold(r.FormValue("includeAbandoned"), "true")
	var out []ForkSyncRequest
	for _, f := range all {
		if f.State != repos.MirrorCanceled || abandoned {
			out = append(out, g.forkSync(r, repo, f))
		}
	}
	return list(w, out)
}

// createForkSync takes branches of what the fork was forked from, or of a relative that the caller may read.
func (g gitRoutes) createForkSync(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	var body ForkSyncRequest
	if err := r.decode(w, maxRepositoryBody, &body, "a fork sync request"); err != nil {
		return err
	}
	source := repo.Parent
	if body.Source != nil && body.Source.RepositoryID != "" {
		source = slipway.RepositoryID(strings.ToLower(body.Source.RepositoryID))
	}
	if source != "" {
		if _, _, err := g.readable(r, source); err != nil {
			return at("source", err)
		}
	}
	var branches []repos.SyncedBranch
	for _, b := range body.SourceToTargetRefs {
		branches = append(branches, repos.SyncedBranch{Source: b.SourceRef, Target: b.TargetRef})
	}
	f, err := g.repos.SyncFork(r.Context(), repo.ID, source, branches, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, g.forkSync(r, repo, f))
	return nil
}

func (g gitRoutes) getForkSync(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	id, err := r.number("sync")
	if err != nil {
		return err
	}
	f, err := g.repos.ForkSync(r.Context(), repo.ID, id)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.forkSync(r, repo, f))
	return nil
}

// GitForkRef is the branch of a fork that a pull request is from, with the fork as far as the caller may read it.
type GitForkRef struct {
	Name       string            `json:"name"`
	Repository *GitRepositoryRef `json:"repository"`
}

func (g gitRoutes) forkRef(r request, p repos.PullRequest) (*GitForkRef, error) {
	if !p.FromFork() {
		return nil, nil
	}
	ref, err := g.reference(r, p.Fork)
	if ref == nil {
		ref = &GitRepositoryRef{ID: string(p.Fork), Name: p.ForkName, IsFork: true}
	}
	return &GitForkRef{p.Source, ref}, err
}

// forkSource is the repository that a new pull request names as its source's, empty for none. Who opens it from there must be allowed to push there.
func (g gitRoutes) forkSource(r request, text json.RawMessage) (slipway.RepositoryID, string, error) {
	if len(text) == 0 || string(text) == "null" {
		return "", "", nil
	}
	var body struct {
		Name       string `json:"name"`
		Repository *struct {
			ID string `json:"id"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(text, &body); err != nil || body.Repository == nil || body.Repository.ID == "" {
		return "", "", at("forkSource", slipway.Invalid(`name the fork as {"name": "refs/heads/topic", "repository": {"id": "…"}}`))
	}
	fork, project, err := g.readable(r, slipway.RepositoryID(strings.ToLower(body.Repository.ID)))
	if err == nil {
		err = g.identity.Authorize(r.Context(), r.caller, identity.Contribute, project.ID)
	}
	if err != nil {
		return "", "", at("forkSource", err)
	}
	return fork.ID, body.Name, nil
}

// mayTakePart lets those change a pull request and write in it who may push to the repository, and who opened it from a fork.
func (g gitRoutes) mayTakePart(r request, p repos.PullRequest) error {
	err := g.identity.Authorize(r.Context(), r.caller, identity.Contribute, r.project.ID)
	if err != nil && p.FromFork() && r.caller.Kind == slipway.ActorUser && r.caller.ID == p.CreatedBy.ID {
		return nil
	}
	return err
}

// takingPart serves what mayTakePart lets through.
func (g gitRoutes) takingPart(h handler) handler {
	return func(w http.ResponseWriter, r request) error {
		_, p, err := g.pull(r)
		if err == nil {
			err = g.mayTakePart(r, p)
		}
		if err != nil {
			return err
		}
		return h(w, r)
	}
}
