package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/pipelines"
)

// The event log has who changed which variables of a group, and never a value.
func TestVariableGroupEvents(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		ada := slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}
		put := func(variables ...pipelines.GroupVariable) pipelines.Group {
			t.Helper()
			g, err := w.PutGroup(ctx, pipelines.Group{Project: "p", Name: "Shared", Variables: variables}, ada)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		put(pipelines.GroupVariable{Name: "region", Value: "eu-of-old"}, pipelines.GroupVariable{Name: "Key", Value: "hunter2", Secret: true})
		put(pipelines.GroupVariable{Name: "REGION", Value: "eu-of-old"}, pipelines.GroupVariable{Name: "key", Secret: true}, pipelines.GroupVariable{Name: "new", Value: "x"})
		put(pipelines.GroupVariable{Name: "region", Value: "us"}, pipelines.GroupVariable{Name: "key", Value: "hunter3", Secret: true})
		g := put(pipelines.GroupVariable{Name: "region", Value: "us"})
		if err := w.DeleteGroup(ctx, "p", g.ID, ada); err != nil {
			t.Fatal(err)
		}
		list, err := w.log.List(ctx, events.Filter{Project: "p"})
		if err != nil {
			t.Fatal(err)
		}
		var got []pipelines.VariableGroupPayload
		for _, e := range list {
			if !strings.HasPrefix(string(e.Kind), "pipelines.variable_group") {
				continue
			}
			if e.Actor != ada || strings.Contains(string(e.Payload), "hunter") || strings.Contains(string(e.Payload), "eu-of-old") {
				t.Errorf("event %s by %v: %s", e.Kind, e.Actor, e.Payload)
			}
			var p pipelines.VariableGroupPayload
			if err := e.Decode(&p); err != nil {
				t.Fatal(err)
			}
			got = append(got, p)
		}
		want := []pipelines.VariableGroupPayload{ // newest first
			{Group: g.ID, Name: "Shared"},
			{Group: g.ID, Name: "Shared", Removed: []string{"key"}},
			{Group: g.ID, Name: "Shared", Set: []string{"key", "region"}, Removed: []string{"new"}},
			{Group: g.ID, Name: "Shared", Set: []string{"new"}},
			{Group: g.ID, Name: "Shared", Set: []string{"Key", "region"}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
