package repos

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

func TestBranchLocks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := newReviewWorld(t, d)
		main := w.pull(w.pr).TargetCommit
		lock := func(who, ref string, on, anyway bool) error {
			return w.LockBranch(ctx, w.users[who], w.repo.ID, ref, on, anyway)
		}
		wantCode(t, "lock a tag", lock("Ben", "refs/tags/v1", true, false), slipway.CodeInvalid)
		wantCode(t, "lock nothing", lock("Ben", "refs/heads/nowhere", true, false), slipway.CodeNotFound)
		for range 2 { // again changes nothing
			if err := lock("Ben", "refs/heads/main", true, false); err != nil {
				t.Fatal(err)
			}
		}
		commit := func() error {
			_, err := w.CommitFiles(ctx, CommitRequest{Repository: w.repo.ID, Branch: "main", Message: "x", Changes: []Change{{Path: "x", Content: []byte("x")}}, Author: cleo, Actor: w.users["Ben"]})
			return err
		}
		complete := func() error {
			_, err := w.CompletePullRequest(ctx, w.pr, CompleteRequest{Actor: w.users["Ada"], Committer: cleo})
			return err
		}
		push := func(option ...string) []string {
			lines, err := w.lockRefusals(ctx, w.repo.ID, pushCheck{options: option, moves: []refMove{{Ref: "refs/heads/main", Before: main, After: w.pull(w.pr).SourceCommit}}})
			if err != nil {
				t.Fatal(err)
			}
			return lines
		}
		wantCode(t, "commit", commit(), slipway.CodeConflict)
		wantCode(t, "complete", complete(), slipway.CodeConflict)
		wantCode(t, "move", w.updateOne(ctx, w.repo.ID, w.users["Ben"], RefUpdate{Name: "refs/heads/main", Old: string(main), New: string(w.pull(w.pr).SourceCommit)}), slipway.CodeConflict)
		for _, lines := range [][]string{push(), push(bypassOption + "in a hurry")} { // it is no policy that one bypasses
			if len(lines) != 1 || !strings.Contains(lines[0], "Branch main is locked by Ben") {
				t.Errorf("a push is refused by %q", lines)
			}
		}
		wantCode(t, "unlock another's", lock("Ada", "refs/heads/main", false, false), slipway.CodeForbidden)
		if err := lock("Ada", "refs/heads/main", false, true); err != nil {
			t.Errorf("unlock as an administrator: %v", err)
		}
		if lines := push(); len(lines) > 0 {
			t.Errorf("unlocked, a push is refused by %q", lines)
		}
		// The source is locked: it is not deleted, and takes no suggestions.
		if err := lock("Ada", "refs/heads/topic", true, false); err != nil {
			t.Fatal(err)
		}
		_, err := w.CompletePullRequest(ctx, w.pr, CompleteRequest{Actor: w.users["Ada"], Committer: cleo, Completion: Completion{DeleteSource: true}})
		wantCode(t, "complete and delete", err, slipway.CodeConflict)
		if err := complete(); err != nil {
			t.Errorf("complete: %v", err)
		}
		// A repository with everything that belongs to a pull request goes.
		if err := w.SetProperties(ctx, ada, w.pr, []Property{{Name: "a", Kind: PropertyString, Value: "b"}}, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.Trash(ctx, w.repo.ID, ada); err != nil {
			t.Fatal(err)
		}
		if err := w.Purge(ctx, w.repo.Project, w.repo.ID, ada); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
}
