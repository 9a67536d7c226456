package pipelines_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// parallel is a file with so many jobs, all of which may run at once.
func parallel(n int, pool string) string {
	return fmt.Sprintf("jobs:\n- job: J\n  pool: %s\n  strategy: {parallel: %d}\n  steps: [{bash: x}]\n", pool, n)
}

// pods counts the jobs that have a pod and are not over, by run.
func (w *world) pods() map[slipway.RunID]int {
	w.Helper()
	if err := w.Reconcile(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.cluster.mu.Lock()
	defer w.cluster.mu.Unlock()
	runs := map[slipway.RunID]int{}
	for _, p := range w.cluster.pods {
		j, err := w.Job(context.Background(), p.Job)
		if err != nil {
			w.Fatal(err)
		}
		if j.State != schedule.Completed {
			runs[p.Run]++
		}
	}
	return runs
}

// notes are what the jobs of a run that wait are told, in the order of the timeline.
func (w *world) notes(run slipway.RunID) []string {
	w.Helper()
	t, err := w.Timeline(context.Background(), run)
	if err != nil {
		w.Fatal(err)
	}
	var notes []string
	for _, s := range t.Stages {
		for _, j := range s.Jobs {
			if j.PodNote != "" {
				notes = append(notes, j.PodNote)
			}
		}
	}
	return notes
}

func TestLimits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.deps.Limits = schedule.Limits{Jobs: 4, RunJobs: 3, Pools: map[string]int{"gpu": 1}}
		w.restart()
		first, second := w.push(parallel(6, "default"))[0].ID, w.push(parallel(2, "GPU"))[0].ID
		if got := w.pods(); got[first] != 3 || got[second] != 1 {
			t.Fatalf("pods by run %v, want 3 of the first, which a run may have, and 1 of the pool", got)
		}
		want := []string{"waits, since this installation runs 4 jobs at once; place 1 of the 4 jobs of the project that wait",
			"waits, since this installation runs 4 jobs at once; place 2 of the 4 jobs of the project that wait",
			"waits, since this installation runs 4 jobs at once; place 3 of the 4 jobs of the project that wait"}
		if got := w.notes(first); !slices.Equal(got, want) {
			t.Errorf("notes %q", got)
		}
		if err := w.SetProjectLimits(ctx, "p", schedule.ProjectLimits{Jobs: 2}); err != nil {
			t.Fatal(err)
		}
		w.do(second, "__default.J.Job1", job.Completion{Result: schedule.Succeeded})
		if got := w.pods(); got[first] != 3 || got[second] != 0 {
			t.Fatalf("pods by run %v after the project has a limit of 2", got)
		}
		if got := w.notes(second); len(got) != 1 || !strings.HasPrefix(got[0], "waits, since the project runs 2 jobs at once; place 4 of") {
			t.Errorf("notes %q", got)
		}
		w.restart() // the rows say all of it
		if l, err := w.ProjectLimits(ctx, "p"); err != nil || l.Jobs != 2 {
			t.Errorf("limits %+v, %v", l, err)
		}
		if l, err := w.Load(ctx, "p"); err != nil || l != (pipelines.Load{Running: 3, Waiting: 4}) {
			t.Errorf("load %+v, %v", l, err)
		}
		if err := w.Cancel(ctx, first, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.pods()
		if got := w.timeline(first)["__default.J.Job6"]; got.Result != schedule.Canceled {
			t.Errorf("a job that waited is %+v", got)
		}
		if err := w.SetProjectLimits(ctx, "p", schedule.ProjectLimits{Jobs: -1}); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("a negative limit: %v", err)
		}
	})
}

// However many jobs of one project wait, another's only job is next.
func TestProjectsTakeTurns(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.deps.Limits = schedule.Limits{Jobs: 2}
		w.restart()
		many := w.push(parallel(99, "default"))[0].ID
		w.pods()
		w.source.project = "q"
		w.source.text = parallel(1, "default")
		runs, err := w.Pushed(context.Background(), pipelines.Push{Event: 100, Repository: "elsewhere", Ref: "refs/heads/main", After: commit, Actor: slipway.System})
		if err != nil || len(runs) != 1 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		if got := w.pods(); got[many] != 2 {
			t.Fatalf("pods %v", got)
		}
		w.do(many, "__default.J.Job1", job.Completion{Result: schedule.Succeeded})
		if got := w.pods(); got[runs[0].ID] != 1 {
			t.Errorf("pods %v, want the other project's job among them", got)
		}
	})
}

// The cluster is asked nothing about jobs that were canceled before they had a pod: once, thousands of them kept the jobs of all
// projects from starting for minutes.
func TestCanceledBeforeTheirPods(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.deps.Limits = schedule.Limits{Jobs: 1}
		w.restart()
		id := w.push(parallel(6, "default"))[0].ID
		if got := w.pods(); got[id] != 1 {
			t.Fatalf("pods by run %v, want 1", got)
		}
		if err := w.Cancel(ctx, id, slipway.System); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := w.Reconcile(ctx); err != nil {
				t.Fatal(err)
			}
		}
		tl, err := w.Timeline(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		w.cluster.mu.Lock()
		defer w.cluster.mu.Unlock()
		canceled := 0
		for _, j := range tl.Stages[0].Jobs {
			if j.Result == schedule.Canceled {
				canceled++
			}
		}
		if canceled < 5 || len(w.cluster.asked) > 1 {
			t.Errorf("%d jobs are canceled, and the cluster was asked about %v", canceled, w.cluster.asked)
		}
	})
}
