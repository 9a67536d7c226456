package api

import (
	"net/http"
	"net/url"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const maxChangePage = 2000

// addChanges serves what commits change, and what lies between two of them.
func (g gitRoutes) addChanges() {
	of := "/git/repositories/{repo}"
	g.project("GET", of+"/commits/{commit}/changes", identity.Read, g.getChanges)
	g.project("GET", of+"/commits/{commit}/mergeBases", identity.Read, g.getMergeBases)
	g.project("GET", of+"/diffs/commits", identity.Read, g.getDiffs)
}

// GitChange is Azure DevOps' GitChange.
type GitChange struct {
	Item             GitItem `json:"item"`
	ChangeType       string  `json:"changeType"` // add, edit, rename, delete
	SourceServerItem string  `json:"sourceServerItem,omitempty"`
	OriginalPath     string  `json:"originalPath,omitempty"`
}

// changes are the files that differ, and whether there are more than can be told.
func (g gitRoutes) changes(r request, repo repos.Repository, from, to slipway.CommitID) ([]GitChange, bool, error) {
	all, more, err := g.repos.Changes(r.Context(), repo.ID, from, to)
	out := []GitChange{}
	for _, c := range all {
		at, object := to, c.NewObject
		change := GitChange{ChangeType: "edit"}
		switch c.Status {
		case repos.FileAdded:
			change.ChangeType = "add"
		case repos.FileDeleted:
			change.ChangeType, at, object = "delete", from, c.OldObject
		case repos.FileRenamed:
			change.ChangeType, change.SourceServerItem, change.OriginalPath = "rename", "/"+c.OldPath, "/"+c.OldPath
			if c.OldObject != c.NewObject {
				change.ChangeType = "edit, rename"
			}
		}
		kind := repos.EntryFile
		if c.Kind == "commit" {
			kind = repos.EntrySubmodule
		}
		change.Item = g.newItem(r, repo, at, repos.Entry{Path: c.Path(), Object: object, Kind: kind})
		if c.OldObject != "" && c.Status != repos.FileDeleted {
			change.Item.OriginalObjectID = c.OldObject
		}
		out = append(out, change)
	}
	return out, more, err
}

// changeCounts are Azure DevOps' counts by the kind of the change.
func changeCounts(list []GitChange) map[string]int {
	counts := map[string]int{}
	for _, c := range list {
		kind, _, _ := strings.Cut(c.ChangeType, ",")
		counts[strings.ToUpper(kind[:1])+kind[1:]]++
	}
	return counts
}

// pageOf cuts a list by $top and $skip, or top and skip.
func pageOf[T any](q url.Values, all []T, otherwise int) (part []T, whole bool, err error) {
	skip, err := count(q, 0, len(all), "$skip", "skip")
	if err != nil {
		return nil, false, err
	}
	top, err := count(q, otherwise, maxChangePage, "$top", "top")
	if err != nil {
		return nil, false, err
	}
	skip = min(skip, len(all))
	part = all[skip:min(skip+top, len(all))]
	return part, skip+len(part) == len(all), nil
}

func (g gitRoutes) getChanges(w http.ResponseWriter, r request) error {
	repo, c, err := g.namedCommit(r)
	if err != nil {
		return err
	}
	all, _, err := g.changes(r, repo, parent(c), c.ID)
	if err != nil {
		return err
	}
	part, _, err := pageOf(r.URL.Query(), all, maxChangePage)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"changeCounts": changeCounts(all), "changes": part})
	return nil
}

func (g gitRoutes) getMergeBases(w http.ResponseWriter, r request) error {
	repo, c, err := g.namedCommit(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if other := q.Get("otherRepositoryId"); other != "" && other != string(repo.ID) {
		return slipway.Unsupported("merge bases are of one repository: leave otherRepositoryId out")
	}
	other, err := g.resolve(r, repo, versionDescriptor{Version: q.Get("otherCommitId"), Type: "commit"})
	if err != nil {
		return err
	}
	base, err := g.repos.MergeBase(r.Context(), repo.ID, c.ID, other)
	if err != nil {
		return err
	}
	var out []GitCommitRef
	if !base.IsZero() {
		out = append(out, *commitRef(base))
	}
	return list(w, out)
}

// GitCommitDiffs is Azure DevOps' GitCommitDiffs.
type GitCommitDiffs struct {
	AllChangesIncluded bool             `json:"allChangesIncluded"`
	ChangeCounts       map[string]int   `json:"changeCounts"`
	Changes            []GitChange      `json:"changes"`
	CommonCommit       slipway.CommitID `json:"commonCommit,omitempty"`
	BaseCommit         slipway.CommitID `json:"baseCommit"`
	TargetCommit       slipway.CommitID `json:"targetCommit"`
	AheadCount         int              `json:"aheadCount"`
	BehindCount        int              `json:"behindCount"`
}

// getDiffs compares two versions: since they parted with diffCommonCommit, else the two themselves.
func (g gitRoutes) getDiffs(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	ctx, q := r.Context(), r.URL.Query()
	side := func(which string) (slipway.CommitID, error) {
		d := versionDescriptor{q.Get(which + "Version"), q.Get(which + "VersionType"), q.Get(which + "VersionOptions")}
		if d.Version == "" {
			d = descriptor(q, which+"VersionDescriptor.")
		}
		return g.resolve(r, repo, d)
	}
	out := GitCommitDiffs{}
	if out.BaseCommit, err = side("base"); err != nil {
		return err
	}
	if out.TargetCommit, err = side("target"); err != nil {
		return err
	}
	if out.CommonCommit, err = g.repos.MergeBase(ctx, repo.ID, out.BaseCommit, out.TargetCommit); err != nil {
		return err
	}
	n, err := g.repos.AheadBehind(ctx, repo.ID, out.BaseCommit, out.TargetCommit)
	if err != nil {
		return err
	}
	out.AheadCount, out.BehindCount = n.Ahead, n.Behind
	from := out.BaseCommit
	if truth(q, "diffCommonCommit") && !out.CommonCommit.IsZero() {
		from = out.CommonCommit
	}
	all, more, err := g.changes(r, repo, from, out.TargetCommit)
	if err != nil {
		return err
	}
	out.ChangeCounts = changeCounts(all)
	out.Changes, out.AllChangesIncluded, err = pageOf(q, all, commitsOfPage)
	out.AllChangesIncluded = out.AllChangesIncluded && !more
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}
