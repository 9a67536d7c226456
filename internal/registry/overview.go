package registry

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// TagDetails is a tag with what is known of its image.
type TagDetails struct {
	Tag
	MediaType string
	Size      int64    // of the whole image, bytes
	Platforms []string // that it is for, as linux/amd64; empty when unknown
	Run       slipway.RunID
	Commit    slipway.CommitID
	Pulled    time.Time // last; zero for never
	Pulls     int64
}

// DescribeTags lists up to limit tags (at most 1000) with their details, the latest moved first; those with search in their name when it is
// not empty.
func (s *Service) DescribeTags(ctx context.Context, repo Repository, search string, limit int) ([]TagDetails, error) {
	pulls, err := s.Pulls(ctx, repo)
	if err != nil {
		return nil, err
	}
	const query = `
		SELECT t.name, t.digest, t.updated, m.media_type, m.total_size, m.platform, coalesce(p.run, 0), coalesce(p.commit_id, '')
		FROM registry_tags AS t
		JOIN registry_manifests AS m ON m.repository_id = t.repository_id AND m.digest = t.digest
		LEFT JOIN registry_pushes AS p ON p.id = (SELECT max(id) FROM registry_pushes AS l WHERE l.repository_id = t.repository_id AND l.digest = t.digest)
		WHERE t.repository_id = $1 AND t.name LIKE $2 ESCAPE '!' ORDER BY t.updated DESC, t.name LIMIT $3`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, t *TagDetails) error {
		var updated int64
		var platform string
		err := row.Scan(&t.Name, (*string)(&t.Digest), &updated, &t.MediaType, &t.Size, &platform, (*int64)(&t.Run), (*string)(&t.Commit))
		t.Updated, t.Pulled, t.Pulls = db.Time(updated), pulls[t.Name].Last, pulls[t.Name].Count
		if platform != "" {
			t.Platforms = []string{platform}
		}
		return err
	}, query, repo.ID, contains(search), clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repo.Name, err)
	}
	parts := map[slipway.Digest][]string{}
	for i, t := range list {
		if !isIndex(t.MediaType) {
			continue
		}
		platforms, known := parts[t.Digest]
		if !known {
			if platforms, err = s.platforms(ctx, repo, t.Digest); err != nil {
				return nil, err
			}
			parts[t.Digest] = platforms
		}
		list[i].Platforms = platforms
	}
	return list, nil
}

// platforms are those of an index, in its order; attestations have none.
func (s *Service) platforms(ctx context.Context, repo Repository, index slipway.Digest) ([]string, error) {
	const query = `
		SELECT m.platform FROM registry_manifest_references AS r
		JOIN registry_manifests AS m ON m.repository_id = r.repository_id AND m.digest = r.digest
		WHERE r.repository_id = $1 AND r.manifest = $2 AND m.platform <> '' AND m.platform <> 'unknown/unknown' ORDER BY r.position LIMIT 50`
	list, err := db.List(ctx, s.db, db.Value[string], query, repo.ID, string(index))
	if err != nil {
		return nil, fmt.Errorf("list platforms of %s: %w", index, err)
	}
	return list, nil
}

// Consequences is what else goes, or breaks, with a manifest.
type Consequences struct {
	Tags      []string         // that point to it, and go
	Parts     []slipway.Digest // of an index, that stay without a tag and go by a retention rule
	Referrers []Descriptor     // about it, that stay and are about nothing then
	PartOf    []slipway.Digest // indexes that name it, and are broken then
}

// Consequences tells what deleting a manifest means.
func (s *Service) Consequences(ctx context.Context, repo Repository, d slipway.Digest) (c Consequences, err error) {
	if c.Tags, err = db.List(ctx, s.db, db.Value[string], `SELECT name FROM registry_tags WHERE repository_id = $1 AND digest = $2 ORDER BY name LIMIT 1000`, repo.ID, string(d)); err != nil {
		return c, fmt.Errorf("list tags of %s: %w", d, err)
	}
	if c.Referrers, err = s.Referrers(ctx, repo, d, ""); err != nil {
		return c, err
	}
	const parts = `
		SELECT r.digest FROM registry_manifest_references AS r
		WHERE r.repository_id = $1 AND r.manifest = $2 AND r.role = 'manifest'
		  AND NOT EXISTS (SELECT 1 FROM registry_tags AS t WHERE t.repository_id = $1 AND t.digest = r.digest) ORDER BY r.position`
	const whole = `SELECT DISTINCT manifest FROM registry_manifest_references WHERE repository_id = $1 AND digest = $2 AND role = 'manifest' ORDER BY manifest`
	for query, to := range map[string]*[]slipway.Digest{parts: &c.Parts, whole: &c.PartOf} {
		list, err := db.List(ctx, s.db, db.Value[string], query, repo.ID, string(d))
		if err != nil {
			return c, fmt.Errorf("list parts of %s: %w", d, err)
		}
		for _, one := range list {
			*to = append(*to, slipway.Digest(one))
		}
	}
	return c, nil
}
