package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/registry/upstream"
)

// counting is what was counted of an upstream since the last flush.
type counting struct {
	UpstreamCounts
	err  string
	when time.Time
}

func (c *Cache) count(r Remote, add func(*counting)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counts[r.Upstream.ID]
	if n == nil {
		n = &counting{}
		c.counts[r.Upstream.ID] = n
	}
	add(n)
}

const maxError = 500 // bytes of an error that are kept

// noteError keeps an upstream's last error; that it has no such thing is none.
func (c *Cache) noteError(r Remote, err error) {
	var e *upstream.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &e) && e.Kind == upstream.Missing {
		return
	}
	text := fmt.Sprintf("%s: %v", r.Repository, err)
	c.count(r, func(n *counting) { n.err, n.when = text[:min(len(text), maxError)], c.registry.clock.Now() })
}

// flush writes down what was counted.
func (c *Cache) flush(ctx context.Context) error {
	c.mu.Lock()
	counts := c.counts
	c.counts = map[int64]*counting{}
	c.mu.Unlock()
	for id, n := range counts {
		const update = `
			UPDATE registry_upstreams SET hits = hits + $1, misses = misses + $2, bytes_saved = bytes_saved + $3, bytes_fetched = bytes_fetched + $4,
				last_error = CASE WHEN $5 = '' THEN last_error ELSE $5 END, last_error_time = CASE WHEN $5 = '' THEN last_error_time ELSE $6 END
			WHERE id = $7`
		if _, err := c.db().ExecContext(ctx, update, n.Hits, n.Misses, n.Saved, n.Fetched, n.err, db.Micros(n.when), id); err != nil {
			return fmt.Errorf("count use of upstreams: %w", err)
		}
	}
	return nil
}

type pulledKey struct {
	repository int64
	digest     slipway.Digest
}

// A pull is written down at most so often for each manifest.
const (
	pulledEvery = 10 * time.Minute
	maxPulled   = 10_000 // remembered
)

// notePull keeps the manifest from being removed for a while.
func (c *Cache) notePull(ctx context.Context, repo Repository, d slipway.Digest) error {
	now, key := c.registry.clock.Now(), pulledKey{repo.ID, d}
	c.mu.Lock()
	fresh := now.Before(c.pulled[key].Add(pulledEvery))
	if !fresh {
		if len(c.pulled) >= maxPulled {
			clear(c.pulled)
		}
		c.pulled[key] = now
	}
	c.mu.Unlock()
	if fresh {
		return nil
	}
	const upsert = `
		INSERT INTO registry_cached_pulls (repository_id, digest, pulled) VALUES ($1, $2, $3)
		ON CONFLICT (repository_id, digest) DO UPDATE SET pulled = excluded.pulled`
	if _, err := c.db().ExecContext(ctx, upsert, repo.ID, string(d), db.Micros(now)); err != nil {
		return fmt.Errorf("note pull of %s: %w", d, err)
	}
	return nil
}

func (c *Cache) pulledOf(ctx context.Context, r Remote, d slipway.Digest) error {
	repo, err := c.registry.Repository(ctx, r.Name())
	if err != nil {
		return err
	}
	return c.notePull(ctx, repo, d)
}

// Sweep removes copies that were not pulled for their upstream's time. Their blobs go with Collect.
func (c *Cache) Sweep(ctx context.Context) error {
	for _, k := range *c.known.Load() {
		if k.KeepDays == 0 {
			continue
		}
		before := db.Micros(c.registry.clock.Now().AddDate(0, 0, -k.KeepDays))
		if err := c.remove(ctx, k.ID, before); err != nil {
			return fmt.Errorf("sweep copies of %s: %w", k.Name, err)
		}
	}
	return nil
}

const removeBatch = 200

