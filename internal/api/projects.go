package api

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// addProjects serves the making of projects.
func (g gitRoutes) addProjects() {
	g.installation("POST", "/projects", identity.Administer, g.createProject)
	g.installation("GET", "/operations/{operation}", identity.Read, g.getOperation)
}

// Operation is Azure DevOps' Operation: how far something is that was asked for.
type Operation struct {
	ID            string        `json:"id"`
	Status        string        `json:"status"` // succeeded: a project is there when it is answered
	URL           string        `json:"url"`
	ResultMessage string        `json:"resultMessage,omitempty"`
	ResultURL     *OperationURL `json:"resultUrl,omitempty"`
}

// OperationURL leads to what an operation made.
type OperationURL struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// operation is the one that made a project. It has the project's id, so that it is known as long as what it made is.
func (g gitRoutes) operation(p identity.Project) Operation {
	return Operation{ID: string(p.ID), Status: "succeeded", URL: g.url + "/_apis/operations/" + string(p.ID),
		ResultMessage: "project " + p.Name + " is made", ResultURL: &OperationURL{string(p.ID), g.url + "/_apis/projects/" + string(p.ID)}}
}

// createProject makes a project with a repository of its name, as Azure DevOps does. The answer names an operation, which is done already.
func (g gitRoutes) createProject(w http.ResponseWriter, r request) error {
	var body struct {
		Name         string                       `json:"name"`
		Description  string                       `json:"description"`
		Visibility   name                         `json:"visibility"`
		Capabilities map[string]map[string]string `json:"capabilities"`
	}
	if err := r.decode(w, maxRepositoryBody, &body, "a project"); err != nil {
		return err
	}
	if v := strings.ToLower(string(body.Visibility)); v != "" && v != "private" && v != "0" {
		return at("visibility", slipway.Unsupported("projects are private: leave it out, and make images that anybody may pull public in their settings"))
	}
	if kind := body.Capabilities["versioncontrol"]["sourceControlType"]; kind != "" && !strings.EqualFold(kind, "Git") {
		return at("capabilities.versioncontrol.sourceControlType", slipway.Unsupported("source control is Git, not %q", kind))
	}
	if r.caller.Kind != slipway.ActorUser {
		return slipway.Forbidden("only a user makes projects")
	}
	p, err := g.identity.CreateProject(r.Context(), r.caller.Actor, body.Name, body.Description)
	if err != nil {
		return err
	}
	if _, err := g.repos.Create(r.Context(), repos.CreateRequest{Project: p.ID, Name: p.Name, Actor: r.caller.Actor}); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusAccepted, g.operation(p))
	return nil
}

// getOperation says how the making of a project went.
func (g gitRoutes) getOperation(w http.ResponseWriter, r request) error {
	id := chi.URLParam(r.Request, "operation")
	missing := slipway.NotFound("there is no operation %q", id)
	if _, err := uuid.Parse(id); err != nil {
		return missing
	}
	p, err := g.identity.Project(r.Context(), slipway.ProjectID(id))
	if err == nil {
		err = g.identity.Authorize(r.Context(), r.caller, identity.Read, p.ID)
	}
	if code := slipway.CodeOf(err); code == slipway.CodeNotFound || code == slipway.CodeForbidden {
		return missing
	}
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.operation(p))
	return nil
}
