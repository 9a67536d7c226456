package repos

import (
	"sync"

	"slipway"
)

// locks gives each repository a mutex that exists only while somebody holds or awaits it.
type locks struct {
	mu  sync.Mutex // guards all
	all map[slipway.RepositoryID]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// lock waits for the repository's mutex and returns the function that frees it.
func (l *locks) lock(id slipway.RepositoryID) func() {
	l.mu.Lock()
	if l.all == nil {
		l.all = map[slipway.RepositoryID]*lock{}
	}
	one := l.all[id]
	if one == nil {
		one = &lock{}
		l.all[id] = one
	}
	one.users++
	l.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.all, id)
		}
	}
}
