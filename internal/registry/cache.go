package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/registry/upstream"
	"slipway/internal/secret"
)

// Cache reads images of other registries and keeps copies. Their repositories are called PREFIX/REPOSITORY, belong to
// no project and cannot be pushed to. A copy is kept in the registry's own tables and objects; an index is kept whole,
// and what it names is fetched when somebody asks for it.
//
// A tag is believed for the upstream's time, then the upstream is asked whether it moved. When the upstream cannot be
// asked, what is here is served with a warning. It is safe for concurrent use.
type Cache struct {
	registry *Service
	options  CacheOptions
	known    atomic.Pointer[[]known]
	ctx      context.Context // of fetches, which outlive the request that began them
	cancel   context.CancelFunc
	flights  singleflight.Group // manifests being fetched
	slots    chan struct{}      // blobs being fetched

	mu      sync.Mutex
	fetches map[string]*fetch
	running sync.WaitGroup
	counts  map[int64]*counting
	pulled  map[pulledKey]time.Time // when a pull was last written down
}

// CacheOptions say where the cache keeps things, and whom it may ask.
type CacheOptions struct {
	Box      *secret.Box    // seals upstreams' passwords
	Folder   string         // for blobs on their way; the system's temporary folder when empty
	Networks []netip.Prefix // that upstreams may send their clients to besides public addresses
}

// known is an upstream with its client.
type known struct {
	Upstream
	client *upstream.Client
}

const maxFetches = 32 // blobs that come at once

// OpenCache makes the registry a cache of other registries. Close it before the database.
func OpenCache(ctx context.Context, r *Service, o CacheOptions) (*Cache, error) {
	if o.Folder != "" {
		if err := os.MkdirAll(o.Folder, 0o700); err != nil {
			return nil, fmt.Errorf("open cache of upstreams: %w", err)
		}
	}
	c := &Cache{registry: r, options: o, fetches: map[string]*fetch{}, counts: map[int64]*counting{}, pulled: map[pulledKey]time.Time{}, slots: make(chan struct{}, maxFetches)}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return c, c.load(ctx)
}

// Close ends what is being fetched and writes down what was counted.
func (c *Cache) Close() error {
	c.cancel()
	c.Settle()
	return c.flush(context.Background())
}

// Settle waits until nothing is being fetched: a client has its last byte a moment before the blob is kept.
func (c *Cache) Settle() { c.running.Wait() }

