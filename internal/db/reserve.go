package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"slipway"
)

// reserveSize is the room for the records of deletions, in bytes: some thousand pages that change.
const reserveSize = 4 << 20

// Reserve keeps room on the disk of a SQLite database for Free: a file beside it, which is made when it is not there. PostgreSQL has
// its own disk and no such file. An error wraps slipway.Full when there is no room for it now.
func (db *DB) Reserve() error {
	if db.reserve == "" {
		return nil
	}
	if info, err := os.Stat(db.reserve); err == nil && info.Size() == reserveSize {
		return nil
	}
	// Bytes and not a hole, which has no room of its own.
	if err := os.WriteFile(db.reserve, make([]byte, reserveSize), 0o600); err != nil {
		return errors.Join(fmt.Errorf("reserve room for records: %w", err), os.Remove(db.reserve))
	}
	return nil
}

// Free is Tx for what lets room be freed, which has to be written down first: on a full disk it takes what Reserve kept and runs fn again.
func (db *DB) Free(ctx context.Context, fn func(tx *Tx) error) error {
	err := db.Tx(ctx, fn)
	if slipway.CodeOf(err) != slipway.CodeFull || db.reserve == "" {
		return err
	}
	if removed := os.Remove(db.reserve); removed != nil {
		if errors.Is(removed, fs.ErrNotExist) {
			return err
		}
		return errors.Join(err, removed)
	}
	return db.Tx(ctx, fn)
}
