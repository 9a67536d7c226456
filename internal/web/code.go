package web

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/repos"
)

// codePages are the pages of repositories. Addresses are those of Azure Repos: the folder or file is the query's path,
// the branch, tag or commit its version: GBmain, GTv1, GC and an object name.
type codePages struct {
	*Server
	repos    *repos.Service
	boards   *boards.Service
	runs     runLister
	markdown markdown
	colours  colours
}

// runLister is what these pages need of pipelines.
type runLister interface {
	List(ctx context.Context, f pipelines.RunFilter) ([]pipelines.Run, error)
	CoverageFiles(ctx context.Context, run, before slipway.RunID) ([]pipelines.PartCoverage, error)
	CoverageLines(ctx context.Context, run slipway.RunID, path string) ([]coverage.Line, error)
	CompareTests(ctx context.Context, run slipway.RunID) (pipelines.TestChanges, error)
}

// AddRepos serves repositories: folders, files, history, differences, editing a file as a commit, and pull requests.
func (s *Server) AddRepos(r *repos.Service, b *boards.Service, runs runLister) {
	p := codePages{s, r, b, runs, newMarkdown(), newColours()}
	s.Project("GET", "/_git", identity.Read, p.list)
	s.Project("POST", "/_git", identity.Administer, p.create)
	s.Project("GET", "/_git/{repo}", identity.Read, p.show)
	p.addBrowsing()
	p.addEditing()
	s.Project("GET", "/_git/{repo}/commits", identity.Read, p.commits)
	s.Project("GET", "/_git/{repo}/commit/{commit}", identity.Read, p.commit)
	p.addRefs()
	p.addForks()
	s.Project("GET", "/_git/{repo}/pullrequests", identity.Read, p.pulls)
	s.Project("GET", "/_git/{repo}/pullrequestcreate", identity.Read, p.newPull)
	s.Project("POST", "/_git/{repo}/pullrequestcreate", identity.Read, p.createPull)
	s.Project("GET", "/_git/{repo}/pullrequest/{pull}", identity.Read, p.pull)
	s.Project("POST", "/_git/{repo}/pullrequest/{pull}", identity.Read, p.changePull)
	s.Project("GET", "/_git/{repo}/pick", identity.Contribute, p.pickForm)
	s.Project("POST", "/_git/{repo}/pick", identity.Contribute, p.pick)
}

// addBrowsing serves what only reads.
func (p codePages) addBrowsing() {
	p.Project("GET", "/_git/{repo}/lastcommits", identity.Read, p.lastCommits)
	p.Project("GET", "/_git/{repo}/raw", identity.Read, p.raw)
	p.Project("GET", "/_git/{repo}/blame", identity.Read, p.blame)
	p.Project("GET", "/_git/{repo}/archive", identity.Read, p.archive)
	p.Project("GET", "/_git/{repo}/branchCompare", identity.Read, p.compareVersions)
	p.Project("GET", "/_git/{repo}/search", identity.Read, p.search)
	p.Project("GET", "/_git/{repo}/find", identity.Read, p.findFile)
	p.Project("GET", "/_search", identity.Read, p.searchProject)
	p.Installation("GET", "/_search", identity.Read, p.searchAll)
}

// addEditing serves what makes commits.
func (p codePages) addEditing() {
	p.Project("GET", "/_git/{repo}/edit", identity.Contribute, p.edit)
	p.Project("POST", "/_git/{repo}/edit", identity.Contribute, p.save)
	p.Project("GET", "/_git/{repo}/upload", identity.Contribute, p.uploadForm)
	p.Project("POST", "/_git/{repo}/upload", identity.Contribute, p.upload)
	p.Project("GET", "/_git/{repo}/rename", identity.Contribute, p.renameForm)
	p.Project("POST", "/_git/{repo}/rename", identity.Contribute, p.rename)
}

// addRefs serves branches and tags.
func (p codePages) addRefs() {
	p.Project("GET", "/_git/{repo}/branches", identity.Read, p.branches)
	p.Project("POST", "/_git/{repo}/branches", identity.Contribute, p.changeBranches)
	p.Project("GET", "/_git/{repo}/tags", identity.Read, p.tags)
	p.Project("POST", "/_git/{repo}/tags", identity.Contribute, p.changeTags)
}

// codeView is what all pages of one repository know.
type codeView struct {
	View
	Repo       string
	CloneURL   string
	Default    string // branch
	Version    string // as in the address; the default branch's when it has none
	Branch     string // the branch shown, empty when it is a tag or commit
	Shown      string // the branch, tag or commit in people's words
	Commit     slipway.CommitID
	Path       string
	Tab        string // files, commits, branches, tags, pullrequests
	MayEdit    bool
	Empty      bool  // nothing has been pushed yet
	Pulls      int   // active pull requests
	ForkedFrom crumb // of a fork, for who may read it
	id         slipway.RepositoryID
	repo       repos.Repository
}