// Run writes down what was counted and removes what nobody pulls, until ctx ends.
func (c *Cache) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for minute := 0; ; minute++ {
		err := c.flush(ctx)
		if minute%60 == 0 {
			err = errors.Join(err, c.Sweep(ctx))
		}
		if err != nil && ctx.Err() == nil {
			c.registry.logger.Error("upkeep of upstreams failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// load reads the upstreams and makes their clients; that of an upstream which has not changed stays, with what it knows.
func (c *Cache) load(ctx context.Context) error {
	list, err := c.list(ctx)
	if err != nil {
		return err
	}
	before := map[int64]known{}
	if old := c.known.Load(); old != nil {
		for _, k := range *old {
			before[k.ID] = k
		}
	}
	now := make([]known, 0, len(list))
	for _, u := range list {
		k := known{Upstream: u}
		if old, ok := before[u.ID]; ok && old.Updated.Equal(u.Updated) {
			k.client = old.client
		} else if k.client, err = c.client(u); err != nil {
			return err
		}
		now = append(now, k)
	}
	c.known.Store(&now)
	return nil
}

func (c *Cache) client(u Upstream) (*upstream.Client, error) {
	o := upstream.Options{URL: u.URL, Username: u.Username, Networks: c.options.Networks, Clock: c.registry.clock}
	if len(u.password) > 0 {
		password, err := c.options.Box.Open(u.password, sealContext(u.Name))
		if err != nil {
			return nil, fmt.Errorf("open upstream %s: %w", u.Name, err)
		}
		o.Password = string(password)
	}
	client, err := upstream.New(o)
	if err != nil {
		return nil, fmt.Errorf("open upstream %s: %w", u.Name, err)
	}
	return client, nil
}

// Remote is a repository of an upstream.
type Remote struct {
	Upstream   Upstream
	Repository string // as the upstream calls it
	client     *upstream.Client
}

// Name is the name of the repository's copy here.
func (r Remote) Name() string { return r.Upstream.Prefix() + "/" + r.Repository }

// Find returns the repository of an upstream that a name here stands for: `docker.io/library/golang`.
func (c *Cache) Find(name string) (Remote, bool) {
	prefix, repository, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(prefix, "._") {
		return Remote{}, false
	}
	return c.find(repository, func(u Upstream) bool { return u.Prefix() == prefix })
}

// FindHost returns a repository of the upstream that image names write as host: what a mirror is asked for.
func (c *Cache) FindHost(host, repository string) (Remote, bool) {
	return c.find(repository, func(u Upstream) bool { return u.Name == host })
}

func (c *Cache) find(repository string, is func(Upstream) bool) (Remote, bool) {
	for _, k := range *c.known.Load() {
		if is(k.Upstream) {
			if k.Name == DockerHub && !strings.Contains(repository, "/") {
				repository = "library/" + repository
			}
			return Remote{Upstream: k.Upstream, Repository: repository, client: k.client}, true
		}
	}
	return Remote{}, false
}

// Enabled lists the upstreams that are read from.
func (c *Cache) Enabled() []Upstream {
	var list []Upstream
	for _, k := range *c.known.Load() {
		if !k.Disabled {
			list = append(list, k.Upstream)
		}
	}
	return list
}

// ensure returns the repository of the copies, made when there is none.
func (c *Cache) ensure(ctx context.Context, r Remote) (Repository, error) {
	repo, err := c.registry.Ensure(ctx, r.Name(), "")
	if err != nil {
		return repo, err
	}
	const insert = `INSERT INTO registry_cached_repositories (repository_id, upstream_id) VALUES ($1, $2) ON CONFLICT (repository_id) DO NOTHING`
	if _, err := c.registry.db.ExecContext(ctx, insert, repo.ID, r.Upstream.ID); err != nil {
		return repo, fmt.Errorf("keep copies of %s: %w", r.Name(), err)
	}
	return repo, nil
}

// problem says an upstream's failure to who asked here.
func (c *Cache) problem(r Remote, unknown Fault, err error) error {
	var e *upstream.Error
	if !errors.As(err, &e) {
		return err
	}
	name := r.Upstream.Name
	switch e.Kind {
	case upstream.Missing:
		return fault(unknown, slipway.NotFound("%s has no such content in %s: %s", name, r.Repository, e.Message).Because(err))
	case upstream.Denied:
		return fault(Denied, slipway.Forbidden("%s does not show %s: it does not exist there, or the upstream needs other credentials (%s)", name, r.Repository, e.Message).Because(err))
	case upstream.Limited:
		return fault(TooManyRequests, slipway.Limit("%s limits how much is asked of it, and %s is not here yet: try again later, or give the upstream credentials", name, r.Repository).Because(err))
	case upstream.Invalid:
		return slipway.Unavailable("%s gives no usable answer for %s: %s", name, r.Repository, e.Message).Because(err)
	}
	return slipway.Unavailable("%s cannot be asked for %s, which is not here yet: %s", name, r.Repository, e.Message).Because(err)
}

// RetryAfter is how long an upstream that limits wants to be left alone, zero for errors that say nothing of it.
func (c *Cache) RetryAfter(err error) time.Duration {
	var e *upstream.Error
	if !errors.As(err, &e) || e.Until.IsZero() {
		return 0
	}
	return max(e.Until.Sub(c.registry.clock.Now()), 0)
}

// local is the repository of the copies, if there is one yet.
func (c *Cache) local(ctx context.Context, r Remote) (Repository, bool, error) {
	repo, err := c.registry.Repository(ctx, r.Name())
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return repo, false, nil
	}
	return repo, err == nil, err
}

// isMissing reports that the registry here has no such thing, unlike other errors.
func isMissing(err error) bool { return err != nil && slipway.CodeOf(err) == slipway.CodeNotFound }

// db is where the rows are.
func (c *Cache) db() *db.DB { return c.registry.db }
