package pipelines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/joblog"
	"slipway/internal/pipelines/schedule"
)

// AppendLog adds text, which begins at offset, to the log of a step, and returns the log's size. What the log has
// already is not added again, so that an agent which did not hear the answer sends once more. An offset beyond the log's
// end is a conflict; the size returned says where to go on.
func (s *Service) AppendLog(ctx context.Context, id slipway.JobID, step int, offset int64, text []byte) (size int64, err error) {
	packed, codec := joblog.Pack(text)
	return s.AppendPacked(ctx, id, step, offset, packed, codec)
}

// AppendPacked is AppendLog for text that is packed already, which stays as it is in the database.
func (s *Service) AppendPacked(ctx context.Context, id slipway.JobID, step int, offset int64, packed []byte, codec joblog.Codec) (size int64, err error) {
	room, _ := unpacked.Get().(*[]byte)
	defer unpacked.Put(room)
	text, err := joblog.UnpackInto(*room, packed, codec)
	if err != nil {
		return 0, slipway.Invalid("the log is not packed as it says").Because(err)
	}
	if codec != joblog.Raw {
		*room = text
	}
	if len(text) > job.MaxLogChunk {
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
		if end := offset + int64(len(text)); end <= size {
			return nil
		}
		if j.State == schedule.Completed {
			return slipway.Conflict("job %d is over", id)
		}
		piece := logPiece{text: text, packed: packed, codec: codec}
		if offset < size {
			piece = newLogPiece(text[size-offset:])
		}
		if size, err = extendLog(ctx, tx, id, step, size, piece); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		return nil
	})
	return size, err
}

// unpacked is room for the text of pieces, which is looked at and not kept.
var unpacked = sync.Pool{New: func() any { return new([]byte) }}

// logPiece is text of a log as it is kept.
type logPiece struct {
	text, packed []byte
	codec        joblog.Codec
}

func newLogPiece(text []byte) logPiece {
	p := logPiece{text: text}
	p.packed, p.codec = joblog.Pack(text)
	return p
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
func extendLog(ctx context.Context, tx *db.Tx, id slipway.JobID, step int, size int64, p logPiece) (int64, error) {
	if size+int64(len(p.text)) > job.MaxLog {
		return size, slipway.Limit("the log of a step has at most %d bytes", job.MaxLog)
	}
	const insert = `INSERT INTO pipeline_logs (job, step, start, data, codec, lines) VALUES ($1, $2, $3, $4, $5, $6)`
	if _, err := tx.ExecContext(ctx, insert, int64(id), step, size, p.packed, int(p.codec), bytes.Count(p.text, newline)); err != nil {
		return size, fmt.Errorf("append log: %w", err)
	}
	size += int64(len(p.text))
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_steps SET log_size = $1 WHERE job = $2 AND step = $3`, size, int64(id), step); err != nil {
		return size, fmt.Errorf("append log: %w", err)
	}
	return size, nil
}

var newline = []byte{'\n'}

// Log is a part of a step's log.
type Log struct {
	Data []byte
	// Size is the log's whole size now.
	Size int64
	// Complete says that nothing will be added any more.
	Complete bool
}

// ReadLog reads the log of a step from offset on, at most limit bytes (at most 1 MB, which is also the default).
// Each line begins with a timestamp of joblog.TimeLength bytes.
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
	err = s.walkLog(ctx, id, step, offset, func(text []byte) error {
		l.Data = append(l.Data, text...)
		if len(l.Data) < limit {
			return nil
		}
		l.Data = l.Data[:limit]
		return errEnough
	})
	return l, err
}

// errEnough ends a walk early.
var errEnough = errors.New("enough")

// walkLog gives the text of a step's log from offset on, piece by piece as it was appended. It ends without an error when f
// returns errEnough.
func (s *Service) walkLog(ctx context.Context, id slipway.JobID, step int, offset int64, f func(text []byte) error) error {
	type piece struct {
		start int64
		data  []byte
		codec joblog.Codec
	}
	const query = `
		SELECT start, data, codec FROM pipeline_logs WHERE job = $1 AND step = $2
		  AND start >= (SELECT COALESCE(MAX(start), 0) FROM pipeline_logs WHERE job = $1 AND step = $2 AND start <= $3)
		ORDER BY start LIMIT 8`
	for {
		pieces, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, p *piece) error {
			return row.Scan(&p.start, &p.data, (*int)(&p.codec))
		},
			query, int64(id), step, offset)
		if err != nil {
			return fmt.Errorf("read log of job %d, step %d: %w", id, step, err)
		}
		from := offset
		for _, p := range pieces {
			text, err := joblog.Unpack(p.data, p.codec)
			if err != nil {
				return fmt.Errorf("read log of job %d, step %d: %w", id, step, err)
			}
			skip := offset - p.start
			if skip < 0 || skip >= int64(len(text)) {
				continue
			}
			offset = p.start + int64(len(text))
			if err := f(text[skip:]); errors.Is(err, errEnough) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if offset == from {
			return nil
		}
	}
}

// CopyLog writes a step's log as it is now to w, without the timestamps of its lines if that is wanted.
func (s *Service) CopyLog(ctx context.Context, id slipway.JobID, step int, w io.Writer, timestamps bool) error {
	if !timestamps {
		w = joblog.WithoutTimes(w)
	}
	return s.walkLog(ctx, id, step, 0, func(text []byte) error {
		if _, err := w.Write(text); err != nil {
			return fmt.Errorf("write log of job %d, step %d: %w", id, step, err)
		}
		return nil
	})
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
		if line = strings.TrimRight(line, "\r\n"); len(line) < joblog.TimeLength {
			continue
		}
		if line = line[joblog.TimeLength:]; !strings.HasPrefix(line, "##[section]") {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):], nil
}
