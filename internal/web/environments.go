package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/identity"
)

// Rollback brings an environment back to an earlier deployment and returns when that has ended.
type Rollback func(ctx context.Context, to slipway.DeploymentID, by slipway.Actor, progress func(line string)) (environments.Deployment, error)

type environmentPages struct {
	*Server
	environments *environments.Service
	clusters     *clusters.Service
	rollback     Rollback
	things       Things
}

// AddEnvironments serves where applications run: environments with their variables, approvals and pods, deployments,
// and the clusters below.
func (s *Server) AddEnvironments(e *environments.Service, c *clusters.Service, rollback Rollback, t Things) {
	p := environmentPages{s, e, c, rollback, t}
	s.reviewApps = e.Reviews
	s.Project("GET", "/_environments", identity.Read, p.list)
	s.Project("POST", "/_environments", identity.Contribute, p.create)
	s.Project("GET", "/_live/environments", identity.Read, p.listLive)
	s.Project("POST", "/_approvals/{id}", identity.Read, p.decide) // the approval itself says who may
	s.Project("GET", "/_environments/{name}", identity.Read, p.show)
	s.Project("GET", "/_live/environments/{name}", identity.Read, p.showLive)
	s.Project("POST", "/_environments/{name}/variables", identity.Administer, p.changeVariable)
	s.Project("POST", "/_environments/{name}/approval", identity.Administer, p.changeApproval)
	s.Project("POST", "/_environments/{name}/lock", identity.Administer, p.changeLock)
	s.Project("POST", "/_environments/{name}/machines", identity.Administer, p.registerMachine)
	s.Project("POST", "/_environments/{name}/machines/{machine}", identity.Administer, p.changeMachine)
	s.Project("GET", "/_environments/{name}/deployments/{id}", identity.Read, p.deployment)
	s.Project("GET", "/_live/deployments/{id}", identity.Read, p.deploymentLive)
	s.Project("POST", "/_environments/{name}/deployments/{id}/rollback", identity.Contribute, p.rollBack)
	s.Project("GET", "/_environments/{name}/pods/{pod}/log", identity.Read, p.podLog)
	s.Installation("GET", "/_clusters", identity.Read, p.clustersPage)
}

type environmentRow struct {
	Name, URL, Description, Namespace string
	Latest                            *deploymentRow
	Waiting                           int // approvals
}

type deploymentRow struct {
	ID          slipway.DeploymentID
	URL, State  string
	Commit, Run thing
	By          string
	Reason      string
	Rollback    slipway.DeploymentID
	Started     time.Time
	Took        string
}

type environmentsView struct {
	Rows       []environmentRow
	Live       string
	URL        string
	MayCreate  bool
	ClusterURL string
}

func (p environmentPages) list(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.listView(r.Context(), v)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Environments", "environments"), environmentsPage(view))
}

func (p environmentPages) listLive(w http.ResponseWriter, r *http.Request, v View) error {
	return p.Live(w, r, ofProject(v.Project.ID), func() (templ.Component, error) {
		view, err := p.listView(r.Context(), v)
		return environmentsBody(view), err
	})
}

func (p environmentPages) listView(ctx context.Context, v View) (environmentsView, error) {
	view := environmentsView{Live: v.URL("_live", "environments"), URL: v.URL("_environments"),
		MayCreate: p.identity.Authorize(ctx, v.Caller, identity.Contribute, v.Project.ID) == nil}
	list, err := p.environments.List(ctx, v.Project.ID)
	if err != nil {
		return view, err
	}
	pending, err := p.environments.PendingApprovals(ctx, v.Project.ID)
	if err != nil {
		return view, err
	}
	for _, e := range list {
		row := environmentRow{Name: e.Name, URL: v.URL("_environments", e.Name), Description: e.Description, Namespace: e.Namespace}
		for _, a := range pending {
			if a.Environment == e.ID {
				row.Waiting++
			}
		}
		latest, err := p.environments.History(ctx, e.ID, 1)
		if err != nil {
			return view, err
		}
		if len(latest) > 0 {
			d := p.row(ctx, v, latest[0])
			row.Latest = &d
		}
		view.Rows = append(view.Rows, row)
	}
	return view, nil
}

// row is a deployment as lists show it.
func (p environmentPages) row(ctx context.Context, v View, d environments.Deployment) deploymentRow {
	row := deploymentRow{ID: d.ID, URL: deploymentURL(v, d), State: string(d.State), Reason: d.Reason, Rollback: d.RollbackTo, Started: d.Started,
		By: d.StartedBy.Name, Commit: p.things.describe(ctx, v, slipway.Ref(slipway.RefCommit, d.Commit)),
		Run: p.things.describe(ctx, v, slipway.Ref(slipway.RefRun, d.Run))}
	if row.Commit.URL == "" {
		row.Commit.Label = d.Commit.Short()
	}
	if !d.Completed.IsZero() {
		row.Took = Duration(d.Completed.Sub(d.Started))
	}
	return row
}

// deploymentURL is the page of one deployment.
func deploymentURL(v View, d environments.Deployment) string {
	return v.URL("_environments", d.EnvironmentName, "deployments", d.ID)
}

