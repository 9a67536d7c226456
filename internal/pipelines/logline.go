package pipelines

import (
	"bytes"
	"context"
	"fmt"
	"sort"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/joblog"
)

// LogPlace is where a line of a log begins: its offset in bytes, and its number, counted from 1.
type LogPlace struct {
	Offset int64
	Line   int
}

// logMark is where a piece of a log begins, with the number of its first line's end.
type logMark struct {
	start int64
	lines int // line ends before it
}

// logMarks lists the beginnings of a log's pieces, and counts the line ends of all of it.
func (s *Service) logMarks(ctx context.Context, id slipway.JobID, step int) ([]logMark, int, error) {
	const query = `SELECT start, lines FROM pipeline_logs WHERE job = $1 AND step = $2 ORDER BY start LIMIT 1000000`
	marks, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, m *logMark) error { return row.Scan(&m.start, &m.lines) }, query, int64(id), step)
	if err != nil {
		return nil, 0, fmt.Errorf("count lines of job %d, step %d: %w", id, step, err)
	}
	total := 0
	for i := range marks {
		own := marks[i].lines
		if own < 0 { // written by a server that did not count
			if own, err = s.countLines(ctx, id, step, marks[i].start); err != nil {
				return nil, 0, err
			}
		}
		marks[i].lines = total
		total += own
	}
	return marks, total, nil
}

// countLines counts the line ends of one piece.
func (s *Service) countLines(ctx context.Context, id slipway.JobID, step int, start int64) (lines int, err error) {
	err = s.walkLog(ctx, id, step, start, func(text []byte) error {
		lines = bytes.Count(text, newline)
		return errEnough
	})
	return lines, err
}

// LogLineAt is the place of the line of that number, or of what comes after the last line.
func (s *Service) LogLineAt(ctx context.Context, id slipway.JobID, step, line int) (LogPlace, error) {
	marks, total, err := s.logMarks(ctx, id, step)
	if err != nil || line <= 1 {
		return LogPlace{Line: 1}, err
	}
	line = min(line, total+1)
	// The piece that has the end of the line before.
	i := sort.Search(len(marks), func(i int) bool { return marks[i].lines >= line-1 }) - 1
	if i < 0 {
		return LogPlace{Line: 1}, nil
	}
	place := LogPlace{Offset: marks[i].start, Line: marks[i].lines + 1}
	err = s.walkLog(ctx, id, step, place.Offset, func(text []byte) error {
		for place.Line < line {
			end := bytes.IndexByte(text, '\n')
			if end < 0 {
				place.Offset += int64(len(text))
				return nil // it goes on in the next piece
			}
			text = text[end+1:]
			place.Offset += int64(end) + 1
			place.Line++
		}
		return errEnough
	})
	return place, err
}

// LogLineAfter is the place of the first line that begins at an offset or after it.
func (s *Service) LogLineAfter(ctx context.Context, id slipway.JobID, step int, offset int64) (LogPlace, error) {
	if offset <= 0 {
		return LogPlace{Line: 1}, nil
	}
	marks, _, err := s.logMarks(ctx, id, step)
	if err != nil {
		return LogPlace{}, err
	}
	// The line before the offset may end just there.
	i := sort.Search(len(marks), func(i int) bool { return marks[i].start > offset-1 }) - 1
	if i < 0 {
		return LogPlace{Line: 1}, nil
	}
	place := LogPlace{Offset: marks[i].start, Line: marks[i].lines + 1}
	err = s.walkLog(ctx, id, step, place.Offset, func(text []byte) error {
		if before := offset - 1 - place.Offset; before > 0 {
			before = min(before, int64(len(text)))
			place.Line += bytes.Count(text[:before], newline)
			place.Offset += before
			text = text[before:]
		}
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			place.Offset += int64(len(text))
			return nil
		}
		place.Offset += int64(end) + 1
		place.Line++
		return errEnough
	})
	return place, err
}

// cutTime parts a line of a log into its time and its text.
func cutTime(line []byte) (at, text []byte) {
	if len(line) < joblog.TimeLength {
		return nil, line
	}
	return line[:joblog.TimeLength-1], line[joblog.TimeLength:]
}
