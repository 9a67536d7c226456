package environments_test

import (
	"context"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
)

func TestReviewApps(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		base, err := w.Create(ctx, environments.NewEnvironment{Project: "p", ProjectName: "Shop", Name: "staging"}, ada)
		if err != nil {
			t.Fatal(err)
		}
		ensure := func(pull slipway.PullRequestID, open bool) environments.Environment {
			t.Helper()
			e, err := w.EnsureReview(ctx, base, "Shop", pull, open, ada)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		e := ensure(7, true)
		if e.Name != "staging-pr-7" || e.Namespace != base.Namespace+"-pr-7" || e.Cluster != base.Cluster || e.ReviewOf != base.ID || e.PullRequest != 7 {
			t.Errorf("review app %+v", e)
		}
		if again := ensure(7, true); again.ID != e.ID {
			t.Errorf("asked for again it is %+v", again)
		}
		list := func(pull slipway.PullRequestID, of slipway.EnvironmentID, want ...slipway.EnvironmentID) {
			t.Helper()
			got, err := w.Reviews(ctx, pull, of)
			if err != nil || len(got) != len(want) {
				t.Fatalf("review apps of %d, %d: %+v, %v, want %v", pull, of, got, err, want)
			}
			for i := range got {
				if got[i].ID != want[i] {
					t.Errorf("review app %d is %d, want %d", i, got[i].ID, want[i])
				}
			}
		}
		other := ensure(8, true)
		list(7, 0, e.ID)
		list(0, base.ID, e.ID, other.ID)
		for range 2 {
			if err := w.RemoveReview(ctx, e.ID, ada); err != nil {
				t.Fatal(err)
			}
		}
		list(7, 0)
		if closed := ensure(7, false); closed.Removed.IsZero() {
			t.Errorf("a pull request that is closed brings back %+v", closed)
		}
		if late := ensure(9, false); late.Removed.IsZero() { // it closed before anything was deployed
			t.Errorf("a closed pull request gets %+v", late)
		}
		if all, err := w.List(ctx, "p"); err != nil || len(all) != 2 {
			t.Errorf("environments %+v, %v, want staging and one review app", all, err)
		}
		if back := ensure(7, true); back.ID != e.ID || !back.Removed.IsZero() {
			t.Errorf("opened again it is %+v", back)
		}
		if err := w.RemoveReview(ctx, base.ID, ada); err != nil {
			t.Fatal(err)
		}
		if kept, err := w.Get(ctx, base.ID); err != nil || !kept.Removed.IsZero() {
			t.Errorf("an environment that is no review app is removed: %+v, %v", kept, err)
		}
		if _, err := w.Create(ctx, environments.NewEnvironment{Project: "p", ProjectName: "Shop", Name: "staging-pr-10"}, ada); err != nil {
			t.Fatal(err)
		}
		if _, err := w.EnsureReview(ctx, base, "Shop", 10, true, ada); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("an environment of one's own becomes a review app: %v", err)
		}
	})
}
