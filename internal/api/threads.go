package api

import (
	"net/http"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

func (g gitRoutes) addThreads(threads string) {
	g.project("GET", threads, identity.Read, g.listThreads)
	g.project("POST", threads, identity.Read, g.takingPart(g.startThread))
	g.project("GET", threads+"/{thread}", identity.Read, g.getThread)
	g.project("PATCH", threads+"/{thread}", identity.Read, g.takingPart(g.updateThread))
	g.project("POST", threads+"/{thread}/comments", identity.Read, g.takingPart(g.addComment))
	g.project("PATCH", threads+"/{thread}/comments/{comment}", identity.Read, g.takingPart(g.editComment))
	g.project("DELETE", threads+"/{thread}/comments/{comment}", identity.Read, g.takingPart(g.deleteComment))
}

// GitThread is Azure DevOps' GitPullRequestCommentThread.
type GitThread struct {
	ID              int64             `json:"id"`
	Status          string            `json:"status"` // active, fixed, wontFix, closed, byDesign, pending
	PublishedDate   time.Time         `json:"publishedDate"`
	LastUpdatedDate time.Time         `json:"lastUpdatedDate"`
	Comments        []GitComment      `json:"comments"`
	ThreadContext   *GitThreadContext `json:"threadContext"` // where it is now; null for one about the whole
	IsDeleted       bool              `json:"isDeleted"`
}

// GitComment is Azure DevOps' Comment.
type GitComment struct {
	ID                     int          `json:"id"`
	ParentCommentID        int          `json:"parentCommentId"`
	Author                 *IdentityRef `json:"author"`
	Content                string       `json:"content,omitempty"`
	PublishedDate          time.Time    `json:"publishedDate"`
	LastContentUpdatedDate time.Time    `json:"lastContentUpdatedDate"`
	CommentType            string       `json:"commentType"` // text
	IsDeleted              bool         `json:"isDeleted,omitempty"`
}

// GitThreadContext is Azure DevOps' CommentThreadContext. Only the lines count, not the offsets in them.
type GitThreadContext struct {
	FilePath       string           `json:"filePath"` // from the root, with a slash before it
	LeftFileStart  *GitFilePosition `json:"leftFileStart,omitempty"`
	LeftFileEnd    *GitFilePosition `json:"leftFileEnd,omitempty"`
	RightFileStart *GitFilePosition `json:"rightFileStart,omitempty"`
	RightFileEnd   *GitFilePosition `json:"rightFileEnd,omitempty"`
}

// GitFilePosition is a place in a file.
type GitFilePosition struct {
	Line   int `json:"line"`
	Offset int `json:"offset"`
}

// line is the place's line, 0 without a place.
func (p *GitFilePosition) line() int {
	if p == nil {
		return 0
	}
	return p.Line
}

func gitThread(t repos.Thread) GitThread {
	out := GitThread{ID: t.ID, Status: string(t.Status), PublishedDate: t.Created, LastUpdatedDate: t.Updated, Comments: []GitComment{}, IsDeleted: true}
	for _, c := range t.Comments {
		out.Comments = append(out.Comments, gitComment(c))
		out.IsDeleted = out.IsDeleted && c.Deleted
	}
	if t.Now.Path == "" {
		return out
	}
	out.ThreadContext = &GitThreadContext{FilePath: "/" + t.Now.Path}
	first, last := &GitFilePosition{Line: t.Now.Line, Offset: 1}, &GitFilePosition{Line: t.Now.Last(), Offset: 1}
	if t.Now.Line > 0 && t.Now.Side == repos.Left {
		out.ThreadContext.LeftFileStart, out.ThreadContext.LeftFileEnd = first, last
	} else if t.Now.Line > 0 {
		out.ThreadContext.RightFileStart, out.ThreadContext.RightFileEnd = first, last
	}
	return out
}

func gitComment(c repos.Comment) GitComment {
	out := GitComment{ID: c.Number, ParentCommentID: c.Parent, Author: identityRef(c.Author), Content: c.Text, PublishedDate: c.Created,
		LastContentUpdatedDate: c.Created, CommentType: "text", IsDeleted: c.Deleted}
	if !c.Edited.IsZero() {
		out.LastContentUpdatedDate = c.Edited
	}
	return out
}

// threadNumbers are Azure DevOps' numbers of the states.
var threadNumbers = map[string]repos.ThreadStatus{"": "", "0": "", "1": repos.ThreadActive, "2": repos.ThreadFixed, "3": repos.ThreadWontFix, "4": repos.ThreadClosed,
	"5": repos.ThreadByDesign, "6": repos.ThreadPending}

func threadStatus(n name) (repos.ThreadStatus, error) {
	if s, ok := threadNumbers[string(n)]; ok {
		return s, nil
	}
	return repos.ParseThreadStatus(string(n))
}

func (g gitRoutes) listThreads(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	all, err := g.repos.Threads(r.Context(), p.ID)
	if err != nil {
		return err
	}
	var out []GitThread
	for _, t := range all {
		out = append(out, gitThread(t))
	}
	return list(w, out)
}

// threadBody is what of a thread or a comment can be written; clients send more of what they were given.
type threadBody struct {
	Status   name `json:"status"`
	Comments []struct {
		Content string `json:"content"`
	} `json:"comments"`
	ThreadContext   *GitThreadContext `json:"threadContext"`
	Content         string            `json:"content"`
	ParentCommentID int               `json:"parentCommentId"`
}

func readThread(w http.ResponseWriter, r request) (threadBody, error) {
	var body threadBody
	if err := r.decode(w, maxPullRequestBody, &body, "the JSON of a thread or a comment"); err != nil {
		return body, err
	}
	return body, nil
}

func (g gitRoutes) startThread(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	body, err := readThread(w, r)
	if err != nil {
		return err
	}
	status, err := threadStatus(body.Status)
	if err != nil {
		return err
	}
	if len(body.Comments) != 1 {
		return at("comments", slipway.Invalid("a thread begins with one comment"))
	}
	ask := repos.NewThread{PullRequest: p.ID, Text: body.Comments[0].Content, Status: status, Actor: r.caller.Actor}
	if c := body.ThreadContext; c != nil {
		ask.Place = repos.Place{Path: strings.TrimPrefix(c.FilePath, "/"), Side: repos.Right}
		switch {
		case c.RightFileStart != nil:
			ask.Place.Line, ask.Place.End = c.RightFileStart.Line, c.RightFileEnd.line()
		case c.LeftFileStart != nil:
			ask.Place.Side, ask.Place.Line, ask.Place.End = repos.Left, c.LeftFileStart.Line, c.LeftFileEnd.line()
		}
	}
	t, err := g.repos.StartThread(r.Context(), ask)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, gitThread(t))
	return nil
}

