package repos

import (
	"strings"
	"testing"

	"slipway/internal/db/dbtest"
)

// What a fork would bring is seen before anything comes over, also when the target has gone on and the fork knows nothing of it.
func TestPreviewPullRequest(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	ctx := t.Context()
	fork := w.fork()
	w.pushTo(fork, "hats", "sell hats", "hats", "1\n")
	source := w.pushTo(fork, "hats", "more hats", "hats", "2\n")
	target := w.commitOn("main", "the target goes on", "coats", "1\n")
	if there, err := w.present(ctx, fork.ID, []string{string(target)}); err != nil || there[0] {
		t.Fatalf("the fork has the target's commit: %v", err)
	}
	p, err := w.PreviewPullRequest(ctx, fork.ID, source, w.repo.ID, target)
	if err != nil || p.More || len(p.Commits) != 2 || p.Commits[0].ID != source || p.Commits[1].Subject() != "sell hats" {
		t.Fatalf("%+v, %v", p.Commits, err)
	}
	if len(p.Diff.Files) != 1 || p.Diff.Files[0].Path() != "hats" || p.Diff.Files[0].Additions != 1 {
		t.Errorf("%+v", p.Diff)
	}
	if there, err := w.present(ctx, w.repo.ID, []string{string(source)}); err != nil || there[0] {
		t.Errorf("the commit came over: %v", err)
	}
	// The other way round, the fork is asked to take what the target has.
	if p, err = w.PreviewPullRequest(ctx, w.repo.ID, target, fork.ID, source); err != nil || len(p.Commits) != 1 || p.Commits[0].ID != target {
		t.Errorf("%+v, %v", p.Commits, err)
	}
	// In one repository; and what brings nothing.
	if p, err = w.PreviewPullRequest(ctx, fork.ID, source, fork.ID, source); err != nil || len(p.Commits) != 0 || len(p.Diff.Files) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := w.PreviewPullRequest(ctx, fork.ID, "no commit", w.repo.ID, target); err == nil || !strings.Contains(err.Error(), "commit") {
		t.Errorf("no commit: %v", err)
	}
}
