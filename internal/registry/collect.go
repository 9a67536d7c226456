package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway/internal/db"
)

const collectBatch = 500

// Collect removes uploads that rest, blobs that no manifest of their repository names, contents that no repository
// has, and objects that no row names, each after Options.Grace. It may run beside pushes and beside itself, and on a full disk.
func (s *Service) Collect(ctx context.Context) error {
	before := s.clock.Now().Add(-s.options.Grace)
	err := errors.Join(s.collectUploads(ctx, before), s.collectLinks(ctx, before), s.collectBlobs(ctx), s.collectObjects(ctx, before), s.collectPulls(ctx))
	if reserving := s.db.Reserve(); reserving != nil { // it is a precaution, and may find room the next time
		s.logger.Warn("there is no room for the records of the next collection on a full disk", "error", reserving)
	}
	return err
}

func (s *Service) collectUploads(ctx context.Context, before time.Time) error {
	list, err := db.List(ctx, s.db, db.Value[string], `SELECT id FROM registry_uploads WHERE updated < $1 ORDER BY updated LIMIT 1000`, db.Micros(before))
	if err != nil {
		return fmt.Errorf("collect uploads: %w", err)
	}
	for _, id := range list {
		if err := s.Cancel(ctx, Upload{ID: id}); err != nil {
			return fmt.Errorf("collect uploads: %w", err)
		}
	}
	// An upload's row is there before its first byte: what has none is over, and its bytes came too late for its end.
	err = s.blobs.Uploads(ctx, func(id string) error {
		n, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM registry_uploads WHERE id = $1`, id)
		if err != nil || n > 0 {
			return err
		}
		return s.blobs.Abort(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("collect uploads: %w", err)
	}
	return nil
}

// collectLinks leaves rows that others have locked for the next time: they are being mounted, pushed or deleted, by whom each in an order of its own,
// and to wait for one while holding others would end in a deadlock. SQLite has one writer at a time.
func (s *Service) collectLinks(ctx context.Context, before time.Time) error {
	const statement = `
		DELETE FROM registry_blob_links WHERE (repository_id, digest) IN (
			SELECT l.repository_id, l.digest FROM registry_blob_links AS l
			WHERE l.touched < $1 AND NOT EXISTS (
				SELECT 1 FROM registry_manifest_references AS r WHERE r.repository_id = l.repository_id AND r.digest = l.digest)`
	err := s.db.Free(ctx, func(tx *db.Tx) error {
		passing := ""
		if tx.Engine() == db.Postgres {
			passing = ` FOR UPDATE OF l SKIP LOCKED`
		}
		_, err := tx.ExecContext(ctx, statement+passing+`)`, db.Micros(before))
		return err
	})
	if err != nil {
		return fmt.Errorf("collect blob links: %w", err)
	}
	return nil
}

// collectBlobs first commits that rows are gone and then deletes their objects, whose keys nobody will ever use again.
func (s *Service) collectBlobs(ctx context.Context) error {
	for {
		var found int
		var keys []string
		err := s.db.Free(ctx, func(tx *db.Tx) (err error) {
			found, keys, err = deleteUnlinked(ctx, tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("collect blobs: %w", err)
		}
		for _, key := range keys {
			if err := s.blobs.Delete(ctx, key); err != nil {
				return fmt.Errorf("collect blobs: %w", err)
			}
		}
		if found < collectBatch {
			return nil
		}
	}
}

// deleteUnlinked locks candidates, as record does, and only then looks whether they are unlinked still: on
// PostgreSQL a statement sees other tables as they were when it began, not as they are when its locks are got.
func deleteUnlinked(ctx context.Context, tx *db.Tx) (found int, keys []string, err error) {
	const lock = `
		UPDATE registry_blobs SET size = size
		WHERE digest IN (
			SELECT b.digest FROM registry_blobs AS b
			WHERE NOT EXISTS (SELECT 1 FROM registry_blob_links AS l WHERE l.digest = b.digest) ORDER BY b.digest LIMIT $1)
		RETURNING digest`
	const remove = `
		DELETE FROM registry_blobs
		WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM registry_blob_links AS l WHERE l.digest = $1) RETURNING key`
	digests, err := db.List(ctx, tx, db.Value[string], lock, collectBatch)
	if err != nil {
		return 0, nil, err
	}
	for _, d := range digests {
		removed, err := db.List(ctx, tx, db.Value[string], remove, d)
		if err != nil {
			return 0, nil, err
		}
		keys = append(keys, removed...)
	}
	return len(digests), keys, nil
}

// collectObjects deletes what a server left that died between an object and its row.
func (s *Service) collectObjects(ctx context.Context, before time.Time) error {
	err := s.blobs.List(ctx, keyPrefix, func(key string, _ int64) error {
		made := keyTime(key)
		if made.IsZero() || !made.Before(before) {
			return nil
		}
		n, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM registry_blobs WHERE key = $1`, key)
		if err != nil || n > 0 {
			return err
		}
		return s.blobs.Delete(ctx, key)
	})
	if err != nil {
		return fmt.Errorf("collect objects: %w", err)
	}
	return nil
}
