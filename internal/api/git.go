package api

import (
	"fmt"
	"net/http"
	"net/url"

	"slipway/internal/boards"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

type gitRoutes struct {
	*Server
	repos  *repos.Service
	boards *boards.Service
}

// AddGit serves repositories and their pull requests as Azure DevOps does.
func (s *Server) AddGit(r *repos.Service, b *boards.Service) {
	g := gitRoutes{s, r, b}
	g.addStatuses()
	g.addItems()
	g.addObjects()
	g.addHistory()
	g.addChanges()
	g.addRefs()
	g.addPicks()
	g.addMirrors()
	g.addRepositories()
	g.addForks()
	g.addMerges()
	g.addProjects()
	g.addPullQueries()
	s.project("GET", "/git/repositories", identity.Read, g.listRepositories)
	s.project("GET", "/git/repositories/{repo}", identity.Read, g.getRepository)
	s.project("GET", "/git/pullRequests", identity.Read, g.listPullRequests)
	s.project("GET", "/git/pullRequests/{pull}", identity.Read, g.getPullRequest)
	of := "/git/repositories/{repo}/pullRequests"
	s.project("GET", of, identity.Read, g.listPullRequests)
	s.project("POST", of, identity.Read, g.createPullRequest) // from a fork that suffices
	s.project("GET", of+"/{pull}", identity.Read, g.getPullRequest)
	s.project("PATCH", of+"/{pull}", identity.Read, g.updatePullRequest)
	s.project("GET", of+"/{pull}/commits", identity.Read, g.listCommits)
	s.project("GET", of+"/{pull}/iterations", identity.Read, g.listIterations)
	s.project("GET", of+"/{pull}/workitems", identity.Read, g.listWorkItems)
	s.project("GET", of+"/{pull}/reviewers", identity.Read, g.listReviewers)
	s.project("POST", of+"/{pull}/reviewers", identity.Contribute, g.addReviewers)
	s.project("PUT", of+"/{pull}/reviewers/{reviewer}", identity.Contribute, g.setReviewer)
	s.project("DELETE", of+"/{pull}/reviewers/{reviewer}", identity.Contribute, g.removeReviewer)
	g.addThreads(of + "/{pull}/threads")
	g.addPullExtras(of + "/{pull}")
	g.addPullProperties(of + "/{pull}")
}

// GitProject is a project as other things name it.
type GitProject struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"` // wellFormed
}

// GitRepository is Azure DevOps' GitRepository.
type GitRepository struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	URL           string     `json:"url"`
	Project       GitProject `json:"project"`
	DefaultBranch string     `json:"defaultBranch"`
	Size          int64      `json:"size"`
	RemoteURL     string     `json:"remoteUrl"`
	Disabled      bool       `json:"isDisabled"`
	ObjectFormat  string     `json:"objectFormat"` // sha1 or sha256; Slipway's own
	WebURL        string     `json:"webUrl"`
	IsFork        bool       `json:"isFork"`
	// Parent is what it was forked from, in answers about one repository and as far as the caller may read it.
	Parent *GitRepositoryRef `json:"parentRepository,omitempty"`
}

func (g gitRoutes) repository(p identity.Project, r repos.Repository) GitRepository {
	page := fmt.Sprintf("%s/%s/_git/%s", g.url, url.PathEscape(p.Name), url.PathEscape(r.Name))
	return GitRepository{ID: string(r.ID), Name: r.Name, URL: fmt.Sprintf("%s/%s/_apis/git/repositories/%s", g.url, url.PathEscape(p.Name), r.ID),
		Project: GitProject{string(p.ID), p.Name, "wellFormed"}, DefaultBranch: "refs/heads/" + r.DefaultBranch, Size: r.Size, RemoteURL: page, WebURL: page, Disabled: r.Disabled,
		IsFork: r.Parent != "", ObjectFormat: string(r.ObjectFormat)}
}

func (g gitRoutes) listRepositories(w http.ResponseWriter, r request) error {
	all, err := g.repos.List(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var out []GitRepository
	for _, one := range all {
		out = append(out, g.repository(r.project, one))
	}
	return list(w, out)
}

// find is the repository that the path names; zero when the path names none.
func (g gitRoutes) find(r request) (repos.Repository, error) {
	name := r.named("repo")
	if name == "" {
		return repos.Repository{}, nil
	}
	return g.repos.Find(r.Context(), r.project.ID, name)
}

func (g gitRoutes) getRepository(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	out, err := g.withParent(r, repo)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}
