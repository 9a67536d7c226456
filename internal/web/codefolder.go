package web

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/repos"
)

const (
	// lastCommitsNow is how long a folder's page waits for the last commits of its entries; the rest is brought by lastCommitsLater.
	lastCommitsNow   = 250 * time.Millisecond
	lastCommitsLater = 20 * time.Second
	// choosableRefs are the branches, and the tags, that a page offers in a list.
	choosableRefs = 200
	// maxReadme is the size of a README that is rendered, in bytes.
	maxReadme = 512 << 10
)

type codeEntry struct {
	Name, URL, Kind string
	Note            string // beside the name, as the commit of a submodule
	Size            int64
	Last            commitRow // zero while it is not known
}

// entriesView are the rows of a folder.
type entriesView struct {
	Entries   []codeEntry
	ParentURL string // of the folder above; empty in the root
	LoadURL   string // of the rows with the last commits that are missing; empty when nothing is
}

type folderView struct {
	codeView
	entriesView
	More       bool
	Latest     commitRow
	Choice     refChoice
	Readme     templ.Component // nil without one
	ReadmeName string
}

// refChoice are the branches and tags to choose from.
type refChoice struct {
	Branches, Tags []string
	More           bool // there are more than are offered
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
	switch slipway.CodeOf(err) {
	case slipway.CodeInvalid:
		return p.file(w, r, c)
	case slipway.CodeNotFound:
		return p.module(w, r, c, err)
	}
	if err != nil {
		return err
	}
	view := folderView{codeView: c, More: more}
	if view.entriesView, err = p.entries(r.Context(), c, entries, lastCommitsNow); err != nil {
		return err
	}
	latest, err := p.repos.Commit(r.Context(), c.id, c.Commit)
	if err != nil {
		return err
	}
	view.Latest = c.row(latest)
	if view.Choice, err = p.choice(r.Context(), c.id); err != nil {
		return err
	}
	if err := p.addReadme(r.Context(), &view, entries); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(c.Repo, "repos"), codeFolderPage(view))
}

// entries makes the rows of a folder, with what the time suffices to find.
func (p codePages) entries(ctx context.Context, c codeView, list []repos.Entry, within time.Duration) (entriesView, error) {
	last, complete, err := p.repos.LastCommits(ctx, c.id, c.Commit, c.Path, within)
	if err != nil {
		return entriesView{}, err
	}
	modules, err := p.submodules(ctx, c, list)
	if err != nil {
		return entriesView{}, err
	}
	var view entriesView
	for _, e := range list {
		row := codeEntry{Name: e.Name, Kind: string(e.Kind), Size: e.Size, URL: c.At("", e.Path)}
		if e.Kind == repos.EntrySubmodule {
			row.URL, row.Note = modules.address(c, e), "@ "+slipway.CommitID(e.Object).Short()
		}
		if commit, ok := last[e.Name]; ok {
			row.Last = c.row(commit)
		}
		view.Entries = append(view.Entries, row)
	}
	if !complete {
		view.LoadURL = c.At("lastcommits", c.Path)
	}
	if c.Path != "" {
		view.ParentURL = c.At("", strings.TrimPrefix(path.Dir("/"+c.Path), "/"))
	}
	return view, nil
}

// lastCommits answers with the rows of a folder anew, when more time has gone into finding their last commits.
func (p codePages) lastCommits(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	list, _, err := p.repos.Tree(r.Context(), c.id, c.Commit, c.Path)
	if err != nil {
		return err
	}
	view, err := p.entries(r.Context(), c, list, lastCommitsLater)
	if err != nil {
		return err
	}
	view.LoadURL = "" // what was not found by now is not
	return p.Fragment(w, r, codeEntries(view))
}

// choice reads the branches and tags that a page offers.
func (p codePages) choice(ctx context.Context, id slipway.RepositoryID) (refChoice, error) {
	branches, err := p.repos.Branches(ctx, id)
	if err != nil {
		return refChoice{}, err
	}
	tags, err := p.repos.Tags(ctx, id)
	if err != nil {
		return refChoice{}, err
	}
	c := refChoice{More: len(branches) > choosableRefs || len(tags) > choosableRefs}
	for _, b := range branches[:min(len(branches), choosableRefs)] {
		c.Branches = append(c.Branches, b.Name)
	}
	for _, t := range tags[max(0, len(tags)-choosableRefs):] { // versions rise with their names, mostly
		if !t.Commit.IsZero() {
			c.Tags = append(c.Tags, t.Name)
		}
	}
	return c, nil
}

// addReadme renders the folder's README: Markdown before plain text.
func (p codePages) addReadme(ctx context.Context, view *folderView, entries []repos.Entry) error {
	best := -1
	for i, e := range entries {
		if e.Kind == repos.EntryFile && readmeRank(e.Name) > 0 && (best < 0 || readmeRank(e.Name) > readmeRank(entries[best].Name)) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	f, err := p.repos.File(ctx, view.id, view.Commit, entries[best].Path, maxReadme)
	if err != nil || f.Binary || f.TooLarge {
		return err
	}
	view.ReadmeName = entries[best].Name
	if isMarkdown(f.Path) {
		view.Readme = p.markdown.renderAt(view.codeView, f.Path, string(f.Content))
	} else {
		view.Readme = plainText(string(f.Content))
	}
	return nil
}

func readmeRank(name string) int {
	switch lower := strings.ToLower(name); {
	case strings.TrimSuffix(lower, path.Ext(lower)) != "readme":
		return 0
	case isMarkdown(lower):
		return 3
	case lower == "readme" || lower == "readme.txt":
		return 2
	default:
		return 0
	}
}

func isMarkdown(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown", ".mdown", ".mkd":
		return true
	}
	return false
}

// has says that the version which a page shows is among those to choose from.
func (r refChoice) has(c codeView) bool {
	if tag, ok := strings.CutPrefix(c.Version, "GT"); ok {
		return slices.Contains(r.Tags, tag)
	}
	return c.Branch != "" && slices.Contains(r.Branches, c.Branch)
}

// pageURL is a page of the repository without a path or version; empty for its files.
func (c codeView) pageURL(page string) string {
	address := c.URL("_git", c.Repo)
	if page != "" {
		address += "/" + page
	}
	return address
}
