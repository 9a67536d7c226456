// Package db opens the records' database, SQLite or PostgreSQL, and runs migrations and transactions on it.
//
// One SQL text serves both engines: parameters are $1, $2, ...; times are BIGINT microseconds (Micros, Time);
// JSON is TEXT; booleans are BOOLEAN. A migration writes `BIGSERIAL PRIMARY KEY` for numbered rows, which
// becomes SQLite's INTEGER PRIMARY KEY AUTOINCREMENT. The package knows no domain.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"slipway"
)

// Engine names a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Querier reads and writes: a *DB outside of a transaction, or a *Tx.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// DB is an open database. It is safe for concurrent use.
//
// On SQLite, writes go one at a time through a single connection, so a function given to Tx must use its Tx
// for everything it writes: a write through the DB from inside would wait for itself.
type DB struct {
	engine Engine
	write  *sql.DB
	read   *sql.DB
	queue  *sql.DB
	pool   *pgxpool.Pool // PostgreSQL only

	reserve string // the file that holds room for deletions; SQLite only
}

// Open opens the database that rawURL names: `sqlite:PATH` or `postgres://...`.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	if path, ok := strings.CutPrefix(rawURL, "sqlite:"); ok {
		return openSQLite(ctx, path)
	}
	if strings.HasPrefix(rawURL, "postgres://") || strings.HasPrefix(rawURL, "postgresql://") {
		return openPostgres(ctx, rawURL)
	}
	return nil, errors.New("database URL must start with sqlite: or postgres://")
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create the database's folder: %w", err)
	}
	// Each connection has a cache of its own, in kilobytes; the system's is below them all. A longer log of writes is written back
	// less often, pages that change again and again once.
	pragmas := func(cache string) []string {
		return []string{"busy_timeout(15000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)", "temp_store(MEMORY)",
			"wal_autocheckpoint(4000)", "cache_size(" + cache + ")"}
	}
	reading := url.Values{"_pragma": pragmas("-4000")}
	// Writers wait for each other here, in BEGIN IMMEDIATE, and not in the middle of a transaction.
	writing := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas("-16000")}
	queueing := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas("-4000")}
	open := func(v url.Values, connections int) (*sql.DB, error) {
		connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode())
		if err != nil {
			return nil, err
		}
		d := sql.OpenDB(preparing{connector})
		d.SetMaxOpenConns(connections)
		d.SetMaxIdleConns(connections)
		return d, d.PingContext(ctx)
	}
	db := &DB{engine: SQLite, reserve: path + "-reserve"}
	var err error
	if db.write, err = open(writing, 1); err != nil {
		return nil, fmt.Errorf("open SQLite database %s: %w", path, err)
	}
	if db.read, err = open(reading, max(4, runtime.NumCPU())); err != nil {
		return nil, fmt.Errorf("open SQLite database %s: %w", path, err)
	}
	if db.queue, err = open(queueing, 1); err != nil {
		return nil, fmt.Errorf("open SQLite database %s: %w", path, err)
	}
	return db, nil
}

func openPostgres(ctx context.Context, rawURL string) (*DB, error) {
	pool, err := pgxpool.New(ctx, rawURL)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	d := stdlib.OpenDBFromPool(pool)
	return &DB{engine: Postgres, write: d, read: d, queue: d, pool: pool}, nil
}

// Engine says which engine it is.
func (db *DB) Engine() Engine { return db.engine }

// QueueDB is the handle that the job queue polls with, apart from the writer so that neither starves the other.
func (db *DB) QueueDB() *sql.DB { return db.queue }

// Pool is PostgreSQL's own pool, nil on SQLite.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Close closes all connections.
func (db *DB) Close() error {
	if db.pool != nil {
		err := db.read.Close()
		db.pool.Close()
		return err
	}
	return errors.Join(db.read.Close(), db.queue.Close(), db.write.Close())
}

// QueryContext reads outside of a transaction.
func (db *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return db.read.QueryContext(ctx, query, args...)
}

// QueryRowContext reads outside of a transaction; for `INSERT ... RETURNING` use Tx.
func (db *DB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return db.read.QueryRowContext(ctx, query, args...)
}

// ExecContext writes one statement in a transaction of its own.
func (db *DB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	result, err := db.write.ExecContext(ctx, query, args...)
	return result, told(err)
}

// Tx is an open transaction.
type Tx struct {
	*sql.Tx
	db    *DB
	after []func()
}

// Engine says which engine the transaction runs on.
func (tx *Tx) Engine() Engine { return tx.db.engine }

// AfterCommit runs f once the transaction has committed; it is dropped on a rollback.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// Tx runs fn in a writing transaction: committed when fn returns nil, else rolled back.
// On PostgreSQL it is repeated when it lost against a concurrent one, so fn must not have other effects.
func (db *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	const tries = 5
	for try := 1; ; try++ {
		err := db.once(ctx, fn)
		var pg *pgconn.PgError
		if err == nil || try == tries || !errors.As(err, &pg) || pg.Code != "40001" && pg.Code != "40P01" {
			return err
		}
	}
}

func (db *DB) once(ctx context.Context, fn func(tx *Tx) error) error {
	inner, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", told(err))
	}
	tx := &Tx{Tx: inner, db: db}
	defer inner.Rollback() //nolint:errcheck // after a commit this does nothing
	if err := fn(tx); err != nil {
		return told(err)
	}
	if err := inner.Commit(); err != nil {
		return fmt.Errorf("commit: %w", told(err))
	}
	for _, f := range tx.after {
		f()
	}
	return nil
}

// told makes a Problem of those of the engines' errors that somebody outside can do something about; the transaction is rolled back.
// PostgreSQL's codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
func told(err error) error {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	full := errors.As(err, &lite) && (lite.Code()&0xff == sqlite3.SQLITE_FULL || lite.Code() == sqlite3.SQLITE_IOERR_SHMSIZE)
	if errors.As(err, &pg) {
		switch pg.Code {
		case "53100": // disk_full
			full = true
		case "22021", "22P05": // character_not_in_repertoire, untranslatable_character
			return slipway.Invalid("a text holds a NUL character or bytes that are no UTF-8, which the database cannot keep: write it without them").Because(err)
		}
	}
	if full {
		return slipway.Full("the server has no room for its records: its administrator must free some on the disk of the database").Because(err)
	}
	return err
}

// IsUniqueViolation reports that err comes from a unique or primary key that exists already.
func IsUniqueViolation(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}
