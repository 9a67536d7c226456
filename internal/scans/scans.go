// Package scans knows what is in images: their packages, and which known vulnerabilities these have. The reading is done by a program
// beside the server, slipway-scanner (folder scanner/), since images are made by users; this package keeps what it answers, gives each image to
// it once, and finds vulnerabilities anew when other records are imported. It knows what a project does not accept, and its exceptions; whom that
// stops, and what images are and who may see them, is for others. It owns the rows and the folder of the records.
package scans

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
)

// Migrations holds the tables of this package.
//
//go:embed migrations
var Migrations embed.FS

// Images gives images to the scanner and takes their bills of materials.
type Images interface {
	// Write writes an image as a tar with an OCI layout.
	Write(ctx context.Context, repository string, d slipway.Digest, w io.Writer) error
	// KeepSBOM keeps a bill of materials with the image: one of each type that the system makes, and those that others give.
	KeepSBOM(ctx context.Context, repository string, d slipway.Digest, sbom Document, by slipway.Actor) error
	// SBOM is the document of the type that the system made; NotFound when there is none.
	SBOM(ctx context.Context, repository string, d slipway.Digest, kind string) ([]byte, error)
}

// Options say what the service works with.
type Options struct {
	DB      *db.DB
	Log     *events.Log // tells of what a project does not accept
	Clock   clock.Clock
	Logger  *slog.Logger
	Images  Images
	Program string // path of slipway-scanner
	Folder  string // of the records of vulnerabilities
}

// Service keeps what is known of images. It is safe for concurrent use.
type Service struct {
	Options
	wake     chan struct{}
	matching sync.Mutex // one program reads the records, or writes them
}

// Open migrates the tables.
func Open(ctx context.Context, o Options) (*Service, error) {
	if err := o.DB.Migrate(ctx, "scans", Migrations); err != nil {
		return nil, err
	}
	return &Service{Options: o, wake: make(chan struct{}, 1)}, nil
}

// Available says whether the scanner is installed; it is built by `make scanner`.
func (s *Service) Available() bool {
	info, err := os.Stat(s.Program)
	return err == nil && info.Mode().IsRegular()
}

const (
	stateWaiting = "waiting"
	stateDone    = "done"
	stateFailed  = "failed"

	maxAttempts = 3
	// lease is how long a server may work on an image before another takes it over.
	lease = 15 * time.Minute
	// timeout is how long the scanner may take for one image.
	timeout = 10 * time.Minute
)

// Want asks for the inventory of an image; asking again changes nothing.
func (s *Service) Want(ctx context.Context, project slipway.ProjectID, repository string, d slipway.Digest) error {
	const insert = `
		INSERT INTO scan_images (repository, digest, project, state, problem, attempts, claimed, wanted, packages, count, findings, matched,
			critical, high, medium, low, unknown, unchecked)
		VALUES ($1, $2, $3, 'waiting', '', 0, 0, $4, $5, 0, $5, 0, 0, 0, 0, 0, 0, 0)
		ON CONFLICT (repository, digest) DO NOTHING`
	if _, err := s.DB.ExecContext(ctx, insert, repository, string(d), string(project), db.Micros(s.Clock.Now()), []byte{}); err != nil {
		return fmt.Errorf("ask for the inventory of %s@%s: %w", repository, d, err)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Run takes inventories, one at a time, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		for s.Available() && ctx.Err() == nil {
			more, err := s.Next(ctx)
			if err != nil && ctx.Err() == nil {
				s.Logger.Error("taking an image's inventory failed", "error", err)
			}
			if !more || err != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// image is a row on its way through the scanner.
type image struct {
	repository string
	digest     slipway.Digest
	attempts   int64
}

// Next takes the inventory of the image that has waited longest, and says whether there was one.
func (s *Service) Next(ctx context.Context) (bool, error) {
	i, ok, err := s.claim(ctx)
	if err != nil || !ok {
		return false, err
	}
	err = s.take(ctx, i)
	if err == nil || ctx.Err() != nil {
		return true, err
	}
	state := stateWaiting
	if i.attempts >= maxAttempts || slipway.CodeOf(err) == slipway.CodeNotFound {
		state = stateFailed
	}
	const update = `UPDATE scan_images SET state = $1, problem = $2 WHERE repository = $3 AND digest = $4`
	_, failed := s.DB.ExecContext(ctx, update, state, err.Error(), i.repository, string(i.digest))
	return true, errors.Join(fmt.Errorf("take the inventory of %s@%s: %w", i.repository, i.digest, err), failed)
}

func (s *Service) claim(ctx context.Context) (image, bool, error) {
	now := s.Clock.Now()
	const update = `
		UPDATE scan_images SET claimed = $1, attempts = attempts + 1
		WHERE state = 'waiting' AND claimed < $2 AND (repository, digest) IN (
			SELECT repository, digest FROM scan_images WHERE state = 'waiting' AND claimed < $2 ORDER BY claimed, wanted LIMIT 1)
		RETURNING repository, digest, attempts`
	i, err := db.One(ctx, s.DB, func(row interface{ Scan(...any) error }, i *image) error {
		return row.Scan(&i.repository, (*string)(&i.digest), &i.attempts)
	}, update, db.Micros(now), db.Micros(now.Add(-lease)))
	if db.IsNoRows(err) {
		return i, false, nil
	}
	if err != nil {
		return i, false, fmt.Errorf("find an image whose inventory is wanted: %w", err)
	}
	return i, true, nil
}

// take reads the image, keeps its packages, attaches the documents to it and looks for vulnerabilities.
func (s *Service) take(ctx context.Context, i image) error {
	inventory, err := s.read(ctx, i)
	if err != nil {
		return err
	}
	for _, sbom := range []Document{{TypeSPDX, inventory.SPDX}, {TypeCycloneDX, inventory.CycloneDX}} {
		if err := s.Images.KeepSBOM(ctx, i.repository, i.digest, sbom, slipway.System); err != nil {
			return err
		}
	}
	packed, err := pack(inventory.Packages)
	if err != nil {
		return err
	}
	const keep = `UPDATE scan_images SET packages = $1, count = $2 WHERE repository = $3 AND digest = $4`
	if _, err := s.DB.ExecContext(ctx, keep, packed, len(inventory.Packages), i.repository, string(i.digest)); err != nil {
		return fmt.Errorf("keep the inventory of %s@%s: %w", i.repository, i.digest, err)
	}
	if err := s.match(ctx, i.repository, i.digest); err != nil {
		return err
	}
	// Only now, so that nobody takes an image whose vulnerabilities are still to be looked for as one without.
	const done = `UPDATE scan_images SET state = 'done', problem = '' WHERE repository = $1 AND digest = $2`
	if _, err := s.DB.ExecContext(ctx, done, i.repository, string(i.digest)); err != nil {
		return fmt.Errorf("keep the inventory of %s@%s: %w", i.repository, i.digest, err)
	}
	return nil
}

// Forget drops what is known of an image that is gone.
func (s *Service) Forget(ctx context.Context, repository string, d slipway.Digest) error {
	for _, table := range []string{"scan_images", "scan_documents"} {
		if _, err := s.DB.ExecContext(ctx, `DELETE FROM `+table+` WHERE repository = $1 AND digest = $2`, repository, string(d)); err != nil {
			return fmt.Errorf("forget %s@%s: %w", repository, d, err)
		}
	}
	return nil
}
