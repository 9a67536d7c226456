package environments

import (
	"context"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// The kinds of events that this package appends.
const (
	Created             events.Kind = "environments.created"              // EnvironmentPayload
	Changed             events.Kind = "environments.changed"              // EnvironmentPayload
	ApprovalRequested   events.Kind = "environments.approval_requested"   // ApprovalPayload
	ApprovalDecided     events.Kind = "environments.approval_decided"     // ApprovalPayload
	ChecksCompleted     events.Kind = "environments.checks_completed"     // ChecksPayload
	DeploymentStarted   events.Kind = "environments.deployment_started"   // DeploymentPayload
	DeploymentCompleted events.Kind = "environments.deployment_completed" // DeploymentPayload
)

// EnvironmentPayload says what of an environment changed; never a variable's value.
type EnvironmentPayload struct {
	Name    string `json:"name"`
	Changed string `json:"changed,omitempty"` // "description", "variable NAME", "approval", "exclusiveLock"
}

// ApprovalPayload tells of one approval.
type ApprovalPayload struct {
	Approval    int64         `json:"approval"`
	Environment string        `json:"environment"`
	Run         slipway.RunID `json:"run"`
	Stage       string        `json:"stage"`
	Attempt     int           `json:"attempt"`
	State       State         `json:"state"`
}

// ChecksPayload says that a stage may start, or why it may not.
type ChecksPayload struct {
	Run      slipway.RunID `json:"run"`
	Stage    string        `json:"stage"`
	Attempt  int           `json:"attempt"`
	Approved bool          `json:"approved"`
	State    State         `json:"state"`            // approved, rejected, timed_out or cancelled
	Reason   string        `json:"reason,omitempty"` // a sentence, when not approved
}

// DeploymentPayload tells of one deployment. Result and Reason are empty until it has completed.
type DeploymentPayload struct {
	Environment   string                `json:"environment"`
	EnvironmentID slipway.EnvironmentID `json:"environmentID"`
	Run           slipway.RunID         `json:"run"`
	Stage         string                `json:"stage"`
	Job           string                `json:"job"`
	Attempt       int                   `json:"attempt"`
	Commit        slipway.CommitID      `json:"commit"`
	Result        DeploymentState       `json:"result,omitempty"`
	Reason        string                `json:"reason,omitempty"`
	RollbackTo    slipway.DeploymentID  `json:"rollbackTo,omitempty"`
	Previous      slipway.DeploymentID  `json:"previous,omitempty"` // the successful one before it
}

func (s *Service) append(ctx context.Context, tx *db.Tx, kind events.Kind, e Environment, subject slipway.Reference,
	refs []slipway.Reference, by slipway.Actor, payload any) error {
	refs = append(refs, slipway.Ref(slipway.RefEnvironment, e.ID))
	return s.events.Append(ctx, tx, &events.Event{
		Kind: kind, Project: e.Project, Subject: subject, Actor: by, References: refs,
	}, payload)
}

func (s *Service) changed(ctx context.Context, tx *db.Tx, e Environment, by slipway.Actor, what string) error {
	return s.append(ctx, tx, Changed, e, slipway.Ref(slipway.RefEnvironment, e.ID), nil, by,
		EnvironmentPayload{Name: e.Name, Changed: what})
}
