package process

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// maxLog bounds one log file, in bytes. One older file is kept beside it.
const maxLog = 16 << 20

// Log is a file that starts anew when it is full; its predecessor is kept as NAME.1. It is safe for concurrent use.
type Log struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int
}

// OpenLog opens a log, and puts the one of the run before aside.
func OpenLog(path string) (*Log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of logs: %w", err)
	}
	l := &Log{path: path}
	return l, l.rotate()
}

func (l *Log) rotate() error {
	if l.file != nil {
		l.file.Close()
	}
	if err := os.Rename(l.path, l.path+".1"); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("rotate log: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	l.file, l.size = f, 0
	return nil
}

// Write appends. A log that cannot be written (a full disk) loses lines rather than stopping the node.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+len(b) > maxLog {
		if err := l.rotate(); err != nil {
			return len(b), nil
		}
	}
	n, _ := l.file.Write(b)
	l.size += n
	return len(b), nil
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
