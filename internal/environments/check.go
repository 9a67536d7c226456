package environments

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/identity"
)

// State is how far a request for checks, or an approval, has come.
type State string

// The states; see the package's diagram.
const (
	Pending   State = "pending"
	Approved  State = "approved"
	Rejected  State = "rejected"
	TimedOut  State = "timed_out"
	Cancelled State = "cancelled"
)

// Approver is one who may approve: a user by id, or everybody who has a role in the project.
type Approver struct {
	User string        `json:"user,omitempty"` // a user's id
	Name string        `json:"name,omitempty"` // how the user is shown
	Role identity.Role `json:"role,omitempty"` // administrator or contributor
}

// ApprovalCheck asks people before a stage may deploy to an environment.
type ApprovalCheck struct {
	Approvers []Approver `json:"approvers"` // empty: the project's administrators
	// Minimum is how many different people must approve; 0 means 1.
	Minimum int `json:"minimum"`
	// RequesterMayNotApprove keeps whoever started the run from approving it.
	RequesterMayNotApprove bool `json:"requesterMayNotApprove"`
	// TimeoutMinutes after which a pending approval ends and the stage is skipped; 0 means 30 days, as in Azure Pipelines.
	TimeoutMinutes int    `json:"timeoutMinutes"`
	Instructions   string `json:"instructions,omitempty"` // shown to the approvers
}

const (
	approvalKind       = "approval"
	defaultTimeout     = 30 * 24 * time.Hour
	maxTimeoutMinutes  = 30 * 24 * 60
	maxApprovers       = 100
	maxInstructions    = 4000
	maxDecisionComment = 4000
)

// Caller is who wants to decide, with the role that this person has in the environment's project.
type Caller struct {
	slipway.Actor
	Role identity.Role
}

func (c ApprovalCheck) minimum() int { return max(1, c.Minimum) }

func (c ApprovalCheck) timeout() time.Duration {
	if c.TimeoutMinutes == 0 {
		return defaultTimeout
	}
	return time.Duration(c.TimeoutMinutes) * time.Minute
}

func (c ApprovalCheck) check() error {
	if len(c.Approvers) > maxApprovers {
		return slipway.Limit("an approval has at most %d approvers", maxApprovers)
	}
	roles, users := 0, map[string]bool{}
	for _, a := range c.Approvers {
		switch {
		case (a.User == "") == (a.Role == ""):
			return slipway.Invalid("an approver is either a user or a role")
		case a.Role != "" && a.Role != identity.RoleAdministrator && a.Role != identity.RoleContributor:
			return slipway.Invalid("role %q cannot approve: use %s or %s", a.Role, identity.RoleAdministrator, identity.RoleContributor)
		case a.Role != "":
			roles++
		default:
			users[a.User] = true
		}
	}
	if c.Minimum < 0 || roles == 0 && len(c.Approvers) > 0 && c.Minimum > len(users) {
		return slipway.Invalid("%d approvals are asked for, but there are %d approvers", c.Minimum, len(users))
	}
	if c.TimeoutMinutes < 0 || c.TimeoutMinutes > maxTimeoutMinutes {
		return slipway.Invalid("the timeout must be between 1 and %d minutes", maxTimeoutMinutes)
	}
	if len(c.Instructions) > maxInstructions {
		return slipway.Limit("the instructions have more than %d bytes", maxInstructions)
	}
	return nil
}

// MayDecide says whether the caller may approve or reject: nil, or the reason as a slipway.Problem. Only people
// decide; a role in the list includes the roles above it.
func (c ApprovalCheck) MayDecide(caller Caller, requester slipway.Actor, earlier []Decision) error {
	if caller.Kind != slipway.ActorUser {
		return slipway.Forbidden("only a person can approve, and %s is not one", describe(caller.Actor))
	}
	if !c.lists(caller) {
		return slipway.Forbidden("%s is not among the approvers", describe(caller.Actor))
	}
	if c.RequesterMayNotApprove && requester.Kind == slipway.ActorUser && requester.ID == caller.ID {
		return slipway.Forbidden("%s started this run and may not approve it", describe(caller.Actor))
	}
	if slices.ContainsFunc(earlier, func(d Decision) bool { return d.By.ID == caller.ID }) {
		return slipway.Conflict("%s has decided already", describe(caller.Actor))
	}
	return nil
}

