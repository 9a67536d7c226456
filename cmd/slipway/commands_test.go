package main

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/pipelines/schedule"
)

// What is done to a run is said; once, --retain and --delete said nothing.
func TestRunsCommand(t *testing.T) {
	t.Parallel()
	s, data := served(t, oneStep)
	ctx := context.Background()
	runs, err := s.Pushed(ctx, pipelines.Push{Event: 1, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true, Actor: slipway.System})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	timeline, err := s.Timeline(ctx, runs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	id := timeline.Stages[0].Jobs[0].ID
	if _, err := s.Assign(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
		t.Fatal(err)
	}
	number := runs[0].ID.String()
	f := func(want string, args ...string) {
		t.Helper()
		out, err := run(append([]string{"runs", number, "--data", data}, args...)...)
		if err != nil {
			out = err.Error()
		}
		if !strings.Contains(out, want) {
			t.Errorf("%v:\n%s\nwant %s", args, out, want)
		}
	}
	f("run " + number + ", ")
	f("run "+number+" is kept whatever its age, until `slipway runs "+number+" --release`\nrun "+number+", ", "--retain")
	f(" is retained by User:ada: end that first", "--delete")
	f("run "+number+" is kept no longer than its pipeline and project keep it: ", "--release")
	f("all decided as they were", "--replay")
	f("since succeeded() is True", "--explain")
	f("[release retain] were all set", "--retain", "--release")
	f("--stage, --job and --all go with --retry", "--stage", "Build")
	f("run "+number+" is deleted\n", "--delete")
	f(" was deleted on ", "--retain")
}
