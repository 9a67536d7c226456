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

// Pulled is a manifest with what is to be said of it.
type Pulled struct {
	Content
	Warning string // why the upstream was not asked whether it is still so; empty when it was, or need not be
}

// fetchTimeout bounds what one pull asks of an upstream.
const fetchTimeout = 2 * time.Minute

// Manifest returns the manifest that a tag or digest stands for, from here or from the upstream.
func (c *Cache) Manifest(ctx context.Context, r Remote, reference string) (Pulled, error) {
	if _, err := slipway.ParseDigest(reference); err != nil && !IsTag(reference) {
		return Pulled{}, unknownManifest(Repository{Name: r.Name()}, reference)
	}
	if err := CheckName(r.Name()); err != nil {
		return Pulled{}, err
	}
	repo, found, err := c.local(ctx, r)
	if err != nil {
		return Pulled{}, err
	}
	var here Content
	if found {
		here, err = c.registry.GetContent(ctx, repo, reference)
		if found = err == nil; err != nil && !isMissing(err) {
			return Pulled{}, err
		}
	}
	state := cachedTag{}
	if found && !here.is(reference) {
		if state, err = c.tagState(ctx, repo, reference); err != nil {
			return Pulled{}, err
		}
	}
	if found && (here.is(reference) || c.registry.clock.Now().Before(state.checked.Add(time.Duration(r.Upstream.StaleMinutes)*time.Minute))) {
		c.count(r, func(n *counting) { n.Hits++ })
		return Pulled{Content: here}, c.notePull(ctx, repo, here.Digest)
	}
	if found && (r.client.Down() || !r.client.Paused().IsZero()) {
		return c.stale(ctx, r, repo, here, reference, errors.New("it could not be asked a moment ago"))
	}
	got, err := c.fly(ctx, r, reference, here, state.etag)
	if err == nil {
		return Pulled{Content: got}, c.pulledOf(ctx, r, got.Digest)
	}
	var e *upstream.Error
	if found && errors.As(err, &e) && e.Kind != upstream.Missing {
		return c.stale(ctx, r, repo, here, reference, err)
	}
	if found && errors.As(err, &e) { // the tag is gone there
		if err := c.dropTag(ctx, repo, reference); err != nil {
			return Pulled{}, err
		}
	}
	return Pulled{}, c.problem(r, ManifestUnknown, err)
}

// is reports that the reference is the content's digest, which never changes.
func (c Content) is(reference string) bool { return string(c.Digest) == reference }

// stale serves what is here although the upstream could not be asked.
func (c *Cache) stale(ctx context.Context, r Remote, repo Repository, here Content, reference string, why error) (Pulled, error) {
	c.registry.logger.Warn("an upstream could not be asked, and its copy here is served", "upstream", r.Upstream.Name, "repository", r.Repository, "reference", reference, "error", why)
	c.count(r, func(n *counting) { n.Hits++ })
	return Pulled{Content: here, Warning: r.Upstream.Name + " could not be asked whether this is still so"}, c.notePull(ctx, repo, here.Digest)
}

// fly asks the upstream; everybody who asks for the same at once shares one answer.
func (c *Cache) fly(ctx context.Context, r Remote, reference string, here Content, etag string) (Content, error) {
	result := c.flights.DoChan(r.Name()+"@"+reference, func() (any, error) {
		c.running.Add(1)
		defer c.running.Done()
		ctx, cancel := context.WithTimeout(c.ctx, fetchTimeout) // others may wait for it when this one is gone
		defer cancel()
		got, err := c.ask(ctx, r, reference, here, etag)
		if err != nil {
			c.noteError(r, err)
		}
		return got, err
	})
	select {
	case <-ctx.Done():
		return Content{}, ctx.Err()
	case answer := <-result:
		if answer.Err != nil {
			return Content{}, answer.Err
		}
		got, _ := answer.Val.(Content)
		return got, nil
	}
}

// ask finds out what the reference stands for at the upstream. A tag that is here costs a HEAD, which no registry
// counts, and no more when it has not moved.
func (c *Cache) ask(ctx context.Context, r Remote, reference string, here Content, etag string) (Content, error) {
	if here.Digest != "" {
		head, err := r.client.Head(ctx, r.Repository, reference)
		if err != nil {
			return Content{}, err
		}
		if head.Digest == here.Digest {
			c.count(r, func(n *counting) { n.Hits++ })
			return here, c.confirm(ctx, r, here, reference, head.ETag)
		}
		if head.Digest != "" {
			etag = ""
		}
	}
	m, err := r.client.Manifest(ctx, r.Repository, reference, etag)
	if err != nil {
		return Content{}, err
	}
	if m.Unchanged {
		c.count(r, func(n *counting) { n.Hits++ })
		return here, c.confirm(ctx, r, here, reference, m.ETag)
	}
	c.count(r, func(n *counting) { n.Misses++ })
	return c.keep(ctx, r, reference, m)
}

