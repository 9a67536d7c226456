package insights

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// RuleKind says what a health rule looks at.
type RuleKind string

// The kinds of rules. A rule is about one deployment at a time: the one that serves in an environment.
const (
	FailedRequests RuleKind = "failed_requests" // the failed part of requests, 0 to 1, is above Threshold
	SlowRequests   RuleKind = "slow_requests"   // the 95th percentile of requests, in milliseconds, is above Threshold
	Restarts       RuleKind = "restarts"        // containers restarted more than Threshold times
	PodsDown       RuleKind = "pods_down"       // no pod was up at any time of the window, though there were some
	NoTelemetry    RuleKind = "no_telemetry"    // the application sent nothing in the window, though it did before
)

// Rule is a health rule of a project.
type Rule struct {
	ID        int64
	Project   slipway.ProjectID
	Name      string // unique in the project
	Kind      RuleKind
	Threshold float64       // in the unit of its kind
	Window    time.Duration // whole seconds, from 30 s to a day
	Minimum   int64         // requests that there must be for the two rules about requests
	Enabled   bool
}

// DefaultRules are what every project begins with.
func DefaultRules() []Rule {
	return []Rule{
		{Name: "Failed requests", Kind: FailedRequests, Threshold: 0.05, Window: 5 * time.Minute, Minimum: 20, Enabled: true},
		{Name: "Slow requests", Kind: SlowRequests, Threshold: 2000, Window: 5 * time.Minute, Minimum: 20, Enabled: true},
		{Name: "Restarts", Kind: Restarts, Threshold: 2, Window: 10 * time.Minute, Enabled: true},
		{Name: "No pod up", Kind: PodsDown, Window: time.Minute, Enabled: true},
		{Name: "No telemetry", Kind: NoTelemetry, Window: 15 * time.Minute},
	}
}

func (r Rule) check() error {
	switch r.Kind {
	case FailedRequests:
		if r.Threshold < 0 || r.Threshold >= 1 {
			return slipway.Invalid("the threshold of failed requests is a part from 0 to below 1, as 0.05")
		}
	case SlowRequests, Restarts:
		if !(r.Threshold >= 0 && r.Threshold < 1e9) {
			return slipway.Invalid("the threshold must not be negative")
		}
	case PodsDown, NoTelemetry:
	default:
		return slipway.Invalid("rule kind %q: use failed_requests, slow_requests, restarts, pods_down or no_telemetry", r.Kind)
	}
	if name := strings.TrimSpace(r.Name); name == "" || len(r.Name) > 100 {
		return slipway.Invalid("a rule has a name of up to 100 characters")
	}
	if r.Window < 30*time.Second || r.Window > 24*time.Hour || r.Window%time.Second != 0 {
		return slipway.Invalid("a rule's window is from 30 seconds to a day")
	}
	if r.Minimum < 0 || r.Minimum > 1e9 {
		return slipway.Invalid("a rule's minimum of requests must not be negative")
	}
	return nil
}

const ruleColumns = `id, project_id, name, kind, threshold, window_seconds, minimum, enabled`

func scanRule(row interface{ Scan(...any) error }, r *Rule) error {
	var seconds int64
	err := row.Scan(&r.ID, (*string)(&r.Project), &r.Name, (*string)(&r.Kind), &r.Threshold, &seconds, &r.Minimum, &r.Enabled)
	r.Window = time.Duration(seconds) * time.Second
	return err
}

const maxRules = 100

// CreateDefaultRules gives a project the rules that every one begins with; those whose names it has are left alone.
// The loop calls it when a project was created.
func (s *Service) CreateDefaultRules(ctx context.Context, project slipway.ProjectID) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, r := range DefaultRules() {
			r.Project = project
			if err := insertRule(ctx, tx, &r, " ON CONFLICT (project_id, name) DO NOTHING"); err != nil && !db.IsNoRows(err) {
				return fmt.Errorf("create default rules: %w", err)
			}
		}
		return nil
	})
}

func insertRule(ctx context.Context, tx *db.Tx, r *Rule, conflict string) error {
	const insert = `
		INSERT INTO insights_rules (project_id, name, kind, threshold, window_seconds, minimum, enabled)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
	return tx.QueryRowContext(ctx, insert+conflict+` RETURNING id`, string(r.Project), r.Name, string(r.Kind), r.Threshold,
		int64(r.Window/time.Second), r.Minimum, r.Enabled).Scan(&r.ID)
}

// CreateRule adds a rule and returns it with its number.
func (s *Service) CreateRule(ctx context.Context, r Rule) (Rule, error) {
	if err := r.check(); err != nil {
		return r, err
	}
	list, err := s.Rules(ctx, r.Project)
	if err != nil {
		return r, err
	}
	if len(list) >= maxRules {
		return r, slipway.Limit("a project has at most %d rules", maxRules)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error { return insertRule(ctx, tx, &r, "") })
	if db.IsUniqueViolation(err) {
		return r, slipway.Conflict("there is a rule called %q already", r.Name)
	}
	if err != nil {
		return r, fmt.Errorf("create rule: %w", err)
	}
	return r, nil
}

// UpdateRule writes all fields of the project's rule with that ID. A rule that is switched off resolves its alerts.
func (s *Service) UpdateRule(ctx context.Context, r Rule) error {
	if err := r.check(); err != nil {
		return err
	}
	const update = `
		UPDATE insights_rules SET name = $1, kind = $2, threshold = $3, window_seconds = $4, minimum = $5, enabled = $6
		WHERE id = $7 AND project_id = $8`
	result, err := s.db.ExecContext(ctx, update, r.Name, string(r.Kind), r.Threshold, int64(r.Window/time.Second), r.Minimum, r.Enabled, r.ID, string(r.Project))
	if db.IsUniqueViolation(err) {
		return slipway.Conflict("there is a rule called %q already", r.Name)
	}
	if err != nil {
		return fmt.Errorf("update rule %d: %w", r.ID, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return slipway.NotFound("there is no rule %d in this project", r.ID)
	}
	return nil
}

// Rules lists a project's rules by number.
func (s *Service) Rules(ctx context.Context, project slipway.ProjectID) ([]Rule, error) {
	list, err := db.List(ctx, s.db, scanRule, `SELECT `+ruleColumns+` FROM insights_rules WHERE project_id = $1 ORDER BY id LIMIT 1000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	return list, nil
}

// Rule returns one rule of the project.
func (s *Service) Rule(ctx context.Context, project slipway.ProjectID, id int64) (Rule, error) {
	r, err := db.One(ctx, s.db, scanRule, `SELECT `+ruleColumns+` FROM insights_rules WHERE id = $1 AND project_id = $2`, id, string(project))
	if db.IsNoRows(err) {
		return r, slipway.NotFound("there is no rule %d in this project", id)
	}
	if err != nil {
		return r, fmt.Errorf("get rule %d: %w", id, err)
	}
	return r, nil
}
