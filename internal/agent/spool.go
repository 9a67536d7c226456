package agent

import (
	"fmt"
	"os"
	"sync"

	"slipway/internal/pipelines/job"
)

// spool is the log of one step: a file that is written by the step and sent from there.
type spool struct {
	step int
	file *os.File

	mu      sync.Mutex
	written int64
	sent    int64
	full    bool
}

// full logs end with this line.
const truncated = "##[warning]The log is longer than its limit; the rest is left out.\n"

// add appends a whole line. A log that has reached its limit takes no more.
func (s *spool) add(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return nil
	}
	if s.written+int64(len(line)) > job.MaxLog-4096 {
		s.full = true
		line = append(timestamp(), truncated...)
	}
	n, err := s.file.WriteAt(line, s.written)
	if err != nil {
		return fmt.Errorf("write the log of step %d: %w", s.step, err)
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
