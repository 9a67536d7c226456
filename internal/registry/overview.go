package registry

import (
	"context"
	"fmt"
	"strings"
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
	Pulled    time.Time // last, by its name or by the digest of its image; zero for never
	Pulls     int64     // likewise
	ImageLock Lock      // of its manifest
}

// platformsOf is the platforms of the manifests in the index that x names, separated by spaces, in its order; attestations have none.
const platformsOf = `coalesce((SELECT string_agg(parts.platform, ' ') FROM (
	SELECT c.platform FROM registry_manifest_references AS f JOIN registry_manifests AS c ON c.repository_id = f.repository_id AND c.digest = f.digest
	WHERE f.repository_id = x.repository_id AND f.manifest = x.digest AND c.platform <> '' AND c.platform <> 'unknown/unknown' ORDER BY f.position LIMIT 50) AS parts), '')`

// DescribeTags lists up to limit tags (at most 1000) with their details, the latest moved first, after the tag last when it is not empty; those with search in
// their name when that is not empty.
func (s *Service) DescribeTags(ctx context.Context, repo Repository, search, last string, limit int) ([]TagDetails, error) {
	if err := s.FlushPulls(ctx); err != nil {
		return nil, err
	}
	condition, order := Page{Order: NewestFirst}.after("registry_tags", "name", "updated", s.bytes)
	query := `
		SELECT x.name, x.digest, x.updated, x.locks, m.locks, m.media_type, m.total_size, m.platform, coalesce(p.run, 0), coalesce(p.commit_id, ''),
			coalesce(l.time, 0), coalesce(l.count, 0), coalesce(d.time, 0), coalesce(d.count, 0), ` + platformsOf + `
		FROM (
			SELECT x.repository_id, x.name, x.digest, x.updated, x.locks FROM registry_tags AS x
			WHERE x.repository_id = $1 AND ` + condition + ` AND x.name LIKE $3 ESCAPE '!' ORDER BY ` + order + ` LIMIT $4) AS x
		JOIN registry_manifests AS m ON m.repository_id = x.repository_id AND m.digest = x.digest
		LEFT JOIN registry_pushes AS p ON p.id = (SELECT max(id) FROM registry_pushes AS l WHERE l.repository_id = x.repository_id AND l.digest = x.digest)
		LEFT JOIN registry_pulls AS l ON l.repository_id = x.repository_id AND l.reference = x.name
		LEFT JOIN registry_pulls AS d ON d.repository_id = x.repository_id AND d.reference = x.digest
		ORDER BY ` + order
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, t *TagDetails) error {
		var updated, pulled, pulledByDigest, byDigest int64
		var platform, parts string
		err := row.Scan(&t.Name, (*string)(&t.Digest), &updated, (*int64)(&t.Lock), (*int64)(&t.ImageLock), &t.MediaType, &t.Size, &platform, (*int64)(&t.Run), (*string)(&t.Commit),
			&pulled, &t.Pulls, &pulledByDigest, &byDigest, &parts)
		t.Updated, t.Pulled, t.Pulls = db.Time(updated), db.Time(max(pulled, pulledByDigest)), max(t.Pulls, byDigest) // a pull by the tag counts for both
		t.Platforms = strings.Fields(platform + " " + parts)
		return err
	}, query, repo.ID, last, contains(search), clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repo.Name, err)
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
