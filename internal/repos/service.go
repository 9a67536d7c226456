package repos

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/secret"
)

// Migrations holds the tables of this package.
//
//go:embed migrations
var Migrations embed.FS

// Service keeps the repositories of one installation under one folder. It is safe for concurrent use.
type Service struct {
	db       *db.DB
	log      *events.Log
	clock    clock.Clock
	logger   *slog.Logger
	folder   string
	git      *program
	readers  *readers
	announce locks[slipway.RepositoryID]
	pulls    locks[slipway.PullRequestID]
	upkeep   chan struct{}
	// working is held by what rewrites the packs of a repository in the background: transfers with other hosts and upkeep.
	working    locks[slipway.RepositoryID]
	transfers  transfers
	mirrorsDue chan struct{}
	forking    forking
	forksDue   chan struct{}
	receiving  atomic.Int64  // pushes that are under way
	indexing   chan struct{} // slots of those whose packs are indexed here
	tending    atomic.Value  // the id of the repository that upkeep is at, a string
	caches     *caches
	archives   chan struct{} // slots

	// People tells of users to policies that name some. It is set before the first call, and may be nil where nobody uses policies.
	People People
	// Objects keeps the large files of Git LFS. It is set before the first call, and may be nil where nobody uses them.
	Objects blob.Store
	// What mirrors need is set before the first call too. Secrets seals their credentials, and may be nil where none has any.
	Secrets *secret.Box
	// Connections know the credentials of service connections, and may be nil where no mirror names one.
	Connections Connections
	// Named lists the commits of a repository that others name, as runs do: they are kept whether a branch has them or not. It is set
	// before the first call, and may be nil.
	Named func(ctx context.Context, id slipway.RepositoryID) ([]slipway.CommitID, error)
	// Networks may be reached by mirrors besides public addresses.
	Networks []netip.Prefix
	// TransferLimits are DefaultTransferLimits when zero.
	TransferLimits TransferLimits
}

// Open migrates the tables, prepares the folder, looks for the git program, 2.38 or later, and mends refs that a power failure left half-written. Close ends the
// processes that it keeps; Run publishes what a crash left unpublished and keeps the repositories tidy.
func Open(ctx context.Context, d *db.DB, log *events.Log, c clock.Clock, folder string, logger *slog.Logger) (*Service, error) {
	if err := d.Migrate(ctx, "repos", Migrations); err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("open repositories: %w", err)
	}
	git, err := openProgram(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("open repositories: %w", err)
	}
	s := &Service{
		db: d, log: log, clock: c, logger: logger, folder: folder, git: git,
		readers: newReaders(git), upkeep: make(chan struct{}, 1), mirrorsDue: make(chan struct{}, 1), forksDue: make(chan struct{}, 1),
		caches: newCaches(), archives: make(chan struct{}, concurrentArchives), indexing: make(chan struct{}, concurrentIndexes()),
	}
	s.mendMoves(ctx)
	return s, nil
}

// Close ends the processes kept for reading. Calls that are under way fail.
func (s *Service) Close() error {
	s.readers.close()
	return nil
}

// dir is the bare repository's folder.
func (s *Service) dir(id slipway.RepositoryID) string {
	return filepath.Join(s.folder, string(id[:2]), string(id)+".git")
}

func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	return nil
}
