package api

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/trigger"
)

func (b buildRoutes) addSecureFileRoutes() {
	b.project("GET", "/distributedtask/securefiles", identity.Read, b.listSecureFiles)
	b.project("POST", "/distributedtask/securefiles", identity.Administer, b.createSecureFile)
	b.project("GET", "/distributedtask/securefiles/{file}", identity.Read, b.getSecureFile)
	b.project("DELETE", "/distributedtask/securefiles/{file}", identity.Administer, b.deleteSecureFile)
}

// SecureFile is a secure file as `GET distributedtask/securefiles` shows it: never its content, which jobs alone get.
type SecureFile struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	CreatedBy *IdentityRef `json:"createdBy"`
	CreatedOn *time.Time   `json:"createdOn"`
	// ModifiedBy and ModifiedOn are the same: a file does not change.
	ModifiedBy *IdentityRef      `json:"modifiedBy"`
	ModifiedOn *time.Time        `json:"modifiedOn"`
	Properties map[string]string `json:"properties"` // always empty
	Size       int64             `json:"size"`       // in bytes; Azure DevOps does not tell
}

func secureFile(f pipelines.SecureFile) SecureFile {
	by := identityRef(f.CreatedBy)
	return SecureFile{ID: f.ID, Name: f.Name, CreatedBy: by, CreatedOn: when(f.Created), ModifiedBy: by, ModifiedOn: when(f.Created), Properties: map[string]string{}, Size: f.Size}
}

// listSecureFiles lists the secure files, or those of ?namePattern= (* is any text) or ?secureFileIds= (parted by commas).
func (b buildRoutes) listSecureFiles(w http.ResponseWriter, r request) error {
	files, err := b.pipelines.SecureFiles(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	pattern := strings.ToLower(r.URL.Query().Get("namePattern"))
	var ids []string
	if text := r.URL.Query().Get("secureFileIds"); text != "" {
		ids = strings.Split(strings.ToLower(text), ",")
	}
	var out []SecureFile
	for _, f := range files {
		if (pattern == "" || trigger.Wildcard(pattern, strings.ToLower(f.Name))) && (ids == nil || slices.Contains(ids, f.ID)) {
			out = append(out, secureFile(f))
		}
	}
	return list(w, out)
}

// createSecureFile stores the body under ?name=.
func (b buildRoutes) createSecureFile(w http.ResponseWriter, r request) error {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, pipelines.MaxSecureFile))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return slipway.Limit("a secure file has at most %d bytes", pipelines.MaxSecureFile)
	}
	if err != nil {
		return slipway.Invalid("the file did not arrive whole").Because(err)
	}
	f, err := b.pipelines.CreateSecureFile(r.Context(), r.project.ID, r.URL.Query().Get("name"), content, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, secureFile(f))
	return nil
}

// getSecureFile shows what is known of a file, by its id or name.
func (b buildRoutes) getSecureFile(w http.ResponseWriter, r request) error {
	name := r.named("file")
	// Azure's library for tasks asks with a ticket and sometimes without download.
	if q := r.URL.Query(); strings.EqualFold(q.Get("download"), "true") || q.Get("ticket") != "" {
		return b.downloadSecureFile(w, r, name)
	}
	f, err := b.pipelines.SecureFile(r.Context(), r.project.ID, name)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, secureFile(f))
	return nil
}

// downloadSecureFile gives a job the content of a file that one of its steps names.
func (b buildRoutes) downloadSecureFile(w http.ResponseWriter, r request, name string) error {
	if r.caller.Token != identity.TokenJob {
		return slipway.Forbidden("the content of a secure file is given to jobs alone: use the task DownloadSecureFile@1")
	}
	f, err := b.pipelines.FetchSecureFile(r.Context(), r.caller.Binding.Job, name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(f.Content)
	return nil
}

func (b buildRoutes) deleteSecureFile(w http.ResponseWriter, r request) error {
	if err := b.pipelines.DeleteSecureFile(r.Context(), r.project.ID, r.named("file"), r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
