package api

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// addPullExtras serves what belongs to pull requests beside their threads.
func (g gitRoutes) addPullExtras(pull string) {
	g.project("GET", pull+"/labels", identity.Read, g.listLabels)
	g.project("POST", pull+"/labels", identity.Contribute, g.addLabel)
	g.project("GET", pull+"/labels/{label}", identity.Read, g.getLabel)
	g.project("DELETE", pull+"/labels/{label}", identity.Contribute, g.removeLabel)
	likes := pull + "/threads/{thread}/comments/{comment}/likes"
	g.project("GET", likes, identity.Read, g.listLikes)
	g.project("POST", likes, identity.Contribute, g.like)
	g.project("DELETE", likes, identity.Contribute, g.like)
	g.project("GET", pull+"/attachments", identity.Read, g.listAttachments)
	g.project("POST", pull+"/attachments/{file}", identity.Contribute, g.attach)
	g.project("GET", pull+"/attachments/{file}", identity.Read, g.getAttachment)
	g.project("DELETE", pull+"/attachments/{file}", identity.Contribute, g.removeAttachment)
	g.project("GET", pull+"/iterations/{iteration}", identity.Read, g.getIteration)
	g.project("GET", pull+"/iterations/{iteration}/changes", identity.Read, g.iterationChanges)
}

// Label is Azure DevOps' WebApiTagDefinition.
type Label struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Active bool   `json:"active"`
	URL    string `json:"url"`
}

func (g gitRoutes) label(r request, repo repos.Repository, p repos.PullRequest, l repos.Label) Label {
	id := l.ID(p.Project).String()
	return Label{ID: id, Name: l.Name, Active: true, URL: fmt.Sprintf("%s/pullRequests/%d/labels/%s", g.repository(r.project, repo).URL, p.ID, id)}
}

func (g gitRoutes) labels(r request, repo repos.Repository, p repos.PullRequest) ([]Label, error) {
	all, err := g.repos.Labels(r.Context(), p.ID)
	var out []Label
	for _, l := range all[p.ID] {
		out = append(out, g.label(r, repo, p, l))
	}
	return out, err
}

func (g gitRoutes) listLabels(w http.ResponseWriter, r request) error {
	repo, p, err := g.pull(r)
	if err != nil {
		return err
	}
	out, err := g.labels(r, repo, p)
	if err != nil {
		return err
	}
	return list(w, out)
}

func (g gitRoutes) addLabel(w http.ResponseWriter, r request) error {
	repo, p, err := g.pull(r)
	if err != nil {
		return err
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := r.decode(w, maxPullRequestBody, &body, `{"name": "LABEL"}`); err != nil {
		return err
	}
	l, err := g.repos.AddLabel(r.Context(), r.caller.Actor, p.ID, body.Name)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.label(r, repo, p, l))
	return nil
}

func (g gitRoutes) getLabel(w http.ResponseWriter, r request) error {
	repo, p, err := g.pull(r)
	if err != nil {
		return err
	}
	l, err := g.repos.Label(r.Context(), p, r.named("label"))
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.label(r, repo, p, l))
	return nil
}

