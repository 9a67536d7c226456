package repos

import "sync"

// locks gives each thing of a kind a mutex that exists only while somebody holds or awaits it.
type locks[ID comparable] struct {
	mu  sync.Mutex // guards all
	all map[ID]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// lock waits for the thing's mutex and returns the function that frees it.
func (l *locks[ID]) lock(id ID) func() {
	l.mu.Lock()
	if l.all == nil {
		l.all = map[ID]*lock{}
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