// thread finds what the path names.
func (g gitRoutes) thread(r request) (repos.PullRequest, repos.Thread, error) {
	_, p, err := g.pull(r)
	if err != nil {
		return p, repos.Thread{}, err
	}
	id, err := r.number("thread")
	if err != nil {
		return p, repos.Thread{}, err
	}
	t, err := g.repos.Thread(r.Context(), p.ID, id)
	return p, t, err
}

func (g gitRoutes) showThread(w http.ResponseWriter, r request, p repos.PullRequest, id int64) error {
	t, err := g.repos.Thread(r.Context(), p.ID, id)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, gitThread(t))
	return nil
}

func (g gitRoutes) getThread(w http.ResponseWriter, r request) error {
	p, t, err := g.thread(r)
	if err != nil {
		return err
	}
	return g.showThread(w, r, p, t.ID)
}

func (g gitRoutes) updateThread(w http.ResponseWriter, r request) error {
	p, t, err := g.thread(r)
	if err != nil {
		return err
	}
	body, err := readThread(w, r)
	if err != nil {
		return err
	}
	status, err := threadStatus(body.Status)
	if err != nil {
		return err
	}
	if status != "" {
		if err := g.repos.SetThreadStatus(r.Context(), r.caller.Actor, p.ID, t.ID, status); err != nil {
			return err
		}
	}
	return g.showThread(w, r, p, t.ID)
}

func (g gitRoutes) addComment(w http.ResponseWriter, r request) error {
	p, t, err := g.thread(r)
	if err != nil {
		return err
	}
	body, err := readThread(w, r)
	if err != nil {
		return err
	}
	c, err := g.repos.AddComment(r.Context(), r.caller.Actor, p.ID, t.ID, body.ParentCommentID, body.Content)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, gitComment(c))
	return nil
}

func (g gitRoutes) editComment(w http.ResponseWriter, r request) error {
	body, err := readThread(w, r)
	if err != nil {
		return err
	}
	if body.Content == "" {
		return at("content", slipway.Invalid("a comment needs a text: DELETE removes it"))
	}
	return g.writeComment(w, r, body.Content)
}

func (g gitRoutes) deleteComment(w http.ResponseWriter, r request) error {
	return g.writeComment(w, r, "")
}

func (g gitRoutes) writeComment(w http.ResponseWriter, r request, text string) error {
	p, t, err := g.thread(r)
	if err != nil {
		return err
	}
	number, err := r.number("comment")
	if err != nil {
		return err
	}
	if err := g.repos.EditComment(r.Context(), r.caller.Actor, p.ID, t.ID, int(number), text); err != nil {
		return err
	}
	t, err = g.repos.Thread(r.Context(), p.ID, t.ID)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, gitComment(t.Comments[number-1])) // they are numbered from 1 and none goes
	return nil
}
