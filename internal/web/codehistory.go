package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/repos"
)

type commitRow struct {
	ID, URL, Subject, Author string
	When                     time.Time
}

func (c codeView) row(commit repos.Commit) commitRow {
	return commitRow{ID: commit.ID.Short(), URL: c.CommitURL(commit.ID), Subject: commit.Subject(), Author: commit.Author.Name, When: commit.Committer.Time}
}

type commitsView struct {
	codeView
	Rows         []commitRow
	Newer, Older string // addresses, empty when there are none
}

const commitsPerPage = 50

func (p codePages) commits(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "commits")
	if err != nil {
		return err
	}
	if c.Empty {
		return p.Render(w, r, v.Titled(c.Repo, "repos"), codeEmptyPage(c))
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	page = max(page, 0)
	list, more, err := p.repos.Log(r.Context(), repos.LogRequest{Repository: c.id, Commit: c.Commit, Path: c.Path, Skip: page * commitsPerPage, Limit: commitsPerPage})
	if err != nil {
		return err
	}
	view := commitsView{codeView: c}
	for _, commit := range list {
		view.Rows = append(view.Rows, c.row(commit))
	}
	at := func(page int) string {
		u, err := url.Parse(c.At("commits", c.Path))
		if err != nil {
			return ""
		}
		q := u.Query()
		q.Set("page", strconv.Itoa(page))
		u.RawQuery = q.Encode()
		return u.String()
	}
	if page > 0 {
		view.Newer = at(page - 1)
	}
	if more {
		view.Older = at(page + 1)
	}
	return p.Render(w, r, v.Titled("Commits", "repos"), codeCommitsPage(view))
}

type diffFile struct {
	ID, Path, Was, Status string
	URL                   string // of the file at this commit, empty when it is gone
	Additions, Deletions  int
	Binary                bool
	Hunks                 []diffHunk
}

type diffHunk struct {
	Head  string
	Lines []diffLine
}

type diffLine struct {
	Class, Old, New, Sign, Text string
	Covered, CoveredNote        string // how a run of a pull request covers the line: a class, and in words
	AskURL                      string // of the form for a comment on the line; empty where there is none
	Ask                         *askView
	Threads                     []threadView
}

// diffView is a difference as pages show it.
type diffView struct {
	Files                []diffFile
	Additions, Deletions int
	Truncated            bool
	Coverage             string // of the added lines, in words; empty when it is not known
	CoverageURL          string
}

type commitView struct {
	codeView
	diffView
	Row       commitRow
	Full      slipway.CommitID
	Message   []messagePart
	Committer string // when it is not the author
	Parents   []crumb
	TraceURL  string
}

// messagePart is a piece of a commit's message; a work item mentioned in it is a link.
type messagePart struct{ Text, URL string }

var workItemMention = regexp.MustCompile(`\bAB#(\d{1,9})\b`)

func messageParts(v View, text string) []messagePart {
	var parts []messagePart
	last := 0
	for _, m := range workItemMention.FindAllStringSubmatchIndex(text, -1) {
		parts = append(parts, messagePart{Text: text[last:m[0]]}, messagePart{text[m[0]:m[1]], v.URL("_workitems", "edit", text[m[2]:m[3]])})
		last = m[1]
	}
	return append(parts, messagePart{Text: text[last:]})
}

const (
	maxDiffLines  = 20_000 // shown on one page
	maxLineLength = 2000   // bytes of one line
)

// commit is the page of one commit with its difference from its first parent.
func (p codePages) commit(w http.ResponseWriter, r *http.Request, v View) error {
	id, err := slipway.ParseCommitID(chi.URLParam(r, "commit"))
	if err != nil {
		return err
	}
	c, err := p.open(r, v, "commits")
	if err != nil {
		return err
	}
	c.Version, c.Branch, c.Commit, c.Shown = "GC"+string(id), "", id, id.Short()
	commit, err := p.repos.Commit(r.Context(), c.id, id)
	if err != nil {
		return err
	}
	view := commitView{codeView: c, Row: c.row(commit), Full: id, Message: messageParts(v, commit.Body()), TraceURL: v.URL("_trace") + "?thing=" + url.QueryEscape("commit:"+string(id))}
	view.Row.When = commit.Author.Time
	if commit.Committer.Name != commit.Author.Name {
		view.Committer = commit.Committer.Name
	}
	var parent slipway.CommitID
	for i, one := range commit.Parents {
		if i == 0 {
			parent = one
		}
		view.Parents = append(view.Parents, crumb{one.Short(), c.CommitURL(one)})
	}
	d, err := p.repos.Diff(r.Context(), c.id, parent, id)
	if err != nil {
		return err
	}
	view.diffView = view.newDiff(d)
	return p.Render(w, r, v.Titled(commit.Subject(), "repos"), codeCommitPage(view))
}

