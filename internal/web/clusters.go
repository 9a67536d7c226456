package web

import (
	"fmt"
	"net/http"

	"slipway"
	"slipway/internal/clusters"
	"slipway/internal/identity"
)

type clusterView struct {
	Name    string
	Version string
	Problem string // why it cannot be shown
	Nodes   []clusters.Node
	Pods    []clusters.Pod
}

// clustersPage shows every cluster's nodes, and its pods to administrators of the installation: they are of all projects.
func (p environmentPages) clustersPage(w http.ResponseWriter, r *http.Request, v View) error {
	ctx := r.Context()
	all := p.identity.Authorize(ctx, v.Caller, identity.Administer, "") == nil
	var views []clusterView
	for _, name := range p.clusters.Names() {
		view := clusterView{Name: name}
		var err error
		if view.Version, err = p.clusters.Version(ctx, name); err == nil {
			view.Nodes, err = p.clusters.Nodes(ctx, name)
		}
		if err == nil && all {
			view.Pods, err = p.clusters.Pods(ctx, name, "")
		}
		if slipway.CodeOf(err) == slipway.CodeUnavailable {
			view.Problem, err = fmt.Sprintf("Cluster %s does not answer now.", name), nil
		}
		if err != nil {
			return err
		}
		views = append(views, view)
	}
	return p.Render(w, r, v.Titled("Clusters", ""), clustersPage(views))
}
