package api

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const (
	maxItem      = 64 << 20  // bytes of a file that is given out
	maxItemJSON  = 4 << 20   // of one in a JSON answer
	maxItems     = 100_000   // in one list
	maxItemBatch = 100       // descriptors
	itemBody     = 256 << 10 // bytes of a request about items
)

// addItems serves files and folders.
func (g gitRoutes) addItems() {
	of := "/git/repositories/{repo}"
	g.project("GET", of+"/items", identity.Read, g.getItems)
	g.project("GET", of+"/items/*", identity.Read, g.getItems)
	g.project("POST", of+"/itemsBatch", identity.Read, g.getItemBatch)
}

// GitItem is Azure DevOps' GitItem: a file or a folder in a version.
type GitItem struct {
	ObjectID              string           `json:"objectId,omitempty"`
	OriginalObjectID      string           `json:"originalObjectId,omitempty"`
	GitObjectType         string           `json:"gitObjectType,omitempty"` // blob, tree, commit
	CommitID              slipway.CommitID `json:"commitId,omitempty"`
	Path                  string           `json:"path"`
	IsFolder              bool             `json:"isFolder,omitempty"`
	IsSymLink             bool             `json:"isSymLink,omitempty"`
	Content               *string          `json:"content,omitempty"`
	ContentMetadata       *ContentMetadata `json:"contentMetadata,omitempty"`
	LatestProcessedChange *GitCommit       `json:"latestProcessedChange,omitempty"`
	URL                   string           `json:"url,omitempty"`
}

// ContentMetadata is Azure DevOps' FileContentMetadata.
type ContentMetadata struct {
	FileName    string `json:"fileName"`
	Extension   string `json:"extension,omitempty"`
	ContentType string `json:"contentType"`
	Encoding    int    `json:"encoding"` // a code page: 65001 for UTF-8, -1 for a binary file
	IsBinary    bool   `json:"isBinary,omitempty"`
	IsImage     bool   `json:"isImage,omitempty"`
}

func (g gitRoutes) newItem(r request, repo repos.Repository, commit slipway.CommitID, e repos.Entry) GitItem {
	i := GitItem{ObjectID: e.Object, GitObjectType: "blob", CommitID: commit, Path: "/" + e.Path, IsSymLink: e.Kind == repos.EntrySymlink}
	switch e.Kind {
	case repos.EntryFolder:
		i.GitObjectType, i.IsFolder = "tree", true
	case repos.EntrySubmodule:
		i.GitObjectType = "commit"
	}
	i.URL = g.repository(r.project, repo).URL + "/items?path=" + url.QueryEscape(i.Path) + "&versionType=Commit&version=" + string(commit)
	return i
}

func metadata(name string, binary bool) *ContentMetadata {
	ext := path.Ext(name)
	m := &ContentMetadata{FileName: path.Base(name), Extension: strings.TrimPrefix(ext, "."), ContentType: "text/plain", Encoding: 65001, IsBinary: binary}
	if binary {
		m.ContentType, m.Encoding = "application/octet-stream", -1
	}
	if kind, _, _ := strings.Cut(mime.TypeByExtension(ext), ";"); kind != "" {
		m.ContentType = kind
	}
	m.IsImage = strings.HasPrefix(m.ContentType, "image/")
	return m
}

// itemRequest is what a call wants to know of which items.
type itemRequest struct {
	repo      repos.Repository
	commit    slipway.CommitID
	path      string // without a slash at its beginning
	recursion string
	format    string // json, text, zip, octetstream
	query     url.Values
}

func (g gitRoutes) readItems(r request) (i itemRequest, list bool, err error) {
	if i.repo, err = g.find(r); err != nil {
		return i, false, err
	}
	i.query = r.URL.Query()
	scope := i.query.Get("scopePath")
	i.path = i.query.Get("path")
	if rest := r.named("*"); rest != "" {
		i.path = rest
	}
	// A path asks for one item, a scope or nothing for a list.
	if list = i.path == ""; list {
		i.path = scope
	}
	i.path = strings.Trim(path.Clean("/"+i.path), "/")
	if i.commit, err = g.resolve(r, i.repo, descriptor(i.query, "versionDescriptor.")); err != nil {
		return i, list, err
	}
	otherwise := "none"
	if list {
		otherwise = "oneLevel"
	}
	if i.recursion, err = recursionLevels.of("recursionLevel", i.query.Get("recursionLevel"), otherwise); err != nil {
		return i, list, err
	}
	i.format, err = format(r, !list)
	return i, list, err
}

// format is the form of the answer that the caller wants: `$format` before what it accepts. Who accepts anything gets a file as it is.
func format(r request, file bool) (string, error) {
	switch asked := strings.ToLower(r.URL.Query().Get("$format")); asked {
	case "json", "text", "zip", "octetstream":
		return asked, nil
	case "":
	default:
		return "", at("$format", slipway.Invalid("use json, text, zip or octetStream, not %q", asked))
	}
	accept := r.Header.Get("Accept")
	for kind, form := range map[string]string{"application/zip": "zip", "application/octet-stream": "octetstream", "text/plain": "text", "application/json": "json"} {
		if strings.HasPrefix(accept, kind) {
			return form, nil
		}
	}
	if file {
		return "octetstream", nil
	}
	return "json", nil
}

func (g gitRoutes) getItems(w http.ResponseWriter, r request) error {
	i, wantsList, err := g.readItems(r)
	if err != nil {
		return err
	}
	if i.format == "zip" {
		return g.sendArchive(w, r, i)
	}
	if wantsList || i.recursion != "none" {
		items, err := g.items(r, i)
		if err != nil {
			return err
		}
		return list(w, items)
	}
	item, file, err := g.item(r, i)
	if err != nil {
		return err
	}
	if i.format != "json" && file != nil {
		return g.sendFile(w, r, i, *file)
	}
	httpx.WriteJSON(w, http.StatusOK, item)
	return nil
}

