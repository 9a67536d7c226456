package pipelines

import (
	"sync"

	"slipway"
)

// watchers are the live pages and long polls that want to hear of changes of a run.
type watchers struct {
	mu   sync.Mutex
	runs map[slipway.RunID]map[chan struct{}]bool
}

// Watch returns a channel that gets a value after changes of the run (its timeline or a log), several changes being one
// value, and a function that ends the watch. It hears of changes made by this process alone: whoever must not miss
// those of another server reads again every second or so.
func (s *Service) Watch(run slipway.RunID) (<-chan struct{}, func()) {
	w := &s.watchers
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs == nil {
		w.runs = map[slipway.RunID]map[chan struct{}]bool{}
	}
	if w.runs[run] == nil {
		w.runs[run] = map[chan struct{}]bool{}
	}
	w.runs[run][ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.runs[run], ch)
		if len(w.runs[run]) == 0 {
			delete(w.runs, run)
		}
	}
}

// changed tells the run's watchers.
func (s *Service) changed(run slipway.RunID) {
	w := &s.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.runs[run] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
