package pipelines_test

import (
	"strings"
	"testing"

	"slipway/internal/db/dbtest"
)

// A job in a container that checks something out has the pool's image beside it, whose git does that if its own has none.
func TestCheckoutBesideAContainer(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.reconcile()
	for file, want := range map[string]bool{
		"container: 'golang:1'\nsteps:\n- bash: x\n":                                     true,
		"container: 'golang:1'\nsteps:\n- checkout: self\n- {bash: x, target: host}\n":   true,
		"container: 'golang:1'\nsteps:\n- checkout: none\n- bash: x\n":                   false,
		"container: 'golang:1'\nsteps:\n- {checkout: self, enabled: false}\n- bash: x\n": false,
		"pool: {vmImage: ubuntu-latest}\nsteps:\n- checkout: self\n- bash: x\n":          false,
	} {
		run := w.push(file)[0]
		if len(run.Problems) > 0 {
			t.Fatal(run.Problems)
		}
		name := <-w.cluster.began
		w.cluster.mu.Lock()
		targets := w.cluster.pods[name].Targets
		w.cluster.mu.Unlock()
		if want != (len(targets) == 1) || want && (targets[0].Name != "host" || !strings.HasSuffix(targets[0].Image, "/slipway/job:latest")) {
			t.Errorf("%s: targets %+v", file, targets)
		}
		a, err := w.Assign(t.Context(), w.timeline(run.ID)["__default.Job"].ID)
		if err != nil || a.HasHost != want {
			t.Errorf("%s: the agent is told %t, %v", file, a.HasHost, err)
		}
	}
}

// Jobs of a stage that did not run are over, and skipped as it is.
func TestJobsOfASkippedStage(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	run := w.push("stages:\n- stage: A\n  condition: false\n  jobs:\n  - job: one\n    steps: [{bash: x}]\n  - job: two\n    strategy: {matrix: {a: {x: 1}, b: {x: 2}}}\n    steps: [{bash: x}]\n")[0]
	timeline, err := w.Timeline(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if stage := timeline.Stages[0]; len(stage.Jobs) != 3 || stage.Result != "Skipped" {
		t.Fatalf("stage %+v", stage)
	}
	for _, j := range timeline.Stages[0].Jobs {
		if !over(j) || j.Result != "Skipped" {
			t.Errorf("job %s is %s, %s", j.Instance, j.State, j.Result)
		}
	}
}
