package pipelines_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

const batched = "trigger:\n  batch: true\n  branches: {include: [main]}\n  paths: {include: [src]}\nsteps:\n- bash: x\n"

func commitOf(n int64) slipway.CommitID { return slipway.CommitID(fmt.Sprintf("%040d", n)) }

// pushPaths pushes to a branch as the event of that number, which is the commit's too.
func (w *world) pushPaths(n int64, branch string, paths ...string) []pipelines.Run {
	w.Helper()
	runs, err := w.Pushed(context.Background(), pipelines.Push{Event: n, Repository: "r", Ref: "refs/heads/" + branch, After: commitOf(n), Paths: paths,
		Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}})
	if err != nil {
		w.Fatal(err)
	}
	return runs
}

// runs lists the runs, oldest first.
func (w *world) runs() []pipelines.Run {
	w.Helper()
	list, err := w.List(context.Background(), pipelines.RunFilter{})
	if err != nil {
		w.Fatal(err)
	}
	for i := range len(list) / 2 {
		list[i], list[len(list)-1-i] = list[len(list)-1-i], list[i]
	}
	return list
}

func (w *world) startOwed() {
	w.Helper()
	if err := w.StartOwed(context.Background()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) end(run slipway.RunID, result schedule.Result) {
	w.Helper()
	w.do(run, "__default.Job", job.Completion{Result: result})
}

func TestBatchedPushes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.source.text = batched
		if runs := w.pushPaths(1, "main", "docs/a"); len(runs) != 0 {
			t.Fatalf("a push of other paths: %+v", runs)
		}
		first := w.pushPaths(2, "main", "src/a")
		if len(first) != 1 || first[0].Reason != variable.ReasonBatchedCI || first[0].Commit != commitOf(2) {
			t.Fatalf("the first push: %+v", first)
		}
		for _, n := range []int64{3, 4, 4, 5} { // one is told of twice
			if runs := w.pushPaths(n, "main", map[int64]string{3: "docs/a", 4: "src/b", 5: "docs/b"}[n]); len(runs) != 0 {
				t.Errorf("push %d starts %+v while a run is under way", n, runs)
			}
		}
		if runs := w.pushPaths(6, "other", "src/a"); len(runs) != 0 {
			t.Errorf("a branch that does not trigger: %+v", runs)
		}
		if n, err := w.WaitingPushes(ctx, first[0].Pipeline); err != nil || n["refs/heads/main"] != 3 || len(n) != 1 {
			t.Errorf("waiting %v, %v", n, err)
		}
		w.startOwed()
		if runs := w.runs(); len(runs) != 1 {
			t.Fatalf("%d runs while one is under way", len(runs))
		}
		w.end(first[0].ID, schedule.Failed)
		w.startOwed()
		w.startOwed()
		runs := w.runs()
		if len(runs) != 2 || runs[1].Commit != commitOf(5) || runs[1].Reason != variable.ReasonBatchedCI || runs[1].Actor.Name != "Ada" {
			t.Fatalf("after the run: %+v", runs)
		}
		// Those that the run took are told of again, and one that was overtaken.
		if again := w.pushPaths(4, "main", "src/b"); len(again) != 1 || again[0].ID != runs[1].ID {
			t.Errorf("push 4 told again: %+v", again)
		}
		// A run that is canceled lets the next one begin too, unless nothing in it triggers.
		w.pushPaths(7, "main", "docs/c")
		if err := w.Cancel(ctx, runs[1].ID, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.end(runs[1].ID, schedule.Canceled)
		w.startOwed()
		if runs := w.runs(); len(runs) != 2 {
			t.Errorf("%d runs after pushes of other paths", len(runs))
		}
		if next := w.pushPaths(8, "main", "src/c"); len(next) != 1 {
			t.Errorf("the push after it: %+v", next)
		}
	})
}

// A push that is not batched builds what waits too, and what waits is gone with its branch or when the pipeline is disabled.
func TestBatchIsOvertaken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.source.text = batched
		w.source.files = map[slipway.CommitID]string{commitOf(3): "steps:\n- bash: y\n"}
		first := w.pushPaths(1, "main", "src/a")[0]
		w.pushPaths(2, "main", "src/a")
		third := w.pushPaths(3, "main", "src/a")
		if len(third) != 1 || third[0].Reason != variable.ReasonIndividualCI {
			t.Fatalf("a push that is not batched: %+v", third)
		}
		w.end(first.ID, schedule.Succeeded)
		w.end(third[0].ID, schedule.Succeeded)
		w.startOwed()
		if n := len(w.runs()); n != 2 {
			t.Errorf("%d runs, want the two that are over", n)
		}
		fourth := w.pushPaths(4, "main", "src/a")[0]
		w.pushPaths(5, "main", "src/a")
		if _, err := w.Pushed(ctx, pipelines.Push{Event: 6, Repository: "r", Ref: "refs/heads/main"}); err != nil {
			t.Fatal(err)
		}
		w.end(fourth.ID, schedule.Succeeded)
		w.startOwed()
		if n := len(w.runs()); n != 3 {
			t.Errorf("%d runs after the branch was deleted", n)
		}
		seventh := w.pushPaths(7, "main", "src/a")[0]
		w.pushPaths(8, "main", "src/a")
		if err := w.SetDisabled(ctx, seventh.Pipeline, true); err != nil {
			t.Fatal(err)
		}
		w.end(seventh.ID, schedule.Succeeded)
		w.startOwed()
		if n := len(w.runs()); n != 4 {
			t.Errorf("%d runs after the pipeline was disabled", n)
		}
	})
}

// A server that was killed leaves what waits to the next one, which also hears of the push again.
func TestBatchSurvivesARestart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.source.text = batched
		first := w.pushPaths(1, "main", "src/a")[0]
		w.pushPaths(2, "main", "src/b")
		w.end(first.ID, schedule.Succeeded) // and is killed before it looks
		next := setup(t, d)
		next.source.text = batched
		next.startOwed()
		if again := next.pushPaths(2, "main", "src/b"); len(again) != 1 || again[0].Commit != commitOf(2) {
			t.Errorf("the push told again: %+v", again)
		}
		if runs := next.runs(); len(runs) != 2 || runs[1].Commit != commitOf(2) {
			t.Errorf("runs %+v", runs)
		}
	})
}

// Servers and pushes that decide at the same time start one run.
func TestBatchStartsOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.source.text = batched
		w.end(w.pushPaths(1, "main", "src/a")[0].ID, schedule.Succeeded)
		var group sync.WaitGroup
		for n := int64(2); n <= 9; n++ {
			group.Go(func() { w.pushPaths(n, "main", "src/a") })
			group.Go(func() { w.startOwed() })
		}
		group.Wait()
		runs := w.runs()
		if len(runs) != 2 {
			t.Fatalf("%d runs, want one under way: %+v", len(runs), runs)
		}
		w.end(runs[1].ID, schedule.Succeeded)
		w.startOwed()
		for _, run := range w.runs()[2:] {
			w.end(run.ID, schedule.Succeeded)
		}
		w.startOwed()
		if newest := w.runs(); len(newest) > 3 || newest[len(newest)-1].Commit != commitOf(9) {
			t.Errorf("the newest push is not built last and once: %+v", newest)
		}
	})
}
