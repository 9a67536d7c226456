package environments

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// CheckRequest asks whether an attempt of a stage may start.
type CheckRequest struct {
	Project      slipway.ProjectID
	ProjectName  string // names the namespaces of environments that are made on this first use
	Run          slipway.RunID
	Stage        string
	Attempt      int
	Environments []string // names of all that the stage's jobs deploy to
	RequestedBy  slipway.Actor
	Commit       slipway.CommitID
	// Pipeline and LockBehavior (RunLatest when it is empty) say which others an exclusive lock lets it overtake.
	Pipeline     slipway.PipelineID
	LockBehavior string
}

// Decision is what one approver said.
type Decision struct {
	By       slipway.Actor
	Approved bool
	Comment  string
	Time     time.Time
}

// Approval is the asking of one environment's approvers for one attempt of a stage.
type Approval struct {
	ID              int64
	Project         slipway.ProjectID
	Environment     slipway.EnvironmentID
	EnvironmentName string
	Run             slipway.RunID
	Stage           string
	Attempt         int
	Commit          slipway.CommitID
	RequestedBy     slipway.Actor
	Check           ApprovalCheck // as it was when asked
	State           State
	Created         time.Time
	Expires         time.Time
	Completed       time.Time
	Decisions       []Decision
	request         int64
}

// maxEnvironmentsOfStage bounds what one stage may ask for.
const maxEnvironmentsOfStage = 100

// RequestChecks makes the environments on first use and asks for their approvals, and then for their exclusive locks. When there
// is nothing to wait for it appends ChecksCompleted at once. Asking again for the same attempt of a stage changes nothing.
func (s *Service) RequestChecks(ctx context.Context, r CheckRequest) error {
	if len(r.Environments) > maxEnvironmentsOfStage {
		return slipway.Limit("stage %s deploys to more than %d environments", r.Stage, maxEnvironmentsOfStage)
	}
	seen := map[slipway.EnvironmentID]bool{}
	var list []Environment
	for _, name := range r.Environments {
		e, err := s.Ensure(ctx, NewEnvironment{Project: r.Project, ProjectName: r.ProjectName, Name: name}, r.RequestedBy)
		if err != nil {
			return err
		}
		if !seen[e.ID] {
			seen[e.ID] = true
			list = append(list, e)
		}
	}
	requester, err := json.Marshal(r.RequestedBy)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.holdLocks(ctx, tx); err != nil {
			return err
		}
		const insert = `
			INSERT INTO check_requests (project, run, stage, attempt, requested_by, commit_id, state, created, completed, pipeline, lock_behavior)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10) ON CONFLICT (run, stage, attempt) DO NOTHING RETURNING id`
		var id int64
		err := tx.QueryRowContext(ctx, insert, string(r.Project), int64(r.Run), r.Stage, r.Attempt, string(requester),
			string(r.Commit), string(Pending), db.Micros(s.clock.Now()), int64(r.Pipeline), cmp.Or(r.LockBehavior, RunLatest)).Scan(&id)
		if db.IsNoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("request checks of stage %s of run %d: %w", r.Stage, r.Run, err)
		}
		for _, e := range list {
			if err := s.ask(ctx, tx, id, r, e); err != nil {
				return err
			}
		}
		if err := s.askLocks(ctx, tx, id, list); err != nil {
			return err
		}
		return s.settleRequest(ctx, tx, id, slipway.System)
	})
}

