package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// What a person uploads is an artifact with that person's name. It takes no name of a job's artifact, no job takes its name, and the run deploys nothing.
func TestUploadArtifact(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		ada := slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}
		run := w.push("stages:\n- stage: Build\n  jobs:\n  - job: a\n    steps:\n    - bash: x\n- stage: Ship\n  jobs:\n  - deployment: d\n    environment: prod\n    strategy: {runOnce: {deploy: {steps: [{bash: ship}]}}}\n")[0].ID
		a := w.timeline(run)["Build.a"].ID
		if _, err := w.PutArtifact(ctx, a, "drop", tarOf(t, "a", "1")); err != nil {
			t.Fatal(err)
		}
		upload := func(run slipway.RunID, name string, by slipway.Actor, code slipway.Code) {
			t.Helper()
			if _, err := w.UploadArtifact(ctx, run, name, tarOf(t, "b", "22"), by); slipway.CodeOf(err) != code {
				t.Errorf("upload %q: %v, want %q", name, err, code)
			}
		}
		upload(run, "Drop", ada, slipway.CodeConflict)
		upload(run, "../x", ada, slipway.CodeInvalid)
		upload(99, "x", ada, slipway.CodeConflict)
		upload(run, "x", slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, slipway.CodeForbidden)
		upload(run, "By hand", ada, "")
		if _, err := w.PutArtifact(ctx, a, "by hand", tarOf(t, "a", "1")); slipway.CodeOf(err) != slipway.CodeConflict || !strings.Contains(err.Error(), "somebody uploaded it") {
			t.Errorf("a job publishes it: %v", err)
		}
		list, err := w.Artifacts(ctx, run)
		if err != nil || len(list) != 2 || list[0].UploadedBy != ada || list[0].Size != 2 || list[1].UploadedBy != (slipway.Actor{}) {
			t.Errorf("artifacts %+v, %v", list, err)
		}
		if n := w.kinds()[pipelines.EventArtifactUploaded]; n != 1 {
			t.Errorf("%d events", n)
		}
		if err := w.Complete(ctx, a, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		if err := w.ChecksCompleted(ctx, run, "Ship", 1, schedule.ChecksApproved, ""); err != nil {
			t.Fatal(err)
		}
		if err := w.Reconcile(ctx); err != nil {
			t.Fatal(err)
		}
		if j := w.timeline(run)["Ship.d.deploy"]; j.Result != schedule.Failed || !strings.Contains(j.Reason, "uploaded an artifact") {
			t.Errorf("the deployment: %s, %q", j.Result, j.Reason)
		}
	})
}
