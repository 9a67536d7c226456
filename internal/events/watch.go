package events

import "sync"

// watchers are the live pages and waits of this process that want to hear of events as they are committed.
type watchers struct {
	mu   sync.Mutex
	next int
	all  map[int]watcher
}

type watcher struct {
	match func(Event) bool
	ch    chan Event
}

// Watch returns a channel of the events that match, as they are committed by this process, and a function that
// ends the watch. A watcher that falls more than 256 events behind loses events, so it reads the state again
// from the domain whenever an event arrives rather than keeping count.
func (l *Log) Watch(match func(Event) bool) (<-chan Event, func()) {
	w := &l.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]watcher{}
	}
	w.next++
	id, ch := w.next, make(chan Event, 256)
	w.all[id] = watcher{match: match, ch: ch}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

func (w *watchers) announce(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		if one.match != nil && !one.match(e) {
			continue
		}
		select {
		case one.ch <- e:
		default:
		}
	}
}
