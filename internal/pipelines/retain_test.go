package pipelines_test

import (
	"archive/tar"
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/retention"
	"slipway/internal/pipelines/schedule"
)

// calendar is a clock that a test moves by days.
type calendar struct {
	mu  sync.Mutex
	now time.Time
}

func (c *calendar) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *calendar) wait(days int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.AddDate(0, 0, days)
}

// endedRun is a run with all that a run may have: logs, an artifact, an attachment, test results and a summary.
func (w *world) endedRun(end schedule.Result) slipway.RunID {
	w.Helper()
	ctx := context.Background()
	run := w.push("steps: [{bash: x}]\n")[0].ID
	id := w.jobOf(run)
	var tarred bytes.Buffer
	tw := tar.NewWriter(&tarred)
	err := tw.WriteHeader(&tar.Header{Name: "a", Size: 3, Mode: 0o600})
	if err == nil {
		_, err = tw.Write([]byte("abc"))
	}
	if err == nil {
		err = tw.Close()
	}
	if err == nil {
		_, err = w.PutArtifact(ctx, id, "drop", &tarred)
	}
	if err == nil {
		err = w.PutAttachment(ctx, id, 1, "note", "n.txt", strings.NewReader("n"))
	}
	if err == nil {
		_, err = w.AppendLog(ctx, id, 1, 0, []byte("2026-03-01T12:00:00.0000000Z one\n"))
	}
	if err == nil {
		err = w.Report(ctx, id, job.Report{Steps: []job.StepRecord{{ID: 1, DisplayName: "x", State: schedule.Completed, Result: end}}})
	}
	if err == nil {
		err = w.PutTests(ctx, id, job.TestRun{Step: 1, Title: "unit", Results: []job.TestResult{{Suite: "s", Name: "n", Outcome: job.TestPassed}}})
	}
	if err == nil {
		err = w.PutTestAttachment(ctx, id, 1, "unit", "r.xml", strings.NewReader("<r/>"))
	}
	if err == nil {
		err = w.Complete(ctx, id, job.Completion{Result: end})
	}
	if err != nil {
		w.Fatal(err)
	}
	w.settle()
	return run
}

// settle lets the pods of jobs that are over be removed.
func (w *world) settle() {
	w.Helper()
	for range 2 {
		if err := w.Reconcile(context.Background()); err != nil {
			w.Fatal(err)
		}
	}
}

// left counts the rows and objects that name a run, by where they are.
func (w *world) left(d *db.DB, run slipway.RunID) map[string]int {
	w.Helper()
	ctx, left := context.Background(), map[string]int{}
	for table, where := range map[string]string{
		"pipeline_runs": "id = $1", "pipeline_stages": "run = $1", "pipeline_jobs": "run = $1", "pipeline_plans": "run = $1", "pipeline_artifacts": "run = $1",
		"pipeline_attachments": "run = $1", "pipeline_test_attachments": "run = $1", "pipeline_test_runs": "run = $1", "pipeline_decisions": "run = $1", "pipeline_revisions": "run = $1", "pipeline_leases": "run = $1",
	} {
		n, err := db.One(ctx, d, db.Value[int], `SELECT COUNT(*) FROM `+table+` WHERE `+where, int64(run))
		if err != nil {
			w.Fatal(err)
		}
		if n > 0 {
			left[table] = n
		}
	}
	for _, kind := range []string{"artifacts", "attachments"} {
		err := w.deps.Blobs.List(ctx, kind+"/"+run.String()+"/", func(string, int64) error { left[kind]++; return nil })
		if err != nil {
			w.Fatal(err)
		}
	}
	return left
}

