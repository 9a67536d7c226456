package repos

import (
	"context"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/repos/policy"
)

func TestRetarget(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := newReviewWorld(t, d)
		base := w.pull(w.pr).TargetCommit
		w.branch("release", base)
		w.push("Ada", "release", "notes", "1\n")
		w.branch("empty", w.pull(w.pr).SourceCommit)
		owners := w.policy(policy.RequiredReviewers, policy.Settings{RequiredReviewerIDs: []string{w.users["Ben"].ID, w.users["Cleo"].ID}, MinimumApproverCount: 2})
		if _, err := w.IncludeReviewers(ctx, w.pull(w.pr)); err != nil {
			t.Fatal(err)
		}
		w.vote("Ben", VoteApproved)
		if _, err := w.SetAutoComplete(ctx, w.users["Ada"], w.pr, &AutoComplete{By: w.users["Ada"], Committer: cleo}); err != nil {
			t.Fatal(err)
		}
		to := func(target string) (PullRequest, error) {
			return w.UpdatePullRequest(ctx, w.users["Ada"], w.pr, PullRequestChange{Target: &target})
		}
		for target, code := range map[string]slipway.Code{"nowhere": slipway.CodeInvalid, "topic": slipway.CodeInvalid, "empty": slipway.CodeInvalid} {
			_, err := to(target)
			wantCode(t, "retarget to "+target, err, code)
		}
		if p, err := to("refs/heads/main"); err != nil || p.AutoComplete == nil {
			t.Errorf("to what it is already: %+v, %v", p, err)
		}
		p, err := to("release")
		if err != nil {
			t.Fatal(err)
		}
		if p.Target != "refs/heads/release" || p.TargetCommit != slipway.CommitID(w.git("", "rev-parse", "release")) || p.MergeStatus != MergeSucceeded || p.AutoComplete != nil {
			t.Errorf("retargeted: %+v", p)
		}
		// The trial merge is what git makes of the two branches.
		if tree, want := w.git("", "rev-parse", string(p.MergeCommit)+"^{tree}"), w.git("", "merge-tree", "--write-tree", "release", "topic"); tree != want {
			t.Errorf("trial merge has tree %s, git makes %s", tree, want)
		}
		iterations, err := w.Iterations(ctx, w.pr)
		if err != nil || len(iterations) != 2 || iterations[1].TargetCommit != p.TargetCommit || iterations[1].SourceCommit != p.SourceCommit {
			t.Errorf("iterations %+v, %v", iterations, err)
		}
		// Whom the old target's policy asked is asked no more; who voted stays, and is required no more.
		reviewers, err := w.Reviewers(ctx, w.pr)
		if err != nil || len(reviewers) != 1 || reviewers[0].Actor.Name != "Ben" || reviewers[0].Required || reviewers[0].Policy == owners.ID {
			t.Errorf("reviewers %+v, %v", reviewers, err)
		}
		if p, err = w.CompletePullRequest(ctx, w.pr, CompleteRequest{Actor: w.users["Ada"], Committer: cleo}); err != nil || p.Status != PullRequestCompleted {
			t.Fatalf("complete: %+v, %v", p, err)
		}
		if main := slipway.CommitID(w.git("", "rev-parse", "main")); main != base {
			t.Errorf("main moved to %s", main)
		}
		_, err = to("main")
		wantCode(t, "retarget a completed one", err, slipway.CodeConflict)
	})
}

// A pull request out of the default branch does not delete it.
func TestDefaultSourceStays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newReviewWorld(t, dbtest.SQLite(t))
	w.branch("release", w.pull(w.pr).TargetCommit)
	w.commit("more", "b", "1\n")
	p, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Source: "main", Target: "release", Title: "Release", Actor: w.users["Ada"]})
	if err != nil {
		t.Fatal(err)
	}
	ask := CompleteRequest{Actor: w.users["Ada"], Committer: cleo, Completion: Completion{DeleteSource: true}}
	_, err = w.CompletePullRequest(ctx, p.ID, ask)
	wantCode(t, "complete and delete main", err, slipway.CodeConflict)
	_, err = w.SetAutoComplete(ctx, w.users["Ada"], p.ID, &AutoComplete{By: w.users["Ada"], Committer: cleo, Completion: ask.Completion})
	wantCode(t, "complete later and delete main", err, slipway.CodeConflict)
	ask.DeleteSource = false
	if _, err = w.CompletePullRequest(ctx, p.ID, ask); err != nil {
		t.Error(err)
	}
}