// keep verifies a manifest and stores it with its tag, in one transaction.
func (c *Cache) keep(ctx context.Context, r Remote, reference string, m upstream.Manifest) (Content, error) {
	algorithm, tag := "sha256", reference
	want := m.Digest
	if d, err := slipway.ParseDigest(reference); err == nil {
		want, tag = d, ""
	}
	if want != "" {
		algorithm = want.Algorithm()
	}
	d := DigestOf(algorithm, m.Content)
	if want != "" && d != want {
		return Content{}, &upstream.Error{Kind: upstream.Invalid, Message: fmt.Sprintf("the manifest has digest %s, not %s", d, want)}
	}
	parsed, err := parseManifest(m.MediaType, m.Content)
	if err != nil {
		return Content{}, &upstream.Error{Kind: upstream.Invalid, Message: err.Error()}
	}
	repo, err := c.ensure(ctx, r)
	if err != nil {
		return Content{}, err
	}
	now := c.registry.clock.Now()
	row := Manifest{Repository: repo.Name, Digest: d, MediaType: parsed.MediaType, ArtifactType: parsed.artifactType(), Content: m.Content,
		Size: int64(len(m.Content)), Annotations: parsed.Annotations, Pushed: now}
	row.TotalSize = row.Size
	for _, named := range parsed.references() {
		row.TotalSize += named.Size
	}
	if parsed.Config != nil {
		row.Config = slipway.Digest(parsed.Config.Digest)
	}
	if parsed.Subject != nil {
		row.Subject = slipway.Digest(parsed.Subject.Digest)
	}
	err = c.db().Tx(ctx, func(tx *db.Tx) error {
		if _, err := insertManifest(ctx, tx, repo, parsed, row); err != nil {
			return err
		}
		if tag != "" {
			if _, err := moveTag(ctx, tx, repo, governing{}, row, tag); err != nil {
				return err
			}
			return setTagState(ctx, tx, repo, tag, m.ETag, now)
		}
		return nil
	})
	if err != nil {
		return Content{}, fmt.Errorf("keep manifest %s of %s: %w", d, r.Name(), err)
	}
	return Content{Digest: d, MediaType: parsed.MediaType, Bytes: m.Content}, nil
}

// confirm notes that the upstream said that the tag has not moved.
func (c *Cache) confirm(ctx context.Context, r Remote, here Content, tag, etag string) error {
	repo, err := c.registry.Repository(ctx, r.Name())
	if err != nil || here.is(tag) {
		return err
	}
	return c.db().Tx(ctx, func(tx *db.Tx) error { return setTagState(ctx, tx, repo, tag, etag, c.registry.clock.Now()) })
}

// cachedTag is what is known of a tag besides its digest.
type cachedTag struct {
	etag    string
	checked time.Time
}

func (c *Cache) tagState(ctx context.Context, repo Repository, tag string) (t cachedTag, err error) {
	var checked int64
	err = c.db().QueryRowContext(ctx, `SELECT etag, checked FROM registry_cached_tags WHERE repository_id = $1 AND name = $2`, repo.ID, tag).Scan(&t.etag, &checked)
	if db.IsNoRows(err) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("look up tag %s:%s: %w", repo.Name, tag, err)
	}
	t.checked = db.Time(checked)
	return t, nil
}

func setTagState(ctx context.Context, tx *db.Tx, repo Repository, tag, etag string, now time.Time) error {
	const upsert = `
		INSERT INTO registry_cached_tags (repository_id, name, etag, checked) VALUES ($1, $2, $3, $4)
		ON CONFLICT (repository_id, name) DO UPDATE SET etag = excluded.etag, checked = excluded.checked`
	if len(etag) > 500 {
		etag = ""
	}
	_, err := tx.ExecContext(ctx, upsert, repo.ID, tag, etag, db.Micros(now))
	return err
}

// dropTag forgets a tag that the upstream has no longer. Its manifest stays for those who pull it by digest.
func (c *Cache) dropTag(ctx context.Context, repo Repository, tag string) error {
	return c.db().Tx(ctx, func(tx *db.Tx) error {
		for _, statement := range []string{
			`DELETE FROM registry_tags WHERE repository_id = $1 AND name = $2`, `DELETE FROM registry_cached_tags WHERE repository_id = $1 AND name = $2`,
		} {
			if _, err := tx.ExecContext(ctx, statement, repo.ID, tag); err != nil {
				return fmt.Errorf("drop tag %s:%s: %w", repo.Name, tag, err)
			}
		}
		return nil
	})
}