func (s *Service) ask(ctx context.Context, tx *db.Tx, request int64, r CheckRequest, e Environment) error {
	check, err := checkOf[ApprovalCheck](ctx, tx, e.ID, approvalKind)
	if err != nil || check == nil {
		return err
	}
	settings, err := json.Marshal(check)
	if err != nil {
		return err
	}
	const insert = `
		INSERT INTO approvals (request_id, environment_id, settings, state, created, expires, completed)
		VALUES ($1, $2, $3, $4, $5, $6, 0) RETURNING id`
	now := s.clock.Now()
	var id int64
	err = tx.QueryRowContext(ctx, insert, request, int64(e.ID), string(settings), string(Pending), db.Micros(now),
		db.Micros(now.Add(check.timeout()))).Scan(&id)
	if err != nil {
		return fmt.Errorf("ask for approval of environment %s: %w", e.Name, err)
	}
	refs := []slipway.Reference{slipway.Ref(slipway.RefRun, r.Run), slipway.Ref(slipway.RefCommit, r.Commit)}
	return s.append(ctx, tx, ApprovalRequested, e, slipway.Ref(slipway.RefEnvironment, e.ID), refs, r.RequestedBy,
		ApprovalPayload{Approval: id, Environment: e.Name, Run: r.Run, Stage: r.Stage, Attempt: r.Attempt, State: Pending})
}

// Approve says yes to an approval; Reject says no, which ends it. See MayDecide for who may.
func (s *Service) Approve(ctx context.Context, by Caller, id int64, comment string) (Approval, error) {
	return s.decide(ctx, by, id, true, comment)
}

// Reject says no to an approval.
func (s *Service) Reject(ctx context.Context, by Caller, id int64, comment string) (Approval, error) {
	return s.decide(ctx, by, id, false, comment)
}

func (s *Service) decide(ctx context.Context, by Caller, id int64, yes bool, comment string) (Approval, error) {
	if len(comment) > maxDecisionComment {
		return Approval{}, slipway.Limit("the comment has more than %d bytes", maxDecisionComment)
	}
	var a Approval
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		if a, err = getApproval(ctx, tx, id); err != nil {
			return err
		}
		now := s.clock.Now()
		if a.State != Pending || !now.Before(a.Expires) {
			return slipway.Conflict("approval %d is no longer pending", id)
		}
		if err := a.Check.MayDecide(by, a.RequestedBy, a.Decisions); err != nil {
			return err
		}
		d := Decision{By: by.Actor, Approved: yes, Comment: comment, Time: now}
		if err := insertDecision(ctx, tx, id, d); err != nil {
			return err
		}
		a.Decisions = append(a.Decisions, d)
		a.State = a.Check.settle(a.Decisions, now, a.Expires)
		return s.storeApproval(ctx, tx, &a, by.Actor)
	})
	return a, err
}

func insertDecision(ctx context.Context, tx *db.Tx, approval int64, d Decision) error {
	actor, err := json.Marshal(d.By)
	if err != nil {
		return err
	}
	const insert = `
		INSERT INTO approval_decisions (approval_id, actor_id, actor, approved, comment, time) VALUES ($1, $2, $3, $4, $5, $6)`
	_, err = tx.ExecContext(ctx, insert, approval, d.By.ID, string(actor), d.Approved, d.Comment, db.Micros(d.Time))
	if db.IsUniqueViolation(err) {
		return slipway.Conflict("%s has decided already", describe(d.By))
	}
	if err != nil {
		return fmt.Errorf("decide approval %d: %w", approval, err)
	}
	return nil
}

