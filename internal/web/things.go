package web

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/environments"
	"slipway/internal/images/builds"
	"slipway/internal/insights"
	"slipway/internal/pipelines"
	"slipway/internal/registry"
	"slipway/internal/repos"
	"slipway/internal/scans"
	"slipway/internal/signing"
)

// Things are the domains that know the names of what the lineage graph joins.
type Things struct {
	Repos        *repos.Service
	Pipelines    *pipelines.Service
	Registry     *registry.Service
	Environments *environments.Service
	Insights     *insights.Service
	Boards       *boards.Service
	Builds       *builds.Service // nil: runs do not show theirs
	Signing      *signing.Service
	Scans        *scans.Service
}

// thing is one of them as pages show it.
type thing struct {
	Reference slipway.Reference
	Kind      string // as people say it
	Label     string
	Detail    string
	State     string // for a badge; empty for none
	URL       string // empty when there is no page
	When      time.Time
}

// kindNames are the words for the kinds of things, one and many.
var kindNames = map[slipway.ReferenceKind][2]string{
	slipway.RefWorkItem: {"work item", "Work items"}, slipway.RefPullRequest: {"pull request", "Pull requests"}, slipway.RefCommit: {"commit", "Commits"},
	slipway.RefRun: {"run", "Runs"}, slipway.RefImage: {"image", "Images"}, slipway.RefDeployment: {"deployment", "Deployments"},
	slipway.RefPod: {"pod", "Pods"}, slipway.RefTrace: {"trace", "Traces"}, slipway.RefAlert: {"alert", "Alerts"},
}

// describe names a thing of the view's project. What is gone, or belongs to another project, keeps its bare id.
func (t Things) describe(ctx context.Context, v View, r slipway.Reference) thing {
	bare := thing{Reference: r, Kind: kindNames[r.Kind][0], Label: r.ID}
	named, ok := bare, false
	number, _ := strconv.ParseInt(r.ID, 10, 64)
	switch r.Kind {
	case slipway.RefWorkItem:
		ok = t.workItem(ctx, v, slipway.WorkItemID(number), &named)
	case slipway.RefPullRequest:
		ok = t.pullRequest(ctx, v, slipway.PullRequestID(number), &named)
	case slipway.RefCommit:
		ok = t.commit(ctx, v, slipway.CommitID(r.ID), &named)
	case slipway.RefRun:
		ok = t.run(ctx, v, slipway.RunID(number), &named)
	case slipway.RefImage:
		ok = t.image(ctx, v, slipway.Digest(r.ID), &named)
	case slipway.RefDeployment:
		ok = t.deployment(ctx, v, slipway.DeploymentID(number), &named)
	case slipway.RefAlert:
		ok = t.alert(ctx, v, number, &named)
	case slipway.RefTrace:
		named.URL, ok = operationURL(v, r.ID, time.Time{}), true
	}
	if !ok {
		return bare
	}
	return named
}

func (t Things) workItem(ctx context.Context, v View, id slipway.WorkItemID, to *thing) bool {
	i, err := t.Boards.Get(ctx, id)
	if err != nil || i.Project != v.Project.ID {
		return false
	}
	to.Label, to.Detail, to.State, to.When = fmt.Sprintf("%s %d", i.Type, i.ID), i.Title, string(i.State), i.Changed
	to.URL = v.URL("_workitems", "edit", i.ID)
	return true
}

func (t Things) pullRequest(ctx context.Context, v View, id slipway.PullRequestID, to *thing) bool {
	p, err := t.Repos.PullRequest(ctx, id)
	if err != nil || p.Project != v.Project.ID {
		return false
	}
	repo, err := t.Repos.Get(ctx, p.Repository)
	if err != nil {
		return false
	}
	to.Label, to.Detail, to.State, to.When = fmt.Sprintf("pull request %d", id), p.Title, string(p.Status), p.Created
	to.URL = v.URL("_git", repo.Name, "pullrequest", id)
	return true
}

