package web

import (
	"maps"
	"net/http"
	"slices"

	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

type limitsView struct {
	URL       string
	Own       schedule.ProjectLimits
	All       schedule.Limits
	Pools     []string // that have a limit
	Load      pipelines.Load
	Scope     pipelines.JobScope
	MayChange bool
	MayAll    bool // change what holds for all projects
}

func (p pipelinesPages) addLimitPages() {
	p.Project("GET", "/_settings/jobs", identity.Read, p.limits)
	p.Project("POST", "/_settings/jobs", identity.Administer, p.setLimits)
	p.Project("POST", "/_settings/jobs/scope", identity.Read, p.setJobScope)
}

func (p pipelinesPages) limits(w http.ResponseWriter, r *http.Request, v View) error {
	view := limitsView{URL: v.URL("_settings", "jobs"), All: p.pipelines.Limits, Pools: slices.Sorted(maps.Keys(p.pipelines.Limits.Pools)),
		MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil,
		MayAll:    p.identity.Authorize(r.Context(), v.Caller, identity.Administer, "") == nil}
	var err error
	if view.Own, err = p.pipelines.ProjectLimits(r.Context(), v.Project.ID); err != nil {
		return err
	}
	if view.Load, err = p.pipelines.Load(r.Context(), v.Project.ID); err != nil {
		return err
	}
	if view.Scope, err = p.pipelines.JobScope(r.Context(), v.Project.ID); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Limits of jobs", "settings"), limitsPage(view))
}

func (p pipelinesPages) setLimits(w http.ResponseWriter, r *http.Request, v View) error {
	var l schedule.ProjectLimits
	var err error
	if l.Jobs, err = whole(r, "jobs"); err != nil {
		return err
	}
	if l.RunJobs, err = whole(r, "runJobs"); err != nil {
		return err
	}
	if err := p.pipelines.SetProjectLimits(r.Context(), v.Project.ID, l); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "jobs"))
}

// setJobScope says what jobs of the project, or of all projects, reach.
func (p pipelinesPages) setJobScope(w http.ResponseWriter, r *http.Request, v View) error {
	project := v.Project.ID
	if r.FormValue("of") == "installation" {
		project = ""
	}
	if err := p.identity.Authorize(r.Context(), v.Caller, identity.Administer, project); err != nil {
		return err
	}
	if err := p.pipelines.SetJobScope(r.Context(), project, r.FormValue("limited") != "", v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "jobs"))
}
