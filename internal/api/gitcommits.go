package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const (
	commitsOfPage = 100
	maxCommitPage = 200
	maxChangePage = 2000
	maxCommitIDs  = 200
)

// addHistory serves commits and what they change.
func (g gitRoutes) addHistory() {
	of := "/git/repositories/{repo}"
	g.project("GET", of+"/commits", identity.Read, g.getCommits)
	for _, batch := range []string{"/commitsBatch", "/commitsbatch"} {
		g.project("POST", of+batch, identity.Read, g.getCommitBatch)
	}
	g.project("GET", of+"/commits/{commit}", identity.Read, g.getCommit)
	g.project("GET", of+"/commits/{commit}/changes", identity.Read, g.getChanges)
	for _, bases := range []string{"/mergeBases", "/mergebases"} {
		g.project("GET", of+"/commits/{commit}"+bases, identity.Read, g.getMergeBases)
	}
	g.project("GET", of+"/diffs/commits", identity.Read, g.getDiffs)
}

// GitCommit is Azure DevOps' GitCommit, and its GitCommitRef.
type GitCommit struct {
	GitCommitRef
	CommentTruncated bool           `json:"commentTruncated,omitempty"`
	TreeID           string         `json:"treeId,omitempty"`
	Parents          []string       `json:"parents,omitempty"`
	ChangeCounts     map[string]int `json:"changeCounts,omitempty"`
	Changes          []GitChange    `json:"changes,omitempty"`
	URL              string         `json:"url,omitempty"`
	RemoteURL        string         `json:"remoteUrl,omitempty"`
}

func userDate(s repos.Signature) *GitUserDate { return &GitUserDate{s.Name, s.Email, s.Time} }

func gitCommit(c repos.Commit) GitCommit {
	out := GitCommit{GitCommitRef: GitCommitRef{CommitID: string(c.ID), Author: userDate(c.Author), Committer: userDate(c.Committer), Comment: strings.TrimRight(c.Message, "\n")},
		TreeID: c.Tree}
	for _, p := range c.Parents {
		out.Parents = append(out.Parents, string(p))
	}
	return out
}

// commit is gitCommit with its addresses.
func (g gitRoutes) commit(r request, repo repos.Repository, c repos.Commit) GitCommit {
	out, at := gitCommit(c), g.repository(r.project, repo)
	out.URL, out.RemoteURL = at.URL+"/commits/"+out.CommitID, at.WebURL+"/commit/"+out.CommitID
	return out
}

func (g gitRoutes) getCommits(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if push := q.Get("pushId"); push != "" {
		return g.getPushCommits(w, r, repo, push)
	}
	return g.sendCommits(w, r, repo, q)
}

// sendCommits answers with the commits that fit the criteria of a query.
func (g gitRoutes) sendCommits(w http.ResponseWriter, r request, repo repos.Repository, q url.Values) error {
	const of = "searchCriteria."
	if ids := indexed(q, of+"ids"); len(ids) > 0 {
		return g.sendNamed(w, r, repo, ids)
	}
	request := repos.HistoryRequest{Repository: repo.ID, Path: strings.Trim(q.Get(of+"itemPath"), "/"), Author: q.Get(of + "author"), Oldest: truth(q, of+"showOldestCommitsFirst")}
	var err error
	if request.Skip, err = count(q, 0, 1<<30, of+"$skip", "$skip", of+"skip"); err != nil {
		return err
	}
	if request.Limit, err = count(q, commitsOfPage, maxCommitPage, of+"$top", "$top", of+"top"); err != nil {
		return err
	}
	if request.Limit == 0 {
		return list(w, []GitCommit{})
	}
	if request.Since, err = moment(q, of+"fromDate"); err != nil {
		return err
	}
	if request.Until, err = moment(q, of+"toDate"); err != nil {
		return err
	}
	mode, err := historyModes.of(of+"historyMode", q.Get(of+"historyMode"), "simplifiedHistory")
	if err != nil {
		return err
	}
	if request.FirstOnly = mode == "firstParent"; !request.FirstOnly && mode != "simplifiedHistory" {
		return slipway.Unsupported("the history mode %s is not served: use simplifiedHistory or firstParent", mode)
	}
	if err := g.bounds(r, repo, q, &request); err != nil {
		return err
	}
	page, err := g.repos.History(r.Context(), request)
	if err != nil {
		return err
	}
	if page.TimedOut {
		return slipway.Unavailable("the history is too long to be searched in time: ask for a narrower part of it")
	}
	var out []GitCommit
	for _, e := range page.Entries {
		out = append(out, g.commit(r, repo, e.Commit))
	}
	return list(w, out)
}

// bounds reads where a history begins and where it ends.
func (g gitRoutes) bounds(r request, repo repos.Repository, q url.Values, request *repos.HistoryRequest) error {
	const of = "searchCriteria."
	// With two versions, Azure DevOps tells what the first has and the other has not.
	newest, than := descriptor(q, of+"itemVersion."), descriptor(q, of+"compareVersion.")
	if to := q.Get(of + "toCommitId"); to != "" {
		newest = versionDescriptor{Version: to, Type: "commit"}
	}
	if from := q.Get(of + "fromCommitId"); from != "" {
		than = versionDescriptor{Version: from, Type: "commit"}
	}
	var err error
	if request.Commit, err = g.resolve(r, repo, newest); err != nil {
		return err
	}
	if than.Version != "" {
		request.Not, err = g.resolve(r, repo, than)
	}
	return err
}

