package pipelines_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

const explained = `
variables: {flavour: plain}
stages:
- stage: Build
  jobs:
  - job: make
    steps: [{bash: make, name: make}]
  - job: docs
    condition: eq(variables.flavour, 'fancy')
    steps: [{bash: docs}]
  - job: legs
    dependsOn: make
    strategy: {parallel: 2}
    steps: [{bash: x}]
- stage: Hand
  trigger: manual
  dependsOn: []
  jobs: [{job: J, steps: [{bash: x}]}]
- stage: Ship
  dependsOn: Build
  jobs:
  - deployment: go
    environment: production
    strategy: {runOnce: {deploy: {steps: [{bash: go}]}}}
`

// reasons are those of everything in a run, by instance or stage.
func (w *world) reasons(run slipway.RunID) map[string]string {
	w.Helper()
	list, err := w.Explain(context.Background(), run)
	if err != nil {
		w.Fatal(err)
	}
	reasons := map[string]string{}
	for _, e := range list {
		switch {
		case e.Step != "":
			reasons[e.Instance+"/"+e.Step] = e.Reason
		case e.Job != "":
			reasons[e.Instance] = e.Reason
		default:
			reasons[e.Stage] = e.Reason
		}
	}
	return reasons
}

func TestExplain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.deps.Limits = schedule.Limits{Jobs: 1}
		w.restart()
		busy := w.push(parallel(1, "default"))[0].ID
		w.pods()
		id := w.push(explained)[0].ID
		expect := func(of, want string) {
			t.Helper()
			if got := w.reasons(id)[of]; got != want {
				t.Errorf("%s %q, want %q", of, got, want)
			}
		}
		expect("Build", "runs, since succeeded() is True")
		expect("Build.make", "waits, since this installation runs 1 jobs at once; place 1 of the 1 jobs of the project that wait")
		expect("Build.docs", "was skipped: eq(variables.flavour, 'fancy') is False: variables.flavour is 'plain'")
		expect("Build.legs.Job1", "waits for job make, which is queued")
		expect("Hand", "waits for a person to start it")
		expect("Hand.J", "waits for its stage, which has not begun")
		expect("Ship", "waits for stage Build, which is running")
		w.do(busy, "__default.J.Job1", job.Completion{Result: schedule.Succeeded})
		w.pods()
		w.do(id, "Build.make", job.Completion{Result: schedule.Succeeded})
		expect("Build.make", "ran, since succeeded() is True")
		if got := w.reasons(id)["Build.legs.Job1"]; !strings.Contains(got, "since succeeded() is True; make is Succeeded") && !strings.HasPrefix(got, "waits, since this installation") {
			t.Errorf("a leg that may run %q", got)
		}
		for _, leg := range []string{"Job1", "Job2"} {
			w.do(id, "Build.legs."+leg, job.Completion{Result: schedule.Succeeded})
		}
		expect("Ship", "waits for an approval of environment shop")
		if err := w.ChecksCompleted(ctx, id, "Ship", 1, schedule.ChecksCanceled, "run 9 overtook it"); err != nil {
			t.Fatal(err)
		}
		expect("Ship", "was canceled: run 9 overtook it")
		expect("Ship.go.deploy", "did not run: its stage was canceled before it began")
		if err := w.Cancel(ctx, id, slipway.System); err != nil {
			t.Fatal(err)
		}
		expect("Build.make", "ran, since succeeded() is True") // and not: the run was canceled
		w.replays(id, 0)
	})
}

// replays decides again over what was recorded of a run, and wants so many moments to differ.
func (w *world) replays(run slipway.RunID, differ int) []pipelines.Decision {
	w.Helper()
	list, err := w.Replay(context.Background(), run)
	if err != nil {
		w.Fatal(err)
	}
	n := 0
	for _, d := range list {
		if d.Difference != "" {
			n++
			if differ == 0 {
				w.Errorf("moment %d %v: %s", d.Number, d.Changes, d.Difference)
			}
		}
	}
	if n != differ {
		w.Errorf("%d of %d moments differ, want %d", n, len(list), differ)
	}
	return list
}

// What was decided in a run with outputs, a matrix of an expression, a failure, retries and a server that was killed is decided again.
func TestReplay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		if _, err := w.PutGroup(ctx, pipelines.Group{Project: "p", Name: "shared", Variables: []pipelines.GroupVariable{{Name: "go", Value: "yes"}}}, slipway.Actor{}); err != nil {
			t.Fatal(err)
		}
		id := w.push(`
jobs:
- job: make
  variables: [{group: shared}]
  condition: eq(variables.go, 'yes')
  steps: [{bash: make, name: s}]
- job: legs
  dependsOn: make
  variables: {unused: "$[ dependencies.make.outputs['s.x'] ]"}
  strategy:
    matrix: $[ dependencies.make.outputs['s.legs'] ]
  steps: [{bash: x}]
- job: last
  dependsOn: legs
  condition: failed()
  steps: [{bash: x}]
`)[0].ID
		w.do(id, "__default.make", job.Completion{Result: schedule.Succeeded, Outputs: map[string]string{"s.x": "1", "s.legs": `{"a": {"v": "1"}, "b": {"v": "2"}}`}})
		w.restart() // another server goes on
		w.do(id, "__default.legs.a", job.Completion{Result: schedule.Failed})
		w.do(id, "__default.legs.b", job.Completion{Result: schedule.Succeeded})
		w.do(id, "__default.last", job.Completion{Result: schedule.Succeeded})
		if got := w.result(id); got != schedule.Failed {
			t.Fatalf("result %q", got)
		}
		if err := w.RetryFailed(ctx, id, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.do(id, "__default.legs.a", job.Completion{Result: schedule.Succeeded})
		if got := w.result(id); got != schedule.Succeeded {
			t.Fatalf("result after the retry %q", got)
		}
		list := w.replays(id, 0)
		said := func(d pipelines.Decision) bool {
			return slices.ContainsFunc(d.Decisions, func(text string) bool { return strings.HasPrefix(text, "job __default.legs gets 2 legs") })
		}
		if !slices.ContainsFunc(list, said) {
			t.Errorf("nothing is said of the legs: %+v", list)
		}
		// A variable group that was changed would decide otherwise today, which is said.
		if _, err := w.PutGroup(ctx, pipelines.Group{Project: "p", Name: "shared", Variables: []pipelines.GroupVariable{{Name: "go", Value: "no"}}}, slipway.Actor{}); err != nil {
			t.Fatal(err)
		}
		differs, err := w.Replay(ctx, id)
		said = func(d pipelines.Decision) bool {
			return strings.Contains(d.Difference, "now: job __default.make ends as Skipped without running: eq(variables.go, 'yes') is False: variables.go is 'no'")
		}
		if err != nil || !slices.ContainsFunc(differs, said) {
			t.Errorf("%+v, %v", differs, err)
		}
	})
}
