package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/registry/upstream"
)

// The events of upstreams. Their subject is the user who did it.
const (
	EventUpstreamSet     events.Kind = "registry.upstream_set"
	EventUpstreamDeleted events.Kind = "registry.upstream_deleted"
)

// UpstreamPayload is the payload of the events of upstreams.
type UpstreamPayload struct {
	Name string `json:"name"`
}

// DockerHub is Docker Hub as image names write it.
const DockerHub = "docker.io"

// Limits of upstreams.
const (
	maxUpstreams     = 100
	maxPatterns      = 100
	maxStaleMinutes  = 60 * 24 * 365
	maxKeepDays      = 3650
	defaultStale     = 60 // minutes
	defaultKeep      = 30 // days
	dockerHubAddress = "https://registry-1.docker.io"
)

// UpstreamSettings are what an administrator says of an upstream.
type UpstreamSettings struct {
	URL          string   // empty: https:// and the name; for docker.io where Docker Hub's registry is
	Username     string   // empty with the password: anonymous
	Repositories []string // patterns of repositories at the upstream, as `library/*` and `team/**`; empty: all
	// Projects whose members and jobs may pull; empty: everybody signed in, and all jobs.
	Projects     []slipway.ProjectID
	StaleMinutes int // how long a tag is believed before the upstream is asked again
	KeepDays     int // copies that were not pulled for so long are removed; 0 keeps them
	Disabled     bool
}

// NewUpstreamSettings are the settings of an upstream of which nothing is said.
func NewUpstreamSettings() UpstreamSettings {
	return UpstreamSettings{StaleMinutes: defaultStale, KeepDays: defaultKeep}
}

// Upstream is another registry whose images are read through this one and kept.
type Upstream struct {
	ID   int64
	Name string // HOST or HOST:PORT as image names write it
	UpstreamSettings
	HasPassword   bool
	Counts        UpstreamCounts
	LastError     string // empty for none
	LastErrorTime time.Time
	Created       time.Time
	Updated       time.Time // the settings
	password      []byte    // sealed
}

// UpstreamCounts are what an upstream's cache did.
type UpstreamCounts struct {
	Hits    int64 // manifests and blobs that were here
	Misses  int64 // those that were fetched
	Saved   int64 // bytes of blobs that were here
	Fetched int64 // bytes of blobs that came from the upstream
}

// Prefix is the first part of the names of its repositories here: its name, in which a port follows an underscore.
func (u Upstream) Prefix() string { return strings.ReplaceAll(u.Name, ":", "_") }

// Allows reports whether a repository of the upstream may be read.
func (u Upstream) Allows(repository string) bool {
	return len(u.Repositories) == 0 || slices.ContainsFunc(u.Repositories, func(pattern string) bool {
		ok, err := doublestar.Match(pattern, repository)
		return ok && err == nil
	})
}

