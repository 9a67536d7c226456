package api

import (
	"net/http"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// addRepositories serves the life of repositories as Azure DevOps does, and their limits and upkeep.
func (g gitRoutes) addRepositories() {
	g.project("POST", "/git/repositories", identity.Administer, g.createRepository)
	g.project("PATCH", "/git/repositories/{repo}", identity.Administer, g.updateRepository)
	g.project("DELETE", "/git/repositories/{repo}", identity.Administer, g.deleteRepository)
	g.project("GET", "/git/deletedrepositories", identity.Read, g.listDeleted)
	g.project("GET", "/git/recycleBin/repositories", identity.Read, g.listDeleted)
	g.project("PATCH", "/git/recycleBin/repositories/{repo}", identity.Administer, g.restoreRepository)
	g.project("DELETE", "/git/recycleBin/repositories/{repo}", identity.Administer, g.purgeRepository)
	g.project("GET", "/slipway/repositorylimits", identity.Read, g.projectLimits)
	g.project("PUT", "/slipway/repositorylimits", identity.Administer, g.setProjectLimits)
	g.project("GET", "/slipway/repositories/{repo}/limits", identity.Read, g.repositoryLimits)
	g.project("PUT", "/slipway/repositories/{repo}/limits", identity.Administer, g.setRepositoryLimits)
	g.project("GET", "/slipway/repositories/{repo}/upkeep", identity.Read, g.upkeep)
	g.project("POST", "/slipway/repositories/{repo}/upkeep", identity.Administer, g.requestUpkeep)
}

const maxRepositoryBody = 64 << 10

func (g gitRoutes) createRepository(w http.ResponseWriter, r request) error {
	var body newRepository
	if err := r.decode(w, maxRepositoryBody, &body, "a repository"); err != nil {
		return err
	}
	if body.Parent != nil {
		return g.createFork(w, r, body)
	}
	repo, err := g.repos.Create(r.Context(), repos.CreateRequest{Project: r.project.ID, Name: body.Name, ObjectFormat: repos.ObjectFormat(body.Format), Actor: r.caller.Actor})
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, g.repository(r.project, repo))
	return nil
}

// updateRepository changes the name, the default branch, and whether it is disabled; what is left out stays.
func (g gitRoutes) updateRepository(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	var body struct {
		Name          *string `json:"name"`
		DefaultBranch *string `json:"defaultBranch"`
		Disabled      *bool   `json:"isDisabled"`
	}
	if err := r.decode(w, maxRepositoryBody, &body, "a repository"); err != nil {
		return err
	}
	if body.Name != nil {
		if _, err := g.repos.Rename(r.Context(), repo.ID, *body.Name, r.caller.Actor); err != nil {
			return err
		}
	}
	if body.DefaultBranch != nil {
		if err := g.repos.SetDefaultBranch(r.Context(), repo.ID, strings.TrimPrefix(*body.DefaultBranch, "refs/heads/")); err != nil {
			return err
		}
	}
	if body.Disabled != nil {
		if err := g.repos.SetDisabled(r.Context(), repo.ID, *body.Disabled, r.caller.Actor); err != nil {
			return err
		}
	}
	if repo, err = g.repos.Get(r.Context(), repo.ID); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.repository(r.project, repo))
	return nil
}

func (g gitRoutes) deleteRepository(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	if err := g.repos.Trash(r.Context(), repo.ID, r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// DeletedRepository is Azure DevOps' GitDeletedRepository.
type DeletedRepository struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Project     GitProject `json:"project"`
	CreatedDate time.Time  `json:"createdDate"`
	DeletedDate time.Time  `json:"deletedDate"`
}

func (g gitRoutes) listDeleted(w http.ResponseWriter, r request) error {
	all, err := g.repos.Trashed(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var out []DeletedRepository
	for _, one := range all {
		out = append(out, DeletedRepository{string(one.ID), one.Name, GitProject{string(r.project.ID), r.project.Name, "wellFormed"}, one.Created, one.Deleted})
	}
	return list(w, out)
}

func (g gitRoutes) restoreRepository(w http.ResponseWriter, r request) error {
	var body struct {
		Deleted *bool `json:"deleted"`
	}
	if err := r.decode(w, maxRepositoryBody, &body, "what becomes of a deleted repository"); err != nil {
		return err
	}
	if body.Deleted == nil || *body.Deleted {
		return slipway.Invalid(`a deleted repository is restored with {"deleted": false}`)
	}
	repo, err := g.repos.Restore(r.Context(), r.project.ID, slipway.RepositoryID(r.named("repo")), r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.repository(r.project, repo))
	return nil
}

func (g gitRoutes) purgeRepository(w http.ResponseWriter, r request) error {
	if err := g.repos.Purge(r.Context(), r.project.ID, slipway.RepositoryID(r.named("repo")), r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// RepositoryLimits are what a repository sets itself and what holds there. Only the first is written.
type RepositoryLimits struct {
	repos.Limits
	Effective *repos.Limits `json:"effective,omitempty"`
}

func (g gitRoutes) projectLimits(w http.ResponseWriter, r request) error {
	l, err := g.repos.ProjectLimits(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, RepositoryLimits{Limits: l, Effective: &l})
	return nil
}

func (g gitRoutes) setProjectLimits(w http.ResponseWriter, r request) error {
	var body RepositoryLimits
	if err := httpx.ReadJSON(w, r.Request, maxRepositoryBody, &body); err != nil {
		return err
	}
	if err := g.repos.SetProjectLimits(r.Context(), r.project.ID, body.Limits, r.caller.Actor); err != nil {
		return err
	}
	return g.projectLimits(w, r)
}

func (g gitRoutes) repositoryLimits(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	own, effective, err := g.repos.RepositoryLimits(r.Context(), repo)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, RepositoryLimits{Limits: own, Effective: &effective})
	return nil
}

func (g gitRoutes) setRepositoryLimits(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	var body RepositoryLimits
	if err := httpx.ReadJSON(w, r.Request, maxRepositoryBody, &body); err != nil {
		return err
	}
	if err := g.repos.SetRepositoryLimits(r.Context(), repo, body.Limits, r.caller.Actor); err != nil {
		return err
	}
	return g.repositoryLimits(w, r)
}

// Upkeep is how a repository is on disk.
type Upkeep struct {
	Running  bool       `json:"running"`
	Due      *time.Time `json:"due,omitempty"`
	Size     int64      `json:"size"`  // bytes, after the last upkeep
	Packs    int64      `json:"packs"` // likewise
	Loose    int64      `json:"loose"` // objects outside of packs, likewise
	Finished *time.Time `json:"finished,omitempty"`
	Seconds  float64    `json:"seconds"` // that the last took
	Problem  string     `json:"problem,omitempty"`
}

func (g gitRoutes) upkeep(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	u, err := g.repos.UpkeepState(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, Upkeep{Running: u.Running, Due: when(u.Due), Size: repo.Size, Packs: u.Packs, Loose: u.Loose, Finished: when(u.Finished),
		Seconds: u.Took.Seconds(), Problem: u.Problem})
	return nil
}

func (g gitRoutes) requestUpkeep(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	if err := g.repos.RequestUpkeep(r.Context(), repo.ID, true); err != nil {
		return err
	}
	return g.upkeep(w, r)
}
