package api

import (
	"archive/zip"
	"errors"
	"net/http"
	"path"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// addObjects serves the objects in which git keeps files and folders.
func (g gitRoutes) addObjects() {
	of := "/git/repositories/{repo}"
	g.project("GET", of+"/blobs/{object}", identity.Read, g.getBlob)
	g.project("GET", of+"/trees/{object}", identity.Read, g.getTree)
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