// upstreamName is a host that no project can be called as: it has a dot or a port.
var upstreamName = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*(:[0-9]{1,5})?$`)

// complete fills in what follows and refuses what cannot be.
func (u *Upstream) complete() error {
	if u.Name == "index.docker.io" || u.Name == "registry-1.docker.io" {
		u.Name = DockerHub
	}
	if len(u.Name) > 100 || !upstreamName.MatchString(u.Name) || !strings.ContainsAny(u.Name, ".:") {
		return slipway.Invalid("upstream %.100q: write the registry's host as image names have it, such as docker.io or registry.example:5000", u.Name)
	}
	if u.URL == "" {
		u.URL = "https://" + u.Name
		if u.Name == DockerHub {
			u.URL = dockerHubAddress
		}
	}
	address, err := upstream.CheckURL(u.URL)
	if err != nil {
		return slipway.Invalid("upstream %s: %v", u.Name, err)
	}
	u.URL = address.Scheme + "://" + address.Host
	if len(u.Username) > 200 {
		return slipway.Invalid("upstream %s: the user name has more than 200 characters", u.Name)
	}
	if len(u.Repositories) > maxPatterns || len(u.Projects) > 1000 {
		return slipway.Limit("upstream %s: it has at most %d patterns and 1000 projects", u.Name, maxPatterns)
	}
	for _, pattern := range u.Repositories {
		if pattern == "" || len(pattern) > 255 || !doublestar.ValidatePattern(pattern) {
			return slipway.Invalid("upstream %s: pattern %.100q: write library/*, team/** or the like", u.Name, pattern)
		}
	}
	if u.StaleMinutes < 0 || u.StaleMinutes > maxStaleMinutes {
		return slipway.Invalid("upstream %s: tags are believed for 0 to %d minutes", u.Name, maxStaleMinutes)
	}
	if u.KeepDays < 0 || u.KeepDays > maxKeepDays {
		return slipway.Invalid("upstream %s: copies are kept for 1 to %d days, or 0 for ever", u.Name, maxKeepDays)
	}
	return nil
}

const upstreamColumns = `id, name, url, username, password, patterns, projects, stale_minutes, keep_days, enabled, created, updated,
	hits, misses, bytes_saved, bytes_fetched, last_error, last_error_time`

func scanUpstream(row interface{ Scan(...any) error }, u *Upstream) error {
	var patterns, projects string
	var enabled bool
	var created, updated, failed int64
	err := row.Scan(&u.ID, &u.Name, &u.URL, &u.Username, &u.password, &patterns, &projects, &u.StaleMinutes, &u.KeepDays, &enabled, &created, &updated,
		&u.Counts.Hits, &u.Counts.Misses, &u.Counts.Saved, &u.Counts.Fetched, &u.LastError, &failed)
	if err != nil {
		return err
	}
	u.Disabled, u.HasPassword = !enabled, len(u.password) > 0
	u.Created, u.Updated, u.LastErrorTime = db.Time(created), db.Time(updated), db.Time(failed)
	if err := json.Unmarshal([]byte(patterns), &u.Repositories); err != nil {
		return err
	}
	return json.Unmarshal([]byte(projects), &u.Projects)
}

// Upstreams lists all upstreams by name.
func (c *Cache) Upstreams(ctx context.Context) ([]Upstream, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	return c.list(ctx)
}

func (c *Cache) list(ctx context.Context) ([]Upstream, error) {
	list, err := db.List(ctx, c.registry.db, scanUpstream, `SELECT `+upstreamColumns+` FROM registry_upstreams ORDER BY name`+c.registry.bytes+` LIMIT $1`, maxUpstreams)
	if err != nil {
		return nil, fmt.Errorf("list upstreams: %w", err)
	}
	return list, nil
}

// Upstream returns the upstream of that name.
func (c *Cache) Upstream(ctx context.Context, name string) (Upstream, error) {
	list, err := c.Upstreams(ctx)
	if err != nil {
		return Upstream{}, err
	}
	i := slices.IndexFunc(list, func(u Upstream) bool { return u.Name == name })
	if i < 0 {
		return Upstream{}, slipway.NotFound("there is no upstream %.100q", name)
	}
	return list[i], nil
}

// PutUpstream makes an upstream, or changes all settings of the one that is there. A nil password leaves what there is,
// an empty one takes it away.
func (c *Cache) PutUpstream(ctx context.Context, name string, settings UpstreamSettings, password *string, by slipway.Actor) (u Upstream, created bool, err error) {
	u = Upstream{Name: strings.ToLower(strings.TrimSpace(name)), UpstreamSettings: settings}
	if err := u.complete(); err != nil {
		return u, false, err
	}
	if password != nil && *password != "" {
		if len(*password) > 4096 {
			return u, false, slipway.Invalid("upstream %s: the password has more than 4096 characters", u.Name)
		}
		if u.password, err = c.options.Box.Seal([]byte(*password), sealContext(u.Name)); err != nil {
			return u, false, fmt.Errorf("set upstream %s: %w", u.Name, err)
		}
	}
	err = c.registry.db.Tx(ctx, func(tx *db.Tx) error {
		created, err = c.putUpstream(ctx, tx, &u, password == nil)
		if err != nil {
			return err
		}
		return c.told(ctx, tx, EventUpstreamSet, u.Name, by)
	})
	if err != nil {
		return u, false, err
	}
	if err := c.load(ctx); err != nil {
		return u, false, err
	}
	u, err = c.Upstream(ctx, u.Name)
	return u, created, err
}

func sealContext(name string) string { return "upstream/" + name }

func (c *Cache) told(ctx context.Context, tx *db.Tx, kind events.Kind, name string, by slipway.Actor) error {
	return c.registry.log.Append(ctx, tx, &events.Event{Kind: kind, Actor: by, Subject: slipway.Ref(slipway.RefUser, by.ID)}, UpstreamPayload{Name: name})
}

// putUpstream writes the row; a credential is for the address it was given for, so another address drops a kept one.
func (c *Cache) putUpstream(ctx context.Context, tx *db.Tx, u *Upstream, keep bool) (created bool, err error) {
	old, err := db.One(ctx, tx, scanUpstream, `SELECT `+upstreamColumns+` FROM registry_upstreams WHERE name = $1`, u.Name)
	if err != nil && !db.IsNoRows(err) {
		return false, fmt.Errorf("set upstream %s: %w", u.Name, err)
	}
	created = db.IsNoRows(err)
	if keep {
		u.password = old.password
		if old.URL != u.URL && len(old.password) > 0 {
			return false, slipway.Invalid("upstream %s: with another address give the password again, or an empty one for none", u.Name)
		}
	}
	if u.password == nil {
		u.password = []byte{}
	}
	patterns, err := json.Marshal(emptyNotNull(u.Repositories))
	if err != nil {
		return false, err
	}
	projects, err := json.Marshal(emptyNotNull(u.Projects))
	if err != nil {
		return false, err
	}
	if created {
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM registry_upstreams`)
		if err != nil {
			return false, fmt.Errorf("set upstream %s: %w", u.Name, err)
		}
		if n >= maxUpstreams {
			return false, slipway.Limit("there are %d upstreams already", n)
		}
	}
	const upsert = `
		INSERT INTO registry_upstreams (name, url, username, password, patterns, projects, stale_minutes, keep_days, enabled, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
		ON CONFLICT (name) DO UPDATE SET url = excluded.url, username = excluded.username, password = excluded.password, patterns = excluded.patterns,
			projects = excluded.projects, stale_minutes = excluded.stale_minutes, keep_days = excluded.keep_days, enabled = excluded.enabled,
			updated = excluded.updated`
	_, err = tx.ExecContext(ctx, upsert, u.Name, u.URL, u.Username, u.password, string(patterns), string(projects), u.StaleMinutes, u.KeepDays,
		!u.Disabled, db.Micros(c.registry.clock.Now()))
	if err != nil {
		return false, fmt.Errorf("set upstream %s: %w", u.Name, err)
	}
	return created, nil
}

func emptyNotNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
