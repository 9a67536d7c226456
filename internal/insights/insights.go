// Package insights owns telemetry: what applications send by OpenTelemetry and Application Insights, what the
// collectors see of their containers, the questions that pages ask of it, and the health rules that watch each
// deployment.
//
// Telemetry is in a columnar store of its own (sub-package store) and is at least once: a sender that repeats
// itself after a lost answer doubles its rows. Rules, alerts, instrumentation keys and the deployments that were
// announced are records in SQL. Methods take for granted that the caller may read or change the project that
// they name: doors ask identity first.
//
//	telemetry   the rows                        otlp, appinsights   wire formats -> rows (pure)
//	store       DuckDB                          collect             containers, pod logs, Kubernetes events -> rows
//
// The package knows environments and deployments only by number and name: the loop announces them.
package insights

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/insights/store"
)

// Migrations holds this package's tables of records.
//
//go:embed migrations
var Migrations embed.FS

// The events of this package.
const (
	EventTelemetrySeen events.Kind = "insights.telemetry_seen" // subject deployment; payload SeenPayload; refers to a trace when there is one
	EventAlertFired    events.Kind = "insights.alert_fired"    // subject alert; payload AlertPayload; refers to deployment, environment, traces
	EventAlertResolved events.Kind = "insights.alert_resolved" // subject alert; payload AlertPayload
)

// Options are what a Service needs.
type Options struct {
	DB     *db.DB
	Log    *events.Log
	Clock  clock.Clock
	Store  *store.Store
	Logger *slog.Logger
}

// Service answers questions about telemetry and takes it in. It is safe for concurrent use.
type Service struct {
	db     *db.DB
	log    *events.Log
	clock  clock.Clock
	store  *store.Store
	logger *slog.Logger

	mu          sync.Mutex
	deployments map[slipway.DeploymentID]*knownDeployment
	pods        map[podKey]*knownPod
}

// Open migrates the tables and returns the service; the store stays the caller's to run and close.
func Open(ctx context.Context, o Options) (*Service, error) {
	if err := o.DB.Migrate(ctx, "insights", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: o.DB, log: o.Log, clock: o.Clock, store: o.Store, logger: o.Logger,
		deployments: map[slipway.DeploymentID]*knownDeployment{}, pods: map[podKey]*knownPod{}}, nil
}

// The bounds on the time of rows that are taken: not older than they would be kept, not far in the future.
const newest = time.Hour

// TimeRange is the span of times that telemetry may have at the moment.
func (s *Service) TimeRange() (oldest, latest time.Time) {
	now := s.clock.Now()
	return now.Add(-s.store.Retention()), now.Add(newest)
}

// Now is the time by the service's clock.
func (s *Service) Now() time.Time { return s.clock.Now() }
