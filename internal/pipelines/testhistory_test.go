package pipelines_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// tested makes a run of main at a commit whose tests come to what is given; "+a" passed, "-a" failed.
func (w *world) tested(at slipway.CommitID, outcomes ...string) slipway.RunID {
	w.Helper()
	ctx := context.Background()
	w.pushes++
	if w.source.files == nil {
		w.source.files = map[slipway.CommitID]string{}
	}
	w.source.files[at] = "steps:\n- bash: test\n"
	runs, err := w.Pushed(ctx, pipelines.Push{Event: w.pushes, Repository: "r", Ref: "refs/heads/main", After: at, PathsUnknown: true})
	if err != nil || len(runs) != 1 {
		w.Fatalf("%d runs, %v", len(runs), err)
	}
	w.publish(runs[0].ID, outcomes...)
	return runs[0].ID
}

// publish starts the run's job, publishes its results and ends it. "x86 Debug/+a" is of that platform and configuration.
func (w *world) publish(run slipway.RunID, outcomes ...string) {
	w.Helper()
	ctx, id := context.Background(), w.timeline(run)["__default.Job"].ID
	if _, err := w.Assign(ctx, id); err != nil {
		w.Fatal(err)
	}
	end := job.Completion{Result: schedule.Succeeded}
	byTarget := map[string]job.TestRun{}
	for i, o := range outcomes {
		target, o, found := strings.Cut(o, "/")
		if !found {
			target, o = " ", target
		}
		r := job.TestResult{Suite: "s", Name: o[1:], Outcome: job.TestPassed, Duration: int64(i+1) * 1000}
		if o[0] == '-' {
			r.Outcome, end.Result = job.TestFailed, schedule.Failed
		}
		t := byTarget[target]
		t.Results = append(t.Results, r)
		byTarget[target] = t
	}
	step := 0
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		t := byTarget[target]
		step++
		t.Step, t.Title = step, "unit"
		t.Platform, t.Configuration, _ = strings.Cut(target, " ")
		if err := w.PutTests(ctx, id, t); err != nil {
			w.Fatal(err)
		}
	}
	if err := w.Complete(ctx, id, end); err != nil {
		w.Fatal(err)
	}
}

func TestTestsAreComparedWithTheRunBefore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		compare := func(run slipway.RunID, want pipelines.TestChanges) {
			t.Helper()
			got, err := w.CompareTests(ctx, run)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Transformer("nil", func(l []pipelines.TestName) []pipelines.TestName { return append([]pipelines.TestName{}, l...) })); diff != "" {
				t.Errorf("run %d (-want +got)\n%s", run, diff)
			}
		}
		name := func(n string) []pipelines.TestName { return []pipelines.TestName{{Suite: "s", Name: n}} }
		first := w.tested("1111111111111111111111111111111111111111", "+a", "-b", "+c")
		compare(first, pipelines.TestChanges{})
		second := w.tested("2222222222222222222222222222222222222222", "-a", "+b", "+c")
		compare(second, pipelines.TestChanges{Baseline: first, New: name("a"), Fixed: name("b")})
		// Nothing but chance lies between two attempts of one job: the test is flaky, and fails no longer.
		if err := w.RetryFailed(ctx, second, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.publish(second, "+a", "+b", "+c")
		compare(second, pipelines.TestChanges{Baseline: first, Fixed: name("b"), Flaky: name("a")})
		// b does not run here, so nobody knows; a is still known to be flaky, c fails for another reason.
		third := w.tested("3333333333333333333333333333333333333333", "+a", "-c")
		compare(third, pipelines.TestChanges{Baseline: second, New: name("c"), Flaky: name("a")})

		history, err := w.TestHistory(ctx, 1, name("a")[0], "")
		if err != nil {
			t.Fatal(err)
		}
		type row struct {
			Run     slipway.RunID
			Attempt int
			Outcome job.TestOutcome
		}
		var got []row
		for _, o := range history {
			got = append(got, row{o.Run, o.Attempt, o.Outcome})
		}
		if diff := cmp.Diff([]row{{third, 1, job.TestPassed}, {second, 2, job.TestPassed}, {second, 1, job.TestFailed}, {first, 1, job.TestPassed}}, got); diff != "" {
			t.Errorf("history (-want +got)\n%s", diff)
		}
		if other, err := w.TestHistory(ctx, 1, name("a")[0], "refs/heads/other"); err != nil || len(other) != 0 {
			t.Errorf("history of another branch: %v, %v", other, err)
		}
		slowest, err := w.SlowestTests(ctx, first, 2)
		if err != nil || len(slowest) != 2 || slowest[0].Name != "c" || slowest[0].Duration != 3*time.Millisecond || slowest[1].Name != "b" {
			t.Errorf("slowest: %+v, %v", slowest, err)
		}
	})
}

