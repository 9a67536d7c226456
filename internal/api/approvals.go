package api

import (
	"net/http"
	"time"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

type approvalRoutes struct {
	*Server
	environments *environments.Service
}

// AddEnvironments serves approvals as Azure DevOps' pipelines/approvals.
func (s *Server) AddEnvironments(e *environments.Service) {
	a := approvalRoutes{s, e}
	s.project("GET", "/pipelines/approvals", identity.Read, a.list)
	s.project("PATCH", "/pipelines/approvals", identity.Read, a.update) // who may decide is the approval's own rule
	a.addCheckRoutes()
}

// Approval is one that waits or was decided.
type Approval struct {
	ID           int64      `json:"id"`
	Status       string     `json:"status"` // pending, approved, rejected, timedOut, canceled
	Environment  string     `json:"environment"`
	Run          int64      `json:"run"`
	Stage        string     `json:"stage"`
	Commit       string     `json:"commit"`
	Instructions string     `json:"instructions,omitempty"`
	CreatedOn    *time.Time `json:"createdOn,omitempty"`
}

func approval(a environments.Approval) Approval {
	return Approval{ID: a.ID, Status: string(a.State), Environment: a.EnvironmentName, Run: int64(a.Run), Stage: a.Stage,
		Commit: string(a.Commit), Instructions: a.Check.Instructions, CreatedOn: when(a.Created)}
}

func (a approvalRoutes) list(w http.ResponseWriter, r request) error {
	pending, err := a.environments.PendingApprovals(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var out []Approval
	for _, one := range pending {
		out = append(out, approval(one))
	}
	return list(w, out)
}

// maxApprovals bounds one PATCH.
const maxApprovals = 100

func (a approvalRoutes) update(w http.ResponseWriter, r request) error {
	var body []struct {
		ID      int64  `json:"approvalId"`
		Status  string `json:"status"` // approved or rejected
		Comment string `json:"comment"`
	}
	if err := httpx.ReadJSON(w, r.Request, 256<<10, &body); err != nil {
		return err
	}
	if len(body) == 0 || len(body) > maxApprovals {
		return slipway.Invalid("send a list of 1 to %d approvals", maxApprovals)
	}
	role, err := a.role(r)
	if err != nil {
		return err
	}
	by := environments.Caller{Actor: r.caller.Actor, Role: role}
	var out []Approval
	for _, one := range body {
		known, err := a.environments.GetApproval(r.Context(), one.ID)
		if err != nil {
			return err
		}
		if known.Project != r.project.ID {
			return slipway.NotFound("there is no approval %d", one.ID)
		}
		decide := a.environments.Approve
		switch one.Status {
		case "approved":
		case "rejected":
			decide = a.environments.Reject
		default:
			return slipway.Invalid("status %q: write approved or rejected", one.Status)
		}
		decided, err := decide(r.Context(), by, one.ID, one.Comment)
		if err != nil {
			return err
		}
		out = append(out, approval(decided))
	}
	return list(w, out)
}

// role is the caller's role in the project; the installation's administrators are administrators everywhere.
func (a approvalRoutes) role(r request) (identity.Role, error) {
	if r.caller.Administrator {
		return identity.RoleAdministrator, nil
	}
	return a.identity.Role(r.Context(), slipway.UserID(r.caller.ID), r.project.ID)
}