const maxLookedAt = 20 // repositories that are searched for a commit

func (t Things) commit(ctx context.Context, v View, id slipway.CommitID, to *thing) bool {
	list, err := t.Repos.List(ctx, v.Project.ID)
	if err != nil {
		return false
	}
	for _, repo := range list[:min(len(list), maxLookedAt)] {
		c, err := t.Repos.Commit(ctx, repo.ID, id)
		if err != nil {
			continue
		}
		to.Label, to.Detail, to.When = id.Short(), c.Subject(), c.Committer.Time
		to.URL = v.URL("_git", repo.Name, "commit", id)
		return true
	}
	return false
}

func (t Things) run(ctx context.Context, v View, id slipway.RunID, to *thing) bool {
	run, err := t.Pipelines.Get(ctx, id)
	if err != nil || run.Project != v.Project.ID {
		return false
	}
	*to = runThing(v, run)
	return true
}

func (t Things) image(ctx context.Context, v View, d slipway.Digest, to *thing) bool {
	list, err := t.Registry.Manifests(ctx, registry.Filter{Project: v.Project.ID, Digest: d, Limit: 1})
	if err != nil || len(list) == 0 {
		to.Label = d.Short()
		return true
	}
	m := list[0]
	to.Label, to.Detail, to.When = m.Repository, d.Short(), m.Pushed
	if len(m.Tags) > 0 {
		to.Label += ":" + m.Tags[0]
	}
	to.URL = imageURL(v, m.Repository, d)
	return true
}

func (t Things) deployment(ctx context.Context, v View, id slipway.DeploymentID, to *thing) bool {
	d, err := t.Environments.Deployment(ctx, id)
	if err != nil || d.Project != v.Project.ID {
		return false
	}
	to.Label, to.State, to.When = fmt.Sprintf("%s #%d", d.EnvironmentName, d.ID), string(d.State), d.Started
	to.Detail = t.doing(ctx, d)
	to.URL = v.URL("_environments", d.EnvironmentName, "deployments", d.ID)
	return true
}

// doing says how a deployment does, as its telemetry of the last hour has it.
func (t Things) doing(ctx context.Context, d environments.Deployment) string {
	h, err := t.Insights.Health(ctx, insights.Filter{Project: d.Project, Deployment: d.ID})
	if err != nil || h.Pods == 0 && h.Requests.Count == 0 {
		return ""
	}
	var parts []string
	if h.Pods > 0 { // else another deployment's pods are there instead
		parts = append(parts, fmt.Sprintf("%d of %d pods up", h.PodsUp, h.Pods))
	}
	if h.Restarts > 0 {
		parts = append(parts, plural(int(h.Restarts), "restart"))
	}
	if h.Requests.Count > 0 {
		parts = append(parts, plural(int(h.Requests.Count), "request"), fmt.Sprintf("%d failed", h.Requests.Failed))
	}
	return strings.Join(parts, ", ")
}

func (t Things) alert(ctx context.Context, v View, id int64, to *thing) bool {
	a, err := t.Insights.Alert(ctx, v.Project.ID, id)
	if err != nil {
		return false
	}
	to.Label, to.Detail, to.State, to.When = a.Rule.Name, a.Message, "firing", a.Fired
	if !a.Resolved.IsZero() {
		to.State = "resolved"
	}
	to.URL = v.URL("_insights", "alerts", id)
	return true
}

// group is the things of one kind.
type group struct {
	Kind   slipway.ReferenceKind
	Title  string
	Things []thing
}

// grouped names things and puts them together by kind, in the order of kinds.
func (t Things) grouped(ctx context.Context, v View, kinds []slipway.ReferenceKind, list []slipway.Reference) []group {
	var groups []group
	for _, kind := range kinds {
		g := group{Kind: kind, Title: kindNames[kind][1]}
		for _, r := range list {
			if r.Kind == kind {
				g.Things = append(g.Things, t.describe(ctx, v, r))
			}
		}
		if len(g.Things) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}
