package store

import (
	"context"
	"errors"
	"fmt"

	"slipway"
)

// List runs a query and scans its rows; it is the one way to read the store. Queries are few at a time and
// end after Options.QueryTime, with an Unavailable or a Limit Problem. The caller's query has a LIMIT.
func List[T any](ctx context.Context, s *Store, scan func(row interface{ Scan(dest ...any) error }, v *T) error, query string, args ...any) ([]T, error) {
	limited, cancel := context.WithTimeout(ctx, s.options.QueryTime)
	defer cancel()
	select {
	case s.queries <- struct{}{}:
		defer func() { <-s.queries }()
	case <-limited.Done():
		if ctx.Err() != nil {
			return nil, fmt.Errorf("query telemetry: %w", ctx.Err())
		}
		return nil, slipway.Unavailable("too many telemetry queries at once: try again")
	}
	list, err := list(limited, s, scan, query, args...)
	switch {
	case err == nil:
		return list, nil
	case ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded):
		return nil, slipway.Limit("the telemetry query took longer than %s: choose a shorter time range", s.options.QueryTime)
	}
	return nil, fmt.Errorf("query telemetry: %w", err)
}

func list[T any](ctx context.Context, s *Store, scan func(row interface{ Scan(dest ...any) error }, v *T) error, query string, args ...any) ([]T, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
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

// One is List for a query of one row; the zero value when there is none.
func One[T any](ctx context.Context, s *Store, scan func(row interface{ Scan(dest ...any) error }, v *T) error, query string, args ...any) (T, error) {
	var v T
	list, err := List(ctx, s, scan, query, args...)
	if err != nil || len(list) == 0 {
		return v, err
	}
	return list[0], nil
}
