package registry

import (
	"context"
	"encoding/json"
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
	Lock    Lock
}

func scanTag(row interface{ Scan(...any) error }, t *Tag) error {
	var updated int64
	err := row.Scan(&t.Name, (*string)(&t.Digest), &updated, (*int64)(&t.Lock))
	t.Updated = db.Time(updated)
	return err
}

// Tags lists up to limit tags (at most 1000) that come after last, in the order of their bytes.
func (s *Service) Tags(ctx context.Context, repo Repository, last string, limit int) ([]Tag, error) {
	query := `
		SELECT name, digest, updated, locks FROM registry_tags
		WHERE repository_id = $1 AND name` + s.bytes + ` > $2 ORDER BY name` + s.bytes + ` LIMIT $3`
	list, err := db.List(ctx, s.db, scanTag, query, repo.ID, last, clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repo.Name, err)
	}
	return list, nil
}

// Tag returns one tag of the repository.
func (s *Service) Tag(ctx context.Context, repo Repository, name string) (Tag, error) {
	t, err := db.One(ctx, s.db, scanTag, `SELECT name, digest, updated, locks FROM registry_tags WHERE repository_id = $1 AND name = $2`, repo.ID, name)
	if db.IsNoRows(err) {
		return t, unknownManifest(repo, name)
	}
	if err != nil {
		return t, fmt.Errorf("get tag %s:%s: %w", repo.Name, name, err)
	}
	return t, nil
}

// TagNames lists up to limit names of tags that come after last, in the order of their bytes.
func (s *Service) TagNames(ctx context.Context, repo Repository, last string, limit int) ([]string, error) {
	query := `
		SELECT name FROM registry_tags
		WHERE repository_id = $1 AND name` + s.bytes + ` > $2 ORDER BY name` + s.bytes + ` LIMIT $3`
	list, err := db.List(ctx, s.db, db.Value[string], query, repo.ID, last, limit)
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repo.Name, err)
	}
	return list, nil
}

// RecentTags lists up to limit tags (at most 1000), the latest moved first.
func (s *Service) RecentTags(ctx context.Context, repo Repository, limit int) ([]Tag, error) {
	const query = `SELECT name, digest, updated, locks FROM registry_tags WHERE repository_id = $1 ORDER BY updated DESC, name LIMIT $2`
	list, err := db.List(ctx, s.db, scanTag, query, repo.ID, clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repo.Name, err)
	}
	return list, nil
}

const (
	maxReferrers  = 10_000 // of one subject, for our own use
	referrersPage = 5_000  // listed for a client at once
)

// Referrers lists the manifests of the repository whose subject is d, by digest; artifactType filters when not empty.
// Nothing known of d is an empty list (distribution specification, "Listing Referrers").
func (s *Service) Referrers(ctx context.Context, repo Repository, d slipway.Digest, artifactType string) ([]Descriptor, error) {
	return s.referrers(ctx, repo, d, artifactType, "", maxReferrers)
}

// ReferrersPage lists those of Referrers whose digest comes after last, as many as fit in an index of MaxManifest bytes, and
// whether there are more.
func (s *Service) ReferrersPage(ctx context.Context, repo Repository, d slipway.Digest, artifactType, last string) (list []Descriptor, more bool, err error) {
	if list, err = s.referrers(ctx, repo, d, artifactType, last, referrersPage+1); err != nil {
		return nil, false, err
	}
	left := MaxManifest - 1<<10 // for what is around the list
	for i, one := range list {
		encoded, err := json.Marshal(one)
		if err != nil {
			return nil, false, fmt.Errorf("list referrers of %s: %w", d, err)
		}
		left -= len(encoded) + len(",")
		if i == referrersPage || i > 0 && left < 0 {
			return list[:i], true, nil
		}
	}
	return list, false, nil
}

func (s *Service) referrers(ctx context.Context, repo Repository, d slipway.Digest, artifactType, last string, limit int) ([]Descriptor, error) {
	query := `
		SELECT media_type, digest, size, artifact_type, annotations FROM registry_manifests
		WHERE repository_id = $1 AND subject = $2 AND ($3 = '' OR artifact_type = $3) AND digest` + s.bytes + ` > $4
		ORDER BY digest` + s.bytes + ` LIMIT $5`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, d *Descriptor) error {
		var annotations string
		if err := row.Scan(&d.MediaType, &d.Digest, &d.Size, &d.ArtifactType, &annotations); err != nil {
			return err
		}
		var err error
		d.Annotations, err = decodeAnnotations(annotations)
		return err
	}, query, repo.ID, string(d), artifactType, last, limit)
	if err != nil {
		return nil, fmt.Errorf("list referrers of %s: %w", d, err)
	}
	return list, nil
}
