package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

type approvalRow struct {
	ID                           int64
	URL, Stage, By, Instructions string
	Run                          thing
	Asked, Expires               time.Time
	Approvers                    string
	Said                         []string // what was decided until now
	MayDecide                    bool
	WhyNot                       string
}

// lockRow is a stage that has the environment's lock, or waits for it.
type lockRow struct {
	Run     thing
	Stage   string
	Attempt int
	Held    bool
	Since   time.Time
}

type podRow struct {
	Name, LogURL, Workload, Phase, Node, Cause string
	Ready                                      bool
	Restarts                                   int
	Created                                    time.Time
	Deployment                                 slipway.DeploymentID
	DeploymentURL                              string
	Images                                     []thing
}

type environmentView struct {
	Name, URL, Description, Namespace, Cluster string
	Live                                       string
	Approvals                                  []approvalRow
	Current                                    *deploymentRow
	History                                    []deploymentRow
	Pods                                       []podRow
	PodsProblem                                string // why they cannot be shown
	Variables                                  []environments.Variable
	Check                                      *environments.ApprovalCheck
	Approvers                                  string
	Settled                                    []approvalRow
	Lock                                       *environments.LockCheck
	Locks                                      []lockRow
	MayAdminister                              bool
	Insights                                   string
	Machines                                   machinesView
	Reviews                                    []reviewRow
}

// reviewRow is a review app of an environment or of a pull request.
type reviewRow struct {
	Name, URL   string
	PullRequest slipway.PullRequestID
}

func reviewRows(v View, list []environments.Environment) []reviewRow {
	rows := make([]reviewRow, len(list))
	for i, e := range list {
		rows[i] = reviewRow{e.Name, v.URL("_environments", e.Name), e.PullRequest}
	}
	return rows
}

const (
	shownDeployments = 30
	podsTimeout      = 5 * time.Second
)

func (p environmentPages) show(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	view, err := p.view(r.Context(), v, e)
	if err != nil {
		return err
	}
	if view.Variables, err = p.environments.Variables(r.Context(), e.ID); err != nil {
		return err
	}
	if view.Check, err = p.environments.Approval(r.Context(), e.ID); err != nil {
		return err
	}
	if view.Check != nil {
		view.Approvers = approverNames(view.Check.Approvers)
	}
	if view.Lock, err = p.environments.LockOf(r.Context(), e.ID); err != nil {
		return err
	}
	view.MayAdminister = p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	view.Machines = machinesView{URL: v.URL("_environments", e.Name, "machines"), OfEnvironment: true, MayAdminister: view.MayAdminister}
	view.Machines.Rows, err = machinesOf(r.Context(), p.things.Pipelines, p.target(v, e.Name), view.Machines.URL, func(work pipelines.MachineWork) string {
		return v.URL("_build", "results") + "?buildId=" + work.Job.Run.String()
	})
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(e.Name, "environments"), environmentPage(view))
}

func (p environmentPages) showLive(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	return p.Live(w, r, ofProject(v.Project.ID), func() (templ.Component, error) {
		view, err := p.view(r.Context(), v, e)
		return environmentBody(view), err
	})
}

// view is what of an environment changes by itself.
func (p environmentPages) view(ctx context.Context, v View, e environments.Environment) (environmentView, error) {
	view := environmentView{Name: e.Name, URL: v.URL("_environments", e.Name), Description: e.Description, Namespace: e.Namespace,
		Cluster: e.Cluster, Live: v.URL("_live", "environments", e.Name), Insights: v.URL("_insights")}
	caller, err := p.caller(ctx, v)
	if err != nil {
		return view, err
	}
	reviews, err := p.environments.Reviews(ctx, 0, e.ID)
	if err != nil {
		return view, err
	}
	view.Reviews = reviewRows(v, reviews)
	approvals, err := p.environments.Approvals(ctx, e.ID, shownDeployments)
	if err != nil {
		return view, err
	}
	for _, a := range approvals {
		if a.State == environments.Pending {
			view.Approvals = append(view.Approvals, p.approval(ctx, v, caller, a))
		}
	}
	locks, err := p.environments.Locks(ctx, e.ID)
	if err != nil {
		return view, err
	}
	for _, l := range locks {
		view.Locks = append(view.Locks, lockRow{Run: p.things.describe(ctx, v, slipway.Ref(slipway.RefRun, l.Run)), Stage: l.Stage, Attempt: l.Attempt, Held: l.Held, Since: l.Since})
	}
	history, err := p.environments.History(ctx, e.ID, shownDeployments)
	if err != nil {
		return view, err
	}
	current, err := p.environments.Current(ctx, e.ID)
	if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
		return view, err
	}
	for _, d := range history {
		view.History = append(view.History, p.row(ctx, v, d))
	}
	if current.ID != 0 {
		row := p.row(ctx, v, current)
		view.Current = &row
	}
	view.Pods, view.PodsProblem = p.pods(ctx, v, e, 0)
	return view, nil
}

