// Package dbtest gives tests a fresh database on each engine.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"slipway/internal/db"
)

// PostgresURL is the environment variable that names a PostgreSQL server on which the tests may create databases.
const PostgresURL = "SLIPWAY_TEST_POSTGRES"

// Each runs f once on SQLite and once on PostgreSQL, each time on an empty database. Without a PostgreSQL server
// that half is skipped on a laptop and fails in CI.
func Each(t *testing.T, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, Postgres(t))
	})
}

// SQLite opens an empty database in a temporary folder.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "slipway.db"))
}

// Postgres creates an empty database on the test server and drops it afterwards.
func Postgres(t *testing.T) *db.DB {
	t.Helper()
	server := os.Getenv(PostgresURL)
	if server == "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not set: CI must test on PostgreSQL too", PostgresURL)
		}
		t.Skipf("%s is not set: set it to a server's URL to test on PostgreSQL", PostgresURL)
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	var random [8]byte
	_, _ = rand.Read(random[:])
	name := fmt.Sprintf("slipway_test_%x", random)
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("create test database: %v", err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
		admin.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return open(t, u.String())
}

func open(t testing.TB, rawURL string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return d
}
