package api

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/repos"
)

const (
	maxPushed  = 64 << 20 // bytes of a push's body
	pushesPage = 100
	maxPushes  = 1000
)

// GitPush is Azure DevOps' GitPush.
type GitPush struct {
	PushID     int64          `json:"pushId"`
	Date       time.Time      `json:"date"`
	PushedBy   *IdentityRef   `json:"pushedBy"`
	URL        string         `json:"url"`
	RefUpdates []GitRefUpdate `json:"refUpdates,omitempty"`
	Commits    []GitCommit    `json:"commits,omitempty"`
	Repository GitRepository  `json:"repository"`
}

func (g gitRoutes) push(r request, repo repos.Repository, p repos.PushRecord, refs bool) GitPush {
	out := GitPush{PushID: p.ID, Date: p.When, PushedBy: identityRef(p.Actor), Repository: g.repository(r.project, repo)}
	out.URL = out.Repository.URL + "/pushes/" + strconv.FormatInt(p.ID, 10)
	if !refs {
		return out
	}
	for _, moved := range p.Updates {
		u := GitRefUpdate{Name: moved.Ref, OldObjectID: string(moved.Before), NewObjectID: string(moved.After)}
		if moved.Before.IsZero() {
			u.OldObjectID = repo.ObjectFormat.NoObject()
		}
		if moved.After.IsZero() {
			u.NewObjectID = repo.ObjectFormat.NoObject()
		}
		out.RefUpdates = append(out.RefUpdates, u)
	}
	return out
}

func (g gitRoutes) getPushes(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	skip, err := count(q, 0, maxPushes, "$skip", "searchCriteria.$skip")
	if err != nil {
		return err
	}
	top, err := count(q, pushesPage, pushesPage, "$top", "searchCriteria.$top")
	if err != nil {
		return err
	}
	from, err := moment(q, "searchCriteria.fromDate")
	if err != nil {
		return err
	}
	to, err := moment(q, "searchCriteria.toDate")
	if err != nil {
		return err
	}
	all, err := g.repos.Pushes(r.Context(), repo.ID, 0, maxPushes)
	if err != nil {
		return err
	}
	ref, pusher, refs := q.Get("searchCriteria.refName"), q.Get("searchCriteria.pusherId"), truth(q, "searchCriteria.includeRefUpdates")
	var out []GitPush
	for _, p := range all {
		if ref != "" && !slices.ContainsFunc(p.Updates, func(u repos.RefMoved) bool { return u.Ref == ref }) || pusher != "" && p.Actor.ID != pusher || !from.IsZero() && p.When.Before(from) || !to.IsZero() && p.When.After(to) {
			continue
		}
		if skip--; skip < 0 && len(out) < top {
			out = append(out, g.push(r, repo, p, refs))
		}
	}
	return list(w, out)
}

func (g gitRoutes) getPush(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	id, err := r.number("push")
	if err != nil {
		return err
	}
	p, err := g.repos.Push(r.Context(), repo.ID, id)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	out := g.push(r, repo, p, truth(q, "includeRefUpdates"))
	n, err := count(q, commitsOfPage, maxCommitPage, "includeCommits")
	if err != nil {
		return err
	}
	if out.Commits, err = g.pushed(r, repo, p, n); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

// pushed are the commits that a push brought.
func (g gitRoutes) pushed(r request, repo repos.Repository, p repos.PushRecord, limit int) ([]GitCommit, error) {
	var out []GitCommit
	for _, c := range p.Commits[:min(len(p.Commits), limit)] {
		full, err := g.repos.Commit(r.Context(), repo.ID, c.ID)
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			continue // its branch was deleted long ago
		}
		if err != nil {
			return nil, err
		}
		out = append(out, g.commit(r, repo, full))
	}
	return out, nil
}

func (g gitRoutes) getPushCommits(w http.ResponseWriter, r request, repo repos.Repository, push string) error {
	id, err := strconv.ParseInt(push, 10, 64)
	if err != nil {
		return at("pushId", slipway.Invalid("%q is no push", push))
	}
	p, err := g.repos.Push(r.Context(), repo.ID, id)
	if err != nil {
		return err
	}
	all, err := g.pushed(r, repo, p, maxPushes)
	if err != nil {
		return err
	}
	part, _, err := pageOf(r.URL.Query(), all, commitsOfPage)
	if err != nil {
		return err
	}
	return list(w, part)
}

// newPush is the body of a push: its commits come one on the other.
type newPush struct {
	RefUpdates []GitRefUpdate `json:"refUpdates"`
	Commits    []newPushed    `json:"commits"`
}

// newPushed is one commit of a push.
type newPushed struct {
	Comment string   `json:"comment"`
	Parents []string `json:"parents"`
	Author  *struct {
		Name  string    `json:"name"`
		Email string    `json:"email"`
		Date  time.Time `json:"date"`
	} `json:"author"`
	Changes []newChange `json:"changes"`
}

type newChange struct {
	ChangeType name `json:"changeType"`
	Item       struct {
		Path string `json:"path"`
	} `json:"item"`
	NewContent *struct {
		Content     string `json:"content"`
		ContentType name   `json:"contentType"`
	} `json:"newContent"`
	SourceServerItem string `json:"sourceServerItem"`
}

