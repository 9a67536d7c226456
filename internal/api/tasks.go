package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/extension"
)

func (b buildRoutes) addTaskRoutes() {
	b.installation("GET", "/distributedtask/tasks", identity.Read, b.listTasks)
	b.installation("GET", "/distributedtask/tasks/{task}", identity.Read, b.listTasks)
	b.installation("GET", "/distributedtask/tasks/{task}/{version}", identity.Read, b.getTask)
	b.installation("PUT", "/distributedtask/tasks/{task}", identity.Administer, b.uploadTask)
	b.installation("DELETE", "/distributedtask/tasks/{task}", identity.Administer, b.deleteTask)
	b.installation("DELETE", "/distributedtask/tasks/{task}/{version}", identity.Administer, b.deleteTask)
	b.installation("GET", "/slipway/tasks", identity.Read, b.listUploaded)
	b.installation("POST", "/slipway/tasks", identity.Administer, b.uploadTasks)
}

// Task is a version of an uploaded task. Over `distributedtask/tasks` its task.json comes with it, as Azure DevOps does.
type Task struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Version   string       `json:"version"`
	Extension string       `json:"extension,omitempty"`
	Digest    string       `json:"digest"`
	Size      int64        `json:"size"` // of the zip file, in bytes
	CreatedBy *IdentityRef `json:"createdBy"`
	CreatedOn *time.Time   `json:"createdOn"`
	// Unsupported says why the task cannot run here, "" if it can.
	Unsupported string `json:"unsupported,omitempty"`
}

func taskOf(t *pipelines.Task) Task {
	out := Task{ID: t.ID, Name: t.Name, Version: t.Version(), Extension: t.Extension, Digest: string(t.Digest), Size: t.Size, CreatedBy: identityRef(t.CreatedBy), CreatedOn: when(t.Created)}
	if d, err := t.Definition(); err == nil {
		out.Unsupported = d.Refused()
	}
	return out
}

// definitionOf is a task as Azure DevOps shows it: its task.json, with a version of numbers and what the server adds.
func definitionOf(t *pipelines.Task) (map[string]any, error) {
	out := map[string]any{}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(t.Manifest, "\ufeff")), &out); err != nil {
		return nil, fmt.Errorf("read the task.json of %s %s: %w", t.Name, t.Version(), err)
	}
	out["id"], out["name"] = t.ID, t.Name
	out["version"] = map[string]any{"major": t.Major, "minor": t.Minor, "patch": t.Patch, "isTest": false}
	out["definitionType"], out["contentsUploaded"], out["serverOwned"] = "task", true, false
	if publisher, rest, ok := strings.Cut(t.Extension, "."); ok {
		name, _, _ := strings.Cut(rest, ".")
		out["contributionIdentifier"], out["contributionVersion"] = publisher+"."+name, t.Version()
	}
	return out, nil
}

// listTasks lists the uploaded tasks, or the versions of one.
func (b buildRoutes) listTasks(w http.ResponseWriter, r request) error {
	tasks, err := b.pipelines.Tasks(r.Context(), chi.URLParam(r.Request, "task"))
	if err != nil {
		return err
	}
	out := []map[string]any{}
	for i := range tasks {
		d, err := definitionOf(&tasks[i])
		if err != nil {
			return err
		}
		out = append(out, d)
	}
	return list(w, out)
}

// listUploaded lists the uploaded tasks without their task.json.
func (b buildRoutes) listUploaded(w http.ResponseWriter, r request) error {
	tasks, err := b.pipelines.Tasks(r.Context(), "")
	if err != nil {
		return err
	}
	return listTaskVersions(w, tasks)
}

// getTask shows one version, or gives its zip file to who accepts that, as agents do.
func (b buildRoutes) getTask(w http.ResponseWriter, r request) error {
	id, version := chi.URLParam(r.Request, "task"), chi.URLParam(r.Request, "version")
	tasks, err := b.pipelines.Tasks(r.Context(), id)
	if err != nil {
		return err
	}
	for i := range tasks {
		t := &tasks[i]
		if t.Version() != version {
			continue
		}
		if !strings.Contains(r.Header.Get("Accept"), "application/zip") {
			d, err := definitionOf(t)
			if err == nil {
				httpx.WriteJSON(w, http.StatusOK, d)
			}
			return err
		}
		o, err := b.pipelines.OpenTask(r.Context(), *t)
		if err != nil {
			return err
		}
		defer o.Close()
		w.Header().Set("Content-Type", "application/zip")
		w.Header().Set("Content-Length", strconv.FormatInt(o.Size(), 10))
		_, _ = io.Copy(w, o) // a client that went away asks again
		return nil
	}
	return slipway.NotFound("there is no task %s %s", id, version)
}

// uploadTask takes the zip file of one task, as `tfx build tasks upload` sends it.
func (b buildRoutes) uploadTask(w http.ResponseWriter, r request) error {
	tasks, err := b.receiveTasks(r, chi.URLParam(r.Request, "task"))
	if err != nil {
		return err
	}
	d, err := definitionOf(&tasks[0])
	if err == nil {
		httpx.WriteJSON(w, http.StatusOK, d)
	}
	return err
}

// uploadTasks takes a zip file of a task or an extension, and answers with its tasks.
func (b buildRoutes) uploadTasks(w http.ResponseWriter, r request) error {
	tasks, err := b.receiveTasks(r, "")
	if err != nil {
		return err
	}
	return listTaskVersions(w, tasks)
}

func listTaskVersions(w http.ResponseWriter, tasks []pipelines.Task) error {
	out := make([]Task, len(tasks))
	for i := range tasks {
		out[i] = taskOf(&tasks[i])
	}
	return list(w, out)
}

// receiveTasks stores what the body holds; an id says which one task it must be. A Content-Range must be that of the whole.
func (b buildRoutes) receiveTasks(r request, id string) ([]pipelines.Task, error) {
	file, size, err := received(r)
	if file != nil {
		defer os.Remove(file.Name())
		defer file.Close()
	}
	if err != nil {
		return nil, err
	}
	if want := r.Header.Get("Content-Range"); want != "" && want != fmt.Sprintf("bytes 0-%d/%d", size-1, size) {
		return nil, slipway.Unsupported("a task is sent in one piece, and not as %q", want)
	}
	if id != "" {
		found, err := extension.Read(file, size)
		if err != nil {
			return nil, err
		}
		if len(found) != 1 || !strings.EqualFold(found[0].Manifest.ID, id) {
			return nil, slipway.Invalid("the id in the path is %s, and that in the task.json is %s", id, found[0].Manifest.ID)
		}
	}
	return b.pipelines.UploadTasks(r.Context(), file, size, strings.EqualFold(r.URL.Query().Get("overwrite"), "true"), r.caller.Actor)
}

// received puts the body into a file, which the caller closes and removes.
func received(r request) (*os.File, int64, error) {
	file, err := os.CreateTemp("", "slipway-upload-*")
	if err != nil {
		return nil, 0, fmt.Errorf("make room for the upload: %w", err)
	}
	size, err := io.Copy(file, io.LimitReader(r.Body, extension.MaxUpload+1))
	switch {
	case err != nil:
		err = slipway.Invalid("the file did not arrive whole").Because(err)
	case size > extension.MaxUpload:
		err = slipway.Limit("the file has more than the %d bytes allowed", int64(extension.MaxUpload))
	}
	return file, size, err
}

func (b buildRoutes) deleteTask(w http.ResponseWriter, r request) error {
	if _, err := b.pipelines.DeleteTask(r.Context(), chi.URLParam(r.Request, "task"), chi.URLParam(r.Request, "version"), r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
