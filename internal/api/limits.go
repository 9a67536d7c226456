package api

import (
	"net/http"

	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines/schedule"
)

func (b buildRoutes) addLimitRoutes() {
	b.project("GET", "/slipway/limits", identity.Read, b.limits)
	b.project("PUT", "/slipway/limits", identity.Administer, b.setLimits)
}

// Limits say how many jobs of a project run at once; 0 is no limit.
type Limits struct {
	Jobs    int `json:"jobs"`    // of the project
	RunJobs int `json:"runJobs"` // of each of its runs
	// What the installation sets, and what of the project runs and waits now; they cannot be changed here.
	Installation *InstallationLimits `json:"installation,omitempty"`
	Running      int                 `json:"running"`
	Waiting      int                 `json:"waiting"`
}

// InstallationLimits are what whoever runs the server sets.
type InstallationLimits struct {
	Jobs        int            `json:"jobs"`
	ProjectJobs int            `json:"projectJobs"`
	RunJobs     int            `json:"runJobs"`
	Pools       map[string]int `json:"pools"`
}

func (b buildRoutes) limits(w http.ResponseWriter, r request) error {
	own, err := b.pipelines.ProjectLimits(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	load, err := b.pipelines.Load(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	all := b.pipelines.Limits
	httpx.WriteJSON(w, http.StatusOK, Limits{Jobs: own.Jobs, RunJobs: own.RunJobs, Running: load.Running, Waiting: load.Waiting,
		Installation: &InstallationLimits{Jobs: all.Jobs, ProjectJobs: all.ProjectJobs, RunJobs: all.RunJobs, Pools: all.Pools}})
	return nil
}

func (b buildRoutes) setLimits(w http.ResponseWriter, r request) error {
	var body Limits
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	if err := b.pipelines.SetProjectLimits(r.Context(), r.project.ID, schedule.ProjectLimits{Jobs: body.Jobs, RunJobs: body.RunJobs}); err != nil {
		return err
	}
	return b.limits(w, r)
}
