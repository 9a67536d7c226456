package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
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

// Builder is BuildKit over one state folder, with a control service for each scope. Make it with Open, run it with
// Serve, and Close it when Serve has returned.
type Builder struct {
	config      Config
	snapshotter string
	mountSecret string
	lock        *os.File
	worker      worker.Worker
	hosts       docker.RegistryHosts
	ctx         context.Context    // of the controllers' background work
	stop        context.CancelFunc // ends it
	serving     sync.WaitGroup
	watchers    *watchers

	mu       sync.Mutex // guards what follows
	memories map[string]*memory
	services map[scope]*scoped
	stopping bool
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
	b := &Builder{config: c, lock: lock, ctx: ctx, stop: stop, hosts: registryHosts(c),
		memories: map[string]*memory{}, services: map[scope]*scoped{}, watchers: &watchers{of: map[string]map[*watcher]bool{}}}
	defer func() {
		if err != nil {
			stop()
			lock.Close()
		}
	}()
	if err := clearResidue(ctx, c); err != nil {
		return nil, fmt.Errorf("clear what the last builder left: %w", err)
	}
	if b.worker, b.snapshotter, err = openWorker(ctx, c, b.hosts); err != nil {
		return nil, err
	}
	if b.mountSecret, err = openMountSecret(c.State); err != nil {
		return nil, err
	}
	if _, err = b.scoped(scope{}); err != nil {
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

// openController makes the control service of one scope, whose results manager finds and store keeps. The history is its own.
func openController(ctx context.Context, folder string, workers *worker.Controller, sessions *session.Manager, hosts docker.RegistryHosts,
	store *bboltcachestorage.Store, manager solver.CacheManager, w worker.Worker) (*control.Controller, io.Closer, error) {
	gw, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("make gateway frontend: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make scope's folder: %w", err)
	}
	history, err := boltutil.SafeOpen(filepath.Join(folder, "history.db"), 0o600, &bolt.Options{
		FreelistType:   bolt.FreelistMapType,
		NoFreelistSync: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open history: %w", err)
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
		CacheManager:   manager,
		MeterProvider:  metric.NewMeterProvider(),
		HistoryDB:      history,
		CacheStore:     store,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		HistoryConfig:  &config.HistoryConfig{MaxAge: config.Duration{Duration: historyAge}, MaxEntries: &historyEntries},
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   ctx.Done(),
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start BuildKit: %w", err), history.Close())
	}
	return c, history, nil
}

// Snapshotter is "overlayfs", or "native" where the state's file system cannot carry it.
func (b *Builder) Snapshotter() string { return b.snapshotter }

// Close ends the background work, closes the databases and leaves no process, mount or cgroup
// of a build step. The cache stays in the state folder.
func (b *Builder) Close() error {
	b.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopping = true
	var errs []error
	for _, s := range b.services {
		errs = append(errs, s.history.Close())
	}
	errs = append(errs, b.worker.Close())
	for _, m := range b.memories {
		errs = append(errs, m.store.Close())
	}
	return errors.Join(append(errs, clearResidue(ctx, b.config), b.lock.Close())...)
}