// At is the address of a page of the repository: a folder or file when page is empty.
func (c codeView) At(page, filePath string) string {
	q := url.Values{}
	if filePath != "" {
		q.Set("path", "/"+filePath)
	}
	if c.Version != "GB"+c.Default {
		q.Set("version", c.Version)
	}
	address := c.URL("_git", c.Repo)
	if page != "" {
		address += "/" + page
	}
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return address
}

// With is At with more of the query, given as names and values.
func (c codeView) With(page, filePath string, more ...string) string {
	u, err := url.Parse(c.At(page, filePath))
	if err != nil {
		return ""
	}
	q := u.Query()
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Permanent is the view of the commit that is shown, whatever becomes of its branch.
func (c codeView) Permanent() codeView {
	c.Version, c.Branch, c.Shown = "GC"+string(c.Commit), "", c.Commit.Short()
	return c
}

// CommitURL is the page of a commit.
func (c codeView) CommitURL(id slipway.CommitID) string { return c.URL("_git", c.Repo, "commit", id) }

// crumb is one step of the way from the root to the file.
type crumb struct{ Name, URL string }

// Crumbs is the way from the root, the last one being shown.
func (c codeView) Crumbs() []crumb {
	list := []crumb{{c.Repo, c.At("", "")}}
	if c.Path == "" {
		return list
	}
	parts := strings.Split(c.Path, "/")
	for i, name := range parts {
		list = append(list, crumb{name, c.At("", strings.Join(parts[:i+1], "/"))})
	}
	return list
}

// open finds the repository and the version that the request names.
func (p codePages) open(r *http.Request, v View, tab string) (codeView, error) {
	name := chi.URLParam(r, "repo")
	if decoded, err := url.PathUnescape(name); err == nil {
		name = decoded
	}
	repo, err := p.repos.Find(r.Context(), v.Project.ID, name)
	if err != nil {
		return codeView{}, err
	}
	scheme := "http://"
	if p.secure || r.TLS != nil {
		scheme = "https://"
	}
	if tab != "settings" {
		if err := repo.CheckEnabled(); err != nil {
			return codeView{}, err
		}
	}
	c := codeView{View: v, Repo: repo.Name, Default: repo.DefaultBranch, Version: r.FormValue("version"), Tab: tab, id: repo.ID, repo: repo}
	c.CloneURL = scheme + r.Host + c.URL("_git", repo.Name)
	c.MayEdit = p.identity.Authorize(r.Context(), v.Caller, identity.Contribute, v.Project.ID) == nil
	if c.Pulls, err = p.repos.CountPullRequests(r.Context(), repo.ID); err != nil {
		return c, err
	}
	if repo.Parent != "" {
		if c.ForkedFrom, err = p.place(r.Context(), v, repo.Parent); err != nil {
			return c, err
		}
	}
	if c.Version == "" {
		c.Version = r.FormValue("itemVersion") // what Azure Repos calls it on the page of commits
	}
	if c.Version == "" {
		c.Version = "GB" + repo.DefaultBranch
	}
	if filePath := r.FormValue("path"); filePath != "" {
		c.Path = strings.Trim(path.Clean("/"+filePath), "/")
	}
	return c, p.resolve(r.Context(), &c)
}

func (p codePages) resolve(ctx context.Context, c *codeView) error {
	kind, name := c.Version[:min(2, len(c.Version))], c.Version[min(2, len(c.Version)):]
	ref := name
	c.Shown = name
	switch kind {
	case "GB":
		ref, c.Branch = "refs/heads/"+name, name
	case "GT":
		ref = "refs/tags/" + name
	case "GC":
		c.Shown = slipway.CommitID(name).Short()
	default:
		return slipway.Invalid("the version %q must be GB and a branch, GT and a tag, or GC and a commit", c.Version)
	}
	var err error
	c.Commit, err = p.repos.Resolve(ctx, c.id, ref)
	if slipway.CodeOf(err) == slipway.CodeNotFound && c.Version == "GB"+c.Default {
		c.Empty = true
		return nil
	}
	return err
}

type repoRow struct {
	Name, URL, Default string
	Size               int64
	Created            time.Time
}

func (p codePages) list(w http.ResponseWriter, r *http.Request, v View) error {
	list, err := p.repos.List(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	var rows []repoRow
	for _, repo := range list {
		rows = append(rows, repoRow{repo.Name, v.URL("_git", repo.Name), repo.DefaultBranch, repo.Size, repo.Created})
	}
	mayCreate := p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	return p.Render(w, r, v.Titled("Repositories", "repos"), codeListPage(v, rows, mayCreate))
}

func (p codePages) create(w http.ResponseWriter, r *http.Request, v View) error {
	repo, err := p.repos.Create(r.Context(), repos.CreateRequest{Project: v.Project.ID, Name: r.FormValue("name"),
		ObjectFormat: repos.ObjectFormat(r.FormValue("objectFormat")), Actor: v.Caller.Actor})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_git", repo.Name))
}