// createPush makes commits on a branch of what the body holds.
func (g gitRoutes) createPush(w http.ResponseWriter, r request) error {
	var body newPush
	if err := r.decode(w, maxPushed, &body, "a push"); err != nil {
		return err
	}
	if len(body.RefUpdates) != 1 || len(body.Commits) == 0 {
		return slipway.Unsupported("a push by REST moves one branch by commits: send one after the other for several branches, or use git")
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	request, err := g.commitRequests(r, repo, body)
	if err != nil {
		return err
	}
	commits, err := g.repos.CommitSeries(r.Context(), request)
	if err != nil {
		return err
	}
	record, err := g.pushOf(r, repo, commits[len(commits)-1])
	if err != nil {
		return err
	}
	out := g.push(r, repo, record, true)
	for i := range commits { // newest first
		c, err := g.repos.Commit(r.Context(), repo.ID, commits[len(commits)-1-i])
		if err != nil {
			return err
		}
		out.Commits = append(out.Commits, g.commit(r, repo, c))
	}
	httpx.WriteJSON(w, http.StatusCreated, out)
	return nil
}

// pushOf finds the push that brought a branch to the commit just now.
func (g gitRoutes) pushOf(r request, repo repos.Repository, commit slipway.CommitID) (repos.PushRecord, error) {
	all, err := g.repos.Pushes(r.Context(), repo.ID, 0, pushesPage)
	for _, p := range all {
		if p.After == commit {
			return p, nil
		}
	}
	if err == nil { // pushes that came together are announced as one
		err = slipway.Conflict("commit %s was made, and the branch has moved on meanwhile", commit.Short())
	}
	return repos.PushRecord{}, err
}

// commitRequests are the commits of a push, in their order.
func (g gitRoutes) commitRequests(r request, repo repos.Repository, body newPush) ([]repos.CommitRequest, error) {
	var list []repos.CommitRequest
	for i, c := range body.Commits {
		if i > 0 && len(c.Parents) > 0 {
			return nil, at("commits", slipway.Unsupported("each commit of a push is made on the one before: leave the parents of commit %d out", i+1))
		}
		one, err := g.commitRequest(r, repo, body.RefUpdates[0], c, i == 0)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func (g gitRoutes) commitRequest(r request, repo repos.Repository, update GitRefUpdate, c newPushed, first bool) (repos.CommitRequest, error) {
	branch, ok := strings.CutPrefix(update.Name, "refs/heads/")
	if !ok {
		return repos.CommitRequest{}, slipway.Invalid("%q is no branch: write refs/heads/NAME", update.Name)
	}
	author, err := g.author(r)
	if err != nil {
		return repos.CommitRequest{}, err
	}
	if a := c.Author; a != nil && a.Name != "" {
		author = repos.Signature{Name: a.Name, Email: a.Email, Time: a.Date}
	}
	out := repos.CommitRequest{Repository: repo.ID, Branch: branch, Message: c.Comment, Author: author, Actor: r.caller.Actor}
	switch _, err := g.repos.Resolve(r.Context(), repo.ID, update.Name); {
	case !first:
	case strings.Trim(update.OldObjectID, "0") != "":
		out.Expect = slipway.CommitID(strings.ToLower(update.OldObjectID))
	case len(c.Parents) > 0:
		out.Start = slipway.CommitID(strings.ToLower(c.Parents[0]))
	case err == nil:
		return out, slipway.Conflict("there is a branch %s already: give its commit as oldObjectId", branch)
	}
	for _, one := range c.Changes {
		changes, err := one.changes()
		if err != nil {
			return out, err
		}
		out.Changes = append(out.Changes, changes...)
	}
	return out, nil
}

// changes are the changes of files that one of a push stands for: a rename is a removal and an addition.
func (c newChange) changes() ([]repos.Change, error) {
	kind, err := changeTypes.of("changeType", string(c.ChangeType), "")
	if err != nil {
		return nil, err
	}
	path := strings.TrimPrefix(c.Item.Path, "/")
	var content []byte
	if c.NewContent != nil {
		form, err := contentTypes.of("contentType", string(c.NewContent.ContentType), "rawtext")
		if err != nil {
			return nil, err
		}
		content = []byte(c.NewContent.Content)
		if form == "base64encoded" {
			if content, err = base64.StdEncoding.DecodeString(c.NewContent.Content); err != nil {
				return nil, slipway.Invalid("the content of %s is not base64: %v", path, err)
			}
		}
	}
	switch kind {
	case "delete":
		return []repos.Change{{Path: path, Delete: true}}, nil
	case "rename":
		from := strings.TrimPrefix(c.SourceServerItem, "/")
		if from == "" {
			return nil, slipway.Invalid("the rename to %s has no sourceServerItem", path)
		}
		if c.NewContent != nil {
			return []repos.Change{{Path: from, Delete: true}, {Path: path, Content: content, Like: from, New: true}}, nil
		}
		return []repos.Change{{Path: from, Delete: true}, {Path: path, From: from, New: true}}, nil
	case "add", "edit":
		if c.NewContent == nil {
			return nil, slipway.Invalid("the change of %s has no newContent", path)
		}
		if kind == "add" {
			return []repos.Change{{Path: path, Content: content, New: true}}, nil
		}
		return []repos.Change{{Path: path, Content: content, Like: path}}, nil
	}
	return nil, slipway.Invalid("the change of %q has no changeType", path)
}

// author is the caller as git names people.
func (g gitRoutes) author(r request) (repos.Signature, error) {
	if r.caller.Kind != slipway.ActorUser {
		return repos.Signature{Name: r.caller.Name}, nil
	}
	u, err := g.identity.User(r.Context(), slipway.UserID(r.caller.ID))
	return repos.Signature{Name: u.GitName(), Email: u.Email}, err
}
