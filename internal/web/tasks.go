package web

import (
	"errors"
	"net/http"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/extension"
)

func (p pipelinesPages) addTaskPages() {
	p.Installation("GET", "/_tasks", identity.Administer, p.tasks)
	p.Installation("POST", "/_tasks", identity.Administer, p.changeTasks)
}

// taskRow is one version of an uploaded task.
type taskRow struct {
	pipelines.Task
	Reference string // what a file writes
	Doc       string
	Refused   string // why it cannot run here
}

func (r taskRow) deletion() templ.SafeURL {
	return templ.SafeURL("/_tasks?task=" + r.ID + "&version=" + r.Version())
}

func (p pipelinesPages) tasks(w http.ResponseWriter, r *http.Request, v View) error {
	tasks, err := p.pipelines.Tasks(r.Context(), "")
	if err != nil {
		return err
	}
	var rows []taskRow
	for _, t := range tasks {
		d, err := t.Definition()
		if err != nil {
			return err
		}
		rows = append(rows, taskRow{Task: t, Reference: d.String(), Doc: d.Doc, Refused: d.Refused()})
	}
	return p.Render(w, r, v.Titled("Tasks", ""), tasksPage(rows))
}

// changeTasks uploads a task or an extension, or with ?task= and ?version= deletes a version.
func (p pipelinesPages) changeTasks(w http.ResponseWriter, r *http.Request, v View) error {
	if q := r.URL.Query(); q.Get("task") != "" {
		if q.Get("version") == "" {
			return slipway.Invalid("name the version that is to be deleted")
		}
		if _, err := p.pipelines.DeleteTask(r.Context(), q.Get("task"), q.Get("version"), v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, "/_tasks")
	}
	r.Body = http.MaxBytesReader(w, r.Body, extension.MaxUpload+64<<10)
	file, header, err := r.FormFile("file")
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return slipway.Limit("the file has more than the %d bytes allowed", int64(extension.MaxUpload))
		}
		return slipway.Invalid("choose a zip file of a task, or an extension (.vsix)").Because(err)
	}
	defer file.Close()
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	if _, err := p.pipelines.UploadTasks(r.Context(), file, header.Size, r.FormValue("overwrite") != "", v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, "/_tasks")
}
