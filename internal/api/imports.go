package api

import (
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/repos"
)

// ImportRequest is Azure DevOps' GitImportRequest.
type ImportRequest struct {
	ID             int64             `json:"importRequestId"`
	Repository     GitRepository     `json:"repository"`
	Parameters     *ImportParameters `json:"parameters"`
	Status         string            `json:"status"` // queued, inProgress, completed, failed, abandoned
	DetailedStatus *ImportStatus     `json:"detailedStatus,omitempty"`
	URL            string            `json:"url"`
}

// ImportParameters say what to import.
type ImportParameters struct {
	GitSource             *ImportSource `json:"gitSource"`
	ServiceEndpointID     string        `json:"serviceEndpointId,omitempty"`
	DeleteServiceEndpoint bool          `json:"deleteServiceEndpointAfterImportIsDone,omitempty"`
	TfvcSource            any           `json:"tfvcSource,omitempty"`
}

// ImportSource is where it is.
type ImportSource struct {
	URL       string `json:"url"`
	Overwrite bool   `json:"overwrite"`
}

// ImportStatus is how far it is.
type ImportStatus struct {
	CurrentStep  int      `json:"currentStep"`
	AllSteps     []string `json:"allSteps"`
	ErrorMessage string   `json:"errorMessage,omitempty"`
}

// importStatuses are Azure DevOps' words for the states. The map is never changed.
var importStatuses = map[repos.MirrorState]string{repos.MirrorQueued: "queued", repos.MirrorRunning: "inProgress", repos.MirrorSucceeded: "completed",
	repos.MirrorFailed: "failed", repos.MirrorCanceled: "abandoned"}

var importSteps = []string{"Processing request", "Copying objects and refs", "Done"}

func (g gitRoutes) importRequest(r request, repo repos.Repository, m repos.Mirror) ImportRequest {
	out := ImportRequest{ID: m.ID, Repository: g.repository(r.project, repo), Status: importStatuses[m.State],
		Parameters: &ImportParameters{GitSource: &ImportSource{URL: m.URL}, ServiceEndpointID: m.Connection}}
	out.URL = out.Repository.URL + "/importRequests/" + strconv.FormatInt(m.ID, 10)
	step := map[repos.MirrorState]int{repos.MirrorQueued: 1, repos.MirrorSucceeded: 3}[m.State]
	if step == 0 {
		step = 2
	}
	out.DetailedStatus = &ImportStatus{CurrentStep: step, AllSteps: importSteps, ErrorMessage: m.Problem}
	return out
}

// imports are the import requests of a repository: there is one at most.
func (g gitRoutes) imports(r request) (repos.Repository, []repos.Mirror, error) {
	repo, err := g.find(r)
	if err != nil {
		return repo, nil, err
	}
	all, err := g.repos.Mirrors(r.Context(), repo.ID)
	var out []repos.Mirror
	for _, m := range all {
		if m.Kind == repos.MirrorImport {
			out = append(out, m)
		}
	}
	return repo, out, err
}

func (g gitRoutes) listImports(w http.ResponseWriter, r request) error {
	repo, all, err := g.imports(r)
	if err != nil {
		return err
	}
	var out []ImportRequest
	for _, m := range all {
		if m.State == repos.MirrorCanceled && !strings.EqualFold(r.FormValue("includeAbandoned"), "true") {
			continue
		}
		out = append(out, g.importRequest(r, repo, m))
	}
	return list(w, out)
}

func (g gitRoutes) createImport(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	var body ImportRequest
	if err := r.decode(w, maxMirrorBody, &body, "an import request"); err != nil {
		return err
	}
	p := body.Parameters
	switch {
	case p == nil || p.GitSource == nil || p.GitSource.URL == "":
		return slipway.Invalid("parameters.gitSource.url says what to import; TFVC is not imported")
	case p.GitSource.Overwrite:
		return slipway.Unsupported("overwrite is not supported: import into an empty repository")
	case p.DeleteServiceEndpoint:
		return slipway.Unsupported("deleteServiceEndpointAfterImportIsDone is not supported: delete the service connection when the import has ended")
	}
	want := repos.MirrorSettings{Kind: repos.MirrorImport, URL: p.GitSource.URL, Connection: p.ServiceEndpointID}
	m, err := g.repos.CreateMirror(r.Context(), repo.ID, want, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, g.importRequest(r, repo, m))
	return nil
}

// findImport is the import request that the path names.
func (g gitRoutes) findImport(r request) (repos.Repository, repos.Mirror, error) {
	repo, all, err := g.imports(r)
	if err != nil {
		return repo, repos.Mirror{}, err
	}
	id, err := r.number("mirror")
	if err != nil {
		return repo, repos.Mirror{}, err
	}
	for _, m := range all {
		if m.ID == id {
			return repo, m, nil
		}
	}
	return repo, repos.Mirror{}, slipway.NotFound("the repository has no import request %d", id)
}

func (g gitRoutes) getImport(w http.ResponseWriter, r request) error {
	repo, m, err := g.findImport(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.importRequest(r, repo, m))
	return nil
}

// updateImport abandons an import, or tries one again that failed.
func (g gitRoutes) updateImport(w http.ResponseWriter, r request) error {
	repo, m, err := g.findImport(r)
	if err != nil {
		return err
	}
	var body ImportRequest
	if err := r.decode(w, maxMirrorBody, &body, "an import request"); err != nil {
		return err
	}
	switch strings.ToLower(body.Status) {
	case "abandoned":
		err = g.repos.CancelMirror(r.Context(), repo.ID, m.ID)
	case "queued":
		_, err = g.repos.SyncMirror(r.Context(), repo.ID, m.ID)
	default:
		err = slipway.Invalid("the status of an import request is set to abandoned or queued, not to %q", body.Status)
	}
	if err != nil {
		return err
	}
	if m, err = g.repos.Mirror(r.Context(), repo.ID, m.ID); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.importRequest(r, repo, m))
	return nil
}
