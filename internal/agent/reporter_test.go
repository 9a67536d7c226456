package agent

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/pipelines/job"
)

// The end of a job is told after its last report has arrived, not while that is on its way.
func TestDrainWaitsForWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	begun, arrived := make(chan struct{}), atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		time.Sleep(300 * time.Millisecond)
		arrived.Store(true)
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
	if err := r.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !arrived.Load() {
		t.Error("drain returned before the report had arrived")
	}
}
