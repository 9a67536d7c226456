// Package clusters deploys to Kubernetes and watches what it deployed: server-side apply with an inventory that prunes,
// waiting until everything is ready, the cause in plain words when it is not, the way back to earlier manifests, and
// the pods of every environment as they start and fail.
//
// It owns the manifests as applied and what is known of pods. It does not know who may deploy, what is current, or
// what an environment is beyond its numbers and its namespace.
//
// Nothing here asks an application to do anything: labels, resource attributes and the addresses for telemetry are
// put into the pod templates on their way to the cluster (Inject). A workload whose template has not changed keeps
// the deployment, run and commit that it was started by, so that a deployment restarts only what it changes.
package clusters

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"k8s.io/client-go/rest"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/secret"
)

// Migrations holds the tables of this package.
//
//go:embed migrations
var Migrations embed.FS

// Resolver pins an image that a manifest or a task names, as HOST/REPOSITORY:TAG: it returns HOST/REPOSITORY@DIGEST, by
// which the pods pull it from Slipway's registry, or "" for images of other registries, which are left as they are. The
// error has slipway.CodeNotFound when the name is one of Slipway's registry and that does not have it.
type Resolver func(ctx context.Context, reference string) (pinned string, err error)

// Service deploys to the clusters of one installation. It is safe for concurrent use.
type Service struct {
	db      *db.DB
	events  *events.Log
	box     *secret.Box
	clock   clock.Clock
	logger  *slog.Logger
	resolve Resolver

	mu       sync.Mutex
	clusters map[string]*cluster
	applying map[string]*sync.Mutex // by cluster and namespace: one apply at a time
}

// Open migrates the tables and returns the service, which knows no cluster yet.
func Open(ctx context.Context, d *db.DB, l *events.Log, box *secret.Box, c clock.Clock, resolve Resolver, logger *slog.Logger) (*Service, error) {
	if err := d.Migrate(ctx, "clusters", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d, events: l, box: box, clock: c, logger: logger, resolve: resolve,
		clusters: map[string]*cluster{}, applying: map[string]*sync.Mutex{}}, nil
}

// Add makes a cluster known under a name; "local" is the one that environments use unless told otherwise. Adding a
// name again replaces it. The cluster need not answer yet. pull is for the namespaces that are deployed into; without a
// host it is for a cluster whose nodes have credentials of their own.
func (s *Service) Add(name string, config *rest.Config, pull PullCredentials) error {
	c, err := connect(name, config)
	if err != nil {
		return fmt.Errorf("connect to cluster %s: %w", name, err)
	}
	c.pull = pull
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters[name] = c
	return nil
}

// Names lists the clusters.
func (s *Service) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.clusters))
	for name := range s.clusters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *Service) cluster(name string) (*cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clusters[name]
	if !ok {
		return nil, slipway.NotFound("there is no cluster %q", name)
	}
	return c, nil
}

// lock lets one apply at a time into a namespace and returns what ends it.
func (s *Service) lock(cluster, namespace string) func() {
	s.mu.Lock()
	key := cluster + "/" + namespace
	if s.applying[key] == nil {
		s.applying[key] = &sync.Mutex{}
	}
	m := s.applying[key]
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}
