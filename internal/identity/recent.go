package identity

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	recentLife = 5 * time.Second // for which a token that was good is believed, unless this process ends it sooner
	maxRecent  = 10_000          // tokens
)

// recent remembers whom tokens belong to that were good a moment ago, since clients send theirs with each of many requests.
// What this process changes about tokens and users makes it forget all; what another one changes in the database is noticed
// when recentLife is over.
type recent struct {
	mu      sync.Mutex
	changes uint64 // how often it was made to forget
	callers map[[sha256.Size]byte]caller
}

type caller struct {
	principal Principal
	until     time.Time
}

// get is the caller of a token, by its hash, and otherwise the number that put wants of who looks it up.
func (r *recent) get(key [sha256.Size]byte, now time.Time) (p Principal, known bool, changes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, known := r.callers[key]
	return c.principal, known && now.Before(c.until), r.changes
}

// put remembers what was looked up, unless something has changed since get: the rows may have been read before.
func (r *recent) put(key [sha256.Size]byte, c caller, changes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if changes != r.changes {
		return
	}
	if r.callers == nil || len(r.callers) >= maxRecent {
		r.callers = map[[sha256.Size]byte]caller{}
	}
	r.callers[key] = c
}

// forget is called after each change of what a token may do has been committed.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	r.callers = nil
}
