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
	maxCommitIDs  = 200
)

// addHistory serves commits.
func (g gitRoutes) addHistory() {
	of := "/git/repositories/{repo}"
	g.project("GET", of+"/commits", identity.Read, g.getCommits)
	g.project("POST", of+"/commitsBatch", identity.Read, g.getCommitBatch)
	g.project("GET", of+"/commits/{commit}", identity.Read, g.getCommit)
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
