package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/cache/remotecache/inline"
	"github.com/moby/buildkit/cache/remotecache/local"
	"github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/worker"
	bolt "go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/sdk/metric"
	"golang.org/x/sys/unix"
)

// Finished builds are remembered for their logs and provenance until one of these is passed.
const historyAge = 48 * time.Hour

var historyEntries = int64(100)

// Builder is BuildKit's control service over one state folder. Make it with Open, run it with
// Serve, and Close it when Serve has returned.
type Builder struct {
	config      Config
	snapshotter string
	lock        *os.File
	controller  *control.Controller
	stop        context.CancelFunc // ends the controller's background work
}

// Open locks the state folder, clears what a killed builder left on the machine, and opens the
// cache. A state folder that is in use is an error.
func Open(c Config) (_ *Builder, err error) {
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	lock, err := lockState(c.State)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Builder{config: c, lock: lock, stop: stop}
	defer func() {
		if err != nil {
			stop()
			lock.Close()
		}
	}()
	if err := clearResidue(ctx, c); err != nil {
		return nil, fmt.Errorf("clear what the last builder left: %w", err)
	}
	sessions, err := session.NewManager()
	if err != nil {
		return nil, fmt.Errorf("start sessions: %w", err)
	}
	hosts := registryHosts(c.Registries)
	w, snapshotter, err := openWorker(ctx, c, hosts)
	if err != nil {
		return nil, err
	}
	b.snapshotter = snapshotter
	b.controller, err = openController(ctx, c.State, w, sessions, hosts)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func lockState(state string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(state, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("state folder %s is in use by another builder: %w", state, err)
	}
	return f, nil
}

func openController(ctx context.Context, state string, w worker.Worker, sessions *session.Manager, hosts docker.RegistryHosts) (*control.Controller, error) {
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, fmt.Errorf("add worker: %w", err)
	}
	gw, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, fmt.Errorf("make gateway frontend: %w", err)
	}
	cache, err := bboltcachestorage.NewStore(filepath.Join(state, "cache.db"))
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	history, err := boltutil.SafeOpen(filepath.Join(state, "history.db"), 0o600, &bolt.Options{
		FreelistType:   bolt.FreelistMapType,
		NoFreelistSync: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	c, err := control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends: map[string]frontend.Frontend{
			"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build),
			"gateway.v0":    gw,
		},
		ResolveCacheExporterFuncs: map[string]remotecache.ResolveCacheExporterFunc{
			"registry": registry.ResolveCacheExporterFunc(sessions, hosts),
			"local":    local.ResolveCacheExporterFunc(sessions),
			"inline":   inline.ResolveCacheExporterFunc(),
		},
		ResolveCacheImporterFuncs: map[string]remotecache.ResolveCacheImporterFunc{
			"registry": registry.ResolveCacheImporterFunc(sessions, w.ContentStore(), hosts),
			"local":    local.ResolveCacheImporterFunc(sessions),
		},
		CacheManager:   solver.NewCacheManager(ctx, "local", cache, worker.NewCacheResultStorage(workers)),
		MeterProvider:  metric.NewMeterProvider(),
		HistoryDB:      history,
		CacheStore:     cache,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		HistoryConfig:  &config.HistoryConfig{MaxAge: config.Duration{Duration: historyAge}, MaxEntries: &historyEntries},
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   ctx.Done(),
	})
	if err != nil {
		return nil, fmt.Errorf("start BuildKit: %w", err)
	}
	return c, nil
}

// Snapshotter is "overlayfs", or "native" where the state's file system cannot carry it.
func (b *Builder) Snapshotter() string { return b.snapshotter }

// Close ends the background work, closes the databases and leaves no process, mount or cgroup
// of a build step. The cache stays in the state folder.
func (b *Builder) Close() error {
	b.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(b.controller.Close(), clearResidue(ctx, b.config), b.lock.Close())
}
