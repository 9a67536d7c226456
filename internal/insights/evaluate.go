package insights

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	evaluateEvery = 10 * time.Second
	// resolveAfter is how long a rule must be kept before its alert resolves, so that one at the edge does not flap.
	resolveAfter = 30 * time.Second
)

// Run evaluates the rules every ten seconds until ctx ends. Several servers may run it: an alert fires once.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(evaluateEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := s.Evaluate(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("evaluate health rules", "error", err)
		}
	}
}

// Evaluate decides every enabled rule for every deployment that serves, now, and tells of deployments whose
// telemetry came without a trace. Alerts of what is not watched any more resolve.
func (s *Service) Evaluate(ctx context.Context) error {
	failed := s.noticeWaiting(ctx)
	deployments, err := s.serving(ctx)
	if err != nil {
		return err
	}
	open, err := s.openAlerts(ctx)
	if err != nil {
		return err
	}
	rules := map[slipway.ProjectID][]Rule{}
	for _, d := range deployments {
		if _, ok := rules[d.Project]; !ok {
			if rules[d.Project], err = s.Rules(ctx, d.Project); err != nil {
				return err
			}
		}
		if err := s.evaluate(ctx, d, rules[d.Project], open); err != nil {
			failed = errors.Join(failed, fmt.Errorf("deployment %d: %w", d.ID, err))
		}
	}
	for _, a := range open { // what is left over was not decided: its rule is off, or another deployment serves
		d, err := s.Deployment(ctx, a.Deployment)
		if err == nil {
			err = s.resolve(ctx, a.Alert, d)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// ruleOf names a rule's decision about a deployment.
type ruleOf struct {
	rule       int64
	deployment slipway.DeploymentID
}

type openAlert struct {
	Alert
	clearSince time.Time
}

// evaluate decides the rules for one deployment and takes their alerts out of open.
func (s *Service) evaluate(ctx context.Context, d Deployment, rules []Rule, open map[ruleOf]openAlert) error {
	known := map[time.Duration]facts{}
	for _, r := range rules {
		if !r.Enabled {
			continue
		}
		f, ok := known[r.Window]
		if !ok {
			var err error
			if f, err = s.gather(ctx, d, r.Window); err != nil {
				for _, r := range rules { // not decided, so not to be resolved either
					delete(open, ruleOf{r.ID, d.ID})
				}
				return err
			}
			known[r.Window] = f
		}
		key := ruleOf{r.ID, d.ID}
		alert, firing := open[key]
		delete(open, key)
		if err := s.act(ctx, d, r, f, alert, firing); err != nil {
			return err
		}
	}
	return nil
}

// act brings the alert in line with the rule's decision.
func (s *Service) act(ctx context.Context, d Deployment, r Rule, f facts, alert openAlert, firing bool) error {
	found := r.decide(f)
	now := s.clock.Now()
	switch {
	case found.fires && !firing:
		e, err := s.evidence(ctx, d, r, f)
		if err != nil {
			return err
		}
		return s.fire(ctx, d, r, found, e)
	case found.fires && !alert.clearSince.IsZero():
		return s.setClear(ctx, alert.ID, time.Time{})
	case !found.fires && firing && alert.clearSince.IsZero():
		return s.setClear(ctx, alert.ID, now)
	case !found.fires && firing && now.Sub(alert.clearSince) >= resolveAfter:
		return s.resolve(ctx, alert.Alert, d)
	}
	return nil
}

func (s *Service) setClear(ctx context.Context, alert int64, since time.Time) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE insights_alerts SET clear_since = $1 WHERE id = $2`, db.Micros(since), alert); err != nil {
		return fmt.Errorf("update alert %d: %w", alert, err)
	}
	return nil
}

func (s *Service) openAlerts(ctx context.Context) (map[ruleOf]openAlert, error) {
	list, err := db.List(ctx, s.db, scanAlert, alertQuery+` WHERE a.resolved = 0 ORDER BY a.id LIMIT 10000`)
	if err != nil {
		return nil, fmt.Errorf("list firing alerts: %w", err)
	}
	type clear struct{ id, since int64 }
	cleared, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, c *clear) error { return row.Scan(&c.id, &c.since) },
		`SELECT id, clear_since FROM insights_alerts WHERE resolved = 0 AND clear_since > 0 LIMIT 10000`)
	if err != nil {
		return nil, fmt.Errorf("list firing alerts: %w", err)
	}
	since := map[int64]time.Time{}
	for _, c := range cleared {
		since[c.id] = db.Time(c.since)
	}
	open := map[ruleOf]openAlert{}
	for _, a := range list {
		open[ruleOf{a.Rule.ID, a.Deployment}] = openAlert{Alert: a, clearSince: since[a.ID]}
	}
	return open, nil
}

// noticeWaiting tells of the deployments that sent telemetry a while ago and no trace since.
func (s *Service) noticeWaiting(ctx context.Context) error {
	now := s.clock.Now()
	s.mu.Lock()
	due := []slipway.DeploymentID{}
	for id, d := range s.deployments {
		if d.announced && d.Seen.IsZero() && !d.waiting.IsZero() && now.Sub(d.waiting) >= traceWait {
			due = append(due, id)
		}
	}
	s.mu.Unlock()
	var failed error
	for _, id := range due {
		failed = errors.Join(failed, s.notice(ctx, id, "", ""))
	}
	return failed
}
