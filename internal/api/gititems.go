package api

import (
	"archive/zip"
	"context"
	"errors"
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

// addObjects serves files, folders and the objects that git keeps them in.
func (g gitRoutes) addObjects() {
	of := "/git/repositories/{repo}"
	g.project("GET", of+"/items", identity.Read, g.getItems)
	g.project("GET", of+"/items/*", identity.Read, g.getItems)
	for _, batch := range []string{"/itemsBatch", "/itemsbatch"} {
		g.project("POST", of+batch, identity.Read, g.getItemBatch)
	}
	g.project("GET", of+"/blobs/{object}", identity.Read, g.getBlob)
	g.project("GET", of+"/trees/{object}", identity.Read, g.getTree)
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

func (g gitRoutes) sendFile(w http.ResponseWriter, r request, i itemRequest, f repos.File) error {
	if f.TooLarge {
		return slipway.Limit("%s has %d bytes: clone the repository to get it", i.path, f.Size)
	}
	if o, ok := repos.Pointer(f.Content); ok && truth(i.query, "resolveLfs") {
		large, err := g.repos.OpenLFSObject(r.Context(), i.repo.ID, o.OID)
		if err != nil {
			return err
		}
		defer large.Close()
		contentHeaders(w, r, i.format, path.Base(i.path))
		http.ServeContent(w, r.Request, "", time.Time{}, large)
		return nil
	}
	contentHeaders(w, r, i.format, path.Base(i.path))
	_, err := w.Write(f.Content)
	return err
}

// contentHeaders keep a browser from running what somebody has pushed.
func contentHeaders(w http.ResponseWriter, r request, format, name string) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if format == "text" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	disposition := "inline"
	if truth(r.URL.Query(), "download") {
		disposition = "attachment"
	}
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
}

// sendArchive gives a file or folder as a zip file.
func (g gitRoutes) sendArchive(w http.ResponseWriter, r request, i itemRequest) error {
	name := i.repo.Name
	if i.path != "" {
		name = path.Base(i.path)
	}
	begun := false
	err := g.repos.Archive(r.Context(), repos.ArchiveRequest{Repository: i.repo.ID, Commit: i.commit, Path: i.path, Format: "zip"}, w, func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		zipHeaders(w, name)
		begun = true
	})
	if err != nil && begun {
		g.logger.Warn("an archive was not sent whole", "repository", i.repo.ID, "error", err)
		panic(http.ErrAbortHandler) // so that the client knows
	}
	return err
}

func zipHeaders(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".zip"}))
}

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

// GitBlobRef is Azure DevOps' GitBlobRef.
type GitBlobRef struct {
	ObjectID string `json:"objectId"`
	Size     int64  `json:"size"`
	URL      string `json:"url"`
}

func (g gitRoutes) getBlob(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	id := strings.ToLower(r.named("object"))
	form, err := format(r, true)
	if err != nil {
		return err
	}
	if form == "json" {
		o, err := g.repos.Object(r.Context(), repo.ID, id)
		if err == nil && o.Kind != "blob" {
			err = slipway.NotFound("the repository has no file's object %s", id)
		}
		if err != nil {
			return err
		}
		httpx.WriteJSON(w, http.StatusOK, GitBlobRef{o.ID, o.Size, g.repository(r.project, repo).URL + "/blobs/" + o.ID})
		return nil
	}
	content, err := g.repos.Blob(r.Context(), repo.ID, id, maxItem)
	if err != nil {
		return err
	}
	file := r.URL.Query().Get("fileName")
	if file == "" {
		file = id
	}
	if form == "zip" {
		zipHeaders(w, file)
		z := zip.NewWriter(w)
		f, err := z.Create(path.Base(file))
		if err == nil {
			_, err = f.Write(content)
		}
		return errors.Join(err, z.Close())
	}
	contentHeaders(w, r, form, path.Base(file))
	_, err = w.Write(content)
	return err
}

// GitTreeRef is Azure DevOps' GitTreeRef.
type GitTreeRef struct {
	ObjectID    string         `json:"objectId"`
	Size        int64          `json:"size"`
	TreeEntries []GitTreeEntry `json:"treeEntries"`
	URL         string         `json:"url"`
}

// GitTreeEntry is Azure DevOps' GitTreeEntryRef.
type GitTreeEntry struct {
	ObjectID      string `json:"objectId"`
	RelativePath  string `json:"relativePath"`
	Mode          string `json:"mode"`
	GitObjectType string `json:"gitObjectType"`
	Size          int64  `json:"size"`
	URL           string `json:"url"`
}

func (g gitRoutes) getTree(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	o, err := g.repos.Object(r.Context(), repo.ID, strings.ToLower(r.named("object")))
	if err == nil && o.Kind != "tree" && o.Kind != "commit" {
		err = slipway.NotFound("object %s is no tree", o.ID)
	}
	if err != nil {
		return err
	}
	entries, err := g.repos.TreeEntries(r.Context(), repo.ID, o.ID, "", truth(r.URL.Query(), "recursive"))
	if err != nil {
		return err
	}
	address := g.repository(r.project, repo).URL
	out := GitTreeRef{ObjectID: o.ID, Size: o.Size, TreeEntries: []GitTreeEntry{}, URL: address + "/trees/" + o.ID}
	for _, e := range entries {
		entry := GitTreeEntry{ObjectID: e.Object, RelativePath: e.Path, Mode: "100644", GitObjectType: "blob", Size: e.Size, URL: address + "/blobs/" + e.Object}
		switch {
		case e.Kind == repos.EntryFolder:
			entry.Mode, entry.GitObjectType, entry.URL = "40000", "tree", address+"/trees/"+e.Object
		case e.Kind == repos.EntrySubmodule:
			entry.Mode, entry.GitObjectType, entry.URL = "160000", "commit", ""
		case e.Kind == repos.EntrySymlink:
			entry.Mode = "120000"
		case e.Executable:
			entry.Mode = "100755"
		}
		out.TreeEntries = append(out.TreeEntries, entry)
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}
