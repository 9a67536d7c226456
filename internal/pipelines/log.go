package pipelines

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// AppendLog adds data, which begins at offset, to the log of a step, and returns the log's size. What the log has
// already is not added again, so that an agent which did not hear the answer sends once more. An offset beyond the log's
// end is a conflict; the size returned says where to go on.
func (s *Service) AppendLog(ctx context.Context, id slipway.JobID, step int, offset int64, data []byte) (size int64, err error) {
	if len(data) > job.MaxLogChunk {
		return 0, slipway.Limit("at most %d bytes of log at once", job.MaxLogChunk)
	}
	if step < 0 || step > 10_000 || offset < 0 {
		return 0, slipway.Invalid("no step %d or offset %d", step, offset)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		j, err := getJob(ctx, tx, id)
		if err != nil {
			return err
		}
		if size, err = lockLog(ctx, tx, id, step); err != nil {
			return err
		}
		if offset > size {
			return slipway.Conflict("the log of step %d has %d bytes, not yet %d", step, size, offset)
		}
		if end := offset + int64(len(data)); end <= size {
			return nil
		}
		if j.State == schedule.Completed {
			return slipway.Conflict("job %d is over", id)
		}
		if size, err = extendLog(ctx, tx, id, step, size, data[size-offset:]); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		return nil
	})
	return size, err
}

// lockLog is the size of the step's log, its row made and locked.
func lockLog(ctx context.Context, tx *db.Tx, id slipway.JobID, step int) (int64, error) {
	const insert = `INSERT INTO pipeline_steps (job, step, record, log_size) VALUES ($1, $2, '', 0) ON CONFLICT (job, step) DO NOTHING`
	if _, err := tx.ExecContext(ctx, insert, int64(id), step); err != nil {
		return 0, fmt.Errorf("open log: %w", err)
	}
	var size int64
	// The update changes nothing; it locks the row on either engine.
	err := tx.QueryRowContext(ctx, `UPDATE pipeline_steps SET log_size = log_size WHERE job = $1 AND step = $2 RETURNING log_size`, int64(id), step).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("open log: %w", err)
	}
	return size, nil
}

// extendLog adds to a locked log of a size and returns its new one.
func extendLog(ctx context.Context, tx *db.Tx, id slipway.JobID, step int, size int64, fresh []byte) (int64, error) {
	if size+int64(len(fresh)) > job.MaxLog {
		return size, slipway.Limit("the log of a step has at most %d bytes", job.MaxLog)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO pipeline_logs (job, step, start, data) VALUES ($1, $2, $3, $4)`, int64(id), step, size, fresh); err != nil {
		return size, fmt.Errorf("append log: %w", err)
	}
	size += int64(len(fresh))
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_steps SET log_size = $1 WHERE job = $2 AND step = $3`, size, int64(id), step); err != nil {
		return size, fmt.Errorf("append log: %w", err)
	}
	return size, nil
}

// Log is a part of a step's log.
type Log struct {
	Data []byte
	// Size is the log's whole size now.
	Size int64
	// Complete says that nothing will be added any more.
	Complete bool
}

// ReadLog reads the log of a step from offset on, at most limit bytes (at most 1 MB, which is also the default).
// Each line begins with a timestamp of 28 bytes and a space, as LogTime describes.
func (s *Service) ReadLog(ctx context.Context, id slipway.JobID, step int, offset int64, limit int) (Log, error) {
	if limit <= 0 || limit > 1<<20 {
		limit = 1 << 20
	}
	j, err := s.Job(ctx, id)
	if err != nil {
		return Log{}, err
	}
	l := Log{Complete: j.State == schedule.Completed}
	steps, err := stepsOf(ctx, s.db, id)
	if err != nil {
		return l, err
	}
	for _, st := range steps {
		if st.ID == step {
			l.Size = st.LogSize
		}
	}
	type chunk struct {
		start int64
		data  []byte
	}
	const query = `
		SELECT start, data FROM pipeline_logs WHERE job = $1 AND step = $2
		  AND start >= (SELECT COALESCE(MAX(start), 0) FROM pipeline_logs WHERE job = $1 AND step = $2 AND start <= $3)
		ORDER BY start LIMIT 64`
	chunks, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, c *chunk) error { return row.Scan(&c.start, &c.data) },
		query, int64(id), step, offset)
	if err != nil {
		return l, fmt.Errorf("read log of job %d, step %d: %w", id, step, err)
	}
	for _, c := range chunks {
		if skip := offset + int64(len(l.Data)) - c.start; skip >= 0 && skip < int64(len(c.data)) {
			l.Data = append(l.Data, c.data[skip:]...)
		}
		if len(l.Data) >= limit {
			l.Data = l.Data[:limit]
			break
		}
	}
	return l, nil
}

// maxLastBytes bounds what LastLines reads, in bytes.
const maxLastBytes = 32 << 10

// LastLines are the last lines of a step's log, at most n, without their timestamps and the agent's own headings.
func (s *Service) LastLines(ctx context.Context, id slipway.JobID, step, n int) ([]string, error) {
	l, err := s.ReadLog(ctx, id, step, 0, 1)
	if err != nil {
		return nil, err
	}
	offset := max(0, l.Size-maxLastBytes)
	if l, err = s.ReadLog(ctx, id, step, offset, maxLastBytes); err != nil {
		return nil, err
	}
	text := strings.ToValidUTF8(string(l.Data), "\uFFFD")
	if offset > 0 {
		_, text, _ = strings.Cut(text, "\n") // a part of a line
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); len(line) < LogTime {
			continue
		}
		if line = line[LogTime:]; !strings.HasPrefix(line, "##[section]") {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):], nil
}

// LogTime is the length of a log line's timestamp with the space after it: 2026-03-01T12:00:00.0000000Z.
const LogTime = 29