// newDiff shows a difference; its files are those of the view's version.
func (c codeView) newDiff(d repos.Diff) diffView {
	view := diffView{Truncated: d.Truncated}
	lines := 0
	for i, f := range d.Files {
		file := diffFile{ID: fmt.Sprintf("file-%d", i+1), Path: f.Path(), Status: string(f.Status), Additions: f.Additions, Deletions: f.Deletions, Binary: f.Binary}
		if f.Status == repos.FileRenamed {
			file.Was = f.OldPath
		}
		if f.NewPath != "" {
			file.URL = c.At("", f.NewPath)
		}
		view.Additions, view.Deletions = view.Additions+f.Additions, view.Deletions+f.Deletions
		for _, h := range f.Hunks {
			if lines += len(h.Lines); lines > maxDiffLines {
				view.Truncated = true
				break
			}
			file.Hunks = append(file.Hunks, newDiffHunk(h))
		}
		view.Files = append(view.Files, file)
	}
	return view
}

func newDiffHunk(h repos.Hunk) diffHunk {
	hunk := diffHunk{Head: fmt.Sprintf("@@ -%d,%d +%d,%d @@ %s", h.OldStart, h.OldLines, h.NewStart, h.NewLines, h.Section)}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	for _, l := range h.Lines {
		line := diffLine{Old: number(l.Old), New: number(l.New), Sign: string(l.Op), Text: l.Text}
		switch l.Op {
		case '+':
			line.Class = "added"
		case '-':
			line.Class = "removed"
		}
		if len(line.Text) > maxLineLength {
			line.Text = strings.ToValidUTF8(line.Text[:maxLineLength], "") + " …"
		}
		hunk.Lines = append(hunk.Lines, line)
	}
	return hunk
}

type refRow struct {
	Name, URL, Commit, CommitURL, CommitsURL string
	PullURL                                  string // of the form for a pull request of this branch, empty where none can be
	Default                                  bool
	Updated                                  time.Time
}

type refsView struct {
	codeView
	Rows []refRow
}

func (p codePages) branches(w http.ResponseWriter, r *http.Request, v View) error {
	return p.refs(w, r, v, "branches", "GB", p.repos.Branches)
}

func (p codePages) tags(w http.ResponseWriter, r *http.Request, v View) error {
	return p.refs(w, r, v, "tags", "GT", p.repos.Tags)
}

const maxRefRows = 1000

// refs is the page of branches or tags.
func (p codePages) refs(w http.ResponseWriter, r *http.Request, v View, tab, kind string,
	read func(context.Context, slipway.RepositoryID) ([]repos.Ref, error)) error {
	c, err := p.open(r, v, tab)
	if err != nil {
		return err
	}
	list, err := read(r.Context(), c.id)
	if err != nil {
		return err
	}
	view := refsView{codeView: c}
	for _, ref := range list[:min(len(list), maxRefRows)] {
		at := c
		at.Version = kind + ref.Name
		row := refRow{Name: ref.Name, URL: at.At("", ""), CommitsURL: at.At("commits", ""), Default: kind == "GB" && ref.Name == c.Default, Updated: ref.Updated}
		if !ref.Commit.IsZero() {
			row.Commit, row.CommitURL = ref.Commit.Short(), c.CommitURL(ref.Commit)
		}
		if kind == "GB" && !row.Default && c.MayEdit {
			row.PullURL = c.newPullURL(ref.Name)
		}
		view.Rows = append(view.Rows, row)
	}
	return p.Render(w, r, v.Titled(strings.ToUpper(tab[:1])+tab[1:], "repos"), codeRefsPage(view))
}