// One test for two platforms or configurations is two, with two histories: what fails for one has not failed for the other.
func TestTestsOfTwoConfigurations(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		name := func(platform, configuration string) pipelines.TestName {
			return pipelines.TestName{Suite: "s", Name: "a", Platform: platform, Configuration: configuration}
		}
		x86, x64, debug := name("x86", "Release"), name("x64", "Release"), name("x64", "Debug")
		same := func(what string, run slipway.RunID, want pipelines.TestChanges) {
			t.Helper()
			got, err := w.CompareTests(ctx, run)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("%s: %s %v", what, diff, err)
			}
		}
		first := w.tested("1111111111111111111111111111111111111111", "x86 Release/-a", "x64 Release/+a", "x64 Debug/+a")
		same("a test that fails for one platform and passes for another in one run", first, pipelines.TestChanges{})
		second := w.tested("2222222222222222222222222222222222222222", "x86 Release/-a", "x64 Release/-a", "x64 Debug/-a")
		same("new failures", second, pipelines.TestChanges{Baseline: first, New: []pipelines.TestName{debug, x64}})
		// It passes for x64 in the second attempt, and for x86 it fails again.
		if err := w.RetryFailed(ctx, second, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.publish(second, "x86 Release/-a", "x64 Release/+a", "x64 Debug/-a")
		same("after the second attempt", second, pipelines.TestChanges{Baseline: first, New: []pipelines.TestName{debug}, Flaky: []pipelines.TestName{x64}})
		third := w.tested("3333333333333333333333333333333333333333", "x86 Release/+a", "x64 Release/+a")
		same("what passes again", third, pipelines.TestChanges{Baseline: second, Fixed: []pipelines.TestName{x86}, Flaky: []pipelines.TestName{x64}})
		for test, outcomes := range map[pipelines.TestName]string{x86: "+---", x64: "++-+", debug: "--+", name("", ""): ""} {
			history, err := w.TestHistory(ctx, 1, test, "")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, o := range history {
				got += map[job.TestOutcome]string{job.TestPassed: "+", job.TestFailed: "-"}[o.Outcome]
			}
			if got != outcomes {
				t.Errorf("the history of %+v is %q, want %q", test, got, outcomes)
			}
		}
		others, err := w.TestConfigurations(ctx, 1, x64)
		if diff := cmp.Diff([]pipelines.TestName{debug, x86}, others); err != nil || diff != "" {
			t.Errorf("for what else it runs: %s %v", diff, err)
		}
		slowest, err := w.SlowestTests(ctx, first, 2)
		wantSlowest := []pipelines.TestDuration{{TestName: debug, Duration: 3 * time.Millisecond}, {TestName: x64, Duration: 2 * time.Millisecond}}
		if diff := cmp.Diff(wantSlowest, slowest); err != nil || diff != "" {
			t.Errorf("slowest: %s %v", diff, err)
		}
		runs, err := w.TestRuns(ctx, first)
		if err != nil || len(runs) != 3 || runs[0].Platform != "x64" || runs[0].Configuration != "Debug" {
			t.Errorf("test runs %+v, %v", runs, err)
		}
	})
}
