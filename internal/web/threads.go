package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/repos"
)

// threadView is a thread of a pull request as pages show it.
type threadView struct {
	ID         int64
	Where, URL string // the line as people write it; empty for the whole
	Outdated   bool
	State      string
	Tone       string
	Open       bool
	Comments   []commentView
	MayWrite   bool
	Action     string // of its forms
	now        repos.Place
}

type commentView struct {
	Number int
	Author string
	When   time.Time
	Edited bool
	Text   templ.Component // nil when it was deleted
	Mine   bool
}

// askView is the form that begins a thread.
type askView struct{ ID, Action, Path, Side, Line string }

// threadWords are the states in people's words.
var threadWords = map[repos.ThreadStatus]string{repos.ThreadActive: "active", repos.ThreadPending: "pending", repos.ThreadFixed: "resolved",
	repos.ThreadWontFix: "won't fix", repos.ThreadByDesign: "by design", repos.ThreadClosed: "closed"}

func (p codePages) threads(ctx context.Context, view *pullView) ([]threadView, error) {
	list, err := p.repos.Threads(ctx, view.ID)
	if err != nil {
		return nil, err
	}
	var out []threadView
	for _, t := range list {
		one := threadView{ID: t.ID, Outdated: t.Outdated, State: threadWords[t.Status], Tone: "good", Open: t.Status.Open(), MayWrite: view.MayVote,
			Action: view.pullURL(view.ID), now: t.Now}
		if one.Open {
			one.Tone = "waiting"
		}
		if t.Now.Path != "" {
			one.Where = t.Now.Path
			if t.Now.Line > 0 {
				one.Where += fmt.Sprintf(":%d", t.Now.Line)
			}
			one.URL = view.PartURL("files") + fmt.Sprintf("#thread-%d", t.ID)
		}
		for _, c := range t.Comments {
			row := commentView{Number: c.Number, Author: c.Author.Name, When: c.Created, Edited: !c.Edited.IsZero() && !c.Deleted,
				Mine: view.MayVote && !c.Deleted && c.Author.ID == view.Caller.ID}
			if !c.Deleted {
				row.Text = p.markdown.render(linkedMentions(view.View, c.Text))
			}
			one.Comments = append(one.Comments, row)
		}
		out = append(out, one)
	}
	return out, nil
}

// addLineThreads puts the threads under their lines, and the form under the line that the address names.
func (p codePages) addLineThreads(r *http.Request, view *pullView) error {
	threads, err := p.threads(r.Context(), view)
	if err != nil {
		return err
	}
	byPlace := map[repos.Place][]threadView{}
	for _, t := range threads {
		if !t.Outdated && t.now.Line > 0 {
			byPlace[t.now] = append(byPlace[t.now], t)
		}
	}
	asked := repos.Place{Path: r.FormValue("path"), Side: repos.Side(r.FormValue("side"))}
	asked.Line, _ = strconv.Atoi(r.FormValue("line"))
	for i := range view.Diff.Files {
		file := &view.Diff.Files[i]
		for _, hunk := range file.Hunks {
			for j := range hunk.Lines {
				l := &hunk.Lines[j]
				here, other := file.places(*l)
				l.Threads = append(byPlace[here], byPlace[other]...)
				if !view.MayVote {
					continue
				}
				q := url.Values{"_a": {"files"}, "path": {here.Path}, "side": {string(here.Side)}, "line": {strconv.Itoa(here.Line)}}
				l.AskURL = view.pullURL(view.ID) + "?" + q.Encode() + "#comment"
				if asked == here {
					l.Ask = &askView{ID: "comment", Action: view.pullURL(view.ID), Path: here.Path, Side: string(here.Side), Line: strconv.Itoa(here.Line)}
				}
			}
		}
	}
	return nil
}

// places are where a line of the difference is: what a comment on it is about, and its place on the other side, if it is on both.
func (f diffFile) places(l diffLine) (here, other repos.Place) {
	was := f.Path
	if f.Was != "" {
		was = f.Was
	}
	left, _ := strconv.Atoi(l.Old)
	right, _ := strconv.Atoi(l.New)
	switch l.Class {
	case "removed":
		return repos.Place{Path: was, Side: repos.Left, Line: left}, repos.Place{}
	case "added":
		return repos.Place{Path: f.Path, Side: repos.Right, Line: right}, repos.Place{}
	}
	return repos.Place{Path: f.Path, Side: repos.Right, Line: right}, repos.Place{Path: was, Side: repos.Left, Line: left}
}

// discuss does what the forms of threads ask for.
func (p codePages) discuss(w http.ResponseWriter, r *http.Request, c codeView, v View, pull repos.PullRequest) error {
	if err := userCaller(v); err != nil {
		return err
	}
	ctx, by, text := r.Context(), v.Caller.Actor, formText(r, "text")
	thread, _ := strconv.ParseInt(r.FormValue("thread"), 10, 64)
	var err error
	do := r.FormValue("do")
	switch do {
	case "thread":
		place := repos.Place{Path: r.FormValue("path"), Side: repos.Side(r.FormValue("side"))}
		place.Line, _ = strconv.Atoi(r.FormValue("line"))
		var t repos.Thread
		t, err = p.repos.StartThread(ctx, repos.NewThread{PullRequest: pull.ID, Place: place, Text: text, Actor: by})
		thread = t.ID
	case "comment":
		_, err = p.repos.AddComment(ctx, by, pull.ID, thread, 0, text)
	case "delete-comment":
		number, _ := strconv.Atoi(r.FormValue("comment"))
		err = p.repos.EditComment(ctx, by, pull.ID, thread, number, "")
	case "thread-status":
		err = p.turnThread(ctx, by, pull.ID, thread, text)
	}
	if err != nil {
		return err
	}
	part := "overview"
	if t, err := p.repos.Thread(ctx, pull.ID, thread); err == nil && t.Now.Path != "" && !t.Outdated {
		part = "files"
	}
	return p.Redirect(w, r, c.pullURL(pull.ID)+fmt.Sprintf("?_a=%s#thread-%d", part, thread))
}

// turnThread resolves an open thread and opens another, with what was written beside it.
func (p codePages) turnThread(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, thread int64, text string) error {
	t, err := p.repos.Thread(ctx, id, thread)
	if err != nil {
		return err
	}
	if text != "" {
		if _, err := p.repos.AddComment(ctx, by, id, thread, 0, text); err != nil {
			return err
		}
	}
	status := repos.ThreadActive
	if t.Status.Open() {
		status = repos.ThreadFixed
	}
	return p.repos.SetThreadStatus(ctx, by, id, thread, status)
}