func (g gitRoutes) removeLabel(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	if err := g.repos.RemoveLabel(r.Context(), r.caller.Actor, p, r.named("label")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (g gitRoutes) commentKey(r request) (repos.PullRequest, repos.CommentKey, error) {
	p, t, err := g.thread(r)
	if err != nil {
		return p, repos.CommentKey{}, err
	}
	number, err := r.number("comment")
	return p, repos.CommentKey{Thread: t.ID, Number: int(number)}, err
}

func (g gitRoutes) listLikes(w http.ResponseWriter, r request) error {
	p, key, err := g.commentKey(r)
	if err != nil {
		return err
	}
	all, err := g.repos.Likes(r.Context(), p.ID)
	if err != nil {
		return err
	}
	var out []IdentityRef
	for _, who := range all[key] {
		out = append(out, *identityRef(who))
	}
	return list(w, out)
}

// like notes that the caller likes a comment, or with DELETE does no more.
func (g gitRoutes) like(w http.ResponseWriter, r request) error {
	p, key, err := g.commentKey(r)
	if err != nil {
		return err
	}
	if err := g.repos.Like(r.Context(), r.caller.Actor, p.ID, key, r.Method == http.MethodPost); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// GitAttachment is Azure DevOps' Attachment.
type GitAttachment struct {
	ID          int64        `json:"id"`
	DisplayName string       `json:"displayName"`
	Author      *IdentityRef `json:"author"`
	ContentHash string       `json:"contentHash"` // SHA-1 in hex
	CreatedDate time.Time    `json:"createdDate"`
	URL         string       `json:"url"`
}

func (g gitRoutes) attachment(r request, repo repos.Repository, p repos.PullRequest, a repos.Attachment) GitAttachment {
	return GitAttachment{ID: a.ID, DisplayName: a.Name, Author: identityRef(a.CreatedBy), ContentHash: a.Hash, CreatedDate: a.Created,
		URL: fmt.Sprintf("%s/pullRequests/%d/attachments/%s", g.repository(r.project, repo).URL, p.ID, url.PathEscape(a.Name))}
}

func (g gitRoutes) listAttachments(w http.ResponseWriter, r request) error {
	repo, p, err := g.pull(r)
	if err != nil {
		return err
	}
	all, err := g.repos.Attachments(r.Context(), p.ID)
	if err != nil {
		return err
	}
	var out []GitAttachment
	for _, a := range all {
		out = append(out, g.attachment(r, repo, p, a))
	}
	return list(w, out)
}

func (g gitRoutes) attach(w http.ResponseWriter, r request) error {
	repo, p, err := g.pull(r)
	if err != nil {
		return err
	}
	a, err := g.repos.Attach(r.Context(), r.caller.Actor, p, r.named("file"), r.Body)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, g.attachment(r, repo, p, a))
	return nil
}

// pictureTypes are the attachments that browsers show, and that hold no script; others are saved.
var pictureTypes = map[string]string{".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}

func (g gitRoutes) getAttachment(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	a, content, err := g.repos.OpenAttachment(r.Context(), p, r.named("file"))
	if err != nil {
		return err
	}
	defer content.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if t := pictureTypes[strings.ToLower(path.Ext(a.Name))]; t != "" {
		h.Set("Content-Type", t)
	} else {
		h.Set("Content-Disposition", "attachment")
	}
	h.Set("Content-Length", strconv.FormatInt(a.Size, 10))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=3600")
	_, _ = io.Copy(w, content) // a reader who has gone needs no answer
	return nil
}

func (g gitRoutes) removeAttachment(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	if err := g.repos.DeleteAttachment(r.Context(), r.caller.Actor, p, r.named("file")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// GitIteration is Azure DevOps' GitPullRequestIteration.
type GitIteration struct {
	ID              int           `json:"id"`
	Author          *IdentityRef  `json:"author"`
	CreatedDate     time.Time     `json:"createdDate"`
	SourceRefCommit *GitCommitRef `json:"sourceRefCommit"`
	TargetRefCommit *GitCommitRef `json:"targetRefCommit"`
	CommonRefCommit *GitCommitRef `json:"commonRefCommit,omitempty"`
}

func (g gitRoutes) listIterations(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	all, err := g.repos.Iterations(r.Context(), p.ID)
	if err != nil {
		return err
	}
	var out []GitIteration
	for _, i := range all {
		out = append(out, gitIteration(i))
	}
	return list(w, out)
}

func gitIteration(i repos.Iteration) GitIteration {
	return GitIteration{i.Number, identityRef(i.CreatedBy), i.Created, commitRef(i.SourceCommit), commitRef(i.TargetCommit), commitRef(i.BaseCommit)}
}

func (g gitRoutes) getIteration(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	number, err := r.number("iteration")
	if err != nil {
		return err
	}
	all, err := g.repos.Iterations(r.Context(), p.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(i repos.Iteration) bool { return int64(i.Number) == number })
	if i < 0 {
		return slipway.NotFound("pull request %d has no iteration %d", p.ID, number)
	}
	httpx.WriteJSON(w, http.StatusOK, gitIteration(all[i]))
	return nil
}

// GitPullRequestChange is a file of an iteration, as Azure DevOps shows it.
type GitPullRequestChange struct {
	ChangeID         int           `json:"changeId"`
	ChangeTrackingID int           `json:"changeTrackingId"`
	ChangeType       string        `json:"changeType"` // add, delete, edit, rename, or `edit, rename`
	Item             GitChangeItem `json:"item"`
	OriginalPath     string        `json:"originalPath,omitempty"`
}

// GitChangeItem is a file.
type GitChangeItem struct {
	Path             string `json:"path"` // from the root, with a slash before it
	ObjectID         string `json:"objectId,omitempty"`
	OriginalObjectID string `json:"originalObjectId,omitempty"`
}

// iterationChanges lists the files of an iteration, or with $compareTo what changed since an earlier one.
func (g gitRoutes) iterationChanges(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	number, err := r.number("iteration")
	if err != nil {
		return err
	}
	at := map[string]int{"$compareTo": 0, "$skip": 0, "$top": 100}
	for name := range at {
		if text := r.URL.Query().Get(name); text != "" {
			if at[name], err = strconv.Atoi(text); err != nil || at[name] < 0 {
				return slipway.Invalid("%s %q is no number", name, text)
			}
		}
	}
	all, err := g.repos.Iterations(r.Context(), p.ID)
	if err != nil {
		return err
	}
	span, err := repos.SpanOf(all, at["$compareTo"], int(number))
	if err != nil {
		return err
	}
	files, _, err := g.repos.SpanChanges(r.Context(), p, span)
	if err != nil {
		return err
	}
	top, skip := min(at["$top"], 2000), min(at["$skip"], len(files))
	entries := []GitPullRequestChange{}
	for i, f := range files[skip:min(skip+top, len(files))] {
		entries = append(entries, gitChange(skip+i+1, f))
	}
	out := map[string]any{"changeEntries": entries, "nextSkip": 0, "nextTop": 0}
	if next := skip + len(entries); next < len(files) {
		out["nextSkip"], out["nextTop"] = next, min(top, len(files)-next)
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func gitChange(id int, f repos.TreeChange) GitPullRequestChange {
	c := GitPullRequestChange{ChangeID: id, ChangeTrackingID: id, Item: GitChangeItem{Path: "/" + f.Path(), ObjectID: f.NewObject, OriginalObjectID: f.OldObject}}
	switch f.Status {
	case repos.FileAdded:
		c.ChangeType = "add"
	case repos.FileDeleted:
		c.ChangeType = "delete"
	case repos.FileRenamed:
		c.ChangeType, c.OriginalPath = "rename", "/"+f.OldPath
		if f.OldObject != f.NewObject {
			c.ChangeType = "edit, rename"
		}
	default:
		c.ChangeType = "edit"
	}
	return c
}
