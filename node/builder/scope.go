package builder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/worker"
	"google.golang.org/grpc"
)

// scope parts what builds remember: the results of steps and the cache mounts of one scope are never seen by another,
// except that the results (not the mounts) of the scope it reads are found too. All scopes share the layers, which are
// addressed by what they hold and verified when they are unpacked. The zero scope is the one of a connection that names none.
type scope struct {
	name, reads string
}

var scopeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// parseScope reads `NAME` or `NAME READS`.
func parseScope(s string) (scope, error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words) > 2 {
		return scope{}, fmt.Errorf("scope %q: want NAME or NAME READS", s)
	}
	for _, w := range words {
		if !scopeName.MatchString(w) {
			return scope{}, fmt.Errorf("scope %q: %q is not lower-case letters, digits and dashes", s, w)
		}
	}
	out := scope{name: words[0]}
	if len(words) == 2 {
		out.reads = words[1]
	}
	if out.name == out.reads {
		return scope{}, fmt.Errorf("scope %q reads itself", s)
	}
	return out, nil
}

// mountPrefix stands before the id of each of a scope's cache mounts. It holds a secret of the builder, since a frontend can name
// ids in other ways than by a step. BuildKit leaves an id of this form out of a step's cache key, so that a scope finds the
// results of the one it reads.
func (b *Builder) mountPrefix(name string) string {
	if name == "" {
		return ""
	}
	return name + "/id/" + b.mountSecret + "/"
}

// openMountSecret reads the secret of cache mounts' ids, which is made with the state folder.
func openMountSecret(state string) (string, error) {
	path := filepath.Join(state, "mount-secret")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text())
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil || len(text) < 20 {
		return "", fmt.Errorf("secret of cache mounts: %d bytes at %s: %w", len(text), path, err)
	}
	return string(text), nil
}

// folder is where a scope keeps its databases.
func (b *Builder) folder(name string) string {
	if name == "" {
		return b.config.State
	}
	return filepath.Join(b.config.State, "scopes", name)
}

// memory is what one scope remembers of steps.
type memory struct {
	store   *bboltcachestorage.Store
	manager solver.CacheManager
}

// remembered opens a scope's memory once. b.mu is held.
func (b *Builder) remembered(name string) (*memory, error) {
	if m := b.memories[name]; m != nil {
		return m, nil
	}
	if err := os.MkdirAll(b.folder(name), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of scope %s: %w", name, err)
	}
	store, err := bboltcachestorage.NewStore(filepath.Join(b.folder(name), "cache.db"))
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	workers := &worker.Controller{}
	if err := workers.Add(b.worker); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	id := "local"
	if name != "" {
		id = "scope-" + name
	}
	m := &memory{store: store, manager: solver.NewCacheManager(b.ctx, id, store, worker.NewCacheResultStorage(workers))}
	b.memories[name] = m
	return m, nil
}

// scoped is BuildKit's control service of one scope.
type scoped struct {
	controller *control.Controller
	history    io.Closer
	server     *grpc.Server
	listener   *queue
}

// scoped gives a scope's service, which it starts at the first call and which runs until the builder stops.
func (b *Builder) scoped(s scope) (*scoped, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopping {
		return nil, errors.New("the builder is stopping")
	}
	if open := b.services[s]; open != nil {
		return open, nil
	}
	own, err := b.remembered(s.name)
	if err != nil {
		return nil, err
	}
	manager := own.manager
	if s.reads != "" {
		read, err := b.remembered(s.reads)
		if err != nil {
			return nil, err
		}
		manager = solver.NewCombinedCacheManager([]solver.CacheManager{own.manager, read.manager}, own.manager)
	}
	sessions, err := session.NewManager()
	if err != nil {
		return nil, fmt.Errorf("start sessions: %w", err)
	}
	service := &scoped{listener: newQueue()}
	workers := &worker.Controller{}
	if err := workers.Add(&scopedWorker{Worker: b.worker, prefix: b.mountPrefix(s.name)}); err != nil {
		return nil, fmt.Errorf("add worker: %w", err)
	}
	if service.controller, service.history, err = openController(b.ctx, b.folder(s.file()), workers, sessions, b.hosts, own.store, manager, b.worker); err != nil {
		return nil, err
	}
	service.server = newServer(s, b.watchSolve(service))
	service.controller.Register(service.server)
	b.services[s] = service
	b.serving.Go(func() { _ = service.server.Serve(service.listener) }) // ends with the queue, by Stop
	return service, nil
}

