package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/repos"
)

// threadView is a thread of a pull request as pages show it.
type threadView struct {
	ID         int64
	Where, URL string // the line as people write it; empty for the whole
	Outdated   bool
	Was        []repos.ThreadLine // the lines as they were, of one whose lines have changed
	State      string
	Tone       string
	Open       bool
	Comments   []commentView
	MayWrite   bool
	Pending    []draftNote // the reader's answers that wait to be submitted
	Action     string      // of its forms
	Attach     string      // address of attachments
	now        repos.Place
}

type commentView struct {
	Number  int
	Author  string
	When    time.Time
	Edited  bool
	Deleted bool
	Source  string // as it was written
	Parts   []commentPart
	Mine    bool
	Likes   []string // who likes it
	Liked   bool     // the reader does
}

// threadWords are the states in people's words.
var threadWords = map[repos.ThreadStatus]string{repos.ThreadActive: "active", repos.ThreadPending: "pending", repos.ThreadFixed: "resolved",
	repos.ThreadWontFix: "won't fix", repos.ThreadByDesign: "by design", repos.ThreadClosed: "closed"}

// threadsIn lists the threads with where their lines are in a span.
func (p codePages) threadsIn(ctx context.Context, view *pullView, span repos.Span) ([]threadView, error) {
	list, err := p.repos.ThreadsIn(ctx, view.PullRequest, span)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	likes, err := p.repos.Likes(ctx, view.ID)
	if err != nil {
		return nil, err
	}
	latest := span.From.Number == 0 && span.To.SourceCommit == view.SourceCommit
	var out []threadView
	for _, t := range list {
		one := threadView{ID: t.ID, Outdated: t.Outdated, State: threadWords[t.Status], Tone: "good", Open: t.Status.Open(), MayWrite: view.MayWrite,
			Action: view.pullURL(view.ID), Attach: view.attachURL(), now: t.Now}
		if one.Open {
			one.Tone = "waiting"
		}
		if t.Now.Path != "" {
			one.Where = placeWords(t.Now)
			one.URL = view.PartURL("files") + fmt.Sprintf("#thread-%d", t.ID)
		}
		lines, err := p.repos.ThreadContext(ctx, view.PullRequest, t)
		if err != nil {
			return nil, err
		}
		if t.Outdated {
			one.Was, one.URL = lines, ""
		}
		applies := latest && t.Place.Side == repos.Right && t.Place.Line > 0 && !t.Outdated && one.Open && view.MayWrite && view.MayDelete && view.Status == repos.PullRequestActive
		p.addCommentViews(view, &one, t, lines, likes, applies)
		out = append(out, one)
	}
	return out, nil
}

// addCommentViews fills in what was written in a thread. applies says that its suggestions can become a commit.
func (p codePages) addCommentViews(view *pullView, to *threadView, t repos.Thread, lines []repos.ThreadLine, likes map[repos.CommentKey][]slipway.Actor, applies bool) {
	var was []string
	for _, l := range lines {
		if l.Own {
			was = append(was, l.Text)
		}
	}
	for _, c := range t.Comments {
		row := commentView{Number: c.Number, Author: c.Author.Name, When: c.Created, Edited: !c.Edited.IsZero() && !c.Deleted, Deleted: c.Deleted, Source: c.Text,
			Mine: view.MayWrite && !c.Deleted && c.Author.ID == view.Caller.ID}
		for _, who := range likes[repos.CommentKey{Thread: t.ID, Number: c.Number}] {
			row.Likes = append(row.Likes, who.Name)
			row.Liked = row.Liked || who.ID == view.Caller.ID
		}
		if !c.Deleted {
			var ref *repos.SuggestionRef
			if applies {
				ref = &repos.SuggestionRef{Thread: t.ID, Comment: c.Number}
			}
			row.Parts = p.commentParts(view.View, c.Text, was, ref)
		}
		to.Comments = append(to.Comments, row)
	}
}

// discussed are the forms that discuss serves.
var discussed = []string{"thread", "comment", "draft-thread", "draft-comment", "drop-draft", "edit-comment", "delete-comment", "thread-status", "like", "unlike", "apply", "review"}

