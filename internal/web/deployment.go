package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/identity"
)

type deploymentView struct {
	deploymentRow
	Environment, EnvironmentURL string
	Live                        string
	Stage, Job                  string
	Attempt                     int
	Images                      []thing
	References                  []string // of images that are not in this registry
	Parameters                  []environments.Parameter
	Hash                        string
	Manifests                   []clusters.Manifests
	Pods                        []podRow
	PodsProblem                 string
	Gone                        []clusters.PodRecord
	TraceURL                    string
	RollbackURL                 string // empty when there is nothing to go back to, or the caller may not
	Previous                    *deploymentRow
}

// ofPath is the deployment of the path.
func (p environmentPages) ofPath(r *http.Request, v View) (environments.Deployment, error) {
	id, err := strconv.ParseInt(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		return environments.Deployment{}, slipway.NotFound("there is no deployment %q", chi.URLParam(r, "id"))
	}
	d, err := p.environments.Deployment(r.Context(), slipway.DeploymentID(id))
	if err == nil && d.Project != v.Project.ID {
		err = slipway.NotFound("there is no deployment %d in this project", id)
	}
	return d, err
}

func (p environmentPages) deployment(w http.ResponseWriter, r *http.Request, v View) error {
	d, err := p.ofPath(r, v)
	if err != nil {
		return err
	}
	view, err := p.deploymentView(r.Context(), v, d)
	if err != nil {
		return err
	}
	if view.Manifests, err = p.clusters.Manifests(r.Context(), d.ID); err != nil {
		return err
	}
	title := d.EnvironmentName + " #" + d.ID.String()
	return p.Render(w, r, v.Titled(title, "environments"), deploymentPage(title, view))
}

func (p environmentPages) deploymentLive(w http.ResponseWriter, r *http.Request, v View) error {
	d, err := p.ofPath(r, v)
	if err != nil {
		return err
	}
	return p.Live(w, r, ofProject(v.Project.ID), func() (templ.Component, error) {
		now, err := p.environments.Deployment(r.Context(), d.ID)
		if err != nil {
			return nil, err
		}
		view, err := p.deploymentView(r.Context(), v, now)
		return deploymentBody(view), err
	})
}

func (p environmentPages) deploymentView(ctx context.Context, v View, d environments.Deployment) (deploymentView, error) {
	view := deploymentView{deploymentRow: p.row(ctx, v, d), Environment: d.EnvironmentName, EnvironmentURL: v.URL("_environments", d.EnvironmentName),
		Live: v.URL("_live", "deployments", d.ID), Stage: d.Stage, Job: d.Job, Attempt: d.Attempt, Parameters: d.Parameters, Hash: d.ManifestsHash,
		TraceURL: traceURL(v, slipway.Ref(slipway.RefDeployment, d.ID))}
	for _, image := range d.Images {
		if image.Digest == "" {
			view.References = append(view.References, image.Reference)
			continue
		}
		view.Images = append(view.Images, p.things.describe(ctx, v, slipway.Ref(slipway.RefImage, image.Digest)))
	}
	e, err := p.environments.Get(ctx, d.Environment)
	if err != nil {
		return view, err
	}
	view.Pods, view.PodsProblem = p.pods(ctx, v, e, d.ID)
	records, err := p.clusters.PodsOf(ctx, d.ID)
	if err != nil {
		return view, err
	}
	for _, record := range records {
		if !record.Ended.IsZero() {
			view.Gone = append(view.Gone, record)
		}
	}
	previous, err := p.environments.Previous(ctx, d.ID)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return view, nil
	}
	if err != nil {
		return view, err
	}
	row := p.row(ctx, v, previous)
	view.Previous = &row
	if d.State != environments.Running && p.identity.Authorize(ctx, v.Caller, identity.Contribute, v.Project.ID) == nil {
		view.RollbackURL = deploymentURL(v, d) + "/rollback"
	}
	return view, nil
}

const (
	rollbackTimeout = 15 * time.Minute
	rollbackAnswer  = 10 * time.Second
)

// rollBack starts the way back to the deployment before the one of the path. The browser waits for its first sign
// of life; the environment's page shows the rest.
func (p environmentPages) rollBack(w http.ResponseWriter, r *http.Request, v View) error {
	d, err := p.ofPath(r, v)
	if err != nil {
		return err
	}
	previous, err := p.environments.Previous(r.Context(), d.ID)
	if err != nil {
		return err
	}
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rollbackTimeout)
	go func() { // ends by itself, with the deployment that it is
		defer cancel()
		_, err := p.rollback(ctx, previous.ID, v.Caller.Actor, func(string) {
			select {
			case begun <- struct{}{}:
			default:
			}
		})
		if err != nil {
			p.logger.WarnContext(ctx, "rollback", "deployment", d.ID, "to", previous.ID, "error", err)
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		if code := slipway.CodeOf(err); code == slipway.CodeConflict || code == slipway.CodeNotFound {
			return err
		}
	case <-begun:
	case <-time.After(rollbackAnswer):
	}
	return p.Redirect(w, r, v.URL("_environments", d.EnvironmentName))
}
