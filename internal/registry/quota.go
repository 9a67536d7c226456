package registry

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
)

// CheckRoom refuses an upload of so many bytes, 0 when the size is not known yet, to a repository that has no room for it. Bytes
// that the repository has already need none.
func (s *Service) CheckRoom(ctx context.Context, repo Repository, bytes int64) error {
	g, err := readGoverning(ctx, s.db, repo)
	if err != nil {
		return err
	}
	return s.checkBytes(ctx, s.db, repo, g, max(bytes, 1))
}

// withinQuotas is the linking that refuses a content for which a repository has no room, unless it has it already.
func (s *Service) withinQuotas(ctx context.Context, tx *db.Tx, repo Repository, d slipway.Digest, now int64) error {
	g, err := readGoverning(ctx, tx, repo)
	if err != nil {
		return err
	}
	there := int64(1)
	if g.repository.Quota.Bytes > 0 || g.project.Quota.Bytes > 0 {
		const query = `SELECT count(*) FROM registry_blob_links WHERE repository_id = $1 AND digest = $2`
		if there, err = db.One(ctx, tx, db.Value[int64], query, repo.ID, string(d)); err != nil {
			return fmt.Errorf("check the quotas of %s: %w", repo.Name, err)
		}
	}
	if err := link(ctx, tx, repo, d, now); err != nil || there > 0 {
		return err
	}
	return s.checkBytes(ctx, tx, repo, g, 0)
}

// checkBytes refuses more bytes than the quotas of the repository and of its project leave.
func (s *Service) checkBytes(ctx context.Context, q db.Querier, repo Repository, g governing, more int64) error {
	check := func(what string, limit int64, where string, arg any) error {
		if limit == 0 {
			return nil
		}
		u, err := s.usage(ctx, q, where, arg)
		if err != nil {
			return err
		}
		if u.Bytes+more <= limit {
			return nil
		}
		return fault(Denied, slipway.Forbidden("%s takes %s of its quota of %s, which leaves no room for this push: delete images, let a retention rule do it, or ask an administrator for more",
			what, size(u.Bytes), size(limit)))
	}
	if err := check("repository "+repo.Name, g.repository.Quota.Bytes, `id = $1`, repo.ID); err != nil {
		return err
	}
	return check("the project", g.project.Quota.Bytes, `project = $1`, string(repo.Project))
}

// checkTags refuses a new tag over the quotas; it counts tags as the transaction has left them.
func checkTags(ctx context.Context, tx *db.Tx, repo Repository, g governing) error {
	check := func(what string, limit int64, where string, arg any) error {
		if limit == 0 {
			return nil
		}
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM registry_tags WHERE repository_id IN (SELECT id FROM registry_repositories WHERE `+where+`)`, arg)
		if err != nil {
			return fmt.Errorf("count tags of %s: %w", repo.Name, err)
		}
		if n <= limit {
			return nil
		}
		return fault(Denied, slipway.Forbidden("%s has %d of %d tags that its quota allows: delete some, let a retention rule do it, or ask an administrator for more", what, n-1, limit))
	}
	if err := check("repository "+repo.Name, g.repository.Quota.Tags, `id = $1`, repo.ID); err != nil {
		return err
	}
	return check("the project", g.project.Quota.Tags, `project = $1`, string(repo.Project))
}

// size writes bytes with a binary unit, as sentences have it.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 4 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.1f %s", f, []string{"KiB", "MiB", "GiB", "TiB", "PiB"}[unit])
}
