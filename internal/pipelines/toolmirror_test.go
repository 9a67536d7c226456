package pipelines_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// The mirrors that the server names reach every job.
func TestToolMirrors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.ToolMirrors = map[string]string{"node": "https://mirror.example/node"}
		runs := w.push("steps:\n- task: NodeTool@0\n  inputs: {versionSpec: 20.x}\n")
		if len(runs) != 1 {
			t.Fatalf("runs %v", runs)
		}
		a := w.do(runs[0].ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		if diff := cmp.Diff(w.ToolMirrors, a.ToolMirrors); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
