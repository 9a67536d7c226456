package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

func (a approvalRoutes) addCheckRoutes() {
	a.project("GET", "/pipelines/environments", identity.Read, a.listEnvironments)
	a.project("GET", "/pipelines/checks/configurations", identity.Read, a.listChecks)
	a.project("POST", "/pipelines/checks/configurations", identity.Administer, a.createCheck)
	a.project("GET", "/pipelines/checks/configurations/{check}", identity.Read, a.getCheck)
	a.project("PATCH", "/pipelines/checks/configurations/{check}", identity.Administer, a.updateCheck)
	a.project("DELETE", "/pipelines/checks/configurations/{check}", identity.Administer, a.deleteCheck)
}

// Environment is an environment as lists show it. Locks has who holds its exclusive lock and then who waits.
type Environment struct {
	ID          int64             `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Cluster     string            `json:"cluster"`
	Namespace   string            `json:"namespace"`
	Locked      bool              `json:"exclusiveLock"`
	Locks       []EnvironmentLock `json:"locks,omitempty"`
}

// EnvironmentLock is a stage that holds an environment's exclusive lock, or waits for it.
type EnvironmentLock struct {
	Run     int64  `json:"run"`
	Stage   string `json:"stage"`
	Attempt int    `json:"attempt"`
	Status  string `json:"status"` // held or waiting
}

func (a approvalRoutes) listEnvironments(w http.ResponseWriter, r request) error {
	found, err := a.environments.List(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var out []Environment
	for _, e := range found {
		one := Environment{ID: int64(e.ID), Name: e.Name, Description: e.Description, Cluster: e.Cluster, Namespace: e.Namespace}
		check, err := a.environments.LockOf(r.Context(), e.ID)
		if err != nil {
			return err
		}
		one.Locked = check != nil
		locks, err := a.environments.Locks(r.Context(), e.ID)
		if err != nil {
			return err
		}
		for _, l := range locks {
			lock := EnvironmentLock{Run: int64(l.Run), Stage: l.Stage, Attempt: l.Attempt, Status: "waiting"}
			if l.Held {
				lock.Status = "held"
			}
			one.Locks = append(one.Locks, lock)
		}
		out = append(out, one)
	}
	return list(w, out)
}

// CheckConfiguration is a check of an environment, as Azure DevOps' pipelines/checks has it.
type CheckConfiguration struct {
	ID       int64          `json:"id"`
	Type     CheckType      `json:"type"`
	Settings map[string]any `json:"settings,omitempty"`
	Resource CheckResource  `json:"resource"`
	Timeout  int            `json:"timeout,omitempty"` // minutes
}

// CheckType is the kind of a check: Approval or ExclusiveLock.
type CheckType struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CheckResource is what a check is of; only environments have any here.
type CheckResource struct {
	Type string `json:"type"` // environment
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// The kinds of checks with the identifiers that Azure DevOps gives them. An environment has at most one of each, so that its
// number and the kind's make that of the check.
var (
	approvalCheck = CheckType{"8c6f20a7-a545-4486-9777-f762fafe0d4d", "Approval"}
	lockCheck     = CheckType{"2ef31ad6-baa0-403a-8b45-2cbc9b4e5563", "ExclusiveLock"}
)

const (
	checkKinds     = 10 // room for numbers
	approvalNumber = 1
	lockNumber     = 2
	defaultTimeout = 43200 // minutes
)

// checksOf are the checks of an environment.
func (a approvalRoutes) checksOf(r request, e environments.Environment) ([]CheckConfiguration, error) {
	resource := CheckResource{Type: "environment", ID: fmt.Sprint(int64(e.ID)), Name: e.Name}
	var out []CheckConfiguration
	approval, err := a.environments.Approval(r.Context(), e.ID)
	if err != nil {
		return nil, err
	}
	if approval != nil {
		one := CheckConfiguration{ID: int64(e.ID)*checkKinds + approvalNumber, Type: approvalCheck, Resource: resource, Timeout: cmp.Or(approval.TimeoutMinutes, defaultTimeout)}
		var approvers []map[string]string
		for _, p := range approval.Approvers {
			approvers = append(approvers, map[string]string{"id": cmp.Or(p.User, string(p.Role)), "displayName": cmp.Or(p.Name, string(p.Role))})
		}
		one.Settings = map[string]any{"approvers": approvers, "minRequiredApprovers": approval.Minimum, "instructions": approval.Instructions,
			"requesterCannotBeApprover": approval.RequesterMayNotApprove}
		out = append(out, one)
	}
	lock, err := a.environments.LockOf(r.Context(), e.ID)
	if err != nil {
		return nil, err
	}
	if lock != nil {
		out = append(out, CheckConfiguration{ID: int64(e.ID)*checkKinds + lockNumber, Type: lockCheck, Resource: resource, Timeout: cmp.Or(lock.TimeoutMinutes, defaultTimeout)})
	}
	return out, nil
}

// environment is the one of that number in the authorized project.
func (a approvalRoutes) environment(r request, text string) (environments.Environment, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return environments.Environment{}, slipway.Invalid("resource id %q is not the number of an environment, as pipelines/environments lists them", text)
	}
	e, err := a.environments.Get(r.Context(), slipway.EnvironmentID(id))
	if err == nil && e.Project != r.project.ID {
		err = slipway.NotFound("there is no environment %d", id)
	}
	return e, err
}

// listChecks lists the checks of ?resourceType=environment&resourceId=, or of all environments.
func (a approvalRoutes) listChecks(w http.ResponseWriter, r request) error {
	query := r.URL.Query()
	if kind := query.Get("resourceType"); kind != "" && !strings.EqualFold(kind, "environment") {
		return list[CheckConfiguration](w, nil)
	}
	var found []environments.Environment
	var err error
	if id := query.Get("resourceId"); id != "" {
		var e environments.Environment
		e, err = a.environment(r, id)
		found = []environments.Environment{e}
	} else {
		found, err = a.environments.List(r.Context(), r.project.ID)
	}
	if err != nil {
		return err
	}
	var out []CheckConfiguration
	for _, e := range found {
		checks, err := a.checksOf(r, e)
		if err != nil {
			return err
		}
		out = append(out, checks...)
	}
	return list(w, out)
}

// check finds the check of the path with its environment.
func (a approvalRoutes) check(r request) (CheckConfiguration, environments.Environment, error) {
	id, err := r.number("check")
	if err != nil {
		return CheckConfiguration{}, environments.Environment{}, err
	}
	e, err := a.environment(r, fmt.Sprint(id/checkKinds))
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		err = slipway.NotFound("there is no check %d", id)
	}
	if err != nil {
		return CheckConfiguration{}, e, err
	}
	checks, err := a.checksOf(r, e)
	if err != nil {
		return CheckConfiguration{}, e, err
	}
	for _, c := range checks {
		if c.ID == id {
			return c, e, nil
		}
	}
	return CheckConfiguration{}, e, slipway.NotFound("there is no check %d", id)
}

func (a approvalRoutes) getCheck(w http.ResponseWriter, r request) error {
	c, _, err := a.check(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, c)
	return nil
}

// createCheck puts an exclusive lock before an environment.
func (a approvalRoutes) createCheck(w http.ResponseWriter, r request) error {
	var body CheckConfiguration
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	if !strings.EqualFold(body.Resource.Type, "environment") {
		return at("resource.type", slipway.Unsupported("checks of %q are not there yet: write environment", body.Resource.Type))
	}
	e, err := a.environment(r, body.Resource.ID)
	if err != nil {
		return at("resource.id", err)
	}
	return a.putLock(w, r, e, body)
}

func (a approvalRoutes) updateCheck(w http.ResponseWriter, r request) error {
	c, e, err := a.check(r)
	if err != nil {
		return err
	}
	body := c
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	return a.putLock(w, r, e, body)
}

func (a approvalRoutes) putLock(w http.ResponseWriter, r request, e environments.Environment, body CheckConfiguration) error {
	if !strings.EqualFold(body.Type.ID, lockCheck.ID) && !strings.EqualFold(body.Type.Name, lockCheck.Name) {
		return at("type", slipway.Unsupported("only the check %s (%s) is set here: an approval is set on the page of the environment", lockCheck.Name, lockCheck.ID))
	}
	if err := a.environments.SetLock(r.Context(), e.ID, &environments.LockCheck{TimeoutMinutes: body.Timeout}, r.caller.Actor); err != nil {
		return err
	}
	checks, err := a.checksOf(r, e)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, checks[len(checks)-1])
	return nil
}

func (a approvalRoutes) deleteCheck(w http.ResponseWriter, r request) error {
	c, e, err := a.check(r)
	if err != nil {
		return err
	}
	if c.Type == lockCheck {
		err = a.environments.SetLock(r.Context(), e.ID, nil, r.caller.Actor)
	} else {
		err = a.environments.SetApproval(r.Context(), e.ID, nil, r.caller.Actor)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
