package db

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrate brings one domain's tables up to date. Each domain has a folder `migrations` of numbered files of SQL
// (`0001_create.sql`, forward only) and a version table of its own, `<domain>_schema_version`.
func (db *DB) Migrate(ctx context.Context, domain string, migrations fs.FS) error {
	list, err := db.migrations(migrations)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	dialect := goose.DialectSQLite3
	if db.engine == Postgres {
		dialect = goose.DialectPostgres
	}
	store, err := database.NewStore(dialect, domain+"_schema_version")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	provider, err := goose.NewProvider("", db.write, nil, goose.WithStore(store), goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(list...))
	if err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	return nil
}

// migrations reads the files. Each is run as a whole: goose's own reader of SQL wants 4 MiB for every line that ends a statement.
func (db *DB) migrations(files fs.FS) ([]*goose.Migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var list []*goose.Migration
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		statements := string(text)
		if db.engine == SQLite {
			statements = strings.ReplaceAll(statements, "BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")
		}
		list = append(list, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, statements); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}}, nil))
	}
	return list, nil
}
