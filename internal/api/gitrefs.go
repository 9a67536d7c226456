package api

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const (
	refsOfPage = 1000
	maxPushed  = 64 << 20 // bytes of a push's body
	pushesPage = 100
	maxPushes  = 1000
	noObject   = "0000000000000000000000000000000000000000"
)

// addRefs serves branches, tags and pushes.
func (g gitRoutes) addRefs() {
	of := "/git/repositories/{repo}"
	g.project("GET", of+"/refs", identity.Read, g.getRefs)
	g.project("GET", of+"/refs/*", identity.Read, g.getRefs)
	g.project("POST", of+"/refs", identity.Contribute, g.updateRefs)
	g.project("PATCH", of+"/refs", identity.Contribute, g.lockRef)
	g.project("PATCH", of+"/refs/*", identity.Contribute, g.lockRef)
	g.project("GET", of+"/stats/branches", identity.Read, g.getStats)
	g.project("GET", of+"/pushes", identity.Read, g.getPushes)
	g.project("POST", of+"/pushes", identity.Contribute, g.createPush)
	g.project("GET", of+"/pushes/{push}", identity.Read, g.getPush)
	for _, tags := range []string{"/annotatedTags", "/annotatedtags"} {
		g.project("POST", of+tags, identity.Contribute, g.createTag)
		g.project("GET", of+tags+"/{object}", identity.Read, g.getTag)
	}
}

// GitRef is Azure DevOps' GitRef.
type GitRef struct {
	Name           string `json:"name"`
	ObjectID       string `json:"objectId"`
	PeeledObjectID string `json:"peeledObjectId,omitempty"` // of an annotated tag: the commit
	IsLocked       bool   `json:"isLocked,omitempty"`
	URL            string `json:"url"`
}

