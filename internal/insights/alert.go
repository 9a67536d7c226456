package insights

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// Alert is a rule that fired for a deployment.
type Alert struct {
	ID          int64
	Rule        Rule // as it is now
	Project     slipway.ProjectID
	Environment slipway.EnvironmentID
	Deployment  slipway.DeploymentID
	Fired       time.Time
	Resolved    time.Time // zero while it is firing
	Value       float64   // when it fired, in the unit of the rule's kind
	Message     string    // one sentence
	Evidence    Evidence
}

// AlertPayload is the payload of EventAlertFired and EventAlertResolved.
type AlertPayload struct {
	// Key is the same whenever this rule fires for this deployment: one work item is enough for it.
	Key             string                `json:"key"`
	Alert           int64                 `json:"alert"`
	Rule            int64                 `json:"rule"`
	RuleName        string                `json:"ruleName"`
	RuleKind        RuleKind              `json:"ruleKind"`
	Deployment      slipway.DeploymentID  `json:"deployment"`
	Environment     slipway.EnvironmentID `json:"environment"`
	EnvironmentName string                `json:"environmentName"`
	Commit          slipway.CommitID      `json:"commit,omitempty"`
	Run             slipway.RunID         `json:"run,omitempty"`
	Message         string                `json:"message"`
	Value           float64               `json:"value"`
	Threshold       float64               `json:"threshold"`
	WindowSeconds   int64                 `json:"windowSeconds"`
	Evidence        Evidence              `json:"evidence"`
	// Link is the page of the alert below the project's own: /{project} goes before it.
	Link string `json:"link"`
}

// record is what the alert's row keeps as text.
type record struct {
	Message  string   `json:"message"`
	Evidence Evidence `json:"evidence"`
}

const (
	alertQuery = `
		SELECT a.id, a.project_id, a.environment_id, a.deployment_id, a.fired, a.resolved, a.value, a.evidence,
			r.id, r.project_id, r.name, r.kind, r.threshold, r.window_seconds, r.minimum, r.enabled
		FROM insights_alerts AS a JOIN insights_rules AS r ON r.id = a.rule_id`
)

func scanAlert(row interface{ Scan(...any) error }, a *Alert) error {
	var fired, resolved, seconds int64
	var text string
	err := row.Scan(&a.ID, (*string)(&a.Project), (*int64)(&a.Environment), (*int64)(&a.Deployment), &fired, &resolved, &a.Value, &text,
		&a.Rule.ID, (*string)(&a.Rule.Project), &a.Rule.Name, (*string)(&a.Rule.Kind), &a.Rule.Threshold, &seconds, &a.Rule.Minimum, &a.Rule.Enabled)
	if err != nil {
		return err
	}
	a.Fired, a.Resolved, a.Rule.Window = db.Time(fired), db.Time(resolved), time.Duration(seconds)*time.Second
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fmt.Errorf("decode evidence of alert %d: %w", a.ID, err)
	}
	a.Message, a.Evidence = r.Message, r.Evidence
	return nil
}

// AlertFilter chooses alerts; zero fields choose all.
type AlertFilter struct {
	Project    slipway.ProjectID
	Deployment slipway.DeploymentID
	Firing     bool // only those
	Limit      int  // 100 by default, 1000 at most
}

// Alerts lists a project's alerts, newest first.
func (s *Service) Alerts(ctx context.Context, f AlertFilter) ([]Alert, error) {
	list, err := db.List(ctx, s.db, scanAlert, alertQuery+`
		WHERE a.project_id = $1 AND ($2 = 0 OR a.deployment_id = $2) AND ($3 = FALSE OR a.resolved = 0) ORDER BY a.id DESC LIMIT $4`,
		string(f.Project), int64(f.Deployment), f.Firing, limit(f.Limit, 100, 1000))
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	return list, nil
}

// Alert returns one alert of the project.
func (s *Service) Alert(ctx context.Context, project slipway.ProjectID, id int64) (Alert, error) {
	a, err := db.One(ctx, s.db, scanAlert, alertQuery+` WHERE a.id = $1 AND a.project_id = $2`, id, string(project))
	if db.IsNoRows(err) {
		return a, slipway.NotFound("there is no alert %d in this project", id)
	}
	if err != nil {
		return a, fmt.Errorf("get alert %d: %w", id, err)
	}
	return a, nil
}

// fire records an alert and its event, once while it is firing.
func (s *Service) fire(ctx context.Context, d Deployment, r Rule, found finding, e Evidence) error {
	a := Alert{Rule: r, Project: d.Project, Environment: d.Environment, Deployment: d.ID, Fired: s.clock.Now(), Value: found.value, Message: found.says, Evidence: e}
	text, err := json.Marshal(record{Message: a.Message, Evidence: e})
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO insights_alerts (rule_id, project_id, environment_id, deployment_id, fired, clear_since, resolved, value, evidence)
			VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7) ON CONFLICT (rule_id, deployment_id) WHERE resolved = 0 DO NOTHING RETURNING id`
		err := tx.QueryRowContext(ctx, insert, r.ID, string(d.Project), int64(d.Environment), int64(d.ID), db.Micros(a.Fired), a.Value, string(text)).Scan(&a.ID)
		if db.IsNoRows(err) {
			return nil // another server was first
		}
		if err != nil {
			return err
		}
		return s.tell(ctx, tx, EventAlertFired, a, d)
	})
	if err != nil {
		return fmt.Errorf("fire rule %d for deployment %d: %w", r.ID, d.ID, err)
	}
	return nil
}

// resolve ends a firing alert.
func (s *Service) resolve(ctx context.Context, a Alert, d Deployment) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		a.Resolved = s.clock.Now()
		result, err := tx.ExecContext(ctx, `UPDATE insights_alerts SET resolved = $1 WHERE id = $2 AND resolved = 0`, db.Micros(a.Resolved), a.ID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.tell(ctx, tx, EventAlertResolved, a, d)
	})
	if err != nil {
		return fmt.Errorf("resolve alert %d: %w", a.ID, err)
	}
	return nil
}

func (s *Service) tell(ctx context.Context, tx *db.Tx, kind events.Kind, a Alert, d Deployment) error {
	e := events.Event{Kind: kind, Project: a.Project, Subject: slipway.Ref(slipway.RefAlert, a.ID), References: d.references()}
	for _, sample := range a.Evidence.Samples {
		if sample.OperationID != "" {
			e.References = append(e.References, slipway.Ref(slipway.RefTrace, sample.OperationID))
		}
	}
	return s.log.Append(ctx, tx, &e, AlertPayload{Key: fmt.Sprintf("rule:%d deployment:%d", a.Rule.ID, a.Deployment), Alert: a.ID, Rule: a.Rule.ID,
		RuleName: a.Rule.Name, RuleKind: a.Rule.Kind, Deployment: a.Deployment, Environment: a.Environment, EnvironmentName: d.EnvironmentName,
		Commit: d.Commit, Run: d.Run, Message: a.Message, Value: a.Value, Threshold: a.Rule.Threshold, WindowSeconds: int64(a.Rule.Window / time.Second),
		Evidence: a.Evidence, Link: fmt.Sprintf("/_insights/alerts/%d", a.ID)})
}
