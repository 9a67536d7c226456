package web

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/a-h/templ"
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
}

// runLister is what these pages need of pipelines.
type runLister interface {
	List(ctx context.Context, f pipelines.RunFilter) ([]pipelines.Run, error)
	CoverageLines(ctx context.Context, run slipway.RunID, path string) ([]coverage.Line, error)
}

// AddRepos serves repositories: folders, files, history, differences, editing a file as a commit, and pull requests.
func (s *Server) AddRepos(r *repos.Service, b *boards.Service, runs runLister) {
	p := codePages{s, r, b, runs, newMarkdown()}
	s.Project("GET", "/_git", identity.Read, p.list)
	s.Project("POST", "/_git", identity.Administer, p.create)
	s.Project("GET", "/_git/{repo}", identity.Read, p.show)
	s.Project("GET", "/_git/{repo}/raw", identity.Read, p.raw)
	s.Project("GET", "/_git/{repo}/edit", identity.Contribute, p.edit)
	s.Project("POST", "/_git/{repo}/edit", identity.Contribute, p.save)
	s.Project("GET", "/_git/{repo}/commits", identity.Read, p.commits)
	s.Project("GET", "/_git/{repo}/commit/{commit}", identity.Read, p.commit)
	s.Project("GET", "/_git/{repo}/branches", identity.Read, p.branches)
	s.Project("GET", "/_git/{repo}/tags", identity.Read, p.tags)
	s.Project("GET", "/_git/{repo}/pullrequests", identity.Read, p.pulls)
	s.Project("GET", "/_git/{repo}/pullrequestcreate", identity.Contribute, p.newPull)
	s.Project("POST", "/_git/{repo}/pullrequestcreate", identity.Contribute, p.createPull)
	s.Project("GET", "/_git/{repo}/pullrequest/{pull}", identity.Read, p.pull)
	s.Project("POST", "/_git/{repo}/pullrequest/{pull}", identity.Contribute, p.changePull)
}

// codeView is what all pages of one repository know.
type codeView struct {
	View
	Repo     string
	CloneURL string
	Default  string // branch
	Version  string // as in the address; the default branch's when it has none
	Branch   string // the branch shown, empty when it is a tag or commit
	Shown    string // the branch, tag or commit in people's words
	Commit   slipway.CommitID
	Path     string
	Tab      string // files, commits, branches, tags, pullrequests
	MayEdit  bool
	Empty    bool // nothing has been pushed yet
	id       slipway.RepositoryID
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
	c := codeView{View: v, Repo: repo.Name, Default: repo.DefaultBranch, Version: r.FormValue("version"), Tab: tab, id: repo.ID}
	c.CloneURL = scheme + r.Host + c.URL("_git", repo.Name)
	c.MayEdit = p.identity.Authorize(r.Context(), v.Caller, identity.Contribute, v.Project.ID) == nil
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
	repo, err := p.repos.Create(r.Context(), repos.CreateRequest{Project: v.Project.ID, Name: r.FormValue("name"), Actor: v.Caller.Actor})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_git", repo.Name))
}

type codeEntry struct {
	Name, URL, Kind string
	Size            int64
}

type folderView struct {
	codeView
	Entries  []codeEntry
	More     bool
	Latest   commitRow
	Branches []string
	Readme   templ.Component // nil without one
}

// show is the page of a folder or a file.
func (p codePages) show(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	if c.Empty {
		return p.Render(w, r, v.Titled(c.Repo, "repos"), codeEmptyPage(c))
	}
	entries, more, err := p.repos.Tree(r.Context(), c.id, c.Commit, c.Path)
	if slipway.CodeOf(err) == slipway.CodeInvalid {
		return p.file(w, r, c)
	}
	if err != nil {
		return err
	}
	view := folderView{codeView: c, More: more}
	for _, e := range entries {
		row := codeEntry{Name: e.Name, Kind: string(e.Kind), Size: e.Size}
		if e.Kind != repos.EntrySubmodule {
			row.URL = c.At("", e.Path)
		}
		view.Entries = append(view.Entries, row)
	}
	if err := p.addLatest(r.Context(), &view); err != nil {
		return err
	}
	if err := p.addReadme(r.Context(), &view, entries); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(c.Repo, "repos"), codeFolderPage(view))
}

// addLatest adds the newest commit of the folder and the branches to choose from.
func (p codePages) addLatest(ctx context.Context, view *folderView) error {
	list, _, err := p.repos.Log(ctx, repos.LogRequest{Repository: view.id, Commit: view.Commit, Path: view.Path, Limit: 1})
	if err != nil {
		return err
	}
	if len(list) > 0 {
		view.Latest = view.row(list[0])
	}
	branches, err := p.repos.Branches(ctx, view.id)
	if err != nil {
		return err
	}
	for _, b := range branches[:min(len(branches), 200)] {
		view.Branches = append(view.Branches, b.Name)
	}
	return nil
}

// maxReadme is the size of a README that is rendered, in bytes.
const maxReadme = 512 << 10

func (p codePages) addReadme(ctx context.Context, view *folderView, entries []repos.Entry) error {
	for _, e := range entries {
		if e.Kind != repos.EntryFile || !strings.EqualFold(e.Name, "readme.md") || e.Size > maxReadme {
			continue
		}
		f, err := p.repos.File(ctx, view.id, view.Commit, e.Path, maxReadme)
		if err != nil {
			return err
		}
		if !f.Binary {
			view.Readme = p.markdown.render(string(f.Content))
		}
		return nil
	}
	return nil
}