// file is the folder of the service's own database, which two services of one scope do not share.
func (s scope) file() string {
	if s.reads == "" {
		return s.name
	}
	return s.name + "-reads-" + s.reads
}

// usage is what the whole cache holds.
type usage struct {
	Records []usageRecord `json:"records"`
}

// usageRecord is one snapshot with the scopes that know it.
type usageRecord struct {
	ID          string   `json:"id"`
	Kind        string   `json:"kind"` // BuildKit's record type: regular, source.local, exec.cachemount, ...
	Scopes      []string `json:"scopes,omitempty"`
	Size        int64    `json:"size"`
	Description string   `json:"description,omitempty"`
	InUse       bool     `json:"inUse,omitempty"`
	Uses        int      `json:"uses"`
	LastUsed    int64    `json:"lastUsed,omitempty"` // Unix time
}

// usage looks at every record, and asks each open scope whether it knows it.
func (b *Builder) usage(ctx context.Context) (usage, error) {
	du, err := b.worker.DiskUsage(ctx, diskUsageAll)
	if err != nil {
		return usage{}, fmt.Errorf("look at the cache: %w", err)
	}
	memories, err := b.everyMemory()
	if err != nil {
		return usage{}, err
	}
	mounts, err := b.mountScopes(ctx)
	if err != nil {
		return usage{}, err
	}
	out := usage{Records: []usageRecord{}}
	for _, r := range du {
		u := usageRecord{ID: r.ID, Kind: string(r.RecordType), Size: r.Size, Description: strings.ReplaceAll(r.Description, "/id/"+b.mountSecret+"/", ": "), InUse: r.InUse, Uses: r.UsageCount}
		if r.LastUsedAt != nil {
			u.LastUsed = r.LastUsedAt.Unix()
		}
		if name, ok := mounts[r.ID]; ok {
			u.Scopes = []string{name}
		}
		for name, m := range memories {
			known := false
			err := m.store.WalkIDsByResult(b.worker.ID()+"::"+r.ID, func(string) error { known = true; return nil })
			if err != nil {
				return usage{}, fmt.Errorf("look at the cache of scope %s: %w", name, err)
			}
			if known {
				u.Scopes = append(u.Scopes, name)
			}
		}
		out.Records = append(out.Records, u)
	}
	return out, nil
}

// everyMemory opens what scopes on disk remember, also of those that nobody used since the start.
func (b *Builder) everyMemory() (map[string]*memory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries, err := os.ReadDir(filepath.Join(b.config.State, "scopes"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list scopes: %w", err)
	}
	out := map[string]*memory{}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(b.folder(e.Name()), "cache.db")); err != nil || !scopeName.MatchString(e.Name()) {
			continue // the folder of a service's own database
		}
		if out[e.Name()], err = b.remembered(e.Name()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cacheMountIndex is BuildKit's index of cache mounts by their ids (solver/llbsolver/mounts, not exported).
const cacheMountIndex = "cache-dir:"

// mountScopes finds the scope of each cache mount by its record's id.
func (b *Builder) mountScopes(ctx context.Context) (map[string]string, error) {
	found, err := b.worker.CacheManager().Search(ctx, cacheMountIndex, true)
	if err != nil {
		return nil, fmt.Errorf("find cache mounts: %w", err)
	}
	out := map[string]string{}
	for _, m := range found {
		v := m.Get("cache-dir")
		if v == nil {
			continue
		}
		if name, _, ok := strings.Cut(strings.TrimPrefix(v.Index, cacheMountIndex), "/id/"); ok && scopeName.MatchString(name) {
			out[m.ID()] = name
		}
	}
	return out, nil
}