// item is one item; file is nil for a folder.
func (g gitRoutes) item(r request, i itemRequest) (GitItem, *repos.File, error) {
	ctx := r.Context()
	f, err := g.repos.File(ctx, i.repo.ID, i.commit, i.path, maxItem)
	if slipway.CodeOf(err) == slipway.CodeInvalid || i.path == "" {
		o, err := g.repos.Object(ctx, i.repo.ID, string(i.commit)+":"+i.path)
		if err != nil {
			return GitItem{}, nil, err
		}
		item := g.newItem(r, i.repo, i.commit, repos.Entry{Path: i.path, Kind: repos.EntryFolder, Object: o.ID})
		return item, nil, g.addLatest(ctx, i, &item)
	}
	if err != nil {
		return GitItem{}, nil, err
	}
	kind := repos.EntryFile
	if f.Symlink {
		kind = repos.EntrySymlink
	}
	item := g.newItem(r, i.repo, i.commit, repos.Entry{Path: i.path, Kind: kind, Object: f.Object})
	if truth(i.query, "includeContentMetadata") {
		item.ContentMetadata = metadata(i.path, f.Binary)
	}
	if truth(i.query, "includeContent") && !f.Binary {
		if len(f.Content) > maxItemJSON || f.TooLarge {
			return item, &f, slipway.Limit("%s has %d bytes: ask for it as octetStream", i.path, f.Size)
		}
		text := string(f.Content)
		item.Content = &text
	}
	return item, &f, g.addLatest(ctx, i, &item)
}

// addLatest adds the commit that changed the item last, when that is asked for.
func (g gitRoutes) addLatest(ctx context.Context, i itemRequest, item *GitItem) error {
	if !truth(i.query, "latestProcessedChange") {
		return nil
	}
	page, err := g.repos.History(ctx, repos.HistoryRequest{Repository: i.repo.ID, Commit: i.commit, Path: strings.Trim(item.Path, "/"), Limit: 1})
	if err == nil && len(page.Entries) > 0 {
		c := gitCommit(page.Entries[0].Commit)
		item.LatestProcessedChange = &c
	}
	return err
}

// items lists the item and what is below it, as far as the recursion goes.
func (g gitRoutes) items(r request, i itemRequest) ([]GitItem, error) {
	ctx := r.Context()
	self, file, err := g.item(r, i)
	if err != nil {
		return nil, err
	}
	out := []GitItem{self}
	if file != nil || i.recursion == "none" {
		return out, nil
	}
	var entries []repos.Entry
	if i.recursion == "full" {
		entries, err = g.repos.ListTree(ctx, i.repo.ID, i.commit, i.path)
	} else {
		var more bool
		if entries, more, err = g.repos.Tree(ctx, i.repo.ID, i.commit, i.path); more {
			err = slipway.Limit("the folder has too many entries: ask for the tree %s", self.ObjectID)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(entries) > maxItems {
		return nil, slipway.Limit("there are %d items, more than the %d of one answer: name a scopePath", len(entries), maxItems)
	}
	last := map[string]repos.Commit{}
	if truth(i.query, "latestProcessedChange") && i.recursion != "full" {
		if last, _, err = g.repos.LastCommits(ctx, i.repo.ID, i.commit, i.path, lastCommitTime); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		item := g.newItem(r, i.repo, i.commit, e)
		if c, ok := last[e.Name]; ok {
			commit := gitCommit(c)
			item.LatestProcessedChange = &commit
		}
		if truth(i.query, "includeContentMetadata") && !item.IsFolder {
			item.ContentMetadata = metadata(e.Path, false)
		}
		out = append(out, item)
	}
	return out, nil
}

// lastCommitTime bounds the search for the last commits of a folder's items.
const lastCommitTime = 20 * time.Second

// getItemBatch answers several questions for items at once, each with a list.
func (g gitRoutes) getItemBatch(w http.ResponseWriter, r request) error {
	var body struct {
		ItemDescriptors []struct {
			Path           string `json:"path"`
			RecursionLevel name   `json:"recursionLevel"`
			Version        string `json:"version"`
			VersionType    name   `json:"versionType"`
			VersionOptions name   `json:"versionOptions"`
		} `json:"itemDescriptors"`
		IncludeContentMetadata bool `json:"includeContentMetadata"`
		LatestProcessedChange  bool `json:"latestProcessedChange"`
	}
	if err := r.decode(w, itemBody, &body, "descriptors of items"); err != nil {
		return err
	}
	if len(body.ItemDescriptors) > maxItemBatch {
		return slipway.Limit("at most %d items are asked for at once", maxItemBatch)
	}
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	out := [][]GitItem{}
	for _, d := range body.ItemDescriptors {
		i := itemRequest{repo: repo, path: strings.Trim(path.Clean("/"+d.Path), "/"), format: "json", query: url.Values{
			"includeContentMetadata": {fmt.Sprint(body.IncludeContentMetadata)}, "latestProcessedChange": {fmt.Sprint(body.LatestProcessedChange)}}}
		if i.commit, err = g.resolve(r, repo, versionDescriptor{d.Version, string(d.VersionType), string(d.VersionOptions)}); err != nil {
			return err
		}
		if i.recursion, err = recursionLevels.of("recursionLevel", string(d.RecursionLevel), "none"); err != nil {
			return err
		}
		items, err := g.items(r, i)
		if err != nil {
			return err
		}
		out = append(out, items)
	}
	return list(w, out)
}
