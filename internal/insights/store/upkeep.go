package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway/internal/insights/telemetry"
)

const (
	checkpointEvery = 30 * time.Second
	checkpointRows  = 20_000 // fewer may wait for checkpointLatest
	checkpointLeast = 20     // in units of checkpointEvery
	retentionEvery  = time.Hour
)

// Run checkpoints and applies the retention until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	checkpoint := time.NewTicker(checkpointEvery)
	defer checkpoint.Stop()
	retention := time.NewTicker(retentionEvery)
	defer retention.Stop()
	if err := s.Expire(ctx); err != nil && ctx.Err() == nil {
		s.options.Logger.Error("telemetry retention", "error", err)
	}
	skipped := 0
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-checkpoint.C:
			if rows := s.written.Load(); rows == 0 || rows < checkpointRows && skipped < checkpointLeast {
				skipped++
				continue
			}
			skipped = 0
			err = s.checkpoint(ctx)
		case <-retention.C:
			err = s.Expire(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.options.Logger.Warn("telemetry upkeep: it is tried again", "error", err)
		}
	}
}

// checkpoint moves the write-ahead log into the file.
func (s *Store) checkpoint(ctx context.Context) error {
	rows := s.written.Swap(0)
	if _, err := s.db.ExecContext(ctx, `CHECKPOINT`); err != nil {
		s.written.Add(rows)
		return fmt.Errorf("checkpoint telemetry: %w", err)
	}
	return nil
}

// Expire deletes rows older than the retention, now.
func (s *Store) Expire(ctx context.Context) error {
	before := s.options.Clock.Now().Add(-s.options.Retention)
	var failed error
	for k := range telemetry.Kind(telemetry.KindCount) {
		result, err := s.db.ExecContext(ctx, `DELETE FROM `+k.String()+` WHERE "timestamp" < $1`, before)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("delete old rows of %s: %w", k, err))
			continue
		}
		if n, err := result.RowsAffected(); err == nil && n > 0 {
			s.written.Add(n)
			s.options.Logger.Info("old telemetry deleted", "table", k.String(), "rows", n)
		}
	}
	return failed
}

// Retention is how long rows are kept.
func (s *Store) Retention() time.Duration { return s.options.Retention }
