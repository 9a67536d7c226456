package jobserver

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/jobwire"
)

// awaitJob answers a waiting agent as soon as its pod is given a job, and without one after some seconds.
func (s *server) awaitJob(w http.ResponseWriter, r *http.Request) error {
	p, err := s.Identity.Authenticate(r)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.PathValue("pod"), 10, 64)
	if err != nil || p.Token != identity.TokenPod || p.Binding.Pod != id || id == 0 {
		return slipway.Forbidden("this token is not the pod's")
	}
	ctx, cancel := context.WithTimeout(r.Context(), jobwire.WaitTime(r, maxWait))
	defer cancel()
	changes, end := s.Pipelines.WatchWarm()
	defer end()
	return awaitWork(ctx, w, changes, func() (any, bool, error) { return s.Pipelines.AwaitJob(r.Context(), id) })
}

// awaitWork answers as soon as work is given, and without any when ctx ends.
func awaitWork(ctx context.Context, w http.ResponseWriter, changes <-chan struct{}, look func() (work any, given bool, err error)) error {
	for {
		work, given, err := look()
		if err != nil {
			return err
		}
		if given || ctx.Err() != nil {
			w.Header().Set("Cache-Control", "no-store")
			httpx.WriteJSON(w, http.StatusOK, work)
			return nil
		}
		nextLook(ctx, changes)
	}
}

// nextLook waits for changes; those of another server are found within two seconds.
func nextLook(ctx context.Context, changes <-chan struct{}) {
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-changes:
	}
}