// storeApproval writes a changed state with its event and settles the request that the approval belongs to.
func (s *Service) storeApproval(ctx context.Context, tx *db.Tx, a *Approval, by slipway.Actor) error {
	if a.State != Pending {
		a.Completed = s.clock.Now()
	}
	// Another transaction may have read the same pending row; whoever comes second finds nothing to change.
	const update = `UPDATE approvals SET state = $2, completed = $3 WHERE id = $1 AND state = 'pending'`
	result, err := tx.ExecContext(ctx, update, a.ID, string(a.State), db.Micros(a.Completed))
	if err != nil {
		return fmt.Errorf("store approval %d: %w", a.ID, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return slipway.Conflict("approval %d is no longer pending", a.ID)
	}
	e, err := getEnvironment(ctx, tx, a.Environment)
	if err != nil {
		return err
	}
	refs := []slipway.Reference{slipway.Ref(slipway.RefRun, a.Run), slipway.Ref(slipway.RefCommit, a.Commit)}
	err = s.append(ctx, tx, ApprovalDecided, e, slipway.Ref(slipway.RefEnvironment, e.ID), refs, by, ApprovalPayload{
		Approval: a.ID, Environment: e.Name, Run: a.Run, Stage: a.Stage, Attempt: a.Attempt, State: a.State})
	if err != nil {
		return err
	}
	return s.settleRequest(ctx, tx, a.request, by)
}

// settleRequest ends a pending request once its approvals and locks allow it, with the event that the pipeline waits for.
func (s *Service) settleRequest(ctx context.Context, tx *db.Tx, id int64, by slipway.Actor) error {
	approvals, err := listApprovals(ctx, tx, `a.request_id = $1`, id, 0)
	if err != nil {
		return err
	}
	states := make([]State, len(approvals))
	for i, a := range approvals {
		states[i] = a.State
	}
	state := summary(states)
	if state == Pending {
		return nil
	}
	if state == Approved {
		if waits, err := s.queueForLocks(ctx, tx, id, by); err != nil || waits {
			return err
		}
	}
	return s.complete(ctx, tx, id, state, reason(approvals), by)
}

// complete ends a pending request and tells the pipeline, unless it is canceled without a reason: whoever canceled the run
// knows.
func (s *Service) complete(ctx context.Context, tx *db.Tx, id int64, state State, reason string, by slipway.Actor) error {
	var project, commit string
	p := ChecksPayload{Approved: state == Approved, State: state, Reason: reason}
	lock := lockReleased
	if state == Approved {
		lock = lockHeld
	}
	const update = `
		UPDATE check_requests SET state = $2, completed = $3, lock_state = CASE WHEN lock_state = '' THEN '' ELSE $4 END
		WHERE id = $1 AND state = 'pending'
		RETURNING project, run, stage, attempt, commit_id`
	err := tx.QueryRowContext(ctx, update, id, string(state), db.Micros(s.clock.Now()), lock).
		Scan(&project, &p.Run, &p.Stage, &p.Attempt, &commit)
	if db.IsNoRows(err) {
		return nil // settled before: a rejection ends a request at once, the others' answers come later
	}
	if err != nil {
		return fmt.Errorf("settle checks %d: %w", id, err)
	}
	if state == Cancelled && reason == "" {
		return nil
	}
	refs := []slipway.Reference{slipway.Ref(slipway.RefCommit, commit)}
	approvals, err := listApprovals(ctx, tx, `a.request_id = $1`, id, 0)
	if err != nil {
		return err
	}
	for _, a := range approvals {
		refs = append(refs, slipway.Ref(slipway.RefEnvironment, a.Environment))
	}
	return s.appendChecks(ctx, tx, slipway.ProjectID(project), refs, by, p)
}

// reason is the sentence about the first approval that says no.
func reason(approvals []Approval) string {
	for _, a := range approvals {
		switch a.State {
		case Rejected:
			for _, d := range a.Decisions {
				if !d.Approved && d.Comment != "" {
					return fmt.Sprintf("%s rejected the deployment to %s: %s", describe(d.By), a.EnvironmentName, d.Comment)
				} else if !d.Approved {
					return fmt.Sprintf("%s rejected the deployment to %s", describe(d.By), a.EnvironmentName)
				}
			}
		case TimedOut:
			return fmt.Sprintf("nobody approved the deployment to %s within %s", a.EnvironmentName, a.Check.timeout())
		}
	}
	return ""
}

// Expire ends the approvals, and the waiting for locks, whose time is over and returns how many there were.
func (s *Service) Expire(ctx context.Context) (int, error) {
	now := s.clock.Now()
	due, err := listApprovals(ctx, s.db, `a.state = 'pending' AND a.expires <= $1`, db.Micros(now), 0)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, a := range due {
		a.State = a.Check.settle(a.Decisions, now, a.Expires)
		err := s.db.Tx(ctx, func(tx *db.Tx) error { return s.storeApproval(ctx, tx, &a, slipway.System) })
		if slipway.CodeOf(err) == slipway.CodeConflict {
			continue // decided in this very moment
		}
		if err != nil {
			return ended, err
		}
		ended++
	}
	n, err := s.expireLocks(ctx, now)
	return ended + n, err
}
