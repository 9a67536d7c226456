package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
)

// Stages can be left out when a run is queued, by any case of their names, but not all of them.
func TestSkipStages(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	first := w.push("stages:\n- stage: A\n  jobs: [{job: a, steps: [{bash: x}]}]\n- stage: B\n  dependsOn: []\n  jobs: [{job: b, steps: [{bash: x}]}]\n")[0]
	run, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: first.Pipeline, SkipStages: []string{"a", "A"}})
	if err != nil {
		t.Fatal(err)
	}
	if jobs := w.timeline(run.ID); jobs["A.a"].ID != 0 || jobs["B.b"].ID == 0 {
		t.Errorf("jobs %+v", jobs)
	}
	_, err = w.Queue(ctx, pipelines.QueueRequest{Pipeline: first.Pipeline, SkipStages: []string{"b", "a"}})
	if slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), "all stages are left out") {
		t.Errorf("all left out: %v", err)
	}
}
