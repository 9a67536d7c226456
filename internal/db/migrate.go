package db

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrate brings one domain's tables up to date. Each domain has a folder `migrations` of numbered files
// (`0001_create.sql`, goose's format, forward only) and a version table of its own, `<domain>_schema_version`.
func (db *DB) Migrate(ctx context.Context, domain string, migrations fs.FS) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	dialect := goose.DialectSQLite3
	if db.engine == Postgres {
		dialect = goose.DialectPostgres
	} else {
		files = sqliteFS{files}
	}
	store, err := database.NewStore(dialect, domain+"_schema_version")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	provider, err := goose.NewProvider("", db.write, files, goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	return nil
}

// sqliteFS serves migrations with PostgreSQL's numbered keys written SQLite's way.
type sqliteFS struct{ fs.FS }

func (f sqliteFS) ReadFile(name string) ([]byte, error) {
	b, err := fs.ReadFile(f.FS, name)
	return []byte(strings.ReplaceAll(string(b), "BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")), err
}

// Open serves the rewritten text too: goose reads through it.
func (f sqliteFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	defer file.Close()
	b, err := f.ReadFile(name)
	return &textFile{Reader: bytes.NewReader(b), name: name, size: int64(len(b))}, err
}

type textFile struct {
	*bytes.Reader
	name string
	size int64
}

func (f *textFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *textFile) Close() error               { return nil }
func (f *textFile) Name() string               { return f.name }
func (f *textFile) Size() int64                { return f.size }
func (f *textFile) Mode() fs.FileMode          { return 0o444 }
func (f *textFile) ModTime() time.Time         { return time.Time{} }
func (f *textFile) IsDir() bool                { return false }
func (f *textFile) Sys() any                   { return nil }
