package api

import (
	"io"
	"net/http"

	"slipway/internal/httpx"
	"slipway/internal/images/progress"
)

// ImageBuildsPath is where a project's image builds are, after the project's name.
const ImageBuildsPath = "/_apis/slipway/imagebuilds"

// maxBuildUpdate bounds what one request tells of a build: a report, and a piece of the log as JSON.
const maxBuildUpdate = 4 << 20

// begin lists a build that the caller's program begins, and answers with its number.
func (b builderRoutes) begin(w http.ResponseWriter, r request) error {
	var report progress.Report
	if err := httpx.ReadJSON(w, r.Request, maxBuildUpdate, &report); err != nil {
		return err
	}
	begun, err := b.builds.Begin(r.Context(), r.project.ID, r.caller.Actor, r.caller.Binding.Run, r.caller.Binding.Job, report)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, begun)
	return nil
}

// update keeps what the program that builds tells.
func (b builderRoutes) update(w http.ResponseWriter, r request) error {
	id, err := r.number("build")
	if err != nil {
		return err
	}
	var update progress.Update
	if err := httpx.ReadJSON(w, r.Request, maxBuildUpdate, &update); err != nil {
		return err
	}
	answer, err := b.builds.Update(r.Context(), r.project.ID, id, r.caller.Actor, update)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, answer)
	return nil
}

func (b builderRoutes) get(w http.ResponseWriter, r request) error {
	id, err := r.number("build")
	if err != nil {
		return err
	}
	build, err := b.builds.Get(r.Context(), r.project.ID, id)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, build)
	return nil
}

func (b builderRoutes) log(w http.ResponseWriter, r request) error {
	id, err := r.number("build")
	if err != nil {
		return err
	}
	text, err := b.builds.Log(r.Context(), r.project.ID, id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, text) // the caller is gone
	return nil
}

func (b builderRoutes) cancel(w http.ResponseWriter, r request) error {
	id, err := r.number("build")
	if err != nil {
		return err
	}
	build, err := b.builds.Cancel(r.Context(), r.project.ID, id, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusAccepted, build)
	return nil
}
