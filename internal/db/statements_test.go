package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// numbers is a database with a table of the numbers 1 to 3.
func numbers(t *testing.T, d *db.DB) {
	t.Helper()
	for _, text := range []string{`CREATE TABLE numbers (n BIGINT NOT NULL)`, `INSERT INTO numbers (n) VALUES (1), (2), (3)`} {
		if _, err := d.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}

// The same text gives the rows of its own parameters each time, also after an error, a rollback and another schema.
func TestTheSameTextAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		numbers(t, d)
		const above, insert = `SELECT n FROM numbers WHERE n > $1 ORDER BY n`, `INSERT INTO numbers (n) VALUES ($1)`
		for from, want := range [][]int{{1, 2, 3}, {2, 3}, {3}, {}} {
			if got, err := db.List(t.Context(), d, db.Value[int], above, from); err != nil || !slices.Equal(got, want) {
				t.Errorf("above %d: %v, %v, want %v", from, got, err, want)
			}
		}
		if _, err := d.ExecContext(t.Context(), `CREATE UNIQUE INDEX once ON numbers (n)`); err != nil {
			t.Fatal(err)
		}
		for _, try := range []struct {
			n     int
			taken bool
		}{{3, true}, {4, false}, {4, true}, {5, false}} {
			if _, err := d.ExecContext(t.Context(), insert, try.n); (err != nil) != try.taken || db.IsUniqueViolation(err) != try.taken {
				t.Errorf("insert %d: %v", try.n, err)
			}
		}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			if _, err := tx.ExecContext(t.Context(), insert, 6); err != nil {
				return err
			}
			return errUndo
		})
		if !errors.Is(err, errUndo) {
			t.Error(err)
		}
		for _, text := range []string{`ALTER TABLE numbers ADD COLUMN more BIGINT NOT NULL DEFAULT 0`, `INSERT INTO numbers (n, more) VALUES (7, 1)`} {
			if _, err := d.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := db.List(t.Context(), d, db.Value[int], above, 2); err != nil || !slices.Equal(got, []int{3, 4, 5, 7}) {
			t.Errorf("at the end: %v, %v", got, err)
		}
	})
}

var errUndo = errors.New("undo it")

// A statement whose rows are being read can be run once more in the same transaction.
func TestTheSameTextInside(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	numbers(t, d)
	const text = `SELECT n FROM numbers WHERE n >= $1 ORDER BY n`
	var seen []string
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		rows, err := tx.QueryContext(t.Context(), text, 2)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				return err
			}
			inside, err := db.List(t.Context(), tx, db.Value[int], text, n)
			if err != nil {
				return err
			}
			seen = append(seen, fmt.Sprint(n, inside))
		}
		return rows.Err()
	})
	if want := []string{"2 [2 3]", "3 [3]"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("seen %q, %v, want %q", seen, err, want)
	}
}

// More texts than are kept work too, while rows are read and afterwards, and the database can be closed.
func TestManyTexts(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	numbers(t, d)
	err := d.Tx(t.Context(), func(tx *db.Tx) error { return nest(t.Context(), tx, 300) })
	if err != nil {
		t.Error(err)
	}
	for i := range 600 {
		if got, err := db.One(t.Context(), d, db.Value[int], fmt.Sprintf(`SELECT max(n) + %d FROM numbers`, i)); err != nil || got != i+3 {
			t.Errorf("text %d: %d, %v", i, got, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// nest reads the three numbers by as many statements, each while the rows of those before it are read.
func nest(ctx context.Context, tx *db.Tx, depth int) error {
	if depth == 0 {
		return nil
	}
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT n + %d FROM numbers ORDER BY n`, depth))
	if err != nil {
		return err
	}
	defer rows.Close()
	want := depth + 1
	for ; rows.Next(); want++ {
		var got int
		if err := rows.Scan(&got); err != nil || got != want {
			return fmt.Errorf("statement %d gave %d, %w, want %d", depth, got, err, want)
		}
		if want == depth+1 {
			if err := nest(ctx, tx, depth-1); err != nil {
				return err
			}
		}
	}
	if want != depth+4 {
		return fmt.Errorf("statement %d ended before %d", depth, want)
	}
	return rows.Err()
}
