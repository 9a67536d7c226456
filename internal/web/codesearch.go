package web

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const (
	// searchAllTime bounds a search through many repositories, searchedRepositories how many it looks at.
	searchAllTime        = 20 * time.Second
	searchedRepositories = 500
	// linesOfEach are the lines shown of one repository when many are searched.
	linesOfEach = 50
	namesFound  = 50
	foundInLog  = 50
)

// searchForm is what is looked for.
type searchForm struct {
	Text              string
	Regex, Case, Word bool // Case: capital letters matter
	Paths             string
	Kind              string // code, commits, files
}

func readSearch(r *http.Request) searchForm {
	f := searchForm{Text: strings.TrimSpace(r.FormValue("text")), Regex: r.FormValue("regex") != "", Case: r.FormValue("case") != "", Word: r.FormValue("word") != "",
		Paths: strings.TrimSpace(r.FormValue("paths")), Kind: r.FormValue("kind")}
	if f.Kind != "commits" && f.Kind != "files" {
		f.Kind = "code"
	}
	return f
}

func (f searchForm) grep(limit int) repos.GrepRequest {
	text, paths := f.filters()
	return repos.GrepRequest{Pattern: text, Regex: f.Regex, IgnoreCase: !f.Case, Word: f.Word, Paths: paths, Context: 1, Limit: limit}
}

// searchFilter is a word of a search that says where to look, as the search of Azure DevOps has them.
var searchFilter = regexp.MustCompile(`(?:^|\s+)(ext|path):(\S+)`)

// filters parts the text from path:FOLDER and ext:NAME in it, all of which must hold. A regular expression is left as it is, and so is a text
// of nothing else.
func (f searchForm) filters() (text string, paths []string) {
	paths = strings.Fields(f.Paths)
	text = strings.TrimSpace(searchFilter.ReplaceAllString(f.Text, ""))
	if f.Regex || text == "" {
		return f.Text, paths
	}
	var folders, ends []string
	for _, m := range searchFilter.FindAllStringSubmatch(f.Text, -1) {
		if m[1] == "ext" {
			ends = append(ends, "*."+strings.TrimPrefix(m[2], "."))
		} else {
			folders = append(folders, strings.Trim(m[2], "/"))
		}
	}
	if len(folders) == 0 {
		return text, append(paths, ends...)
	}
	for _, folder := range folders {
		if len(ends) == 0 {
			paths = append(paths, folder)
		}
		for _, end := range ends {
			paths = append(paths, folder+"/**/"+end)
		}
	}
	return text, paths
}

// query is the form as an address has it.
func (f searchForm) query(kind string) string {
	q := url.Values{"text": {f.Text}, "kind": {kind}}
	for name, on := range map[string]bool{"regex": f.Regex, "case": f.Case, "word": f.Word} {
		if on {
			q.Set(name, "1")
		}
	}
	if f.Paths != "" {
		q.Set("paths", f.Paths)
	}
	return q.Encode()
}

type grepLine struct {
	Number int
	URL    string
	Parts  []repos.GrepPart
	Match  bool
}

type grepFile struct {
	Path, URL string
	Groups    [][]grepLine
}

type grepRepo struct {
	Name, URL string // empty within one repository
	Files     []grepFile
	Lines     int
	More      bool
	TimedOut  bool
	MoreURL   string
}

type searchView struct {
	codeView
	Form    searchForm
	Choice  refChoice
	Found   grepRepo
	Commits []commitRow
	Names   []foundName
	More    bool
}

// found makes addresses of what git found.
func (c codeView) found(r repos.GrepResult) grepRepo {
	f := grepRepo{Lines: r.Lines, More: r.More, TimedOut: r.TimedOut}
	at := c.Permanent()
	for _, file := range r.Files {
		one := grepFile{Path: file.Path, URL: c.At("", file.Path)}
		for _, g := range file.Groups {
			var lines []grepLine
			for _, l := range g {
				lines = append(lines, grepLine{l.Number, codeLineURL(at, file.Path, l.Number), l.Parts, l.Match})
			}
			one.Groups = append(one.Groups, lines)
		}
		f.Files = append(f.Files, one)
	}
	return f
}

// search is the page that looks through one repository.
func (p codePages) search(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "search")
	if err != nil {
		return err
	}
	if c.Empty {
		return p.Render(w, r, v.Titled(c.Repo, "repos"), codeEmptyPage(c))
	}
	view := searchView{codeView: c, Form: readSearch(r)}
	if view.Choice, err = p.choice(r.Context(), c.id); err != nil {
		return err
	}
	if view.Form.Text != "" {
		if err := p.fill(r.Context(), &view); err != nil {
			return err
		}
	}
	return p.Render(w, r, v.Titled("Search", "repos"), codeSearchPage(view))
}

func (p codePages) fill(ctx context.Context, view *searchView) error {
	c := view.codeView
	switch view.Form.Kind {
	case "commits":
		page, err := p.repos.History(ctx, repos.HistoryRequest{Repository: c.id, Commit: c.Commit, Text: view.Form.Text, Limit: foundInLog})
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			view.Commits = append(view.Commits, c.row(e.Commit))
		}
		view.More = page.More || page.TimedOut
	case "files":
		names, err := p.names(ctx, c, view.Form.Text)
		view.Names = names
		return err
	default:
		request := view.Form.grep(0)
		request.Repository, request.Commit = c.id, c.Commit
		result, err := p.repos.Grep(ctx, request)
		if err != nil {
			return err
		}
		view.Found = c.found(result)
	}
	return nil
}

