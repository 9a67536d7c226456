package registry

import (
	"context"
	"fmt"
	"math"

	"slipway"
	"slipway/internal/db"
)

// CheckRoom refuses an upload of which nothing is known yet to a repository that has no room for more.
func (s *Service) CheckRoom(ctx context.Context, repo Repository) error {
	g, err := readGoverning(ctx, s.db, repo)
	if err != nil || !g.bounded() {
		return err
	}
	s.room.settling.Lock()
	defer s.room.settling.Unlock()
	_, err = s.judge(ctx, repo, g, 1)
	return err
}

// bounded reports that a quota of bytes holds.
func (g governing) bounded() bool { return g.repository.Quota.Bytes > 0 || g.project.Quota.Bytes > 0 }

func linked(ctx context.Context, q db.Querier, repo Repository, d slipway.Digest) (bool, error) {
	const query = `SELECT count(*) FROM registry_blob_links WHERE repository_id = $1 AND digest = $2`
	n, err := db.One(ctx, q, db.Value[int64], query, repo.ID, string(d))
	if err != nil {
		return false, fmt.Errorf("check the quotas of %s: %w", repo.Name, err)
	}
	return n > 0, nil
}

// withinQuotas is the linking that refuses a content for which a repository has no room, unless it has it already.
func (s *Service) withinQuotas(ctx context.Context, tx *db.Tx, repo Repository, d slipway.Digest, now int64) error {
	g, err := readGoverning(ctx, tx, repo)
	if err != nil {
		return err
	}
	there := true
	if g.bounded() {
		if there, err = linked(ctx, tx, repo, d); err != nil {
			return err
		}
	}
	if err := link(ctx, tx, repo, d, now); err != nil || there {
		return err
	}
	_, err = s.checkBytes(ctx, tx, repo, g, 0)
	return err
}

// checkBytes says how many bytes the quotas of the repository and of its project leave beside `more`, and refuses those when they have no room. Uploads
// under way count.
func (s *Service) checkBytes(ctx context.Context, q db.Querier, repo Repository, g governing, more int64) (left int64, err error) {
	left = math.MaxInt64
	check := func(what string, limit int64, where string, arg any, in func(Repository) bool) error {
		if limit == 0 {
			return nil
		}
		u, err := s.usage(ctx, q, where, arg)
		if err != nil {
			return err
		}
		const query = `SELECT coalesce(sum(received), 0) FROM registry_uploads WHERE repository_id IN (SELECT id FROM registry_repositories WHERE `
		coming, err := db.One(ctx, q, db.Value[int64], query+where+`)`, arg)
		if err != nil {
			return fmt.Errorf("count uploads under way: %w", err)
		}
		coming += s.room.taken(in)
		left = min(left, limit-u.Bytes-coming-more)
		if left >= 0 {
			return nil
		}
		underWay := ""
		if coming > 0 {
			underWay = fmt.Sprintf(" with %s of uploads under way", size(coming))
		}
		return fault(Denied, slipway.Forbidden("%s takes %s of its quota of %s%s, which leaves no room for this push: delete images, let a retention rule do it, or ask an administrator for more",
			what, size(u.Bytes+coming), size(limit), underWay))
	}
	err = check("repository "+repo.Name, g.repository.Quota.Bytes, `id = $1`, repo.ID, func(r Repository) bool { return r.ID == repo.ID })
	if err != nil {
		return left, err
	}
	return left, check("the project", g.project.Quota.Bytes, `project = $1`, string(repo.Project), func(r Repository) bool { return r.Project == repo.Project })
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
