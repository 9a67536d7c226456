package pipelines_test

import (
	"context"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// Who a run is queued by and requested for is what "How are the identity variables set?" says at
// learn.microsoft.com/azure/devops/pipelines/build/variables: of a manual run both are the person who asked for it, of a push it is
// queued by the system, for the person who pushed.
func TestIdentityVariables(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.deps.Email = func(_ context.Context, user slipway.UserID) (string, error) {
			if user != "1" {
				return "", slipway.NotFound("there is no user %s", user)
			}
			return "ada@example.com", nil
		}
		w.restart()
		check := func(id slipway.RunID, want map[string]string) {
			t.Helper()
			a := w.do(id, "__default.Job", job.Completion{Result: schedule.Succeeded})
			for name, text := range want {
				if v, ok := a.Variables.Get(name); !ok || v.Text != text || !v.ReadOnly {
					t.Errorf("%s is %q, set: %t, read-only: %t, want %q", name, v.Text, ok, v.ReadOnly, text)
				}
			}
		}
		pushed := w.push("steps:\n- script: make\n")[0]
		check(pushed.ID, map[string]string{"Build.QueuedBy": "Slipway", "Build.QueuedById": "slipway", "Build.RequestedFor": "Ada", "Build.RequestedForId": "1",
			"Build.RequestedForEmail": "ada@example.com", "Build.DefinitionVersion": "1", "System.DefinitionName": "shop", "System.IsScheduled": "False"})
		asked, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: pushed.Pipeline, Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "2", Name: "Grace"}})
		if err != nil {
			t.Fatal(err)
		}
		check(asked.ID, map[string]string{"Build.QueuedBy": "Grace", "Build.QueuedById": "2", "Build.RequestedFor": "Grace", "Build.RequestedForEmail": ""})
	})
}
