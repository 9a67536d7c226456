package repos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// More kinds of events about repositories themselves.
const (
	EventRenamed  events.Kind = "repos.renamed"  // payload {name, was}
	EventDisabled events.Kind = "repos.disabled" // payload {name}
	EventEnabled  events.Kind = "repos.enabled"  // payload {name}
	EventRestored events.Kind = "repos.restored" // payload {name}
	EventPurged   events.Kind = "repos.purged"   // payload {name}; after EventDeleted, for good
)

// DeletedTime is how long a deleted repository can be restored.
const DeletedTime = 30 * 24 * time.Hour

// maxRedirects bounds the names that one repository had before and that still lead to it.
const maxRedirects = 20

// Rename gives a repository another name. Its old one leads to it until another repository takes that.
func (s *Service) Rename(ctx context.Context, id slipway.RepositoryID, name string, by slipway.Actor) (Repository, error) {
	if err := checkName(name); err != nil {
		return Repository{}, err
	}
	r, err := s.Get(ctx, id)
	if err != nil || r.Name == name {
		return r, err
	}
	was := r.Name
	r.Name = name
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE repositories SET name = $2, name_key = $3 WHERE id = $1`, string(id), name, strings.ToLower(name)); err != nil {
			return err
		}
		if err := s.redirect(ctx, tx, r, was); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, r.event(EventRenamed, by), map[string]string{"name": name, "was": was})
	})
	if db.IsUniqueViolation(err) {
		return Repository{}, slipway.Conflict("the project already has a repository %q", name)
	}
	if err != nil {
		return Repository{}, fmt.Errorf("rename repository %s: %w", was, err)
	}
	return r, nil
}

// redirect has an old name lead to the repository.
func (s *Service) redirect(ctx context.Context, tx *db.Tx, r Repository, was string) error {
	old, now := strings.ToLower(was), strings.ToLower(r.Name)
	if _, err := tx.ExecContext(ctx, `DELETE FROM repository_redirects WHERE project = $1 AND name_key IN ($2, $3)`, string(r.Project), old, now); err != nil || old == now {
		return err
	}
	n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM repository_redirects WHERE repository = $1`, string(r.ID))
	if err != nil || n >= maxRedirects {
		return err
	}
	const insert = `INSERT INTO repository_redirects (project, name_key, repository, created) VALUES ($1, $2, $3, $4)`
	_, err = tx.ExecContext(ctx, insert, string(r.Project), old, string(r.ID), db.Micros(s.clock.Now()))
	return err
}

