package registry

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Tag is a name for a manifest, which may be pointed to another one.
type Tag struct {
	Name    string
	Digest  slipway.Digest
	Updated time.Time
}

func scanTag(row interface{ Scan(...any) error }, t *Tag) error {
	var updated int64
	err := row.Scan(&t.Name, (*string)(&t.Digest), &updated)
	t.Updated = db.Time(updated)
	return err
}

// Tags lists up to limit tags (at most 1000) that come after last, in the order of their bytes.
func (s *Service) Tags(ctx context.Context, repo Repository, last string, limit int) ([]Tag, error) {
	query := `
		SELECT name, digest, updated FROM registry_tags
		WHERE repository_id = $1 AND name` + s.bytes + ` > $2 ORDER BY name` + s.bytes + ` LIMIT $3`
	list, err := db.List(ctx, s.db, scanTag, query, repo.ID, last, clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repo.Name, err)
	}
	return list, nil
}

// RecentTags lists up to limit tags (at most 1000), the latest moved first.
func (s *Service) RecentTags(ctx context.Context, repo Repository, limit int) ([]Tag, error) {
	const query = `SELECT name, digest, updated FROM registry_tags WHERE repository_id = $1 ORDER BY updated DESC, name LIMIT $2`
	list, err := db.List(ctx, s.db, scanTag, query, repo.ID, clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repo.Name, err)
	}
	return list, nil
}

const maxReferrers = 10_000 // listed for one subject

// Referrers lists the manifests of the repository whose subject is d, by digest; artifactType filters when not empty.
// Nothing known of d is an empty list (distribution specification, "Listing Referrers").
func (s *Service) Referrers(ctx context.Context, repo Repository, d slipway.Digest, artifactType string) ([]Descriptor, error) {
	const query = `
		SELECT ` + manifestColumns + ` FROM registry_manifests AS m JOIN registry_repositories AS r ON r.id = m.repository_id
		WHERE m.repository_id = $1 AND m.subject = $2 AND ($3 = '' OR m.artifact_type = $3) ORDER BY m.digest LIMIT $4`
	rows, err := db.List(ctx, s.db, scanManifest, query, repo.ID, string(d), artifactType, maxReferrers)
	if err != nil {
		return nil, fmt.Errorf("list referrers of %s: %w", d, err)
	}
	list := make([]Descriptor, len(rows))
	for i, m := range rows {
		annotations, err := decodeAnnotations(m.annotations)
		if err != nil {
			return nil, fmt.Errorf("read annotations of %s: %w", m.Digest, err)
		}
		list[i] = Descriptor{MediaType: m.MediaType, Digest: string(m.Digest), Size: m.Size, ArtifactType: m.ArtifactType, Annotations: annotations}
	}
	return list, nil
}
