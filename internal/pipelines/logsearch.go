package pipelines

import (
	"bytes"
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"slipway"
	"slipway/internal/pipelines/joblog"
)

// Limits of a search in logs.
const (
	MaxLogMatches    = 1000
	maxSearchText    = 500     // bytes of what is looked for
	maxSearched      = 4 << 30 // bytes of logs
	maxSearchTime    = 15 * time.Second
	maxMatchText     = 500     // bytes of a line that is found
	maxSearchPartial = 1 << 20 // bytes of a line without an end
	defaultMatches   = 200
	escape           = byte(27) // begins colours
)

// LogMatch is a line that a search found.
type LogMatch struct {
	Job   slipway.JobID
	Title string // of the job
	Step  int
	Name  string // of the step
	Line  int    // counted from 1
	Time  string // as in the log
	Text  string // without the time and colours; a long line is cut round what was looked for
}

// LogSearch is what a search found, in the order of the run.
type LogSearch struct {
	Matches []LogMatch
	// More says that there is more than was asked for, or than is searched at once.
	More bool
}

// SearchLogs looks for a text, whatever its case, in the logs of all steps of a run's latest attempts; at most limit lines, 0
// for 200.
func (s *Service) SearchLogs(ctx context.Context, run slipway.RunID, text string, limit int) (LogSearch, error) {
	if strings.TrimSpace(text) == "" || len(text) > maxSearchText || strings.ContainsAny(text, "\r\n") {
		return LogSearch{}, slipway.Invalid("text is what to look for: one line of at most %d bytes", maxSearchText)
	}
	if limit <= 0 {
		limit = defaultMatches
	}
	search := logSearch{until: time.Now().Add(maxSearchTime), needle: []byte(strings.ToLower(text)), limit: min(limit, MaxLogMatches)}
	t, err := s.Timeline(ctx, run)
	if err != nil {
		return LogSearch{}, err
	}
	for i := range t.Stages {
		for k := range t.Stages[i].Jobs {
			j := &t.Stages[i].Jobs[k]
			for _, step := range j.Steps {
				if step.LogSize == 0 {
					continue
				}
				search.begin(LogMatch{Job: j.ID, Title: j.Title, Step: step.ID, Name: step.DisplayName})
				if err := s.walkLog(ctx, j.ID, step.ID, 0, search.take); err != nil {
					return LogSearch{}, err
				}
				if search.end(); search.found.More {
					return search.found, nil
				}
			}
		}
	}
	return search.found, nil
}

// logSearch goes through one log after the other.
type logSearch struct {
	needle   []byte
	limit    int
	searched int64
	until    time.Time
	found    LogSearch

	at      LogMatch // without line and text
	lines   int      // before partial
	partial []byte
}

func (l *logSearch) begin(at LogMatch) { l.at, l.lines, l.partial = at, 0, l.partial[:0] }

// take looks at text of the log; lines may be cut anywhere.
func (l *logSearch) take(text []byte) error {
	if l.searched += int64(len(text)); l.searched > maxSearched || time.Now().After(l.until) {
		l.found.More = true
		return errEnough
	}
	end := bytes.LastIndexByte(text, '\n') + 1
	if end == 0 {
		if len(l.partial) < maxSearchPartial {
			l.partial = append(l.partial, text...)
		}
		return nil
	}
	block := text[:end]
	if len(l.partial) > 0 {
		block = append(l.partial, block...)
	}
	l.block(block)
	l.partial = append(l.partial[:0], text[end:]...)
	if l.found.More {
		return errEnough
	}
	return nil
}

// end looks at the last line, which has no end.
func (l *logSearch) end() {
	if len(l.partial) > 0 && !l.found.More {
		l.block(l.partial)
	}
}

// block looks at whole lines: first at all of them, since most have nothing.
func (l *logSearch) block(block []byte) {
	if bytes.IndexByte(block, escape) < 0 && !bytes.Contains(bytes.ToLower(block), l.needle) {
		l.lines += bytes.Count(block, newline)
		return
	}
	for line := range bytes.Lines(block) {
		l.lines++
		at, text := cutTime(bytes.TrimRight(line, "\r\n"))
		if bytes.IndexByte(text, escape) >= 0 {
			text = []byte(joblog.Plain(string(text)))
		}
		place := bytes.Index(bytes.ToLower(text), l.needle)
		if place < 0 {
			continue
		}
		if len(l.found.Matches) == l.limit {
			l.found.More = true
			return
		}
		m := l.at
		m.Line, m.Time, m.Text = l.lines, string(at), cutRound(text, place)
		l.found.Matches = append(l.found.Matches, m)
	}
}

// cutRound shortens a long text to what stands round a place.
func cutRound(text []byte, place int) string {
	from, to := 0, len(text)
	if len(text) > maxMatchText {
		from = min(max(place-maxMatchText/3, 0), len(text))
		to = min(from+maxMatchText, len(text))
		for from > 0 && !utf8.RuneStart(text[from]) {
			from--
		}
	}
	cut := strings.ToValidUTF8(string(text[from:to]), "")
	if from > 0 {
		cut = "…" + cut
	}
	if to < len(text) {
		cut += "…"
	}
	return cut
}
