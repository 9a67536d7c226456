package scans

import (
	"context"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// The events of this package. The subject is the project.
const (
	EventPolicyChanged    events.Kind = "scans.policy_changed"    // PolicyPayload
	EventExceptionChanged events.Kind = "scans.exception_changed" // ExceptionPayload
)

// PolicyPayload is the payload of EventPolicyChanged.
type PolicyPayload struct {
	Before Policy `json:"before"`
	After  Policy `json:"after"`
}

// ExceptionPayload is the payload of EventExceptionChanged.
type ExceptionPayload struct {
	Change    string    `json:"change"` // accepted, withdrawn
	Exception Exception `json:"exception"`
}

func (s *Service) tell(ctx context.Context, tx *db.Tx, kind events.Kind, project slipway.ProjectID, by slipway.Actor, payload any) error {
	return s.Log.Append(ctx, tx, &events.Event{Kind: kind, Project: project, Subject: slipway.Ref(slipway.RefProject, project), Actor: by}, payload)
}
