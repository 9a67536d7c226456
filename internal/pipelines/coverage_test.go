package pipelines_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

func TestCoverage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		const two = "jobs:\n- job: a\n  steps:\n  - bash: x\n- job: b\n  steps:\n  - bash: x\n"
		run := w.push(two)[0]
		jobs := w.timeline(run.ID)
		a, b := jobs["__default.a"].ID, jobs["__default.b"].ID
		if _, err := w.Coverage(ctx, &run); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("without any: %v", err)
		}
		first := job.Coverage{Step: 3, Tool: "JaCoCo", Files: []coverage.File{
			{Path: "x/a.go", Package: "x", Lines: []coverage.Line{{Number: 1, Hits: 1, Branches: 2, Taken: 1}, {Number: 2}, {Number: 4}}},
			{Path: "b.go", Lines: []coverage.Line{{Number: 7}}},
		}}
		for range 2 { // again replaces
			if err := w.PutCoverage(ctx, a, first); err != nil {
				t.Fatal(err)
			}
		}
		other := job.Coverage{Step: 3, Files: []coverage.File{{Path: "x/a.go", Package: "x", Lines: []coverage.Line{{Number: 1, Hits: 1}, {Number: 2, Hits: 4}}}}}
		if err := w.PutCoverage(ctx, b, other); err != nil {
			t.Fatal(err)
		}
		c, err := w.Coverage(ctx, &run)
		if err != nil || c.BeforeRun != 0 || len(c.Packages) != 2 || c.Packages[0].Name != "." || c.Packages[1].Name != "x" {
			t.Fatalf("%+v, %v", c, err)
		}
		if diff := cmp.Diff(coverage.Sum{Lines: 4, Covered: 2, Branches: 2, Taken: 1}, c.Sum); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		lines, err := w.CoverageLines(ctx, run.ID, "x/a.go")
		if diff := cmp.Diff([]coverage.Line{{Number: 1, Hits: 2, Branches: 2, Taken: 1}, {Number: 2, Hits: 4}, {Number: 4}}, lines); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		if _, err := w.CoverageLines(ctx, run.ID, "c.go"); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("of an unknown file: %v", err)
		}
		for name, bad := range map[string][]coverage.File{
			"order":    {{Path: "a", Lines: []coverage.Line{{Number: 2}, {Number: 2}}}},
			"branches": {{Path: "a", Lines: []coverage.Line{{Number: 2, Taken: 1}}}},
			"path":     {{Lines: []coverage.Line{{Number: 2}}}},
		} {
			if err := w.PutCoverage(ctx, a, job.Coverage{Step: 4, Files: bad}); slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}

		// A retry's coverage takes the place of that of the attempt before.
		w.do(run.ID, "__default.a", job.Completion{Result: schedule.Failed})
		w.do(run.ID, "__default.b", job.Completion{Result: schedule.Succeeded})
		if err := w.RetryFailed(ctx, run.ID, slipway.System); err != nil {
			t.Fatal(err)
		}
		again := w.timeline(run.ID)["__default.a"].ID
		if err := w.PutCoverage(ctx, again, job.Coverage{Step: 3, Files: []coverage.File{{Path: "b.go", Lines: []coverage.Line{{Number: 7, Hits: 1}}}}}); err != nil {
			t.Fatal(err)
		}
		if c, err = w.Coverage(ctx, &run); err != nil || c.Sum != (coverage.Sum{Lines: 3, Covered: 3}) {
			t.Errorf("after a retry: %+v, %v", c, err)
		}
		w.do(run.ID, "__default.a", job.Completion{Result: schedule.Succeeded})

		// The next run is compared with it.
		next := w.push(two)[0]
		if err := w.PutCoverage(ctx, w.timeline(next.ID)["__default.a"].ID, first); err != nil {
			t.Fatal(err)
		}
		c, err = w.Coverage(ctx, &next)
		if err != nil || c.BeforeRun != run.ID || c.Before != (coverage.Sum{Lines: 3, Covered: 3}) || *c.Packages[1].Before != (coverage.Sum{Lines: 2, Covered: 2}) {
			t.Errorf("%+v, %v", c, err)
		}
		files, err := w.CoverageFiles(ctx, next.ID, c.BeforeRun)
		if err != nil || len(files) != 2 || files[0].Name != "b.go" || *files[0].Before != (coverage.Sum{Lines: 1, Covered: 1}) {
			t.Errorf("%+v, %v", files, err)
		}
	})
}
