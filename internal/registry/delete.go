package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// DeleteTag removes the tag and leaves its manifest. An immutable or locked one stays.
func (s *Service) DeleteTag(ctx context.Context, repo Repository, tag string, by slipway.Actor) error {
	if err := repo.checkDelete(); err != nil {
		return err
	}
	return s.db.Free(ctx, func(tx *db.Tx) error {
		g, err := readGoverning(ctx, tx, repo)
		if err != nil {
			return err
		}
		if pattern := g.immutable(tag); pattern != "" {
			return immutableTag(repo, tag, pattern)
		}
		t, err := db.One(ctx, tx, scanTag, `DELETE FROM registry_tags WHERE repository_id = $1 AND name = $2 RETURNING name, digest, updated, locks`, repo.ID, tag)
		if db.IsNoRows(err) {
			return unknownManifest(repo, tag)
		}
		if err != nil {
			return fmt.Errorf("delete tag %s:%s: %w", repo.Name, tag, err)
		}
		if t.Lock.stays() {
			return locked(repo, tag, deletion)
		}
		if err := touchManifest(ctx, tx, repo, t.Digest, s.clock.Now()); err != nil {
			return err
		}
		return s.deleted(ctx, tx, repo, Deleted{Tag: tag, Digest: t.Digest}, by)
	})
}

func immutableTag(repo Repository, tag, pattern string) error {
	return fault(Denied, slipway.Forbidden("tag %s of %s is immutable (%s): an administrator must change that first", tag, repo.Name, pattern))
}

// touchManifest says that somebody relied on the manifest just now, or that it lost a tag: its age without one counts from here.
func touchManifest(ctx context.Context, tx *db.Tx, repo Repository, d slipway.Digest, now time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE registry_manifests SET touched = $1 WHERE repository_id = $2 AND digest = $3`, db.Micros(now), repo.ID, string(d))
	if err != nil {
		return fmt.Errorf("touch manifest %s of %s: %w", d, repo.Name, err)
	}
	return nil
}

// KeepContent leaves a manifest alone for a while: who looks whether it is there may be about to push what names it.
func (s *Service) KeepContent(ctx context.Context, repo Repository, c Content) error {
	const update = `UPDATE registry_manifests SET touched = $1 WHERE repository_id = $2 AND digest = $3 AND touched < $4`
	return s.keep(ctx, update, c.touched, repo, c.Digest)
}

// DeleteManifest removes the manifest and the tags that point to it; what only it named goes with Collect. One with an immutable
// or locked tag stays, and one that is locked itself.
func (s *Service) DeleteManifest(ctx context.Context, repo Repository, d slipway.Digest, by slipway.Actor) error {
	if err := repo.checkDelete(); err != nil {
		return err
	}
	return s.db.Free(ctx, func(tx *db.Tx) error {
		g, err := readGoverning(ctx, tx, repo)
		if err != nil {
			return err
		}
		tags, err := db.List(ctx, tx, scanTag, `DELETE FROM registry_tags WHERE repository_id = $1 AND digest = $2 RETURNING name, digest, updated, locks`, repo.ID, string(d))
		if err != nil {
			return fmt.Errorf("delete manifest %s of %s: %w", d, repo.Name, err)
		}
		if err := mayGo(repo, g, tags); err != nil {
			return err
		}
		if err := deleteReferences(ctx, tx, repo, d); err != nil {
			return err
		}
		lock, err := db.One(ctx, tx, db.Value[int64], `DELETE FROM registry_manifests WHERE repository_id = $1 AND digest = $2 RETURNING locks`, repo.ID, string(d))
		if db.IsNoRows(err) {
			return unknownManifest(repo, string(d))
		}
		if err != nil {
			return fmt.Errorf("delete manifest %s of %s: %w", d, repo.Name, err)
		}
		if Lock(lock).stays() {
			return locked(repo, string(d), deletion)
		}
		return s.deleted(ctx, tx, repo, Deleted{Digest: d}, by)
	})
}

// mayGo refuses to delete tags that are immutable or locked.
func mayGo(repo Repository, g governing, tags []Tag) error {
	for _, t := range tags {
		if pattern := g.immutable(t.Name); pattern != "" {
			return immutableTag(repo, t.Name, pattern)
		}
		if t.Lock.stays() {
			return locked(repo, t.Name, deletion)
		}
	}
	return nil
}

func deleteReferences(ctx context.Context, tx *db.Tx, repo Repository, d slipway.Digest) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM registry_manifest_references WHERE repository_id = $1 AND manifest = $2`, repo.ID, string(d)); err != nil {
		return fmt.Errorf("delete manifest %s of %s: %w", d, repo.Name, err)
	}
	return nil
}