func (g gitRoutes) getRefs(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	filter := q.Get("filter")
	if rest := r.named("*"); rest != "" {
		filter = rest
	}
	filter = "refs/" + strings.TrimPrefix(filter, "refs/")
	branches, err := g.repos.Branches(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	tags, err := g.repos.Tags(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	top, err := count(q, refsOfPage, refsOfPage, "$top")
	if err != nil {
		return err
	}
	address, contains := g.repository(r.project, repo).URL, strings.ToLower(q.Get("filterContains"))
	var out []GitRef
	for _, ref := range append(branches, tags...) { // by name, since heads comes before tags
		if !strings.HasPrefix(ref.Full, filter) || !strings.Contains(strings.ToLower(ref.Full), contains) || ref.Full < q.Get("continuationToken") {
			continue
		}
		if len(out) == top {
			w.Header().Set("X-Ms-Continuationtoken", ref.Full)
			break
		}
		one := GitRef{Name: ref.Full, ObjectID: ref.Target, URL: address + "/refs?filter=" + strings.TrimPrefix(ref.Full, "refs/")}
		if truth(q, "peelTags") && ref.Target != string(ref.Commit) {
			one.PeeledObjectID = string(ref.Commit)
		}
		out = append(out, one)
	}
	return list(w, out)
}

// GitRefUpdate is Azure DevOps' GitRefUpdate.
type GitRefUpdate struct {
	Name        string `json:"name"`
	OldObjectID string `json:"oldObjectId"`
	NewObjectID string `json:"newObjectId"`
}

// GitRefUpdateResult is Azure DevOps' GitRefUpdateResult.
type GitRefUpdateResult struct {
	GitRefUpdate
	RepositoryID  slipway.RepositoryID `json:"repositoryId"`
	IsLocked      bool                 `json:"isLocked"`
	UpdateStatus  string               `json:"updateStatus"`
	Success       bool                 `json:"success"`
	CustomMessage string               `json:"customMessage,omitempty"`
	RejectedBy    string               `json:"rejectedBy,omitempty"`
}

func (g gitRoutes) updateRefs(w http.ResponseWriter, r request) error {
	var body []GitRefUpdate
	if err := r.decode(w, itemBody, &body, "a list of updates of refs"); err != nil {
		return err
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	var updates []repos.RefUpdate
	for _, u := range body {
		updates = append(updates, repos.RefUpdate{Name: u.Name, Old: u.OldObjectID, New: u.NewObjectID})
	}
	results, err := g.repos.UpdateRefs(r.Context(), repo.ID, r.caller.Actor, updates)
	if err != nil {
		return err
	}
	var out []GitRefUpdateResult
	for i, u := range body {
		out = append(out, refResult(r, repo.ID, u, results[i]))
	}
	return list(w, out)
}

// refResult tells how the update of one ref went, in Azure DevOps' words.
func refResult(r request, id slipway.RepositoryID, u GitRefUpdate, err error) GitRefUpdateResult {
	out := GitRefUpdateResult{GitRefUpdate: u, RepositoryID: id, UpdateStatus: "succeeded", Success: err == nil}
	if err == nil {
		return out
	}
	p := httpx.Problem(r.Request, err)
	out.CustomMessage = p.Message
	switch {
	case p.Field == repos.FieldPolicy:
		out.UpdateStatus, out.RejectedBy = "rejectedByPolicy", "branch policies"
	case p.Code == slipway.CodeConflict:
		out.UpdateStatus = "staleOldObjectId"
	case p.Code == slipway.CodeNotFound:
		out.UpdateStatus = "unresolvableToCommit"
	default:
		out.UpdateStatus = "invalidRefName"
	}
	return out
}

// lockRef says what stands in the place of locks.
func (g gitRoutes) lockRef(http.ResponseWriter, request) error {
	return slipway.Unsupported("branches are not locked one by one: give the branch a policy, as required reviewers")
}

// GitBranchStats is Azure DevOps' GitBranchStats.
type GitBranchStats struct {
	Commit        GitCommit `json:"commit"`
	Name          string    `json:"name"`
	AheadCount    int       `json:"aheadCount"`
	BehindCount   int       `json:"behindCount"`
	IsBaseVersion bool      `json:"isBaseVersion"`
}

// maxStats bounds the branches that are compared in one answer.
const maxStats = 200

func (g gitRoutes) getStats(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	d := descriptor(q, "baseVersionDescriptor.")
	base, err := g.resolve(r, repo, d)
	if err != nil {
		return err
	}
	branches, err := g.repos.Branches(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	only := strings.TrimPrefix(q.Get("name"), "refs/heads/")
	if only == "" && len(branches) > maxStats {
		return slipway.Limit("there are %d branches, of which %d are compared at once: name one", len(branches), maxStats)
	}
	baseName := d.Version
	if baseName == "" {
		baseName = repo.DefaultBranch
	}
	out := []GitBranchStats{}
	for _, b := range branches {
		if only != "" && b.Name != only {
			continue
		}
		n, err := g.repos.AheadBehind(r.Context(), repo.ID, base, b.Commit)
		if err != nil {
			return err
		}
		c, err := g.repos.Commit(r.Context(), repo.ID, b.Commit)
		if err != nil {
			return err
		}
		out = append(out, GitBranchStats{g.commit(r, repo, c), b.Name, n.Ahead, n.Behind, b.Name == baseName})
	}
	if only == "" {
		return list(w, out)
	}
	if len(out) == 0 {
		return slipway.NotFound("the repository has no branch %q", only)
	}
	httpx.WriteJSON(w, http.StatusOK, out[0])
	return nil
}

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
	if refs {
		u := GitRefUpdate{Name: p.Ref, OldObjectID: string(p.Before), NewObjectID: string(p.After)}
		if p.Before.IsZero() {
			u.OldObjectID = noObject
		}
		if p.After.IsZero() {
			u.NewObjectID = noObject
		}
		out.RefUpdates = []GitRefUpdate{u}
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
		if ref != "" && p.Ref != ref || pusher != "" && p.Actor.ID != pusher || !from.IsZero() && p.When.Before(from) || !to.IsZero() && p.When.After(to) {
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

// newPush is the body of a push that brings one commit.
type newPush struct {
	RefUpdates []GitRefUpdate `json:"refUpdates"`
	Commits    []struct {
		Comment string   `json:"comment"`
		Parents []string `json:"parents"`
		Author  *struct {
			Name  string    `json:"name"`
			Email string    `json:"email"`
			Date  time.Time `json:"date"`
		} `json:"author"`
		Changes []newChange `json:"changes"`
	} `json:"commits"`
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

// createPush makes a commit on a branch of what the body holds.
func (g gitRoutes) createPush(w http.ResponseWriter, r request) error {
	var body newPush
	if err := r.decode(w, maxPushed, &body, "a push"); err != nil {
		return err
	}
	if len(body.RefUpdates) != 1 || len(body.Commits) != 1 {
		return slipway.Unsupported("a push by REST moves one branch by one commit: send one after the other, or use git")
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	request, err := g.commitRequest(r, repo, body)
	if err != nil {
		return err
	}
	commit, err := g.repos.CommitFiles(r.Context(), request)
	if err != nil {
		return err
	}
	c, err := g.repos.Commit(r.Context(), repo.ID, commit)
	if err != nil {
		return err
	}
	record, err := g.pushOf(r, repo, commit)
	if err != nil {
		return err
	}
	out := g.push(r, repo, record, true)
	out.Commits = []GitCommit{g.commit(r, repo, c)}
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

func (g gitRoutes) commitRequest(r request, repo repos.Repository, body newPush) (repos.CommitRequest, error) {
	update, c := body.RefUpdates[0], body.Commits[0]
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
	if strings.Trim(update.OldObjectID, "0") != "" {
		out.Expect = slipway.CommitID(strings.ToLower(update.OldObjectID))
	} else if len(c.Parents) > 0 {
		out.Start = slipway.CommitID(strings.ToLower(c.Parents[0]))
	} else if _, err := g.repos.Resolve(r.Context(), repo.ID, update.Name); err == nil {
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
			return []repos.Change{{Path: from, Delete: true}, {Path: path, Content: content}}, nil
		}
		return []repos.Change{{Path: from, Delete: true}, {Path: path, From: from}}, nil
	case "add", "edit":
		if c.NewContent == nil {
			return nil, slipway.Invalid("the change of %s has no newContent", path)
		}
		return []repos.Change{{Path: path, Content: content}}, nil
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

// GitAnnotatedTag is Azure DevOps' GitAnnotatedTag.
type GitAnnotatedTag struct {
	Name         string       `json:"name"`
	ObjectID     string       `json:"objectId"`
	Message      string       `json:"message"`
	TaggedBy     *GitUserDate `json:"taggedBy,omitempty"`
	TaggedObject GitObject    `json:"taggedObject"`
	URL          string       `json:"url"`
}

// GitObject is Azure DevOps' GitObject.
type GitObject struct {
	ObjectID   string `json:"objectId"`
	ObjectType string `json:"objectType,omitempty"`
}

func (g gitRoutes) sendTag(w http.ResponseWriter, r request, repo repos.Repository, status int, object string) error {
	t, err := g.repos.TagObject(r.Context(), repo.ID, object)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, status, GitAnnotatedTag{Name: t.Name, ObjectID: t.Object, Message: t.Message, TaggedBy: userDate(t.Tagger), TaggedObject: GitObject{t.Target, t.Kind},
		URL: g.repository(r.project, repo).URL + "/annotatedTags/" + t.Object})
	return nil
}

func (g gitRoutes) getTag(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	return g.sendTag(w, r, repo, http.StatusOK, strings.ToLower(r.named("object")))
}

func (g gitRoutes) createTag(w http.ResponseWriter, r request) error {
	var body GitAnnotatedTag
	if err := r.decode(w, itemBody, &body, "an annotated tag"); err != nil {
		return err
	}
	if strings.TrimSpace(body.Message) == "" {
		return slipway.Invalid("an annotated tag needs a message: one without is made by an update of refs")
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	tagger, err := g.author(r)
	if err != nil {
		return err
	}
	object, err := g.repos.CreateTag(r.Context(), repos.TagRequest{Repository: repo.ID, Name: strings.TrimPrefix(body.Name, "refs/tags/"),
		Object: strings.ToLower(body.TaggedObject.ObjectID), Message: body.Message, Tagger: tagger, Actor: r.caller.Actor})
	if err != nil {
		return err
	}
	return g.sendTag(w, r, repo, http.StatusCreated, object)
}
