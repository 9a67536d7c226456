package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

const open = `
variables:
  limit: 7
  day: $[ format('{0:yyyy}', pipeline.startTime) ]
jobs:
- job: A
  timeoutInMinutes: $[ variables.limit ]
  variables:
    n: $[counter('of the job', 3)]
    version: $[ resources.repositories['self'].version ]
  steps:
  - checkout: none
  - bash: x
    timeoutInMinutes: $(limit)
`

func TestRunsWithoutTheCommitsMessage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		if run := w.push("steps: [{bash: x}]\n")[0]; run.Title != "Sell hats" {
			t.Errorf("title %q", run.Title)
		}
		if run := w.push("appendCommitMessageToRunName: false\nsteps: [{bash: x}]\n")[0]; run.Title != "shop" {
			t.Errorf("title %q", run.Title)
		}
	})
}

// What the file leaves open is settled when the run is queued, for all of its life.
func TestWhatIsKnownWhenARunIsQueued(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		id := w.push(open)[0].ID
		a := w.do(id, "__default.A", job.Completion{Result: schedule.Succeeded})
		if a.TimeoutInMinutes != 7 || a.Steps[0].TimeoutInMinutes != 7 {
			t.Errorf("the job may take %d minutes, its step %d", a.TimeoutInMinutes, a.Steps[0].TimeoutInMinutes)
		}
		run, err := w.Get(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"n": "3", "version": string(commit), "day": run.Queued.UTC().Format("2006"),
			"System.PipelineStartTime": run.Queued.UTC().Format("2006-01-02 15:04:05+00:00")} {
			if got := a.Variables.Text(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		// The counter goes on with the next run, whose variable is no number.
		next := w.push(open)[0].ID
		if got := w.do(next, "__default.A", job.Completion{Result: schedule.Succeeded}).Variables.Text("n"); got != "4" {
			t.Errorf("the counter of the next run is %q", got)
		}
		runs := w.push(strings.Replace(open, "limit: 7", "limit: soon", 1))
		want := `timeoutInMinutes of job A is "soon" when the run is queued: it must be a whole number from 0 to 525600`
		if len(runs) != 1 || len(runs[0].Problems) != 1 || runs[0].Problems[0].Message != want || runs[0].Result != schedule.Failed {
			t.Errorf("%+v", runs)
		}
		_, err = w.Queue(context.Background(), pipelines.QueueRequest{Pipeline: run.Pipeline, Actor: slipway.System, Variables: variable.Of(map[string]string{"limit": "600000"})})
		if slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("a limit that is too long: %v", err)
		}
	})
}
