package pipelines_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

func TestTestAttachments(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		run := w.push("steps: [{bash: x}]\n")[0].ID
		id := w.jobOf(run)
		for step, title := range []string{"unit", "system"} {
			if err := w.PutTests(ctx, id, job.TestRun{Step: step, Title: title, Results: []job.TestResult{{Name: "a", Outcome: job.TestPassed}}}); err != nil {
				t.Fatal(err)
			}
		}
		put := func(step int, title, name, text string) error {
			return w.PutTestAttachment(ctx, id, step, title, name, strings.NewReader(text))
		}
		for _, text := range []string{"first", "second"} { // the second takes the place of the first
			if err := put(0, "unit", "r.xml", text); err != nil {
				t.Fatal(err)
			}
		}
		if err := put(1, "system", "r.xml", "other"); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			step        int
			title, name string
			want        slipway.Code
		}{{0, "system", "r.xml", slipway.CodeNotFound}, {1, "unit", "r.xml", slipway.CodeNotFound}, {0, "unit", "../r.xml", slipway.CodeInvalid}, {0, "unit", "", slipway.CodeInvalid}} {
			if err := put(tt.step, tt.title, tt.name, "x"); slipway.CodeOf(err) != tt.want {
				t.Errorf("step %d, %s, %q: %v, want %s", tt.step, tt.title, tt.name, err, tt.want)
			}
		}
		runs, err := w.TestRuns(ctx, run)
		if err != nil || len(runs) != 2 {
			t.Fatalf("test runs %+v, %v", runs, err)
		}
		contents := func(testRun int64) map[string]string {
			list, err := w.TestAttachments(ctx, testRun)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, a := range list {
				_, o, err := w.OpenTestAttachment(ctx, testRun, a.ID)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(o)
				o.Close()
				if err != nil || int64(len(text)) != a.Size {
					t.Errorf("%s has %d bytes, not %d: %v", a.Name, len(text), a.Size, err)
				}
				got[a.Name] = string(text)
			}
			return got
		}
		if diff := cmp.Diff(map[string]string{"r.xml": "second"}, contents(runs[0].ID)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]string{"r.xml": "other"}, contents(runs[1].ID)); diff != "" {
			t.Error(diff)
		}
		others, err := w.TestAttachments(ctx, runs[1].ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.OpenTestAttachment(ctx, runs[0].ID, others[0].ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("another publication's file is opened: %v", err)
		}
		if attached, err := w.Attachments(ctx, run); err != nil || len(attached) != 0 {
			t.Errorf("the run's own attachments are %v, %v", attached, err)
		}
		// Files of test results count among the 1000 of a run.
		if _, err := d.ExecContext(ctx, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 998)
			INSERT INTO pipeline_attachments (run, job, step, type, name, size, blob_key, created) SELECT $1, $2, 0, 't', CAST(i AS TEXT), 0, '', 0 FROM n`, int64(run), int64(id)); err != nil {
			t.Fatal(err)
		}
		if err := put(0, "unit", "more.xml", "x"); slipway.CodeOf(err) != slipway.CodeLimit {
			t.Errorf("a run with 1000 attachments takes another: %v", err)
		}
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		if err := put(0, "unit", "r.xml", "late"); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a job that is over attaches: %v", err)
		}
	})
}
