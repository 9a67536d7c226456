package main

import (
	"context"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// What is done to a run is said; once, --retain and --delete said nothing.
func TestRunsCommand(t *testing.T) {
	t.Parallel()
	s, data := served(t, oneStep)
	ctx := context.Background()
	runID, id := startedJob(t, s)
	if err := s.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
		t.Fatal(err)
	}
	number := runID.String()
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