// foundName is a file that was found by its name.
type foundName struct {
	URL   string
	Parts []repos.GrepPart
}

func (p codePages) names(ctx context.Context, c codeView, text string) ([]foundName, error) {
	list, err := p.repos.FindFiles(ctx, c.id, c.Commit, text, namesFound)
	if err != nil {
		return nil, err
	}
	var names []foundName
	for _, f := range list {
		names = append(names, foundName{c.At("", f.Path), marked(f.Path, f.Matched)})
	}
	return names, nil
}

// marked cuts a path into what fits and what stands between.
func marked(path string, at []int) []repos.GrepPart {
	fits := map[int]bool{}
	for _, i := range at {
		fits[i] = true
	}
	var parts []repos.GrepPart
	for i, r := range path {
		if n := len(parts); n == 0 || parts[n-1].Match != fits[i] {
			parts = append(parts, repos.GrepPart{Match: fits[i]})
		}
		parts[len(parts)-1].Text += string(r)
	}
	return parts
}

type findView struct {
	codeView
	Query string
	Names []foundName
}

// findFile goes to a file by a part of its name; htmx asks for the list alone while somebody types.
func (p codePages) findFile(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	if c.Empty {
		return p.Render(w, r, v.Titled(c.Repo, "repos"), codeEmptyPage(c))
	}
	view := findView{codeView: c, Query: r.FormValue("q")}
	if view.Names, err = p.names(r.Context(), c, view.Query); err != nil {
		return err
	}
	if r.Header.Get("HX-Request") != "" {
		return p.Fragment(w, r, codeNames(view.Names, view.Query))
	}
	return p.Render(w, r, v.Titled("Go to file", "repos"), codeFindPage(view))
}

type searchManyView struct {
	View
	Form     searchForm
	Found    []grepRepo
	Searched int
	Skipped  int // repositories that the time did not suffice for
}

// searchProject looks through the default branches of the project's repositories.
func (p codePages) searchProject(w http.ResponseWriter, r *http.Request, v View) error {
	return p.searchMany(w, r, v, []identity.Project{*v.Project})
}

// searchAll looks through those of all the projects that the caller may read.
func (p codePages) searchAll(w http.ResponseWriter, r *http.Request, v View) error {
	projects, err := p.identity.Projects(r.Context(), v.Caller)
	if err != nil {
		return err
	}
	return p.searchMany(w, r, v, projects)
}

func (p codePages) searchMany(w http.ResponseWriter, r *http.Request, v View, projects []identity.Project) error {
	view := searchManyView{View: v, Form: readSearch(r)}
	if view.Form.Text == "" {
		return p.Render(w, r, v.Titled("Search", "repos"), codeSearchManyPage(view))
	}
	var list []codeView
	for _, project := range projects {
		all, err := p.repos.List(r.Context(), project.ID)
		if err != nil {
			return err
		}
		for _, repo := range all {
			at := v
			at.Project = &project
			list = append(list, codeView{View: at, Repo: repo.Name, Default: repo.DefaultBranch, Version: "GB" + repo.DefaultBranch, id: repo.ID})
		}
	}
	if len(list) > searchedRepositories {
		view.Skipped, list = len(list)-searchedRepositories, list[:searchedRepositories]
	}
	if err := p.searchEach(r.Context(), &view, list); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Search", "repos"), codeSearchManyPage(view))
}

// searchEach looks through the repositories, two at once, as far as the time suffices.
func (p codePages) searchEach(ctx context.Context, view *searchManyView, list []codeView) error {
	limited, cancel := context.WithTimeout(ctx, searchAllTime)
	defer cancel()
	found := make([]grepRepo, len(list))
	var mu sync.Mutex // guards view
	g, running := errgroup.WithContext(limited)
	g.SetLimit(2)
	for i, c := range list {
		g.Go(func() error {
			one, err := p.searchOne(running, c, view.Form)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case limited.Err() != nil && ctx.Err() == nil:
				view.Skipped++
				return nil
			case err == nil:
				view.Searched++
			}
			found[i] = one
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, f := range found {
		if f.Lines > 0 {
			view.Found = append(view.Found, f)
		}
	}
	return nil
}

func (p codePages) searchOne(ctx context.Context, c codeView, form searchForm) (grepRepo, error) {
	commit, err := p.repos.Resolve(ctx, c.id, "refs/heads/"+c.Default)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return grepRepo{}, nil // nothing has been pushed yet
	}
	if err != nil {
		return grepRepo{}, err
	}
	c.Commit, c.Branch = commit, c.Default
	request := form.grep(linesOfEach)
	request.Repository, request.Commit = c.id, commit
	result, err := p.repos.Grep(ctx, request)
	if err != nil {
		return grepRepo{}, err
	}
	f := c.found(result)
	f.Name, f.URL, f.MoreURL = c.Project.Name+" / "+c.Repo, c.At("", ""), c.pageURL("search")+"?"+form.query("code")
	return f, nil
}

// searchURL is the page for another kind of thing with the same text.
func (v searchView) searchURL(kind string) string {
	return v.pageURL("search") + "?" + v.Form.query(kind) + "&version=" + url.QueryEscape(v.Version)
}

// scope says in which repositories the page looks.
func (v searchManyView) scope() string {
	if v.Project != nil {
		return "In the default branches of the project's repositories"
	}
	return "In the default branches of all repositories that you may read"
}
