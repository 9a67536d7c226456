package api

import (
	"net/http"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

func (b buildRoutes) addGeneralSettings() {
	b.project("GET", "/build/generalsettings", identity.Read, b.generalSettings)
	b.project("PATCH", "/build/generalsettings", identity.Administer, b.setGeneralSettings)
	b.installation("GET", "/slipway/generalsettings", identity.Read, b.generalSettings)
	b.installation("PATCH", "/slipway/generalsettings", identity.Administer, b.setGeneralSettings)
}

// GeneralSettings are settings of all pipelines of a project, or of the installation, as far as Slipway has those of Azure DevOps.
type GeneralSettings struct {
	// EnforceJobAuthScope says that jobs reach their own project alone, which the installation may say for all projects.
	EnforceJobAuthScope bool `json:"enforceJobAuthScope"`
}

func (b buildRoutes) generalSettings(w http.ResponseWriter, r request) error {
	scope, err := b.pipelines.JobScope(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	out := GeneralSettings{scope.Limited()}
	if r.project.ID == "" {
		out.EnforceJobAuthScope = scope.Installation
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (b buildRoutes) setGeneralSettings(w http.ResponseWriter, r request) error {
	var body struct {
		EnforceJobAuthScope *bool `json:"enforceJobAuthScope"`
	}
	if err := httpx.ReadJSON(w, r.Request, maxRepositoryBody, &body); err != nil {
		return err
	}
	if body.EnforceJobAuthScope == nil {
		return slipway.Invalid("of the general settings enforceJobAuthScope alone can be set: write true or false")
	}
	if r.project.ID != "" && !*body.EnforceJobAuthScope {
		scope, err := b.pipelines.JobScope(r.Context(), r.project.ID)
		if err != nil {
			return err
		}
		if scope.Installation {
			return slipway.Conflict("the installation limits the jobs of all projects to their own: its administrator switches that off first, with PATCH /_apis/slipway/generalsettings")
		}
	}
	if err := b.pipelines.SetJobScope(r.Context(), r.project.ID, *body.EnforceJobAuthScope, r.caller.Actor); err != nil {
		return err
	}
	return b.generalSettings(w, r)
}
