package web

import (
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/a-h/templ"
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

type commitView struct {
	codeView
	Changes   changesView
	Row       commitRow
	Full      slipway.CommitID
	Message   []messagePart
	Committer string // when it is not the author
	Parents   []crumb
	TraceURL  string
	Signed    signedView
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
	if view.Signed, err = p.signed(r.Context(), c, commit); err != nil {
		return err
	}
	var part templ.Component
	if view.Changes, part, err = p.difference(w, r, c, compared{parent, id, c.CommitURL(id), url.Values{}}); err != nil {
		return err
	}
	if part != nil {
		return p.Fragment(w, r, part)
	}
	return p.Render(w, r, v.Titled(commit.Subject(), "repos"), codeCommitPage(view))
}