// remove removes an upstream's manifests that were pulled last before then, in microseconds.
func (c *Cache) remove(ctx context.Context, id, before int64) error {
	const query = `
		SELECT m.repository_id, m.digest FROM registry_cached_repositories AS r
		JOIN registry_manifests AS m ON m.repository_id = r.repository_id
		LEFT JOIN registry_cached_pulls AS p ON p.repository_id = m.repository_id AND p.digest = m.digest
		WHERE r.upstream_id = $1 AND coalesce(p.pulled, m.pushed) < $2 ORDER BY m.repository_id, m.digest LIMIT $3`
	for {
		list, err := db.List(ctx, c.db(), func(row interface{ Scan(...any) error }, k *pulledKey) error {
			return row.Scan(&k.repository, (*string)(&k.digest))
		}, query, id, before, removeBatch)
		if err != nil {
			return err
		}
		err = c.db().Tx(ctx, func(tx *db.Tx) error {
			for _, k := range list {
				if err := removeManifest(ctx, tx, k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		c.mu.Lock()
		for _, k := range list {
			delete(c.pulled, k)
		}
		c.mu.Unlock()
		if len(list) < removeBatch {
			return nil
		}
	}
}

// removeManifest removes a copy with its tags.
func removeManifest(ctx context.Context, tx *db.Tx, k pulledKey) error {
	for _, statement := range []string{
		`DELETE FROM registry_cached_tags WHERE repository_id = $1 AND name IN (SELECT name FROM registry_tags WHERE repository_id = $1 AND digest = $2)`,
		`DELETE FROM registry_tags WHERE repository_id = $1 AND digest = $2`,
		`DELETE FROM registry_manifest_references WHERE repository_id = $1 AND manifest = $2`,
		`DELETE FROM registry_cached_pulls WHERE repository_id = $1 AND digest = $2`,
		`DELETE FROM registry_manifests WHERE repository_id = $1 AND digest = $2`,
	} {
		if _, err := tx.ExecContext(ctx, statement, k.repository, string(k.digest)); err != nil {
			return err
		}
	}
	return nil
}

// Purge removes all copies of an upstream. What is fetched meanwhile may stay.
func (c *Cache) Purge(ctx context.Context, name string) error {
	u, err := c.Upstream(ctx, name)
	if err != nil {
		return err
	}
	if err := c.remove(ctx, u.ID, db.Micros(c.registry.clock.Now())+1); err != nil {
		return fmt.Errorf("remove copies of %s: %w", name, err)
	}
	return nil
}

// DeleteUpstream removes an upstream and its copies.
func (c *Cache) DeleteUpstream(ctx context.Context, name string, by slipway.Actor) error {
	u, err := c.Upstream(ctx, name)
	if err != nil {
		return err
	}
	err = c.db().Tx(ctx, func(tx *db.Tx) error {
		repositories, err := db.List(ctx, tx, db.Value[int64], `SELECT repository_id FROM registry_cached_repositories WHERE upstream_id = $1`, u.ID)
		if err != nil {
			return err
		}
		for _, id := range repositories {
			for _, table := range []string{"registry_cached_tags", "registry_cached_pulls", "registry_tags", "registry_manifest_references", "registry_manifests",
				"registry_pushes", "registry_uploads", "registry_blob_links", "registry_cached_repositories"} {
				if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE repository_id = $1`, id); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM registry_repositories WHERE id = $1`, id); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM registry_upstreams WHERE id = $1`, u.ID); err != nil {
			return err
		}
		return c.told(ctx, tx, EventUpstreamDeleted, u.Name, by)
	})
	if err != nil {
		return fmt.Errorf("delete upstream %s: %w", name, err)
	}
	return c.load(ctx)
}

// CachedRepository is a repository of copies.
type CachedRepository struct {
	Repository
	Usage
	Pulled time.Time // last
}

// Repositories lists up to 1000 repositories of an upstream of which there are copies, the last pulled first.
func (c *Cache) Repositories(ctx context.Context, u Upstream) ([]CachedRepository, error) {
	const query = `
		SELECT r.id, r.name, r.created, coalesce((SELECT max(pulled) FROM registry_cached_pulls AS p WHERE p.repository_id = r.id), 0) AS pulled
		FROM registry_repositories AS r JOIN registry_cached_repositories AS c ON c.repository_id = r.id
		WHERE c.upstream_id = $1 ORDER BY pulled DESC, r.name LIMIT 1000`
	list, err := db.List(ctx, c.db(), func(row interface{ Scan(...any) error }, r *CachedRepository) error {
		var created, pulled int64
		err := row.Scan(&r.ID, &r.Name, &created, &pulled)
		r.Created, r.Pulled = db.Time(created), db.Time(pulled)
		return err
	}, query, u.ID)
	for i := range list {
		if err == nil {
			list[i].Usage, err = c.registry.Usage(ctx, list[i].Repository)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list copies of %s: %w", u.Name, err)
	}
	return list, nil
}

// Usage counts all copies of an upstream; a content in several repositories counts once.
func (c *Cache) Usage(ctx context.Context, u Upstream) (Usage, error) {
	return c.registry.usage(ctx, c.db(), `id IN (SELECT repository_id FROM registry_cached_repositories WHERE upstream_id = $1)`, u.ID)
}