func (c ApprovalCheck) lists(caller Caller) bool {
	approvers := c.Approvers
	if len(approvers) == 0 {
		approvers = []Approver{{Role: identity.RoleAdministrator}}
	}
	rank := map[identity.Role]int{identity.RoleContributor: 1, identity.RoleAdministrator: 2}
	return slices.ContainsFunc(approvers, func(a Approver) bool {
		return a.User != "" && a.User == caller.ID || a.Role != "" && rank[caller.Role] >= rank[a.Role]
	})
}

func describe(a slipway.Actor) string {
	if a.Name != "" {
		return a.Name
	}
	return strings.TrimSpace(string(a.Kind) + " " + a.ID)
}

// settle is the state of an approval after the decisions made until now.
func (c ApprovalCheck) settle(decisions []Decision, now, expires time.Time) State {
	yes := 0
	for _, d := range decisions {
		if !d.Approved {
			return Rejected
		}
		yes++
	}
	switch {
	case yes >= c.minimum():
		return Approved
	case !now.Before(expires):
		return TimedOut
	}
	return Pending
}

// summary is the state of a request from those of its approvals: the first that is not approved decides.
func summary(states []State) State {
	result := Approved
	for _, s := range states {
		switch s {
		case Rejected, TimedOut, Cancelled:
			return s
		case Pending:
			result = Pending
		}
	}
	return result
}

// SetApproval puts an approval before an environment, or takes it away when check is nil. Approvals that are
// pending keep the rule that they were asked under.
func (s *Service) SetApproval(ctx context.Context, id slipway.EnvironmentID, check *ApprovalCheck, by slipway.Actor) error {
	if check != nil {
		if err := check.check(); err != nil {
			return err
		}
	}
	return s.setCheck(ctx, id, approvalKind, orNil(check), by, nil)
}

// orNil is nil without a type for a nil pointer.
func orNil(c *ApprovalCheck) any {
	if c == nil {
		return nil
	}
	return c
}

// setCheck puts a check of some kind before an environment, or takes it away when settings is nil. then, unless it is nil,
// is part of the change.
func (s *Service) setCheck(ctx context.Context, id slipway.EnvironmentID, kind string, settings any, by slipway.Actor, then func(tx *db.Tx) error) error {
	actor, err := json.Marshal(by)
	if err != nil {
		return err
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		e, err := getEnvironment(ctx, tx, id)
		if err != nil {
			return err
		}
		if settings == nil {
			const remove = `DELETE FROM environment_checks WHERE environment_id = $1 AND kind = $2`
			_, err = tx.ExecContext(ctx, remove, int64(id), kind)
		} else {
			const upsert = `
				INSERT INTO environment_checks (environment_id, kind, settings, changed, changed_by) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (environment_id, kind) DO UPDATE SET settings = excluded.settings, changed = excluded.changed,
				  changed_by = excluded.changed_by`
			_, err = tx.ExecContext(ctx, upsert, int64(id), kind, string(text), db.Micros(s.clock.Now()), string(actor))
		}
		if err == nil && then != nil {
			err = then(tx)
		}
		if err != nil {
			return fmt.Errorf("set the check %s of environment %d: %w", kind, id, err)
		}
		return s.changed(ctx, tx, e, by, kind)
	})
}

// Approval returns an environment's approval check, nil when it has none.
func (s *Service) Approval(ctx context.Context, id slipway.EnvironmentID) (*ApprovalCheck, error) {
	return checkOf[ApprovalCheck](ctx, s.db, id, approvalKind)
}

// checkOf reads the check of some kind of an environment, nil when it has none.
func checkOf[T any](ctx context.Context, q db.Querier, id slipway.EnvironmentID, kind string) (*T, error) {
	const query = `SELECT settings FROM environment_checks WHERE environment_id = $1 AND kind = $2`
	settings, err := db.One(ctx, q, db.Value[string], query, int64(id), kind)
	if db.IsNoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get the check %s of environment %d: %w", kind, id, err)
	}
	c := new(T)
	if err := json.Unmarshal([]byte(settings), c); err != nil {
		return nil, fmt.Errorf("read the check %s of environment %d: %w", kind, id, err)
	}
	return c, nil
}
