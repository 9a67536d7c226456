package web

import (
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/repos"
)

// blameView is who wrote the lines of a file.
type blameView struct {
	Lines    []blameLine
	Ignored  bool
	TimedOut bool
}

type blameLine struct {
	Number   int
	Text     templ.Component
	First    *blameCommit // set on the first line of each piece that one commit wrote
	Age      int          // 0 for the newest of the file to 9 for the oldest
	Original string       // address of the line in the commit that wrote it
}

type blameCommit struct {
	commitRow
	BeforeURL string // of the same page before this change; empty where the file begins
}

// blame is the page of a file with who wrote its lines.
func (p codePages) blame(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	f, err := p.repos.File(r.Context(), c.id, c.Commit, c.Path, maxShown)
	if err != nil {
		return err
	}
	view, err := p.newFile(r, c, f)
	if err != nil {
		return err
	}
	switch {
	case f.TooLarge:
		view.Why = "This file is too large to say who wrote its lines."
	case f.Binary || f.Symlink || view.Large != nil:
		view.Why = "This file has no lines of text."
	default:
		b, err := p.repos.Blame(r.Context(), c.id, c.Commit, c.Path)
		if err != nil {
			return err
		}
		view.Pieces = c.cutPieces(r, "blame", len(b.Lines))
		view.Blame = c.newBlame(b, p.colours.lines(f), view.Pieces.Shown)
		if view.Pieces.alone(r) {
			return p.Fragment(w, r, blameLines(view))
		}
	}
	return p.Render(w, r, v.Titled("Blame "+path.Base("/"+c.Path), "repos"), codeFilePage(view))
}

// newBlame is who wrote the lines of a piece; ages are told within the whole file.
func (c codeView) newBlame(b repos.Blame, text []templ.Component, piece linePiece) *blameView {
	view := &blameView{Ignored: b.Ignored, TimedOut: b.TimedOut}
	var oldest, newest time.Time
	for _, commit := range b.Commits {
		when := commit.Author.Time
		if oldest.IsZero() || when.Before(oldest) {
			oldest = when
		}
		if when.After(newest) {
			newest = when
		}
	}
	var last slipway.CommitID
	for i := max(piece.From-1, 0); i < piece.To; i++ {
		l := b.Lines[i]
		commit := b.Commits[l.Commit]
		line := blameLine{Number: i + 1, Age: age(commit.Author.Time, oldest, newest)}
		if i < len(text) {
			line.Text = text[i]
		} else {
			line.Text = templ.Raw(templ.EscapeString(l.Text))
		}
		at := c
		at.Version = "GC" + string(l.Commit)
		line.Original = at.At("", commit.Path) + fmt.Sprintf("#L%d", l.Original)
		if l.Commit != last {
			first := &blameCommit{commitRow: commitRow{ID: l.Commit.Short(), URL: c.CommitURL(l.Commit), Subject: commit.Subject,
				Author: commit.Author.Name, When: commit.Author.Time}}
			if !commit.Previous.IsZero() {
				at.Version = "GC" + string(commit.Previous)
				first.BeforeURL = at.At("blame", commit.PreviousPath) + fmt.Sprintf("#L%d", l.Original)
			}
			line.First, last = first, l.Commit
		}
		view.Lines = append(view.Lines, line)
	}
	return view
}

// age puts a time between the newest, 0, and the oldest, 9.
func age(t, oldest, newest time.Time) int {
	span := newest.Sub(oldest)
	if span <= 0 {
		return 0
	}
	return int(9 * float64(newest.Sub(t)) / float64(span))
}
