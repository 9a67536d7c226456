// Package signing says where images come from so that others can verify it: it is a certificate authority that certifies a pipeline's
// build for ten minutes (as Sigstore's Fulcio does), a timestamp authority (RFC 3161) that makes signatures sound after that, and the
// maker of the signed statements. Whoever verifies needs the trusted root that it publishes and nothing else of this server.
//
// It owns the authorities' keys, which are made by themselves and sealed, and which projects sign. What a build is, the caller knows.
package signing

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/secret"
)

// Migrations holds the tables of this package.
//
//go:embed migrations
var Migrations embed.FS

// Service is the authority. It is safe for concurrent use, by several servers with one database too.
type Service struct {
	db      *db.DB
	secrets *secret.Box
	clock   clock.Clock
	url     string
}

// Open migrates the tables. url is the server's address without a slash at its end: the issuer that certificates name.
func Open(ctx context.Context, d *db.DB, box *secret.Box, c clock.Clock, url string) (*Service, error) {
	if err := d.Migrate(ctx, "signing", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d, secrets: box, clock: c, url: strings.TrimSuffix(url, "/")}, nil
}

// URL is the server's address: the issuer of all identities.
func (s *Service) URL() string { return s.url }

// Enabled says whether the project's images are signed, as they are unless somebody switched it off.
func (s *Service) Enabled(ctx context.Context, project slipway.ProjectID) (bool, error) {
	n, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM signing_off WHERE project = $1`, string(project))
	if err != nil {
		return false, fmt.Errorf("read whether project %s signs: %w", project, err)
	}
	return n == 0, nil
}

// SetEnabled switches the signatures of a project's images on or off. Those that are there stay.
func (s *Service) SetEnabled(ctx context.Context, project slipway.ProjectID, enabled bool) error {
	query := `INSERT INTO signing_off (project) VALUES ($1) ON CONFLICT (project) DO NOTHING`
	if enabled {
		query = `DELETE FROM signing_off WHERE project = $1`
	}
	if _, err := s.db.ExecContext(ctx, query, string(project)); err != nil {
		return fmt.Errorf("switch signing of project %s: %w", project, err)
	}
	return nil
}

// maxRuns is of how many runs an image carries statements: a build that changes nothing gives the same image each time.
const maxRuns = 100

// Due says whether an image that a run pushed is still to be attested.
func (s *Service) Due(ctx context.Context, repository string, d slipway.Digest, run slipway.RunID) (bool, error) {
	var all, own int64
	const query = `SELECT count(*), coalesce(sum(CASE WHEN run = $3 THEN 1 ELSE 0 END), 0) FROM signing_images WHERE repository = $1 AND digest = $2`
	if err := s.db.QueryRowContext(ctx, query, repository, string(d), int64(run)).Scan(&all, &own); err != nil {
		return false, fmt.Errorf("read whether %s@%s is attested: %w", repository, d, err)
	}
	return own == 0 && all < maxRuns, nil
}

// Attested notes that an image's statements of a run are where its image is.
func (s *Service) Attested(ctx context.Context, repository string, d slipway.Digest, run slipway.RunID) error {
	const insert = `
		INSERT INTO signing_images (repository, digest, run, created) VALUES ($1, $2, $3, $4)
		ON CONFLICT (repository, digest, run) DO NOTHING`
	if _, err := s.db.ExecContext(ctx, insert, repository, string(d), int64(run), db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("note that %s@%s is attested: %w", repository, d, err)
	}
	return nil
}

// Forget takes back Attested, of an image that is gone.
func (s *Service) Forget(ctx context.Context, repository string, d slipway.Digest) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM signing_images WHERE repository = $1 AND digest = $2`, repository, string(d)); err != nil {
		return fmt.Errorf("forget that %s@%s was attested: %w", repository, d, err)
	}
	return nil
}
