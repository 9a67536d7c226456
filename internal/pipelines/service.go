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
	"slipway/internal/pipelines/feed"
	"slipway/internal/pipelines/mirror"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/terminal"
	"slipway/internal/secret"
)

// Migrations holds the tables of this package.
//
//go:embed migrations
var Migrations embed.FS

// Deps is what the service needs. All fields but Issuer, PublicURL, ToolMirrors, Images, Warm, Build, Limits, Caches, Networks,
// FromFork, Email, Project and Mirrors must be set.
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

	// Issuer signs identity tokens; nil issues none.
	Issuer Issuer

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
	// Warm is how many warm pods a pool has whose settings do not say, 0 for none.
	Warm int
	// Build is another one when jobs' pods are: warm pods of another build are replaced.
	Build string
	// Limits say how many jobs run at once; Jobs is DefaultJobs when it is 0, and Projects are not read. Agentless jobs do not
	// count.
	Limits schedule.Limits
	// Caches bound what caches of jobs take.
	Caches CacheLimits
	// Networks are those that InvokeRESTAPI, and looking for packages, may call besides public addresses.
	Networks []netip.Prefix
	// FromFork says whether a pull request is from a fork; nil where there are none.
	FromFork func(ctx context.Context, id slipway.PullRequestID) (bool, error)
	// Email is the address of a person, who may have none; nil where nobody has.
	Email func(ctx context.Context, user slipway.UserID) (string, error)
	// Project finds a project by its name or id; nil where there is one alone.
	Project func(ctx context.Context, nameOrID string) (slipway.ProjectID, error)
	// Mirrors are the copies of repositories of other hosts; nil refuses these.
	Mirrors *mirror.Store
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
	wakeTrim      chan struct{} // runs that are to be deleted
	calls         calls         // of InvokeRESTAPI
	feeds         feed.Client   // registries of packages
	terminals     terminal.Hub

	mu    sync.Mutex
	plans map[slipway.RunID]*plan.Plan // of late, at most maxPlans
	gone  map[slipway.JobID]time.Time  // since when a job's pod was not there

	began  time.Time            // when this server did
	broken map[string]time.Time // when a warm pod of a kind broke
	hooks  map[int64]hookCalls  // of webhooks, by their numbers

	situations map[slipway.RunID]*situation // that no transaction has at the moment, at most maxSituations
}

const maxPlans = 64

// Open migrates the tables and returns the service; Run makes it work.
func Open(ctx context.Context, d Deps) (*Service, error) {
	if err := d.DB.Migrate(ctx, "pipelines", Migrations); err != nil {
		return nil, err
	}
	if d.Limits.Jobs <= 0 {
		d.Limits.Jobs = DefaultJobs
	}
	return &Service{
		Deps: d, db: d.DB, log: d.Log, clock: d.Clock,
		began: d.Clock.Now(), wake: make(chan struct{}, 1), wakeRuns: make(chan struct{}, 1), wakeAgentless: make(chan struct{}, 1), wakeTrim: make(chan struct{}, 1),
		feeds: feed.Client{HTTP: httpx.Outbound(d.Networks)}, calls: calls{client: httpx.Outbound(d.Networks), busy: map[slipway.JobID]context.CancelFunc{}}, plans: map[slipway.RunID]*plan.Plan{}, hooks: map[int64]hookCalls{}, situations: map[slipway.RunID]*situation{},
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
	text, err := db.One(ctx, q, db.Value[string], `SELECT plan FROM pipeline_plans WHERE run = $1`, int64(id))
	if db.IsNoRows(err) {
		return nil, slipway.NotFound("run %d has no plan: its file is broken", id)
	}
	if err != nil {
		return nil, fmt.Errorf("read plan of run %d: %w", id, err)
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