func (p environmentPages) create(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.environments.Create(r.Context(), environments.NewEnvironment{Project: v.Project.ID, ProjectName: v.Project.Name,
		Name: r.PostFormValue("name"), Description: r.PostFormValue("description")}, v.Caller.Actor)
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_environments", e.Name))
}

// named is the environment of the path.
func (p environmentPages) named(r *http.Request, v View) (environments.Environment, error) {
	return p.environments.ByName(r.Context(), v.Project.ID, chi.URLParam(r, "name"))
}

func (p environmentPages) changeVariable(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(r.PostFormValue("name"))
	if r.PostFormValue("do") == "delete" {
		err = p.environments.DeleteVariable(r.Context(), e.ID, name, v.Caller.Actor)
	} else {
		err = p.environments.SetVariable(r.Context(), e.ID, environments.Variable{Name: name, Value: r.PostFormValue("value"),
			Secret: r.PostFormValue("secret") != ""}, v.Caller.Actor)
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_environments", e.Name)+"#variables")
}

func (p environmentPages) changeApproval(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	var check *environments.ApprovalCheck
	if r.PostFormValue("do") != "remove" {
		check = &environments.ApprovalCheck{Instructions: strings.TrimSpace(r.PostFormValue("instructions")),
			RequesterMayNotApprove: r.PostFormValue("requester") != ""}
		if check.Minimum, err = whole(r, "minimum"); err != nil {
			return err
		}
		if check.TimeoutMinutes, err = whole(r, "timeout"); err != nil {
			return err
		}
		if check.Approvers, err = p.approvers(r, v); err != nil {
			return err
		}
	}
	if err := p.environments.SetApproval(r.Context(), e.ID, check, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_environments", e.Name)+"#approval")
}

func (p environmentPages) changeLock(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	var check *environments.LockCheck
	if r.PostFormValue("do") != "remove" {
		check = &environments.LockCheck{}
		if check.TimeoutMinutes, err = whole(r, "timeout"); err != nil {
			return err
		}
	}
	if err := p.environments.SetLock(r.Context(), e.ID, check, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_environments", e.Name)+"#lock")
}

// whole reads a number of a form, 0 when the field is empty.
func whole(r *http.Request, field string) (int, error) {
	text := strings.TrimSpace(r.PostFormValue(field))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, &slipway.Problem{Code: slipway.CodeInvalid, Field: field, Message: fmt.Sprintf("%s must be a whole number, not %q", field, text)}
	}
	return n, nil
}

// approvers reads the chosen roles and the project's members by their names.
func (p environmentPages) approvers(r *http.Request, v View) ([]environments.Approver, error) {
	var list []environments.Approver
	for _, field := range strings.FieldsFunc(r.PostFormValue("approvers"), func(c rune) bool { return c == ',' || c == '\n' }) {
		name := strings.TrimSpace(field)
		if name == "" {
			continue
		}
		if role, err := identity.ParseRole(strings.TrimSuffix(strings.ToLower(name), "s")); err == nil {
			list = append(list, environments.Approver{Role: role})
			continue
		}
		members, err := p.identity.Members(r.Context(), v.Project.ID)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(members, func(m identity.Member) bool { return strings.EqualFold(m.Name, name) })
		if i < 0 {
			return nil, slipway.Invalid("%q is no member of the project, and no role: write administrators, contributors or user names", name)
		}
		list = append(list, environments.Approver{User: string(members[i].ID), Name: members[i].Name})
	}
	return list, nil
}

func (p environmentPages) decide(w http.ResponseWriter, r *http.Request, v View) error {
	id, err := strconv.ParseInt(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		return slipway.NotFound("there is no approval %q", chi.URLParam(r, "id"))
	}
	a, err := p.environments.GetApproval(r.Context(), id)
	if err != nil || a.Project != v.Project.ID {
		return slipway.NotFound("there is no approval %d in this project", id)
	}
	caller, err := p.caller(r.Context(), v)
	if err != nil {
		return err
	}
	switch comment := strings.TrimSpace(r.PostFormValue("comment")); r.PostFormValue("do") {
	case "approve":
		_, err = p.environments.Approve(r.Context(), caller, id, comment)
	case "reject":
		_, err = p.environments.Reject(r.Context(), caller, id, comment)
	default:
		err = slipway.Invalid("say approve or reject")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_environments", a.EnvironmentName))
}

func (p environmentPages) caller(ctx context.Context, v View) (environments.Caller, error) {
	c := environments.Caller{Actor: v.Caller.Actor}
	if v.Caller.Kind != slipway.ActorUser {
		return c, nil
	}
	var err error
	if c.Role, err = p.identity.Role(ctx, slipway.UserID(v.Caller.ID), v.Project.ID); err != nil {
		return c, err
	}
	// An administrator of the installation needs no role in the project.
	if p.identity.Authorize(ctx, v.Caller, identity.Administer, v.Project.ID) == nil {
		c.Role = identity.RoleAdministrator
	}
	return c, nil
}
