package pipelines

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/pipelines/plan"
	"slipway/internal/secret"
)

// Migrations holds the tables of this package.
//
//go:embed migrations
var Migrations embed.FS

// Deps is what the service needs. All fields but PublicURL, ToolMirrors, Images, Limit, Caches and Networks must be set.
type Deps struct {
	DB           *db.DB
	Log          *events.Log
	Blobs        blob.Store
	Clock        clock.Clock
	Secrets      *secret.Box
	Source       Source
	Environments Environments
	Tokens       Tokens
	Executor     Executor
	Logger       *slog.Logger

	// URL is the server's address as pods see it, without a slash at its end.
	URL string
	// PublicURL is the server's address for whom agentless jobs call; "" is URL.
	PublicURL string
	// Registry is the host name of the registry in image references.
	Registry string
	// ToolMirrors are the URLs from which jobs download tools, by the names of job.MirroredTools.
	ToolMirrors map[string]string
	// Images maps lower-case vmImage names, or pools' names, to job images. An ubuntu-* that is not in it gets
	// REGISTRY/slipway/job:latest.
	Images map[string]string
	// Limit is the number of jobs that run at once, 0 for 10. Agentless jobs do not count.
	Limit int
	// Caches bound what caches of jobs take.
	Caches CacheLimits
	// Networks are those that InvokeRESTAPI may call besides public addresses.
	Networks []netip.Prefix
}

// Service is the pipelines of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	db       *db.DB
	log      *events.Log
	clock    clock.Clock
	watchers watchers
	wake     chan struct{} // jobs and pods
	wakeRuns chan struct{} // runs that are to be started

	wakeAgentless chan struct{}
	calls         calls // of InvokeRESTAPI

	mu    sync.Mutex
	plans map[slipway.RunID]*plan.Plan // of late, at most maxPlans
	gone  map[slipway.JobID]time.Time  // since when a job's pod was not there
}

const maxPlans = 64

// Open migrates the tables and returns the service; Run makes it work.
func Open(ctx context.Context, d Deps) (*Service, error) {
	if err := d.DB.Migrate(ctx, "pipelines", Migrations); err != nil {
		return nil, err
	}
	if d.Limit <= 0 {
		d.Limit = 10
	}
	return &Service{
		Deps: d, db: d.DB, log: d.Log, clock: d.Clock,
		wake: make(chan struct{}, 1), wakeRuns: make(chan struct{}, 1), wakeAgentless: make(chan struct{}, 1),
		calls: calls{client: httpx.Outbound(d.Networks), busy: map[slipway.JobID]context.CancelFunc{}}, plans: map[slipway.RunID]*plan.Plan{},
	}, nil
}

// Wake makes Run look at once. It never blocks.
func (s *Service) Wake() {
	for _, c := range []chan struct{}{s.wake, s.wakeRuns, s.wakeAgentless} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// plan is the run's plan, which never changes.
func (s *Service) plan(ctx context.Context, q db.Querier, id slipway.RunID) (*plan.Plan, error) {
	s.mu.Lock()
	p := s.plans[id]
	s.mu.Unlock()
	if p != nil {
		return p, nil
	}
	text, err := db.One(ctx, q, db.Value[string], `SELECT plan FROM pipeline_runs WHERE id = $1`, int64(id))
	if err != nil {
		return nil, fmt.Errorf("read plan of run %d: %w", id, err)
	}
	if text == "" {
		return nil, slipway.NotFound("run %d has no plan: its file is broken", id)
	}
	if p, err = plan.Decode([]byte(text)); err != nil {
		return nil, fmt.Errorf("read plan of run %d: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.plans) >= maxPlans {
		clear(s.plans)
	}
	s.plans[id] = p
	return p, nil
}
