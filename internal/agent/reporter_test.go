package agent

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"slipway/internal/pipelines/job"
)

// What is on its way is pending, so that the end of a job, which waits for what is, does not overtake its last report.
func TestWhatIsOnItsWayIsPending(t *testing.T) {
	t.Parallel()
	begun, arrive := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-arrive
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	r := newReporter(newClient(Config{URL: server.URL, Job: 1, Patience: time.Minute}), t.TempDir(), func(err error) { t.Error(err) })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	r.put(job.StepRecord{ID: 1})
	<-begun
	if !r.pending() {
		t.Error("a report that has not arrived is not pending")
	}
	close(arrive)
	if err := r.drain(t.Context()); err != nil {
		t.Error(err)
	}
}
