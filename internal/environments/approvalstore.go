package environments

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

const maxApprovals = 1000

// GetApproval returns one approval with its decisions.
func (s *Service) GetApproval(ctx context.Context, id int64) (Approval, error) {
	return getApproval(ctx, s.db, id)
}

// PendingApprovals lists what waits in a project, or in all projects when it is empty; the newest first.
func (s *Service) PendingApprovals(ctx context.Context, project slipway.ProjectID) ([]Approval, error) {
	return listApprovals(ctx, s.db, `a.state = 'pending' AND ($1 = '' OR r.project = $1)`, string(project), 0)
}

// ApprovalsOf lists the approvals of a run, settled ones too.
func (s *Service) ApprovalsOf(ctx context.Context, run slipway.RunID) ([]Approval, error) {
	return listApprovals(ctx, s.db, `r.run = $1`, int64(run), 0)
}

// Approvals lists an environment's approvals, the newest first, at most limit.
func (s *Service) Approvals(ctx context.Context, id slipway.EnvironmentID, limit int) ([]Approval, error) {
	return listApprovals(ctx, s.db, `a.environment_id = $1`, int64(id), limit)
}

func getApproval(ctx context.Context, q db.Querier, id int64) (Approval, error) {
	list, err := listApprovals(ctx, q, `a.id = $1`, id, 1)
	if err != nil {
		return Approval{}, err
	}
	if len(list) == 0 {
		return Approval{}, slipway.NotFound("there is no approval %d", id)
	}
	return list[0], nil
}

// listApprovals takes a condition of this package's own with one parameter, never a text from outside.
func listApprovals(ctx context.Context, q db.Querier, condition string, arg any, limit int) ([]Approval, error) {
	if limit <= 0 || limit > maxApprovals {
		limit = maxApprovals
	}
	query := `
		SELECT a.id, r.project, a.environment_id, e.name, r.run, r.stage, r.attempt, r.commit_id, r.requested_by, a.settings,
		       a.state, a.created, a.expires, a.completed, a.request_id
		FROM approvals a JOIN check_requests r ON r.id = a.request_id JOIN environments e ON e.id = a.environment_id
		WHERE ` + condition + ` ORDER BY a.id DESC LIMIT $2`
	list, err := db.List(ctx, q, scanApproval, query, arg, limit)
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	for i := range list {
		const query = `SELECT actor, approved, comment, time FROM approval_decisions WHERE approval_id = $1 ORDER BY time, actor_id`
		list[i].Decisions, err = db.List(ctx, q, scanDecision, query, list[i].ID)
		if err != nil {
			return nil, fmt.Errorf("list decisions of approval %d: %w", list[i].ID, err)
		}
	}
	return list, nil
}

func scanApproval(row interface{ Scan(...any) error }, a *Approval) error {
	var requester, settings string
	var created, expires, completed int64
	err := row.Scan(&a.ID, &a.Project, &a.Environment, &a.EnvironmentName, &a.Run, &a.Stage, &a.Attempt, &a.Commit, &requester,
		&settings, &a.State, &created, &expires, &completed, &a.request)
	if err != nil {
		return err
	}
	a.Created, a.Expires, a.Completed = db.Time(created), db.Time(expires), db.Time(completed)
	if err := json.Unmarshal([]byte(requester), &a.RequestedBy); err != nil {
		return err
	}
	return json.Unmarshal([]byte(settings), &a.Check)
}

func scanDecision(row interface{ Scan(...any) error }, d *Decision) error {
	var actor string
	var micros int64
	if err := row.Scan(&actor, &d.Approved, &d.Comment, &micros); err != nil {
		return err
	}
	d.Time = db.Time(micros)
	return json.Unmarshal([]byte(actor), &d.By)
}

func (s *Service) appendChecks(ctx context.Context, tx *db.Tx, project slipway.ProjectID, refs []slipway.Reference,
	by slipway.Actor, p ChecksPayload) error {
	return s.events.Append(ctx, tx, &events.Event{
		Kind: ChecksCompleted, Project: project, Subject: slipway.Ref(slipway.RefRun, p.Run), Actor: by, References: refs,
	}, p)
}
