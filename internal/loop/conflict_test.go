package loop

import (
	"testing"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// A pull request that conflicts is not built. A suggestion that is applied and the conflict that is resolved are pushes like any others: it is built then,
// and with its threads resolved auto-complete brings it to the protected branch.
func TestConflictToMerge(t *testing.T) {
	t.Parallel()
	w := newReviewWorld(t)
	ctx := t.Context()
	w.commit("main", "hats", "felt\n")
	w.commit("topic", "hats", "straw\n")
	p, err := w.Repos.CreatePullRequest(ctx, repos.NewPullRequest{Repository: w.repo.ID, Source: "topic", Target: "main", Title: "Sell hats", Actor: w.ada})
	if err != nil {
		t.Fatal(err)
	}
	if p.MergeStatus != repos.MergeConflicts {
		t.Fatalf("the trial merge: %s", p.MergeStatus)
	}
	_, err = w.Repos.SetAutoComplete(ctx, w.ada, p.ID, &repos.AutoComplete{By: w.ada, Committer: repos.Signature{Name: "Ada"}})
	if err != nil {
		t.Fatal(err)
	}
	w.policy(policy.Comments, policy.Settings{})
	w.policy(policy.Build, policy.Settings{BuildDefinitionID: int64(w.pipeline), QueueOnSourceUpdateOnly: true})
	w.deliver()
	runs := func(want int) []pipelines.Run {
		t.Helper()
		list, err := w.Pipelines.List(ctx, pipelines.RunFilter{Project: w.project, Ref: p.MergeRef()})
		if err != nil || len(list) != want {
			t.Fatalf("%d runs, %v; want %d", len(list), err, want)
		}
		return list
	}
	runs(0)
	thread, err := w.Repos.StartThread(ctx, repos.NewThread{PullRequest: p.ID, Place: repos.Place{Path: "hats", Side: repos.Right, Line: 1},
		Text: "```suggestion\nstraw, in summer\n```", Actor: w.ada})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Repos.ApplySuggestions(ctx, repos.ApplyRequest{PullRequest: p.ID, Suggestions: []repos.SuggestionRef{{Thread: thread.ID, Comment: 1}},
		Author: repos.Signature{Name: "Ada"}, Actor: w.ada}); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	runs(0)
	now, err := w.Repos.PullRequest(ctx, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Repos.ResolveConflicts(ctx, repos.ResolveRequest{PullRequest: p.ID, Source: now.SourceCommit, Target: now.TargetCommit,
		Files: []repos.Resolution{{Path: "hats", Text: []byte("felt\nstraw, in summer\n")}}, Author: repos.Signature{Name: "Ada"}, Actor: w.ada}); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	w.end(runs(1)[0].ID, schedule.Succeeded)
	w.deliver()
	if now, err = w.Repos.PullRequest(ctx, p.ID); err != nil || now.Status != repos.PullRequestCompleted {
		all, _ := w.Repos.Evaluations(ctx, now)
		t.Fatalf("at the end it is %s, %v: %+v", now.Status, err, all)
	}
	if text, err := w.Repos.ReadFile(ctx, w.repo.ID, now.MergeCommit, "hats", 100); err != nil || string(text) != "felt\nstraw, in summer\n" {
		t.Errorf("the branch got %q, %v", text, err)
	}
}
