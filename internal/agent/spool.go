package agent

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"

	"slipway/internal/pipelines/job"
)

// spool is the log of one step: a file that is written by the step and sent from there.
type spool struct {
	step int
	file *os.File
	more func() // called when there is something to send again

	mu      sync.Mutex
	written int64
	sent    int64
	full    bool
}

// truncated is the line with which a full log ends.
var truncated = fmt.Sprintf("##[warning]The log has reached its limit of %d MiB; the rest is left out. Write large output to a file and publish that.\n", job.MaxLog>>20)

// spoolLimit leaves room for the last line.
const spoolLimit = job.MaxLog - 4096

// add appends whole lines. A log that has reached its limit takes no more.
func (s *spool) add(lines []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return nil
	}
	if room := spoolLimit - s.written; int64(len(lines)) > room {
		s.full = true
		whole := bytes.LastIndexByte(lines[:max(room, 0)], '\n') + 1
		lines = slices.Concat(lines[:whole], timestamp(), []byte(truncated))
	}
	n, err := s.file.WriteAt(lines, s.written)
	if err != nil {
		return fmt.Errorf("write the log of step %d: %w", s.step, err)
	}
	if s.more != nil && s.sent == s.written {
		s.more()
	}
	s.written += int64(n)
	return nil
}

// next reads what is to be sent: at most limit bytes from offset on.
func (s *spool) next(limit int64) (offset int64, data []byte, err error) {
	s.mu.Lock()
	offset = s.sent
	n := min(s.written-s.sent, limit)
	s.mu.Unlock()
	if n <= 0 {
		return offset, nil, nil
	}
	data = make([]byte, n)
	if _, err := s.file.ReadAt(data, offset); err != nil {
		return offset, nil, fmt.Errorf("read the log of step %d: %w", s.step, err)
	}
	return offset, data, nil
}

// acknowledge records the size that the server has.
func (s *spool) acknowledge(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = min(size, s.written)
}

func (s *spool) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent < s.written
}
