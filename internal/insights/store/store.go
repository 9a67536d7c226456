// Package store keeps telemetry in an embedded DuckDB file, one table per kind of row.
//
// Write returns when the rows are durable (they survive kill -9 of the process). One goroutine per table owns
// its appender; the rows that wait for it are bounded, and a sender that comes while they are at the bound is
// told to try again. Checkpoints are made by Run at quiet times, since one inside of a write stalls it for
// seconds. Retention deletes rows older than a number of days; DuckDB uses the freed space again but does not
// give it back to the file system. Everything is in that one file: hourly Parquet segments, which would make
// retention the removal of files, are not written yet.
//
// The file belongs to one process. The package knows neither wire formats nor the records' database.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/insights/telemetry"
)

// Options configure a store; zero fields take the defaults given with them.
type Options struct {
	Folder      string        // where telemetry.duckdb and its temporary files are
	MemoryLimit string        // of DuckDB: "2GB"
	Retention   time.Duration // rows older than this are deleted: 30 days
	BatchRows   int           // rows that end the gathering for a flush: 10 000
	BatchWait   time.Duration // the longest gathering: 250 ms
	QueueRows   int64         // rows per table that may wait: 100 000
	Queries     int           // queries at a time: 4
	QueryTime   time.Duration // the longest query: 20 s
	Clock       clock.Clock
	Logger      *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.MemoryLimit == "" {
		o.MemoryLimit = "2GB"
	}
	if o.Retention == 0 {
		o.Retention = 30 * 24 * time.Hour
	}
	if o.BatchRows == 0 {
		o.BatchRows = 10_000
	}
	if o.BatchWait == 0 {
		o.BatchWait = 250 * time.Millisecond
	}
	if o.QueueRows == 0 {
		o.QueueRows = 100_000
	}
	if o.Queries == 0 {
		o.Queries = 4
	}
	if o.QueryTime == 0 {
		o.QueryTime = 20 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	options   Options
	connector *duckdb.Connector
	db        *sql.DB
	writers   [telemetry.KindCount]*writer
	running   sync.WaitGroup
	queries   chan struct{}
	written   atomic.Int64 // rows since the last checkpoint

	mu     sync.RWMutex // held for reading while handing rows in, for writing to close
	closed bool
}

// Open opens or creates the store in options.Folder and starts its writers; Close stops them.
func Open(ctx context.Context, options Options) (*Store, error) {
	o := options.withDefaults()
	temporary := filepath.Join(o.Folder, "temporary")
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return nil, fmt.Errorf("create the telemetry store's folder: %w", err)
	}
	path := filepath.Join(o.Folder, "telemetry.duckdb")
	connector, err := duckdb.NewConnector(path, nil)
	if err != nil {
		return nil, fmt.Errorf("open telemetry store %s: %w", path, err)
	}
	s := &Store{options: o, connector: connector, db: sql.OpenDB(connector), queries: make(chan struct{}, o.Queries)}
	s.db.SetMaxIdleConns(o.Queries)
	if err := s.prepare(ctx, temporary); err != nil {
		return nil, errors.Join(err, s.db.Close(), connector.Close())
	}
	for k := range telemetry.Kind(telemetry.KindCount) {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open telemetry store: %w", err), s.Close())
		}
		w := &writer{kind: k, conn: conn, options: o, queue: make(chan submission, 1024), written: &s.written}
		s.writers[k] = w
		s.running.Go(func() {
			if err := w.run(); err != nil {
				o.Logger.Error("close telemetry table", "table", w.kind.String(), "error", err)
			}
		})
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context, temporary string) error {
	quote := func(v string) string { return "'" + strings.ReplaceAll(v, "'", "''") + "'" }
	settings := []string{
		`SET memory_limit = ` + quote(s.options.MemoryLimit),
		`SET temp_directory = ` + quote(temporary),
		`SET checkpoint_threshold = '1GB'`,
		`SET autoinstall_known_extensions = false`,
		`SET autoload_known_extensions = false`,
		`SET TimeZone = 'UTC'`,
	}
	for k := range telemetry.Kind(telemetry.KindCount) {
		settings = append(settings, createTable(k)...)
	}
	// Nothing in a query may reach outside of the store from here on.
	settings = append(settings, `SET enable_external_access = false`, `SET lock_configuration = true`)
	for _, statement := range settings {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("prepare telemetry store: %w", err)
		}
	}
	return nil
}

// Write makes the batch's rows durable. When too many rows wait already nothing is taken and the error is an
// Unavailable Problem: the sender may try again. When ctx ends first, or one table fails, rows may have been
// written all the same.
func (s *Store) Write(ctx context.Context, b *telemetry.Batch) error {
	done := make(chan error, telemetry.KindCount)
	n, err := s.submit(b, done)
	if err != nil {
		return err
	}
	return wait(ctx, done, n)
}

// submit hands the rows to their writers, all of them or none.
func (s *Store) submit(b *telemetry.Batch, done chan<- error) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, slipway.Unavailable("the telemetry store is closing: try again")
	}
	var reserved []*writer
	full := false
	for k, w := range s.writers {
		rows := int64(len(b.Rows(telemetry.Kind(k))))
		if rows == 0 {
			continue
		}
		// A batch larger than the bound is let in alone.
		if after := w.pending.Add(rows); after > s.options.QueueRows && after > rows {
			w.pending.Add(-rows)
			full = true
			break
		}
		reserved = append(reserved, w)
	}
	if full {
		for _, w := range reserved {
			w.pending.Add(-int64(len(b.Rows(w.kind))))
		}
		return 0, slipway.Unavailable("too much telemetry waits to be written: try again")
	}
	for _, w := range reserved {
		w.queue <- submission{rows: b.Rows(w.kind), done: done}
	}
	return len(reserved), nil
}

// Close writes what was handed in, checkpoints and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, w := range s.writers {
		if w != nil {
			close(w.queue)
		}
	}
	s.mu.Unlock()
	s.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(s.checkpoint(ctx), s.db.Close(), s.connector.Close())
}
