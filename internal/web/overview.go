package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/lineage"
	"slipway/internal/pipelines"
)

type overviewPages struct {
	*Server
	pipelines    *pipelines.Service
	environments *environments.Service
	lineage      *lineage.Service
	things       Things
}

// AddOverview serves a project's first page: how far round the loop its latest change is, what runs where, what ran of
// late, what waits for somebody.
func (s *Server) AddOverview(l *lineage.Service, t Things) {
	o := overviewPages{s, t.Pipelines, t.Environments, l, t}
	s.Project("GET", "", identity.Read, o.show)
	s.Project("GET", "/_overview/live", identity.Read, o.live)
}

type overviewEnvironment struct {
	Name, URL        string
	Commit, State    string
	Run              string
	RunURL           string
	When             time.Time
	Deployed, Images int
}

type overviewRun struct {
	Title, URL, Pipeline, Number, Branch, State string
	When                                        time.Time
}

type overviewApproval struct {
	Environment, URL, Stage, Run string
	When                         time.Time
}

// overviewValidation is a run that waits at a manual validation.
type overviewValidation struct {
	Title, Run, URL string
	When            time.Time
}

type overviewView struct {
	Ring         ringView
	Environments []overviewEnvironment
	Runs         []overviewRun
	Approvals    []overviewApproval
	Validations  []overviewValidation
	Live         string
}

const (
	overviewRuns    = 8
	overviewWaiting = 4 // approvals, and as many validations, that are shown
)

// waitingMore is how many more there are.
func waitingMore(v overviewView) int {
	return max(0, len(v.Approvals)-overviewWaiting) + max(0, len(v.Validations)-overviewWaiting)
}

func (o overviewPages) show(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := o.view(r.Context(), v)
	if err != nil {
		return err
	}
	return o.Render(w, r, v.Titled("Overview", "overview"), overviewPage(v, view))
}

func (o overviewPages) live(w http.ResponseWriter, r *http.Request, v View) error {
	return o.Live(w, r, ofProject(v.Project.ID), func() (templ.Component, error) {
		view, err := o.view(r.Context(), v)
		return overviewBody(view), err
	})
}

// ofProject matches the events of one project.
func ofProject(id slipway.ProjectID) func(events.Event) bool {
	return func(e events.Event) bool { return e.Project == id }
}

func (o overviewPages) view(ctx context.Context, v View) (overviewView, error) {
	view := overviewView{Live: v.URL("_overview", "live")}
	envs, err := o.environments.List(ctx, v.Project.ID)
	if err != nil {
		return view, err
	}
	for _, e := range envs {
		row := overviewEnvironment{Name: e.Name, URL: v.URL("_environments", e.Name)}
		history, err := o.environments.History(ctx, e.ID, 1)
		if err != nil {
			return view, err
		}
		if len(history) > 0 {
			d := history[0]
			row.Commit, row.State, row.When = d.Commit.Short(), string(d.State), d.Started
			row.Run, row.RunURL = fmt.Sprintf("run %d", d.Run), fmt.Sprintf("%s?buildId=%d", v.URL("_build", "results"), d.Run)
		}
		view.Environments = append(view.Environments, row)
	}
	runs, err := o.pipelines.List(ctx, pipelines.RunFilter{Project: v.Project.ID, Limit: overviewRuns})
	if err != nil {
		return view, err
	}
	if view.Ring, err = o.ring(ctx, v, runs); err != nil {
		return view, err
	}
	for _, run := range runs {
		view.Runs = append(view.Runs, overviewRun{Title: run.Title, URL: fmt.Sprintf("%s?buildId=%d", v.URL("_build", "results"), run.ID),
			Pipeline: run.PipelineName, Number: run.Number, Branch: branchName(run.Ref), State: runState(&run), When: run.Queued})
	}
	pending, err := o.environments.PendingApprovals(ctx, v.Project.ID)
	if err != nil {
		return view, err
	}
	for _, a := range pending {
		view.Approvals = append(view.Approvals, overviewApproval{Environment: a.EnvironmentName, URL: v.URL("_environments", a.EnvironmentName),
			Stage: a.Stage, Run: a.Run.String(), When: a.Created})
	}
	validations, err := o.pipelines.PendingValidations(ctx, v.Project.ID)
	if err != nil {
		return view, err
	}
	for i := range validations {
		one := &validations[i]
		view.Validations = append(view.Validations, overviewValidation{Title: one.Title, Run: one.Run.String(), URL: runURL(v, one.Run), When: one.Created})
	}
	return view, nil
}