func TestRetention(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &calendar{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		w, ctx := setupAt(t, d, now), context.Background()
		if err := w.SetRetention(ctx, "p", slipway.System, retention.Settings{Runs: 30, PullRequestRuns: 10, Artifacts: 7, Recent: 1}); err != nil {
			t.Fatal(err)
		}
		failed, leased, old, newest := w.endedRun(schedule.Failed), w.endedRun(schedule.Failed), w.endedRun(schedule.Succeeded), w.endedRun(schedule.Succeeded)
		ada := slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}
		run, err := w.Get(ctx, leased)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Retain(ctx, &run, ada, true); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteRun(ctx, leased, ada); slipway.CodeOf(err) != slipway.CodeConflict || !strings.HasSuffix(err.Error(), "is retained by User:Ada: end that first") {
			t.Errorf("a retained run is deleted: %v", err)
		}

		now.wait(10)
		w.trim()
		if r, err := w.Get(ctx, failed); err != nil || r.Purged.IsZero() {
			t.Errorf("after 10 days the artifacts are there: %+v %v", r.Purged, err)
		}
		left := w.left(d, failed)
		if left["artifacts"]+left["attachments"]+left["pipeline_artifacts"]+left["pipeline_attachments"]+left["pipeline_test_attachments"] != 0 || left["pipeline_jobs"] != 1 {
			t.Errorf("after 10 days there is %v", left)
		}
		if left := w.left(d, leased); left["pipeline_artifacts"] != 1 || left["attachments"] != 2 {
			t.Errorf("of the retained run there is %v", left)
		}

		now.wait(21)
		fates, counts, err := w.Fates(ctx, "p", 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range fates {
			got = append(got, f.Run.String()+" "+string(f.Action)+": "+f.Reason)
		}
		want := []string{
			old.String() + " delete: it ended 31 days ago, and is kept for 30", failed.String() + " delete: it ended 31 days ago, and is kept for 30",
			newest.String() + " keep: it is one of the 1 newest of the default branch that succeeded", leased.String() + " keep: it is retained by User:Ada",
		}
		if diff := cmp.Diff(want, got); diff != "" || counts[retention.Delete] != 2 {
			t.Errorf("fates (-want +got)\n%s%v", diff, counts)
		}
		w.trim()
		for _, gone := range []slipway.RunID{failed, old} {
			if diff := cmp.Diff(map[string]int{}, w.left(d, gone)); diff != "" {
				t.Errorf("left of run %d: %s", gone, diff)
			}
			_, err := w.Get(ctx, gone)
			if slipway.CodeOf(err) != slipway.CodeNotFound || !strings.HasSuffix(err.Error(), "was deleted on 2026-04-01 by Slipway") {
				t.Errorf("run %d: %v", gone, err)
			}
		}
		list, err := w.List(ctx, pipelines.RunFilter{Project: "p"})
		if err != nil || len(list) != 2 {
			t.Errorf("%d runs, %v", len(list), err)
		}
		if w.kinds()[pipelines.EventRunDeleted] != 2 || w.kinds()[pipelines.EventRunRetained] != 1 {
			t.Errorf("events %v", w.kinds())
		}
	})
}

func (w *world) trim() {
	w.Helper()
	if err := w.TrimRuns(context.Background()); err != nil {
		w.Fatal(err)
	}
}

// A server that is killed after a run was marked as deleted leaves a run that nobody sees, and the next one goes on.
func TestDeletionGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		id := w.endedRun(schedule.Failed)
		if err := w.DeleteRun(ctx, id, slipway.System); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"a second deletion": w.DeleteRun(ctx, id, slipway.System), "a retry": w.RetryFailed(ctx, id, slipway.System),
		} {
			if slipway.CodeOf(err) != slipway.CodeNotFound {
				t.Errorf("%s: %v", what, err)
			}
		}
		if list, err := w.List(ctx, pipelines.RunFilter{Project: "p"}); err != nil || len(list) != 0 {
			t.Errorf("%d runs, %v", len(list), err)
		}
		w.restart()
		w.trim()
		if diff := cmp.Diff(map[string]int{}, w.left(d, id)); diff != "" {
			t.Error(diff)
		}
	})
}

// What an environment runs is held for it, and let go when it runs something else.
func TestHold(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		one, two, three := w.endedRun(schedule.Succeeded), w.endedRun(schedule.Succeeded), w.endedRun(schedule.Succeeded)
		for _, runs := range [][]slipway.RunID{{one}, {two, one}, {two, one}, {three, two, 4711}} {
			if err := w.Hold(ctx, "p", "Environment:shop", runs); err != nil {
				t.Fatal(err)
			}
		}
		leases, err := w.Leases(ctx, pipelines.LeaseFilter{Project: "p", Owner: "Environment:shop"})
		if err != nil {
			t.Fatal(err)
		}
		var held []slipway.RunID
		for _, l := range leases {
			held = append(held, l.Run)
		}
		if diff := cmp.Diff([]slipway.RunID{two, three}, held); diff != "" {
			t.Error(diff)
		}
		if err := w.DeleteRun(ctx, one, slipway.System); err != nil {
			t.Errorf("run %d, which is held no more: %v", one, err)
		}
	})
}
