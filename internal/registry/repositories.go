package registry

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// RepositoryDetails is a repository with what it takes up, and the tag that was moved last.
type RepositoryDetails struct {
	Repository
	Usage  Usage
	Latest Tag // its name is empty when there is none; one by which referrers of an image are found is no name of an image
}

// ProjectRepositories lists up to 1000 repositories of a project by name; copies of upstreams' are in none. Those with search in their name when it is not empty.
func (s *Service) ProjectRepositories(ctx context.Context, project slipway.ProjectID, search string) ([]RepositoryDetails, error) {
	query := `
		SELECT r.id, r.name, r.project, r.public, r.locks, r.created,
			(SELECT count(*) FROM registry_manifests AS m WHERE m.repository_id = r.id),
			(SELECT coalesce(sum(m.size), 0) FROM registry_manifests AS m WHERE m.repository_id = r.id),
			(SELECT count(*) FROM registry_tags AS t WHERE t.repository_id = r.id),
			(SELECT count(*) FROM registry_blob_links AS l WHERE l.repository_id = r.id),
			(SELECT coalesce(sum(b.size), 0) FROM registry_blob_links AS l JOIN registry_blobs AS b ON b.digest = l.digest WHERE l.repository_id = r.id),
			coalesce(t.name, ''), coalesce(t.digest, ''), coalesce(t.updated, 0), coalesce(t.locks, 0)
		FROM registry_repositories AS r
		LEFT JOIN registry_tags AS t ON t.repository_id = r.id
			AND t.name = (SELECT n.name FROM registry_tags AS n WHERE n.repository_id = r.id AND n.name NOT LIKE 'sha256-%' AND n.name NOT LIKE 'sha512-%' ORDER BY n.updated DESC, n.name LIMIT 1)
		WHERE r.project = $1 AND r.id NOT IN (SELECT repository_id FROM registry_cached_repositories) AND r.name LIKE $2 ESCAPE '!' ORDER BY r.name` + s.bytes + ` LIMIT 1000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, r *RepositoryDetails) error {
		var created, manifestBytes, blobBytes, updated int64
		u, t := &r.Usage, &r.Latest
		err := row.Scan(&r.ID, &r.Name, (*string)(&r.Project), &r.Public, (*int64)(&r.Lock), &created, &u.Manifests, &manifestBytes, &u.Tags, &u.Blobs, &blobBytes,
			&t.Name, (*string)(&t.Digest), &updated, (*int64)(&t.Lock))
		r.Created, t.Updated, u.Bytes = db.Time(created), db.Time(updated), manifestBytes+blobBytes
		return err
	}, query, string(project), contains(strings.ToLower(search)))
	if err != nil {
		return nil, fmt.Errorf("list repositories of project %s: %w", project, err)
	}
	return list, nil
}