// sendNamed answers with commits by their names.
func (g gitRoutes) sendNamed(w http.ResponseWriter, r request, repo repos.Repository, ids []string) error {
	if len(ids) > maxCommitIDs {
		return slipway.Limit("at most %d commits are asked for by name at once", maxCommitIDs)
	}
	var names []slipway.CommitID
	for _, id := range ids {
		names = append(names, slipway.CommitID(strings.ToLower(id)))
	}
	commits, err := g.repos.CommitList(r.Context(), repo.ID, names)
	if err != nil {
		return err
	}
	var out []GitCommit
	for _, c := range commits {
		out = append(out, g.commit(r, repo, c))
	}
	return list(w, out)
}

// indexed are the values of a list in a query: name[0], name[1], or name several times.
func indexed(q url.Values, name string) []string {
	values := append([]string{}, q[name]...)
	for i := range maxCommitIDs + 1 {
		v, ok := q[name+"["+strconv.Itoa(i)+"]"]
		if !ok {
			break
		}
		values = append(values, v...)
	}
	return values
}

// moment reads a time of a query; zero when it is left out.
func moment(q url.Values, name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateTime, time.DateOnly, "1/2/2006 15:04:05", "1/2/2006 3:04:05 PM", "1/2/2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, at(name, slipway.Invalid("%q is no time: write it as 2026-01-31T12:00:00Z", text))
}

// getCommitBatch takes the criteria of getCommits in a body.
func (g gitRoutes) getCommitBatch(w http.ResponseWriter, r request) error {
	type version struct {
		Version        string `json:"version"`
		VersionType    name   `json:"versionType"`
		VersionOptions name   `json:"versionOptions"`
	}
	var body struct {
		Skip        *int     `json:"$skip"`
		Top         *int     `json:"$top"`
		Author      string   `json:"author"`
		Ids         []string `json:"ids"`
		ItemPath    string   `json:"itemPath"`
		FromDate    string   `json:"fromDate"`
		ToDate      string   `json:"toDate"`
		From        string   `json:"fromCommitId"`
		To          string   `json:"toCommitId"`
		HistoryMode name     `json:"historyMode"`
		Oldest      bool     `json:"showOldestCommitsFirst"`
		Item        version  `json:"itemVersion"`
		Compare     version  `json:"compareVersion"`
	}
	if err := r.decode(w, itemBody, &body, "criteria for commits"); err != nil {
		return err
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	set := func(name, value string) {
		if value != "" {
			q.Set("searchCriteria."+name, value)
		}
	}
	for key, value := range map[string]string{"author": body.Author, "itemPath": body.ItemPath, "fromDate": body.FromDate, "toDate": body.ToDate, "fromCommitId": body.From,
		"toCommitId": body.To, "historyMode": string(body.HistoryMode), "itemVersion.version": body.Item.Version, "itemVersion.versionType": string(body.Item.VersionType),
		"itemVersion.versionOptions": string(body.Item.VersionOptions), "compareVersion.version": body.Compare.Version,
		"compareVersion.versionType": string(body.Compare.VersionType), "compareVersion.versionOptions": string(body.Compare.VersionOptions)} {
		set(key, value)
	}
	if body.Oldest {
		set("showOldestCommitsFirst", "true")
	}
	if body.Skip != nil {
		set("$skip", strconv.Itoa(*body.Skip))
	}
	if body.Top != nil {
		set("$top", strconv.Itoa(*body.Top))
	}
	q["searchCriteria.ids"] = body.Ids
	return g.sendCommits(w, r, repo, q)
}

// namedCommit is the commit that the path names.
func (g gitRoutes) namedCommit(r request) (repos.Repository, repos.Commit, error) {
	repo, err := g.find(r)
	if err != nil {
		return repo, repos.Commit{}, err
	}
	id, err := slipway.ParseCommitID(strings.ToLower(r.named("commit")))
	if err != nil {
		return repo, repos.Commit{}, err
	}
	c, err := g.repos.Commit(r.Context(), repo.ID, id)
	return repo, c, err
}

func (g gitRoutes) getCommit(w http.ResponseWriter, r request) error {
	repo, c, err := g.namedCommit(r)
	if err != nil {
		return err
	}
	out := g.commit(r, repo, c)
	n, err := count(r.URL.Query(), 0, maxChangePage, "changeCount")
	if err != nil {
		return err
	}
	if n > 0 {
		all, _, err := g.changes(r, repo, parent(c), c.ID)
		if err != nil {
			return err
		}
		out.ChangeCounts, out.Changes = changeCounts(all), all[:min(n, len(all))]
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

// parent is the commit's first parent, zero for the first commit.
func parent(c repos.Commit) slipway.CommitID {
	if len(c.Parents) == 0 {
		return ""
	}
	return c.Parents[0]
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