func (p environmentPages) approval(ctx context.Context, v View, caller environments.Caller, a environments.Approval) approvalRow {
	row := approvalRow{ID: a.ID, URL: v.URL("_approvals", a.ID), Stage: a.Stage, By: a.RequestedBy.Name, Instructions: a.Check.Instructions,
		Run: p.things.describe(ctx, v, slipway.Ref(slipway.RefRun, a.Run)), Asked: a.Created, Expires: a.Expires, Approvers: approverNames(a.Check.Approvers)}
	for _, d := range a.Decisions {
		word := "approved"
		if !d.Approved {
			word = "rejected"
		}
		row.Said = append(row.Said, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", d.By.Name, word, d.Comment), ": "))
	}
	err := a.Check.MayDecide(caller, a.RequestedBy, a.Decisions)
	if row.MayDecide = err == nil; err != nil {
		row.WhyNot = err.Error()
	}
	return row
}

// approverNames writes approvers as the form reads them.
func approverNames(list []environments.Approver) string {
	if len(list) == 0 {
		return "administrators"
	}
	names := make([]string, len(list))
	for i, a := range list {
		if names[i] = a.Name; a.Role != "" {
			names[i] = string(a.Role) + "s"
		}
	}
	return strings.Join(names, ", ")
}

// pods are those of an environment, or of one deployment to it. A cluster that does not answer is no error of the
// page: the rest of it is of use.
func (p environmentPages) pods(ctx context.Context, v View, e environments.Environment, only slipway.DeploymentID) ([]podRow, string) {
	ctx, cancel := context.WithTimeout(ctx, podsTimeout)
	defer cancel()
	list, err := p.clusters.Pods(ctx, e.Cluster, e.Namespace)
	if err != nil {
		if slipway.CodeOf(err) == slipway.CodeInternal && ctx.Err() == nil {
			p.logger.ErrorContext(ctx, "list pods", "environment", e.Name, "error", err)
		}
		return nil, fmt.Sprintf("The pods cannot be shown: cluster %s does not answer.", e.Cluster)
	}
	var rows []podRow
	for _, pod := range list {
		if only != 0 && pod.Deployment != only {
			continue
		}
		rows = append(rows, p.pod(ctx, v, e, pod))
	}
	slices.SortStableFunc(rows, func(a, b podRow) int { return strings.Compare(a.Workload, b.Workload) })
	return rows, ""
}

func (p environmentPages) pod(ctx context.Context, v View, e environments.Environment, pod clusters.Pod) podRow {
	row := podRow{Name: pod.Name, LogURL: v.URL("_environments", e.Name, "pods", pod.Name, "log"), Workload: pod.Workload, Phase: pod.Phase,
		Node: pod.Node, Cause: pod.Cause, Ready: pod.Ready, Restarts: pod.Restarts, Created: pod.Created, Deployment: pod.Deployment}
	if pod.Ready && pod.Phase == "Running" {
		row.Phase = "Ready"
	}
	if pod.Deployment != 0 {
		row.DeploymentURL = v.URL("_environments", e.Name, "deployments", pod.Deployment)
	}
	for _, c := range pod.Containers {
		if c.Digest != "" {
			row.Images = append(row.Images, p.things.describe(ctx, v, slipway.Ref(slipway.RefImage, c.Digest)))
		} else {
			row.Images = append(row.Images, thing{Label: c.Image})
		}
	}
	return row
}

const (
	shownLogLines = 2000
	maxLog        = 4 << 20
)

// podLog shows the end of a pod's log as text.
func (p environmentPages) podLog(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	name := chi.URLParam(r, "pod")
	ctx, cancel := context.WithTimeout(r.Context(), podsTimeout)
	defer cancel()
	stream, err := p.clusters.PodLog(ctx, e.Cluster, e.Namespace, name, clusters.LogOptions{Container: r.URL.Query().Get("container"),
		Previous: r.URL.Query().Get("previous") != "", Lines: shownLogLines})
	if err != nil {
		return err
	}
	defer stream.Close()
	text, err := io.ReadAll(io.LimitReader(stream, maxLog))
	if err != nil {
		return fmt.Errorf("read log of pod %s: %w", name, err)
	}
	return p.Render(w, r, v.Titled("Log of "+name, "environments"), podLogPage(podLogView{Pod: name, Environment: e.Name,
		Back: v.URL("_environments", e.Name), Self: r.URL.Path, Text: string(text)}))
}

type podLogView struct{ Pod, Environment, Back, Self, Text string }
