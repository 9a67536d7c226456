package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/pipelines"
)

func TestRunsOfPullRequests(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		const steps = "\nsteps: [{script: make}]\n"
		w.push("trigger: none" + steps) // makes the pipeline
		ask := pipelines.PullRequest{ID: 7, Repository: "r", Title: "Sell hats", Source: "refs/heads/hats", Target: "refs/heads/main",
			SourceCommit: slipway.CommitID(strings.Repeat("a", 40)), MergeRef: "refs/pull/7/merge", MergeCommit: commit, Paths: []string{"docs/hats.md"}}
		requested := func(text string, change ...func(*pipelines.PullRequest)) []pipelines.Run {
			t.Helper()
			w.source.text = text + steps
			p := ask
			for _, f := range change {
				f(&p)
			}
			runs, err := w.PullRequested(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			return runs
		}
		draft := func(p *pipelines.PullRequest) { p.Draft = true }
		for text, change := range map[string]func(*pipelines.PullRequest){
			"trigger: [main]":                func(*pipelines.PullRequest) {},
			"pr: none":                       func(*pipelines.PullRequest) {},
			"pr: [release/*]":                func(*pipelines.PullRequest) {},
			"pr: {paths: {exclude: [docs]}}": func(*pipelines.PullRequest) {},
			"pr: {branches: {include: [main]}, drafts: false}": draft,
		} {
			if runs := requested(text, change); len(runs) != 0 {
				t.Errorf("%s starts %+v", text, runs)
			}
		}
		first := requested("pr: [main]")
		if len(first) != 1 {
			t.Fatalf("it starts %+v", first)
		}
		run := first[0]
		if id, ok := run.PullRequest(); run.Reason != "PullRequest" || run.Ref != "refs/pull/7/merge" || run.Title != "Sell hats" || !ok || id != 7 {
			t.Errorf("run %+v", run)
		}
		timeline, err := w.Timeline(ctx, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		a, err := w.Assign(ctx, timeline.Stages[0].Jobs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"Build.Reason": "PullRequest", "Build.SourceBranch": "refs/pull/7/merge", "Build.SourceBranchName": "merge",
			"System.PullRequest.PullRequestId": "7", "System.PullRequest.SourceBranch": "refs/heads/hats", "System.PullRequest.TargetBranch": "refs/heads/main",
			"System.PullRequest.SourceCommitId": strings.Repeat("a", 40)} {
			if got := a.Variables.Text(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		list, err := w.log.List(ctx, events.Filter{Kind: pipelines.EventRunQueued})
		if err != nil || len(list) == 0 {
			t.Fatalf("events of the run: %v, %v", list, err)
		}
		if id, _ := list[0].Reference(slipway.RefPullRequest); id != "7" {
			t.Errorf("the run's event refers to pull request %q", id)
		}
		if again := requested("pr: [main]"); len(again) != 1 || again[0].ID != run.ID {
			t.Errorf("told again: %+v", again)
		}
		// A push to the source has a run of its own, and the one before is canceled, unless the file lets it go on.
		pushed := func(digit string) func(*pipelines.PullRequest) {
			return func(p *pipelines.PullRequest) { p.SourceCommit = slipway.CommitID(strings.Repeat(digit, 40)) }
		}
		kept := requested("pr: {branches: {include: [main]}, autoCancel: false}", pushed("b"))
		if r, err := w.Get(ctx, run.ID); err != nil || r.Canceled || len(kept) != 1 {
			t.Errorf("with autoCancel false the run before is %+v, %v", r, err)
		}
		requested("pr: [main]", pushed("c"))
		for _, before := range []slipway.RunID{run.ID, kept[0].ID} {
			if r, err := w.Get(ctx, before); err != nil || !r.Canceled {
				t.Errorf("the run before is %+v, %v", r, err)
			}
		}
	})
}
