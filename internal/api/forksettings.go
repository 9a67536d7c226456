package api

import (
	"net/http"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (b buildRoutes) addForkSettings() {
	b.project("GET", "/slipway/forks", identity.Read, b.forkSettings)
	b.project("PUT", "/slipway/forks", identity.Administer, b.setForkSettings)
	b.project("GET", "/slipway/pipelines/{pipeline}/forks", identity.Read, b.forkSettings)
	b.project("PUT", "/slipway/pipelines/{pipeline}/forks", identity.Administer, b.setForkSettings)
	b.project("DELETE", "/slipway/pipelines/{pipeline}/forks", identity.Administer, b.dropForkSettings)
}

// ForkSettings are what a pipeline, or a project, does with pull requests from forks.
type ForkSettings struct {
	pipelines.ForkSettings
	Inherited bool `json:"inherited,omitempty"` // the pipeline has none of its own
}

// settled is the pipeline of the path, 0 when it is about the project.
func (b buildRoutes) settled(r request) (slipway.PipelineID, error) {
	if r.named("pipeline") == "" {
		return 0, nil
	}
	d, err := b.definition(r)
	return d.ID, err
}

func (b buildRoutes) forkSettings(w http.ResponseWriter, r request) error {
	pipeline, err := b.settled(r)
	if err != nil {
		return err
	}
	own, effective, err := b.pipelines.ForkSettings(r.Context(), r.project.ID, pipeline)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, ForkSettings{effective, own == nil && pipeline != 0})
	return nil
}

func (b buildRoutes) setForkSettings(w http.ResponseWriter, r request) error {
	pipeline, err := b.settled(r)
	if err != nil {
		return err
	}
	body := ForkSettings{ForkSettings: pipelines.DefaultForkSettings}
	if err := httpx.ReadJSON(w, r.Request, maxRepositoryBody, &body); err != nil {
		return err
	}
	if err := b.pipelines.SetForkSettings(r.Context(), r.project.ID, pipeline, &body.ForkSettings, r.caller.Actor); err != nil {
		return err
	}
	return b.forkSettings(w, r)
}

// dropForkSettings gives a pipeline those of its project again.
func (b buildRoutes) dropForkSettings(w http.ResponseWriter, r request) error {
	pipeline, err := b.settled(r)
	if err != nil {
		return err
	}
	if err := b.pipelines.SetForkSettings(r.Context(), r.project.ID, pipeline, nil, r.caller.Actor); err != nil {
		return err
	}
	return b.forkSettings(w, r)
}
