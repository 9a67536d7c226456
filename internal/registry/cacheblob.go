package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/registry/upstream"
)

// StatBlob is the length of a blob, here or at the upstream.
func (c *Cache) StatBlob(ctx context.Context, r Remote, d slipway.Digest) (int64, error) {
	repo, found, err := c.local(ctx, r)
	if err != nil {
		return 0, err
	}
	if found {
		size, err := c.registry.StatBlob(ctx, repo, d)
		if !isMissing(err) {
			return size, err
		}
	}
	size, err := r.client.StatBlob(ctx, r.Repository, d)
	if err != nil {
		c.noteError(r, err)
		return 0, c.problem(r, BlobUnknown, err)
	}
	if size < 0 {
		return 0, fault(Unsupported, slipway.Unsupported("%s does not say how long %s is", r.Upstream.Name, d))
	}
	return size, nil
}

// OpenBlob opens a blob for reading, here or while it comes from the upstream; the caller closes it. All who ask for
// one that is not here share one fetch. The last byte is held back until the digest is verified.
func (c *Cache) OpenBlob(ctx context.Context, r Remote, d slipway.Digest) (blob.Object, error) {
	repo, found, err := c.local(ctx, r)
	if err != nil {
		return nil, err
	}
	if found {
		o, err := c.registry.OpenBlob(ctx, repo, d)
		if err == nil {
			c.count(r, func(n *counting) { n.Hits++; n.Saved += o.Size() })
		}
		if !isMissing(err) {
			return o, err
		}
	}
	if err := CheckName(r.Name()); err != nil {
		return nil, err
	}
	f := c.fetch(r, d)
	select {
	case <-ctx.Done():
		f.leave()
		return nil, ctx.Err()
	case <-f.ready:
	}
	if err := f.failure(); err != nil {
		f.leave()
		return nil, c.problem(r, BlobUnknown, err)
	}
	if f.file == nil { // the content was in the registry already, and is in this repository now
		f.leave()
		repo, err := c.registry.Repository(ctx, r.Name())
		if err != nil {
			return nil, err
		}
		return c.registry.OpenBlob(ctx, repo, d)
	}
	return f.open(ctx), nil
}

// fetch joins the fetch of a blob that is under way, or begins one. The caller leaves it.
func (c *Cache) fetch(r Remote, d slipway.Digest) *fetch {
	key := r.Name() + "@" + string(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fetches[key]
	if f == nil {
		f = newFetch()
		c.fetches[key] = f
		c.running.Go(func() {
			err := c.run(r, d, f)
			c.mu.Lock()
			delete(c.fetches, key) // whoever comes now finds it in the registry, or begins again
			c.mu.Unlock()
			f.end(err)
			f.leave()
			if err != nil {
				c.noteError(r, err)
				c.registry.logger.Warn("a blob of an upstream could not be fetched", "upstream", r.Upstream.Name, "repository", r.Repository, "digest", d, "error", err)
			}
		})
	}
	f.join()
	return f
}

// run fetches one blob, verifies it and stores it.
func (c *Cache) run(r Remote, d slipway.Digest, f *fetch) error {
	ctx := c.ctx
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if done, err := c.link(ctx, r, d); done || err != nil {
		return err
	}
	body, size, err := r.client.Blob(ctx, r.Repository, d)
	if err != nil {
		return err
	}
	defer body.Close()
	if size > c.registry.options.MaxBlob {
		return &upstream.Error{Kind: upstream.Invalid, Message: "the blob is larger than this registry takes"}
	}
	if err := f.begin(c.options.Folder, size); err != nil {
		return err
	}
	if err := f.copy(c.registry.verify(body, d)); err != nil {
		var wrong *Error
		if errors.As(err, &wrong) {
			return &upstream.Error{Kind: upstream.Invalid, Message: wrong.Problem.Message}
		}
		return err
	}
	c.count(r, func(n *counting) { n.Misses++; n.Fetched += f.length() })
	repo, err := c.ensure(ctx, r)
	if err != nil {
		return err
	}
	key, length, err := c.registry.store(ctx, d, io.NewSectionReader(f.file, 0, f.length()))
	if err == nil {
		err = c.registry.record(ctx, repo, d, key, length, link, nil)
	}
	if err != nil {
		return fmt.Errorf("keep blob %s of %s: %w", d, r.Name(), err)
	}
	return nil
}

// link gives the repository a content that the registry has already, when the upstream says that its repository has
// it too: that something is here is no reason to show it.
func (c *Cache) link(ctx context.Context, r Remote, d slipway.Digest) (bool, error) {
	size, err := db.One(ctx, c.db(), db.Value[int64], `SELECT size FROM registry_blobs WHERE digest = $1`, string(d))
	if db.IsNoRows(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up blob %s: %w", d, err)
	}
	there, err := r.client.StatBlob(ctx, r.Repository, d)
	var e *upstream.Error
	if errors.As(err, &e) && e.Kind == upstream.Invalid { // it takes no HEAD: then the bytes themselves must show it
		return false, nil
	}
	if err != nil || there != size {
		return false, err
	}
	repo, err := c.ensure(ctx, r)
	if err != nil {
		return false, err
	}
	linked := false
	err = c.db().Tx(ctx, func(tx *db.Tx) error {
		// The update changes nothing; it locks the row, so that Collect cannot take it away meanwhile.
		result, err := tx.ExecContext(ctx, `UPDATE registry_blobs SET size = size WHERE digest = $1`, string(d))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		linked = true
		return link(ctx, tx, repo, d, db.Micros(c.registry.clock.Now()))
	})
	if err != nil {
		return false, fmt.Errorf("keep blob %s of %s: %w", d, r.Name(), err)
	}
	if linked {
		c.count(r, func(n *counting) { n.Hits++; n.Saved += size })
	}
	return linked, nil
}