// DeleteRepository removes the repository with all that is in it; contents that no other has go with the next Collect. One that
// has immutable tags, or anything that is locked, stays.
func (s *Service) DeleteRepository(ctx context.Context, repo Repository, by slipway.Actor) error {
	if err := repo.checkDelete(); err != nil {
		return err
	}
	uploads, err := db.List(ctx, s.db, db.Value[string], `SELECT id FROM registry_uploads WHERE repository_id = $1`, repo.ID)
	if err != nil {
		return fmt.Errorf("delete repository %s: %w", repo.Name, err)
	}
	err = s.db.Free(ctx, func(tx *db.Tx) error {
		g, err := readGoverning(ctx, tx, repo)
		if err != nil {
			return err
		}
		tags, err := db.List(ctx, tx, scanTag, `DELETE FROM registry_tags WHERE repository_id = $1 RETURNING name, digest, updated, locks`, repo.ID)
		if err != nil {
			return fmt.Errorf("delete repository %s: %w", repo.Name, err)
		}
		if err := mayGo(repo, g, tags); err != nil {
			return err
		}
		kept, err := db.List(ctx, tx, db.Value[string], `SELECT digest FROM registry_manifests WHERE repository_id = $1 AND (locks & $2) <> 0 LIMIT 1`, repo.ID, int64(LockDelete|LockWrite))
		if err != nil {
			return fmt.Errorf("delete repository %s: %w", repo.Name, err)
		}
		if len(kept) > 0 {
			return locked(repo, kept[0], deletion)
		}
		for _, table := range []string{"registry_manifest_references", "registry_manifests", "registry_blob_links", "registry_pushes", "registry_uploads", "registry_pulls", "registry_settings",
			"registry_cached_tags", "registry_cached_pulls", "registry_cached_repositories"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE repository_id = $1`, repo.ID); err != nil {
				return fmt.Errorf("delete repository %s: %w", repo.Name, err)
			}
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM registry_repositories WHERE id = $1`, repo.ID)
		if err != nil {
			return fmt.Errorf("delete repository %s: %w", repo.Name, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(fault(NameUnknown, slipway.NotFound("there is no image repository %q", repo.Name)), err)
		}
		return s.deleted(ctx, tx, repo, Deleted{}, by)
	})
	if err != nil {
		return err
	}
	for _, id := range uploads { // without a row nobody can go on with them
		if err := s.blobs.Abort(ctx, id); err != nil {
			return fmt.Errorf("delete repository %s: %w", repo.Name, err)
		}
	}
	return nil
}

// deleted appends EventDeleted. Its subject is the image, or the project of a whole repository.
func (s *Service) deleted(ctx context.Context, tx *db.Tx, repo Repository, what Deleted, by slipway.Actor) error {
	what.Repository = repo.Name
	e := events.Event{Kind: EventDeleted, Project: repo.Project, Subject: slipway.Ref(slipway.RefImage, what.Digest), Actor: by}
	if what.Digest == "" {
		e.Subject = projectReference(repo)
	}
	return s.log.Append(ctx, tx, &e, what)
}
