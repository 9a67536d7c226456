package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// ErrNoRows is what One returns when nothing matched; stores turn it into their own NotFound.
var ErrNoRows = sql.ErrNoRows

// Scan reads the columns of one row into v, in the order of the query.
type Scan[T any] func(row interface{ Scan(dest ...any) error }, v *T) error

// List runs the query and scans every row. It returns an empty slice, not nil, when there is none.
func List[T any](ctx context.Context, q Querier, scan Scan[T], query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// One runs the query and scans its first row; ErrNoRows when there is none.
func One[T any](ctx context.Context, q Querier, scan Scan[T], query string, args ...any) (T, error) {
	var v T
	err := scan(q.QueryRowContext(ctx, query, args...), &v)
	return v, err
}

// Value scans a row of a single column.
func Value[T any](row interface{ Scan(dest ...any) error }, v *T) error { return row.Scan(v) }

// IsNoRows reports ErrNoRows in err's chain.
func IsNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// Micros is the time as the database keeps it: microseconds since 1970 in UTC, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the inverse of Micros.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