// discuss does what the forms of threads ask for.
func (p codePages) discuss(w http.ResponseWriter, r *http.Request, c codeView, v View, pull repos.PullRequest) error {
	if err := userCaller(v); err != nil {
		return err
	}
	ctx, by, text := r.Context(), v.Caller.Actor, formText(r, "text")
	thread, _ := strconv.ParseInt(r.FormValue("thread"), 10, 64)
	number, _ := strconv.Atoi(r.FormValue("comment"))
	var err error
	do := r.FormValue("do")
	switch do {
	case "thread", "draft-thread":
		thread, err = p.startThread(r, v, pull, text, do == "draft-thread")
	case "comment":
		_, err = p.repos.AddComment(ctx, by, pull.ID, thread, 0, text)
	case "draft-comment":
		_, err = p.repos.AddDraft(ctx, repos.NewThread{PullRequest: pull.ID, Text: text, Actor: by}, thread)
	case "drop-draft":
		draft, _ := strconv.ParseInt(r.FormValue("draft"), 10, 64)
		err = p.repos.DeleteDraft(ctx, by, pull.ID, draft)
	case "edit-comment":
		if text == "" {
			return slipway.Invalid("a comment needs a text: delete it instead")
		}
		err = p.repos.EditComment(ctx, by, pull.ID, thread, number, text)
	case "delete-comment":
		err = p.repos.EditComment(ctx, by, pull.ID, thread, number, "")
	case "like", "unlike":
		err = p.repos.Like(ctx, by, pull.ID, repos.CommentKey{Thread: thread, Number: number}, do == "like")
	case "thread-status":
		err = p.turnThread(ctx, by, pull.ID, thread, text)
	case "apply":
		err = p.applySuggestions(r, v, pull)
	case "review":
		err = p.submitReview(r, v, pull, text)
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.pullURL(pull.ID)+p.afterwards(r, pull, thread))
}

// startThread begins a thread where the form says, or keeps it for the review; then there is no number.
func (p codePages) startThread(r *http.Request, v View, pull repos.PullRequest, text string, draft bool) (int64, error) {
	place := repos.Place{Path: r.FormValue("path"), Side: repos.Side(r.FormValue("side"))}
	place.Line, _ = strconv.Atoi(r.FormValue("line"))
	place.End, _ = strconv.Atoi(r.FormValue("end"))
	ask := repos.NewThread{PullRequest: pull.ID, Place: place, Commit: slipway.CommitID(r.FormValue("commit")), Text: text, Actor: v.Caller.Actor}
	if draft {
		_, err := p.repos.AddDraft(r.Context(), ask, 0)
		return 0, err
	}
	t, err := p.repos.StartThread(r.Context(), ask)
	return t.ID, err
}

// afterwards is the part of the page on which a form was.
func (p codePages) afterwards(r *http.Request, pull repos.PullRequest, thread int64) string {
	if path := r.FormValue("path"); path != "" && thread == 0 {
		return "?_a=files#" + fileID(path)
	}
	part := "overview"
	if t, err := p.repos.Thread(r.Context(), pull.ID, thread); err == nil && t.Now.Path != "" && !t.Outdated {
		part = "files"
	}
	if thread == 0 {
		return "?_a=" + part
	}
	return fmt.Sprintf("?_a=%s#thread-%d", part, thread)
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

// applySuggestions makes a commit of those that the form names.
func (p codePages) applySuggestions(r *http.Request, v View, pull repos.PullRequest) error {
	who, err := p.author(r, v)
	if err != nil {
		return err
	}
	ask := repos.ApplyRequest{PullRequest: pull.ID, Message: formText(r, "message"), Author: who, Actor: v.Caller.Actor}
	for _, text := range r.Form["suggestion"] {
		ref, err := parseSuggestion(text)
		if err != nil {
			return err
		}
		if !slices.Contains(ask.Suggestions, ref) {
			ask.Suggestions = append(ask.Suggestions, ref)
		}
	}
	_, err = p.repos.ApplySuggestions(r.Context(), ask)
	return err
}

// submitReview shows everybody what the reader drafted, with a vote unless it is left out.
func (p codePages) submitReview(r *http.Request, v View, pull repos.PullRequest, text string) error {
	review := repos.Review{Text: text}
	if choice := strings.TrimSpace(r.FormValue("vote")); choice != "" {
		n, err := strconv.Atoi(choice)
		if err != nil {
			return slipway.Invalid("%q is no vote", choice)
		}
		vote := repos.Vote(n)
		review.Vote = &vote
	}
	return p.repos.SubmitReview(r.Context(), v.Caller.Actor, pull.ID, review)
}
