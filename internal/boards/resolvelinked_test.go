package boards_test

import (
	"context"
	"testing"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// Items that are linked to a pull request are finished by it once: what is done or removed stays, and so does what somebody reopens.
func TestResolveLinked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		pull := slipway.Ref(slipway.RefPullRequest, 7)
		bug, task, removed, other := w.create(boards.Bug, "b"), w.create(boards.Task, "t"), w.create(boards.Task, "r"), w.create(boards.Bug, "o")
		gone, active := boards.Removed, boards.Active
		if _, err := w.Update(ctx, ada, removed.ID, boards.Change{State: &gone}); err != nil {
			t.Fatal(err)
		}
		for _, i := range []boards.Item{bug, task, removed} {
			if _, err := w.Link(ctx, ada, i.ID, boards.Link{To: pull, Title: "pull request"}); err != nil {
				t.Fatal(err)
			}
		}
		moved, err := w.ResolveLinked(ctx, ada, project, pull)
		if err != nil || len(moved) != 2 {
			t.Errorf("moved %v, %v", moved, err)
		}
		if w.state(bug.ID) != boards.Resolved || w.state(task.ID) != boards.Closed || w.state(removed.ID) != boards.Removed || w.state(other.ID) != boards.New {
			t.Errorf("bug %s, task %s, removed %s, other %s", w.state(bug.ID), w.state(task.ID), w.state(removed.ID), w.state(other.ID))
		}
		if _, err := w.Update(ctx, ada, bug.ID, boards.Change{State: &active}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ResolveLinked(ctx, ada, project, pull); err != nil || w.state(bug.ID) != boards.Active {
			t.Errorf("told again after it was reopened: %s, %v", w.state(bug.ID), err)
		}
	})
}
