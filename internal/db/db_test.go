package db_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

var migrations = fstest.MapFS{"migrations/0001_create.sql": &fstest.MapFile{Data: []byte(`-- +goose Up
CREATE TABLE things (id BIGSERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE, done BOOLEAN NOT NULL DEFAULT FALSE, created BIGINT NOT NULL, body BYTEA);
`)}}

type thing struct {
	id      int64
	name    string
	done    bool
	created time.Time
	body    []byte
}

func scanThing(row interface{ Scan(...any) error }, t *thing) error {
	var created int64
	err := row.Scan(&t.id, &t.name, &t.done, &created, &t.body)
	t.created = db.Time(created)
	return err
}

func TestOneTextServesBothEngines(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		for range 2 { // the second time there is nothing to do
			if err := d.Migrate(ctx, "things", migrations); err != nil {
				t.Fatal(err)
			}
		}
		when := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
		var id int64
		committed := false
		err := d.Tx(ctx, func(tx *db.Tx) error {
			tx.AfterCommit(func() { committed = true })
			// $2 stands before $1: parameters are bound by number, not by order.
			return tx.QueryRowContext(ctx, `INSERT INTO things (done, name, created, body) VALUES ($2, $1, $3, $4) RETURNING id`,
				"anchor", true, db.Micros(when), []byte{0, 1, 255}).Scan(&id)
		})
		if err != nil || !committed || id != 1 {
			t.Fatalf("insert: id %d, committed %v, err %v", id, committed, err)
		}
		got, err := db.One(ctx, d, scanThing, `SELECT id, name, done, created, body FROM things WHERE done = TRUE AND name = $1`, "anchor")
		if err != nil {
			t.Fatal(err)
		}
		if got.name != "anchor" || !got.done || !got.created.Equal(when) || string(got.body) != "\x00\x01\xff" {
			t.Errorf("read back %+v", got)
		}
		_, err = d.ExecContext(ctx, `INSERT INTO things (name, created) VALUES ($1, $2)`, "anchor", 1)
		if !db.IsUniqueViolation(err) {
			t.Errorf("the same name again: %v, want a unique violation", err)
		}
	})
}

func TestTxRollsBackOnError(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if err := d.Migrate(ctx, "things", migrations); err != nil {
			t.Fatal(err)
		}
		stop := errors.New("stop")
		err := d.Tx(ctx, func(tx *db.Tx) error {
			tx.AfterCommit(func() { t.Error("ran after a rollback") })
			if _, err := tx.ExecContext(ctx, `INSERT INTO things (name, created) VALUES ($1, $2)`, "rope", 1); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatalf("got %v", err)
		}
		list, err := db.List(ctx, d, scanThing, `SELECT id, name, done, created, body FROM things LIMIT 10`)
		if err != nil || len(list) != 0 {
			t.Errorf("after the rollback: %v, %v", list, err)
		}
	})
}

func TestTextsThatAreNone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if d.Engine() != db.Postgres {
			return // SQLite keeps any bytes
		}
		ctx := context.Background()
		if err := d.Migrate(ctx, "things", migrations); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a\x00b", "a\xffb"} {
			_, err := d.ExecContext(ctx, `INSERT INTO things (name, created) VALUES ($1, 0)`, name)
			if slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("ExecContext with %q: %v", name, err)
			}
			err = d.Tx(ctx, func(tx *db.Tx) error {
				_, err := tx.ExecContext(ctx, `INSERT INTO things (name, created) VALUES ($1, 0)`, name)
				return err
			})
			if slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("Tx with %q: %v", name, err)
			}
		}
	})
}
