package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"slipway/internal/insights/telemetry"
)

// writer owns one table's appender: only its goroutine touches it. It gathers what several senders hand in,
// flushes once, and then answers all of them.
type writer struct {
	kind    telemetry.Kind
	conn    *sql.Conn
	options Options
	queue   chan submission
	pending atomic.Int64 // rows handed in and not yet answered
	written *atomic.Int64

	appender       *duckdb.Appender
	resource       *telemetry.Resource // whose values are in resourceValues
	resourceValues []driver.Value
	scratch        []driver.Value
	lastFlush      time.Time
}

type submission struct {
	rows []telemetry.Row
	done chan<- error
}

// run writes until the queue is closed, then closes the appender.
func (w *writer) run() error {
	for first := range w.queue {
		batch := w.gather(first)
		started := time.Now()
		err := w.write(batch)
		w.lastFlush = time.Now()
		rows := 0
		for _, s := range batch {
			rows += len(s.rows)
			w.pending.Add(-int64(len(s.rows)))
			s.done <- err
		}
		if err != nil {
			w.options.Logger.Error("telemetry not written", "table", w.kind.String(), "rows", rows, "error", err)
			continue
		}
		w.written.Add(int64(rows))
		if took := time.Since(started); took > 5*time.Second {
			w.options.Logger.Warn("slow write of telemetry", "table", w.kind.String(), "rows", rows, "duration", took)
		}
	}
	err := w.reset()
	return errors.Join(err, w.conn.Close())
}

// gather waits for more submissions after the first: until there are BatchRows, or until BatchWait after the
// flush before. A sender that comes alone is thus answered almost at once, and a stream of them shares flushes.
func (w *writer) gather(first submission) []submission {
	batch, rows := []submission{first}, len(first.rows)
	wait := time.Until(w.lastFlush.Add(w.options.BatchWait))
	if least := w.options.BatchWait / 16; wait < least {
		wait = least
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for rows < w.options.BatchRows {
		select {
		case s, ok := <-w.queue:
			if !ok {
				return batch
			}
			batch, rows = append(batch, s), rows+len(s.rows)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

func (w *writer) write(batch []submission) error {
	if err := w.open(); err != nil {
		return err
	}
	for _, s := range batch {
		for _, r := range s.rows {
			w.scratch = w.values(w.scratch[:0], r)
			if err := w.appender.AppendRow(w.scratch...); err != nil {
				return errors.Join(fmt.Errorf("append to %s: %w", w.kind, err), w.abandon())
			}
		}
	}
	if err := w.appender.Flush(); err != nil {
		return errors.Join(fmt.Errorf("flush %s: %w", w.kind, err), w.abandon())
	}
	return nil
}

func (w *writer) open() error {
	if w.appender != nil {
		return nil
	}
	return w.conn.Raw(func(c any) error {
		dc, ok := c.(driver.Conn)
		if !ok {
			return fmt.Errorf("open appender of %s: not a DuckDB connection", w.kind)
		}
		a, err := duckdb.NewAppenderFromConn(dc, "", w.kind.String())
		if err != nil {
			return fmt.Errorf("open appender of %s: %w", w.kind, err)
		}
		w.appender = a
		return nil
	})
}

// abandon drops what is not flushed; the next write begins with a new appender.
func (w *writer) abandon() error {
	if w.appender == nil {
		return nil
	}
	return errors.Join(w.appender.Clear(), w.reset())
}

func (w *writer) reset() error {
	if w.appender == nil {
		return nil
	}
	a := w.appender
	w.appender = nil
	return a.Close()
}

// wait collects the answers of n writers.
func wait(ctx context.Context, done <-chan error, n int) error {
	var failed error
	for range n {
		select {
		case err := <-done:
			failed = errors.Join(failed, err)
		case <-ctx.Done():
			return fmt.Errorf("wait for telemetry to be written: %w", ctx.Err())
		}
	}
	return failed
}
