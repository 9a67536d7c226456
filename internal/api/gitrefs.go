package api

import (
	"cmp"
	"net/http"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const refsOfPage = 1000

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
	g.project("POST", of+"/annotatedTags", identity.Contribute, g.createTag)
	g.project("GET", of+"/annotatedTags/{object}", identity.Read, g.getTag)
}

// GitRef is Azure DevOps' GitRef.
type GitRef struct {
	Name           string `json:"name"`
	ObjectID       string `json:"objectId"`
	PeeledObjectID string `json:"peeledObjectId,omitempty"` // of an annotated tag: the commit
	IsLocked       bool   `json:"isLocked,omitempty"`
	// IsLockedBy is who locked the branch, and unlocks it.
	IsLockedBy *IdentityRef `json:"isLockedBy,omitempty"`
	URL        string       `json:"url"`
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
	locks, err := g.repos.BranchLocks(r.Context(), repo.ID)
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
		if l, ok := locks[ref.Full]; ok {
			one.IsLocked, one.IsLockedBy = true, identityRef(l.By)
		}
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
	case p.Field == repos.FieldLock:
		out.UpdateStatus, out.IsLocked = "locked", true
	case p.Code == slipway.CodeConflict:
		out.UpdateStatus = "staleOldObjectId"
	case p.Code == slipway.CodeNotFound:
		out.UpdateStatus = "unresolvableToCommit"
	default:
		out.UpdateStatus = "invalidRefName"
	}
	return out
}

// lockRef locks a branch, or unlocks it.
func (g gitRoutes) lockRef(w http.ResponseWriter, r request) error {
	var body struct {
		Name     string `json:"name"`
		IsLocked *bool  `json:"isLocked"`
	}
	if err := r.decode(w, itemBody, &body, `{"isLocked": true}`); err != nil {
		return err
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	name := cmp.Or(r.named("*"), r.URL.Query().Get("filter"), body.Name)
	if name == "" || body.IsLocked == nil {
		return slipway.Invalid(`name the branch and what becomes of it: PATCH refs?filter=heads/main with {"isLocked": true}`)
	}
	ref := "refs/heads/" + strings.TrimPrefix(strings.TrimPrefix(name, "refs/"), "heads/")
	administers := g.identity.Authorize(r.Context(), r.caller, identity.Administer, r.project.ID) == nil
	if err := g.repos.LockBranch(r.Context(), r.caller.Actor, repo.ID, ref, *body.IsLocked, administers); err != nil {
		return err
	}
	commit, err := g.repos.Resolve(r.Context(), repo.ID, ref)
	if err != nil {
		return err
	}
	out := GitRef{Name: ref, ObjectID: string(commit), IsLocked: *body.IsLocked, URL: g.repository(r.project, repo).URL + "/refs?filter=" + strings.TrimPrefix(ref, "refs/")}
	if out.IsLocked {
		locks, err := g.repos.BranchLocks(r.Context(), repo.ID)
		if err != nil {
			return err
		}
		out.IsLockedBy = identityRef(locks[ref].By)
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
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
