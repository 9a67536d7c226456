package api

import (
	"encoding/json"
	"net/http"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines"
)

// PipelineSettings are what can be changed of a pipeline beside its file.
type PipelineSettings struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Disabled bool   `json:"disabled"` // only people start runs
	// RetryLost is how often a job whose pod is lost is started again; null is as the job's pool says.
	RetryLost *int `json:"retryLost"`
}

func settingsOf(d pipelines.Definition) PipelineSettings {
	return PipelineSettings{ID: int64(d.ID), Name: d.Name, Disabled: d.Disabled, RetryLost: d.RetryLost}
}

func (b buildRoutes) pipelineSettings(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, settingsOf(d))
	return nil
}

// setPipelineSettings changes what the body names.
func (b buildRoutes) setPipelineSettings(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	var body struct {
		Disabled  *bool           `json:"disabled"`
		RetryLost json.RawMessage `json:"retryLost"`
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	if body.Disabled != nil {
		d.Disabled = *body.Disabled
	}
	if len(body.RetryLost) > 0 {
		d.RetryLost = nil
		if err := json.Unmarshal(body.RetryLost, &d.RetryLost); err != nil {
			return at("retryLost", slipway.Invalid("write a number, or null for what the pool says"))
		}
	}
	if err := b.pipelines.ChangeDefinition(r.Context(), d); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, settingsOf(d))
	return nil
}
