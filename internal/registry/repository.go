package registry

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Repository holds the manifests, tags and blobs of one image name.
type Repository struct {
	ID      int64
	Name    string
	Project slipway.ProjectID // empty for those of the installation itself
	Public  bool              // may be pulled without signing in
	Lock    Lock              // of all that is in it
	Created time.Time
}

// The forms of names and tags (distribution specification, "Pulling manifests").
var (
	nameForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// CheckName says whether name may name a repository.
func CheckName(name string) error {
	if len(name) > 255 || !nameForm.MatchString(name) {
		return fault(NameInvalid, slipway.Invalid("repository name %.80q: use lower-case letters, digits and single separators . _ - between slashes", name))
	}
	return nil
}

// IsTag reports whether s has the form of a tag.
func IsTag(s string) bool { return tagForm.MatchString(s) }

const repositoryColumns = `id, name, project, public, locks, created`

func scanRepository(row interface{ Scan(...any) error }, r *Repository) error {
	var created int64
	err := row.Scan(&r.ID, &r.Name, (*string)(&r.Project), &r.Public, (*int64)(&r.Lock), &created)
	r.Created = db.Time(created)
	return err
}

// Repository returns the repository of that name.
func (s *Service) Repository(ctx context.Context, name string) (Repository, error) {
	if err := CheckName(name); err != nil {
		return Repository{}, err
	}
	r, err := db.One(ctx, s.db, scanRepository, `SELECT `+repositoryColumns+` FROM registry_repositories WHERE name = $1`, name)
	if db.IsNoRows(err) {
		return r, fault(NameUnknown, slipway.NotFound("there is no image repository %q", name))
	}
	if err != nil {
		return r, fmt.Errorf("get repository %s: %w", name, err)
	}
	return r, nil
}

// Ensure returns the repository of that name and creates it in the project when there is none.
func (s *Service) Ensure(ctx context.Context, name string, project slipway.ProjectID) (Repository, error) {
	r, err := s.Repository(ctx, name)
	if err == nil || slipway.CodeOf(err) != slipway.CodeNotFound {
		return r, err
	}
	const insert = `
		INSERT INTO registry_repositories (name, project, public, created) VALUES ($1, $2, FALSE, $3)
		ON CONFLICT (name) DO NOTHING`
	if _, err := s.db.ExecContext(ctx, insert, name, string(project), db.Micros(s.clock.Now())); err != nil {
		return r, fmt.Errorf("create repository %s: %w", name, err)
	}
	return s.Repository(ctx, name)
}

// Repositories lists up to limit repositories (at most 1000) whose names come after last, by name.
func (s *Service) Repositories(ctx context.Context, last string, limit int) ([]Repository, error) {
	query := `SELECT ` + repositoryColumns + ` FROM registry_repositories
		WHERE name` + s.bytes + ` > $1 ORDER BY name` + s.bytes + ` LIMIT $2`
	list, err := db.List(ctx, s.db, scanRepository, query, last, clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	return list, nil
}

// FindRepositories lists those of Repositories that have the text in their names.
func (s *Service) FindRepositories(ctx context.Context, text, last string, limit int) ([]Repository, error) {
	query := `SELECT ` + repositoryColumns + ` FROM registry_repositories
		WHERE name` + s.bytes + ` > $1 AND name LIKE $2 ESCAPE '!' ORDER BY name` + s.bytes + ` LIMIT $3`
	list, err := db.List(ctx, s.db, scanRepository, query, last, contains(strings.ToLower(text)), clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("find repositories: %w", err)
	}
	return list, nil
}

// SetPublic lets anybody pull the repository's images, or no longer; callers have authorized its administrator.
func (s *Service) SetPublic(ctx context.Context, repo Repository, public bool, by slipway.Actor) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE registry_repositories SET public = $1 WHERE id = $2 AND public <> $1`, public, repo.ID)
		if err != nil {
			return fmt.Errorf("set repository %s public %v: %w", repo.Name, public, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.settingsChanged(ctx, tx, repo, SettingsPayload{Public: &public}, by)
	})
}

// Usage is how much a repository or project takes up.
type Usage struct {
	Manifests int64
	Tags      int64
	Blobs     int64 // distinct contents
	Bytes     int64 // of those contents, each counted once, and of the manifests
}

// Usage counts one repository.
func (s *Service) Usage(ctx context.Context, repo Repository) (Usage, error) {
	return s.usage(ctx, s.db, `id = $1`, repo.ID)
}

// ProjectUsage counts a project's repositories together; a content in several of them counts once.
func (s *Service) ProjectUsage(ctx context.Context, project slipway.ProjectID) (Usage, error) {
	return s.usage(ctx, s.db, `project = $1`, string(project))
}

func (s *Service) usage(ctx context.Context, q db.Querier, where string, arg any) (Usage, error) {
	in := `IN (SELECT id FROM registry_repositories WHERE ` + where + `)`
	query := `
		SELECT
			(SELECT count(*) FROM registry_manifests WHERE repository_id ` + in + `),
			(SELECT count(*) FROM registry_tags WHERE repository_id ` + in + `),
			(SELECT count(*) FROM registry_blobs WHERE digest IN (SELECT digest FROM registry_blob_links WHERE repository_id ` + in + `)),
			(SELECT coalesce(sum(size), 0) FROM registry_blobs WHERE digest IN (SELECT digest FROM registry_blob_links WHERE repository_id ` + in + `)),
			(SELECT coalesce(sum(size), 0) FROM registry_manifests WHERE repository_id ` + in + `)`
	var u Usage
	var manifestBytes int64
	if err := q.QueryRowContext(ctx, query, arg).Scan(&u.Manifests, &u.Tags, &u.Blobs, &u.Bytes, &manifestBytes); err != nil {
		return u, fmt.Errorf("count usage: %w", err)
	}
	u.Bytes += manifestBytes
	return u, nil
}

// contains is the pattern of LIKE, with ! as its escape, for names that have the text in them.
func contains(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.TrimSpace(text)) + "%"
}

// clamp brings a page's length into 1 to 1000.
func clamp(limit int) int {
	if limit <= 0 || limit > 1000 {
		return 1000
	}
	return limit
}
