package repos

import (
	"context"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// What a merge that moves no branch made is kept for 30 days, and longer when it was asked for again.
func TestMergesExpire(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := diverged(t, dbtest.SQLite(t))
	main, topic := slipway.CommitID(w.git("", "rev-parse", "main")), slipway.CommitID(w.git("", "rev-parse", "topic"))
	merge := func(at time.Time) Merge {
		t.Helper()
		m, err := w.MergeCommits(ctx, MergeRequest{Repository: w.repo.ID, Parents: []slipway.CommitID{main, topic}, Message: "both\n",
			Committer: Signature{Name: "Ben", Email: "ben@example.org", Time: at}, Actor: ada})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first, second := merge(time.Unix(1_700_000_000, 0)), merge(time.Unix(1_800_000_000, 0))
	again := merge(time.Unix(1_800_000_000, 0))
	if first.Commit == second.Commit || second.Commit != again.Commit {
		t.Fatalf("merges %+v, %+v, %+v", first, second, again)
	}
	if tree, want := w.git("", "rev-parse", string(first.Commit)+"^{tree}"), w.git("", "merge-tree", "--write-tree", "main", "topic"); tree != want {
		t.Errorf("merge has tree %s, git makes %s", tree, want)
	}
	old := db.Micros(time.Now().Add(-mergeKept - time.Hour))
	if _, err := w.db.ExecContext(ctx, `UPDATE git_picks SET created = $1 WHERE id IN ($2, $3)`, old, first.ID, second.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.expireMerges(ctx, w.repo.ID); err != nil {
		t.Fatal(err)
	}
	if got, want := w.git("", "for-each-ref", "--format=%(refname)", mergePrefix), mergePrefix+string(again.Commit); got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
	_, err := w.MergeByID(ctx, w.repo.ID, first.ID)
	wantCode(t, "an old merge", err, slipway.CodeNotFound)
	if m, err := w.MergeByID(ctx, w.repo.ID, again.ID); err != nil || m.Commit != again.Commit {
		t.Errorf("the merge that is kept: %+v, %v", m, err)
	}
}