// SetDisabled turns a repository off or on: one that is off is neither cloned nor pushed to, nor shown.
func (s *Service) SetDisabled(ctx context.Context, id slipway.RepositoryID, disabled bool, by slipway.Actor) error {
	r, err := s.Get(ctx, id)
	if err != nil || r.Disabled == disabled {
		return err
	}
	kind := EventEnabled
	if disabled {
		kind = EventDisabled
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE repositories SET disabled = $2 WHERE id = $1`, string(id), disabled); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, r.event(kind, by), map[string]string{"name": r.Name})
	})
	if err != nil {
		return fmt.Errorf("disable or enable repository %s: %w", r.Name, err)
	}
	return nil
}

// CheckEnabled refuses what is turned off.
func (r Repository) CheckEnabled() error {
	if r.Disabled {
		return slipway.Forbidden("repository %s is disabled: an administrator of the project can enable it in its settings", r.Name)
	}
	return nil
}

// Trash deletes a repository in such a way that it can be restored for 30 days. Its name is free at once.
func (s *Service) Trash(ctx context.Context, id slipway.RepositoryID, by slipway.Actor) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	mirrors, err := s.Mirrors(ctx, id)
	if err != nil {
		return err
	}
	for _, m := range mirrors {
		s.transfers.cancel(m.ID, errMirrorCanceled)
	}
	s.forking.cancelAll(id, errMirrorCanceled)
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const update = `UPDATE repositories SET deleted = $2, deleted_by = $3, name_key = 'deleted/' || id WHERE id = $1` // no name has a slash
		if _, err := tx.ExecContext(ctx, update, string(id), db.Micros(s.clock.Now()), by.Name); err != nil {
			return err
		}
		for _, statement := range []string{`DELETE FROM repository_redirects WHERE repository = $1`, `UPDATE repository_mirrors SET enabled = FALSE, due = 0 WHERE repository = $1`,
			`UPDATE repository_upkeep SET due = 0 WHERE repository = $1`} {
			if _, err := tx.ExecContext(ctx, statement, string(id)); err != nil {
				return err
			}
		}
		return s.log.Append(ctx, tx, r.event(EventDeleted, by), map[string]string{"name": r.Name})
	})
	if err != nil {
		return fmt.Errorf("delete repository %s: %w", r.Name, err)
	}
	return nil
}

// Trashed lists the deleted repositories of a project that can be restored.
func (s *Service) Trashed(ctx context.Context, project slipway.ProjectID) ([]Repository, error) {
	const query = `SELECT ` + repositoryColumns + ` FROM repositories WHERE project = $1 AND deleted > 0 ORDER BY deleted DESC LIMIT $2`
	list, err := db.List(ctx, s.db, scanRepository, query, string(project), maxRepositories)
	if err != nil {
		return nil, fmt.Errorf("list deleted repositories: %w", err)
	}
	return list, nil
}

// trashed is a deleted repository of a project.
func (s *Service) trashed(ctx context.Context, project slipway.ProjectID, id slipway.RepositoryID) (Repository, error) {
	const query = `SELECT ` + repositoryColumns + ` FROM repositories WHERE project = $1 AND id = $2 AND deleted > 0`
	r, err := db.One(ctx, s.db, scanRepository, query, string(project), string(id))
	if db.IsNoRows(err) {
		return r, slipway.NotFound("the project has no deleted repository %q", id)
	}
	if err != nil {
		return r, fmt.Errorf("find deleted repository %s: %w", id, err)
	}
	return r, nil
}

// Restore takes a deletion back. A name that was taken meanwhile is a Conflict. Its mirrors stay off.
func (s *Service) Restore(ctx context.Context, project slipway.ProjectID, id slipway.RepositoryID, by slipway.Actor) (Repository, error) {
	r, err := s.trashed(ctx, project, id)
	if err != nil {
		return r, err
	}
	r.Deleted = time.Time{}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE repositories SET deleted = 0, deleted_by = '', name_key = $2 WHERE id = $1`, string(id), strings.ToLower(r.Name)); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, r.event(EventRestored, by), map[string]string{"name": r.Name})
	})
	if db.IsUniqueViolation(err) {
		return r, slipway.Conflict("the project has another repository %q now: rename that first", r.Name)
	}
	if err != nil {
		return r, fmt.Errorf("restore repository %s: %w", r.Name, err)
	}
	return r, nil
}

// Purge removes a deleted repository for good.
func (s *Service) Purge(ctx context.Context, project slipway.ProjectID, id slipway.RepositoryID, by slipway.Actor) error {
	if _, err := s.trashed(ctx, project, id); err != nil {
		return err
	}
	return s.Delete(ctx, id, by)
}

// purgeOld removes those for good that were deleted long ago.
func (s *Service) purgeOld(ctx context.Context) {
	const query = `SELECT id FROM repositories WHERE deleted > 0 AND deleted < $1 LIMIT 100`
	ids, err := db.List(ctx, s.db, db.Value[string], query, db.Micros(s.clock.Now().Add(-DeletedTime)))
	if err != nil {
		s.logger.Error("listing deleted repositories failed", "error", err)
	}
	for _, id := range ids {
		if err := s.Delete(ctx, slipway.RepositoryID(id), slipway.System); err != nil {
			s.logger.Error("removing a deleted repository failed", "repository", id, "error", err)
		}
	}
}
