package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// fakeServer takes pauses as the server does, where somebody may decide in the very moment in which nobody has for long enough.
type fakeServer struct {
	late job.Decision // made when the agent tells that the time is over; "" for none

	mu    sync.Mutex
	told  []job.PauseState
	pause job.Pause
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodPut {
		var p job.Pause
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.told = append(f.told, p.State)
		if f.pause = p; p.State == job.PauseExpired && f.late != "" {
			f.pause.State, f.pause.Decision, f.pause.By = job.PauseDecided, f.late, "Ada"
		}
	}
	_ = json.NewEncoder(w).Encode(f.pause)
}

func TestPauseEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		late   job.Decision
		cancel bool
		want   job.Decision
		told   job.PauseState // at last
	}{
		"nobody decides":             {want: job.DecisionContinue, told: job.PauseExpired},
		"somebody does at the last":  {late: job.DecisionRerun, want: job.DecisionRerun, told: job.PauseExpired},
		"the run is canceled before": {cancel: true, want: job.DecisionContinue, told: job.PauseCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &fakeServer{late: c.late}
			listener := httptest.NewServer(server)
			t.Cleanup(listener.Close)
			hard, stop := context.WithCancelCause(context.Background())
			t.Cleanup(func() { stop(nil) })
			config := Config{URL: listener.URL, Job: 1, Folder: t.TempDir(), Patience: time.Second}
			cl := newClient(config)
			r := newRunner(config, cl, newReporter(cl, t.TempDir(), nil), job.Assignment{CancelTimeoutInMinutes: 1}, hard, stop)
			r.limit, r.waitLeft = newAllowance(time.Hour, func() {}), 50*time.Millisecond
			defer r.limit.stop()
			if c.cancel {
				r.cancel(errCanceled)
			}
			spool, err := r.reports.open(1)
			if err != nil {
				t.Fatal(err)
			}
			record := &job.StepRecord{ID: 1, DisplayName: "look"}
			task := r.newTask(&plan.Step{ID: 1}, record, &stepLog{spool: spool, mask: r.mask})
			if got := r.ask(task, errExit{"Bash", 1}); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			// The end may come before the agent has told that it waits.
			last := len(server.told) - 1
			if server.told[last] != c.told || slices.ContainsFunc(server.told[:last], func(s job.PauseState) bool { return s != job.PauseWaiting }) {
				t.Errorf("told %v, want %v at last", server.told, c.told)
			}
			if r.waitLeft != 0 && !c.cancel {
				t.Errorf("%v of the time to wait are left", r.waitLeft)
			}
			if server.pause.Reason != "Bash exited with code 1." && !strings.Contains(server.pause.Reason, "code 1") {
				t.Errorf("%+v", server.pause)
			}
		})
	}
}

// Time stands still while a job waits.
func TestAllowance(t *testing.T) {
	t.Parallel()
	over := make(chan bool, 1)
	a := newAllowance(time.Hour, func() { over <- true })
	a.stop()
	a.stop()
	left := a.left
	if left <= 0 || left > time.Hour {
		t.Errorf("%v are left", left)
	}
	a.left = time.Millisecond
	a.resume()
	a.resume()
	<-over
	a.stop()
	if a.left != 0 && a.left > time.Millisecond {
		t.Errorf("%v are left", a.left)
	}
}
