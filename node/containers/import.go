package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Ledger remembers which archives were imported, so that an unchanged one is not read again at each start.
type Ledger struct {
	path string
	seen map[string]record
}

type record struct {
	Size    int64     `json:"size"`
	Changed time.Time `json:"changed"`
	Names   []string  `json:"names"`
}

// OpenLedger reads a ledger; one that is missing or broken is an empty one.
func OpenLedger(path string) *Ledger {
	l := &Ledger{path: path, seen: map[string]record{}}
	if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &l.seen) != nil {
		l.seen = map[string]record{}
	}
	return l
}

// Import imports an archive unless it was, is unchanged, and its images are still there. A missing file is an error that
// says so. It tells whether work was done.
func (l *Ledger) Import(ctx context.Context, c *Client, file string) (bool, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("image archive %s does not exist", file)
	}
	if err != nil {
		return false, err
	}
	old, ok := l.seen[file]
	if ok && old.Size == info.Size() && old.Changed.Equal(info.ModTime()) && c.Has(ctx, old.Names) {
		return false, nil
	}
	names, err := c.Import(ctx, file)
	if err != nil {
		return false, err
	}
	l.seen[file] = record{Size: info.Size(), Changed: info.ModTime(), Names: names}
	data, err := json.Marshal(l.seen)
	if err != nil {
		return false, err
	}
	return true, os.WriteFile(l.path, data, 0o600)
}
