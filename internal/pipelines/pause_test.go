package pipelines_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// stopping is a run that stops at failures, whose job A runs.
func (w *world) stopping(minutes int) (slipway.RunID, slipway.JobID, job.Assignment) {
	w.Helper()
	ctx := context.Background()
	w.push("trigger: none\njobs:\n- job: A\n  timeoutInMinutes: 10\n  cancelTimeoutInMinutes: 1\n  steps: [{checkout: none}, {bash: x}]\n")
	all, err := w.Definitions(ctx, "p")
	if err != nil {
		w.Fatal(err)
	}
	run, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: all[0].ID, Actor: ada.Actor, StopMinutes: minutes})
	if err != nil {
		w.Fatal(err)
	}
	id := w.timeline(run.ID)["__default.A"].ID
	a, err := w.Assign(ctx, id)
	if err != nil {
		w.Fatal(err)
	}
	return run.ID, id, a
}

// tell records a pause as an agent does and gives what it has come to.
func (w *world) tell(id slipway.JobID, number int, state job.PauseState) string {
	w.Helper()
	p, err := w.PutPause(context.Background(), id, job.Pause{Number: number, Step: 2, Title: "Look", Reason: "Bash exited with code 1.", State: state, Expires: 1})
	if err != nil {
		w.Fatal(err)
	}
	return fmt.Sprint(p.State, " ", p.Decision, " ", p.By)
}

// A pause is told again and again, by agents and servers that are killed, and decided about once.
func TestPause(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		run, id, a := w.stopping(30)
		if a.StopAtFailure != 30 {
			t.Errorf("the job waits %d minutes", a.StopAtFailure)
		}
		f := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		f(w.tell(id, 1, job.PauseWaiting), "waiting  ")
		f(w.tell(id, 1, job.PauseWaiting), "waiting  ")
		waiting, err := w.WaitingPauses(ctx, "p")
		if err != nil || len(waiting) != 1 || waiting[0].Run != run || waiting[0].Title != "Look" {
			t.Fatalf("%+v, %v", waiting, err)
		}
		terminal, err := w.OpenTerminal(ctx, ada.Actor, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.OpenTerminal(ctx, ada.Actor, id); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a second terminal: %v", err)
		}
		if news, err := w.PauseNews(ctx, id, 1); err != nil || len(news.Terminals) != 1 {
			t.Errorf("%+v, %v", news, err)
		}
		terminal.Abandon(ctx)
		if _, err := w.OpenTerminal(ctx, ada.Actor, id); err != nil { // which a server leaves open that is killed
			t.Fatal(err)
		}
		w.restart()
		if _, err := w.OpenTerminal(ctx, ada.Actor, id); err != nil {
			t.Fatal(err)
		}
		if _, err := w.DecidePause(ctx, slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, id, job.DecisionSucceed); slipway.CodeOf(err) != slipway.CodeForbidden {
			t.Errorf("a job decides: %v", err)
		}
		if _, err := w.DecidePause(ctx, ada.Actor, id, "dance"); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("a strange decision: %v", err)
		}
		if _, err := w.DecidePause(ctx, ada.Actor, id, job.DecisionRerun); err != nil {
			t.Fatal(err)
		}
		if _, err := w.DecidePause(ctx, ada.Actor, id, job.DecisionEnd); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("a second decision: %v", err)
		}
		f(w.tell(id, 1, job.PauseExpired), "decided rerun Ada") // the agent's time was over in the same moment
		f(w.tell(id, 2, job.PauseWaiting), "waiting  ")
		f(w.tell(id, 2, job.PauseExpired), "expired  ")
		f(w.tell(id, 3, job.PauseCanceled), "canceled  ") // it never told that it waits
		f(w.tell(id, 4, job.PauseWaiting), "waiting  ")
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Failed}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.PutPause(ctx, id, job.Pause{Number: 5, State: job.PauseWaiting}); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a pause of a job that is over: %v", err)
		}
		w.handwork(run)
	})
}

// handwork compares what is remembered of the run.
func (w *world) handwork(run slipway.RunID) {
	w.Helper()
	pauses, err := w.Pauses(context.Background(), run)
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, p := range pauses {
		if p.Ended.IsZero() {
			w.Errorf("%+v", p)
		}
		got = append(got, fmt.Sprintf("%d %s %s %s", p.Number, p.State, p.Decision, p.Actor.Name))
	}
	if diff := cmp.Diff([]string{"1 decided rerun Ada", "2 expired  ", "3 canceled  ", "4 canceled  "}, got); diff != "" {
		w.Error(diff)
	}
	terminals, err := w.Terminals(context.Background(), run)
	if err != nil {
		w.Fatal(err)
	}
	got = nil
	for _, t := range terminals {
		if t.Closed.IsZero() || t.Actor != ada.Actor {
			w.Errorf("%+v", t)
		}
		got = append(got, t.Note)
	}
	if diff := cmp.Diff([]string{"it was not opened", "the server stopped", "the job ended"}, got); diff != "" {
		w.Error(diff)
	}
	kinds := w.kinds()
	want := map[events.Kind]int{pipelines.EventJobPaused: 4, pipelines.EventPauseDecided: 1, pipelines.EventTerminalOpened: 3, pipelines.EventTerminalClosed: 1}
	for kind, n := range want {
		if kinds[kind] != n {
			w.Errorf("%d events %s, want %d", kinds[kind], kind, n)
		}
	}
}

// A job that waits is not taken for one that runs too long, and its pod lives as long.
func TestPauseOutlivesTheLimit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-02 09:00")
		w := setupAt(t, d, now)
		run, id, _ := w.stopping(30)
		reconciled := func() pipelines.TimelineJob {
			t.Helper()
			if err := w.Reconcile(context.Background()); err != nil {
				t.Fatal(err)
			}
			return w.timeline(run)["__default.A"]
		}
		reconciled()
		life := w.cluster.pods[pipelines.PodName(run, id)].Deadline
		if want := (10 + 1 + 30 + 30 + 2) * time.Minute; life != want { // limit, cancel, wait, start, grace
			t.Errorf("the pod lives %v, want %v", life, want)
		}
		now.set("2026-03-02 09:42")
		if j := reconciled(); j.State != schedule.Running {
			t.Errorf("the job is %s %s: %s", j.State, j.Result, j.Reason)
		}
		now.set("2026-03-02 09:44")
		if j := reconciled(); j.Reason != "the job ran longer than its limit of 10 minutes" {
			t.Errorf("%s: %s", j.Result, j.Reason)
		}
	})
}
