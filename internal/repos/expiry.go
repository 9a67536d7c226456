package repos

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/repos/policy"
)

// Expiry is when policies are to be asked about a pull request again, since a build is then valid no more.
type Expiry struct {
	PullRequest slipway.PullRequestID
	At          time.Time
}

// Expired lists up to 100 pull requests with builds whose time is over, those that have waited longest first.
func (s *Service) Expired(ctx context.Context) ([]Expiry, error) {
	const query = `SELECT pull_request, expires FROM pull_request_expiries WHERE expires <= $1 ORDER BY expires LIMIT 100`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, e *Expiry) error {
		var at int64
		err := row.Scan((*int64)(&e.PullRequest), &at)
		e.At = db.Time(at)
		return err
	}, query, db.Micros(s.clock.Now()))
	if err != nil {
		return nil, fmt.Errorf("list expired builds: %w", err)
	}
	return list, nil
}

// Considered says that the policies were asked at an expiry. One that they noted meanwhile stays.
func (s *Service) Considered(ctx context.Context, e Expiry) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM pull_request_expiries WHERE pull_request = $1 AND expires = $2`, int64(e.PullRequest), db.Micros(e.At)); err != nil {
		return fmt.Errorf("note that the builds of pull request %d were considered: %w", e.PullRequest, err)
	}
	return nil
}

// noteExpiry keeps when the first of the builds that hold now is valid no more.
func (s *Service) noteExpiry(ctx context.Context, id slipway.PullRequestID, evaluations []Evaluation) error {
	var first time.Time
	for _, e := range evaluations {
		if e.Policy.Kind == policy.Build && !e.Expires.IsZero() && !e.Policy.Settings.ManualQueueOnly && (first.IsZero() || e.Expires.Before(first)) {
			first = e.Expires
		}
	}
	if first.IsZero() {
		return nil
	}
	const upsert = `INSERT INTO pull_request_expiries (pull_request, expires) VALUES ($1, $2) ON CONFLICT (pull_request) DO UPDATE SET expires = excluded.expires`
	if _, err := s.db.ExecContext(ctx, upsert, int64(id), db.Micros(first)); err != nil {
		return fmt.Errorf("note when builds of pull request %d expire: %w", id, err)
	}
	return nil
}
