// Package registry owns container images and other OCI artifacts: repositories, manifests, tags, referrers and
// uploads as rows, blobs in the object store. It follows the OCI distribution and image specifications, version 1.1,
// and takes Docker's schema 2 as well. The door to it is ociserver.
//
// Every byte is checked against its digest before it can be read. A content is kept once for the installation and
// linked to each repository that has it. An object's key is used once and never again, and its row is written
// after the object is durable; so a kill at any moment leaves at worst an object that no row names, which Collect
// removes, and never a row without its object.
//
// It must not know who may do what (the door asks identity) nor anything of runs and clusters beyond their names.
package registry

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"time"

	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/registry/retention"
)

// Migrations holds this package's tables.
//
//go:embed migrations
var Migrations embed.FS

// Limits of what is taken from outside.
const (
	MaxManifest   = 4 << 20  // bytes; the specification asks for at least this
	maxReferences = 10_000   // config, layers and manifests that one manifest names
	maxTags       = 100      // tags given in one push
	maxUploads    = 1000     // uploads under way in one repository
	defaultMax    = 64 << 30 // bytes of one blob
)

// Options chooses behaviour; the zero value is the usual one.
type Options struct {
	// MaxBlob is the largest blob in bytes, 64 GiB when zero.
	MaxBlob int64
	// Sparse accepts manifests that name blobs and manifests which are not in the repository. Such images
	// cannot be pulled whole, so it is off.
	Sparse bool
	// Grace is how long uploads that rest and blobs that no manifest names are kept, 24 hours when zero.
	Grace time.Duration
}

// Service is the registry. It is safe for concurrent use.
type Service struct {
	db      *db.DB
	log     *events.Log
	blobs   blob.Resumable
	clock   clock.Clock
	logger  *slog.Logger
	options Options
	bytes   string // the COLLATE clause that orders text by its bytes
	pulls   pulls
	room    room

	// InUse says which images must stay for reasons outside of the registry: they run, or an environment may go back to them. Set it
	// before Run. While it fails, or is nil, no retention rule removes anything.
	InUse func(ctx context.Context) ([]retention.Use, error)

	verifying sync.Mutex // held by the one verification under way
}

// Open migrates the tables and returns the registry.
func Open(ctx context.Context, d *db.DB, log *events.Log, blobs blob.Resumable, c clock.Clock, logger *slog.Logger, o Options) (*Service, error) {
	if err := d.Migrate(ctx, "registry", Migrations); err != nil {
		return nil, err
	}
	if o.MaxBlob == 0 {
		o.MaxBlob = defaultMax
	}
	if o.Grace == 0 {
		o.Grace = 24 * time.Hour
	}
	s := &Service{db: d, log: log, blobs: blobs, clock: c, logger: logger, options: o, room: room{claims: map[*claim]struct{}{}}}
	if d.Engine() == db.Postgres { // whose default order depends on its locale; SQLite's is that of bytes
		s.bytes = ` COLLATE "C"`
	}
	return s, nil
}

const (
	collectInterval = time.Hour
	firstRetention  = 5 * time.Minute // after the start, when clusters have had time to answer
)

// Run writes down pulls, applies the retention rules and removes what nobody needs, the latter two once an hour, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	flush, collect, retain := time.NewTicker(pullInterval), time.NewTicker(collectInterval), time.NewTimer(firstRetention)
	defer flush.Stop()
	defer collect.Stop()
	defer retain.Stop()
	work := func(what string, f func(context.Context) error) {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("registry "+what+" failed", "error", err)
		}
	}
	work("collection", s.Collect)
	for {
		select {
		case <-ctx.Done():
			return s.FlushPulls(context.WithoutCancel(ctx))
		case <-flush.C:
			work("record of pulls", s.FlushPulls)
		case <-retain.C:
			work("retention", s.RetainAll)
			retain.Reset(collectInterval)
		case <-collect.C:
			work("collection", s.Collect)
		}
	}
}
