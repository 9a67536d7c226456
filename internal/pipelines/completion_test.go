package pipelines_test

import (
	"context"
	"fmt"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

const library = "stages:\n- stage: Build\n  jobs: [{job: make, steps: [{bash: make}]}]\n- stage: Ship\n  jobs: [{job: go, steps: [{bash: go}]}]\n"

// application runs after the library; more is its trigger.
func application(more string) string {
	return "trigger: none\nresources:\n  pipelines:\n  - pipeline: Lib\n    source: library\n    branch: main\n    trigger: " + more + "\nsteps:\n- download: Lib\n"
}

// pair is a world with the pipelines library, of azure-pipelines.yml, and app, of other.yml of the repository.
func pair(t *testing.T, d *db.DB, app string, repository slipway.RepositoryID) *world {
	t.Helper()
	w := setup(t, d)
	w.source.text, w.source.other = library, app
	w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commit}
	for _, p := range []pipelines.Definition{{Name: "library", Repository: "r", Path: pipelines.DefaultPath}, {Name: "app", Repository: repository, Path: "other.yml"}} {
		p.Project = "p"
		if _, err := w.CreateDefinition(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	w.startOwed() // reads the branches
	return w
}

// of lists the runs of a pipeline, oldest first.
func (w *world) of(name string) (list []pipelines.Run) {
	w.Helper()
	for _, run := range w.runs() {
		if run.PipelineName == name {
			list = append(list, run)
		}
	}
	return list
}

func (w *world) advanced(run slipway.RunID) {
	w.Helper()
	for range 2 { // told twice
		if err := w.Advanced(context.Background(), run); err != nil {
			w.Fatal(err)
		}
	}
}

func TestRunAfterAnother(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := pair(t, d, application("{branches: [main, releases/*]}"), "r"), context.Background()
		first := w.pushPaths(7, "main")[0]
		w.do(first.ID, "Build.make", job.Completion{Result: schedule.Succeeded})
		w.advanced(first.ID)
		w.do(first.ID, "Ship.go", job.Completion{Result: schedule.Failed})
		w.advanced(first.ID)
		if runs := w.of("app"); len(runs) != 0 {
			t.Fatalf("a run that failed starts %+v", runs)
		}
		if err := w.RetryFailed(ctx, first.ID, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.do(first.ID, "Ship.go", job.Completion{Result: schedule.Succeeded})
		w.advanced(first.ID)
		runs := w.of("app")
		if len(runs) != 1 || runs[0].Reason != variable.ReasonResourceTrigger || runs[0].Ref != "refs/heads/main" || runs[0].Commit != commitOf(7) || runs[0].Actor.Name != "Ada" {
			t.Fatalf("runs after it: %+v", runs)
		}
		// A later run of the library changes nothing: what a run takes from is settled.
		second := w.pushPaths(8, "main")[0]
		w.do(second.ID, "Build.make", job.Completion{Result: schedule.Succeeded})
		w.do(second.ID, "Ship.go", job.Completion{Result: schedule.Succeeded})
		a := w.do(runs[0].ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		if a.Runs["lib"] != first.ID || a.Variables.Text("resources.pipeline.Lib.runID") != first.ID.String() || a.Variables.Text("resources.pipeline.lib.sourceCommit") != string(commitOf(7)) ||
			a.Variables.Text("resources.triggeringAlias") != "Lib" || a.Variables.Text("Build.Reason") != "ResourceTrigger" {
			t.Errorf("assignment %+v", a)
		}
		// By hand, it is the latest that succeeded.
		byHand, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: runs[0].Pipeline})
		if err != nil {
			t.Fatal(err)
		}
		if sources, err := w.Sources(ctx, byHand.ID); err != nil || len(sources) != 1 || sources[0] != (pipelines.RunSource{Alias: "lib", Source: second.ID}) {
			t.Errorf("sources %+v, %v", sources, err)
		}
		other := w.pushPaths(9, "feature")[0]
		w.do(other.ID, "Build.make", job.Completion{Result: schedule.Succeeded})
		w.do(other.ID, "Ship.go", job.Completion{Result: schedule.Succeeded})
		w.advanced(other.ID)
		if n := len(w.of("app")); n != 2 {
			t.Errorf("%d runs after a branch that does not trigger", n)
		}
	})
}

func TestRunAfterStages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := pair(t, d, application("{stages: [build]}"), "elsewhere")
		run := w.pushPaths(7, "main")[0]
		w.advanced(run.ID)
		if n := len(w.of("app")); n != 0 {
			t.Fatalf("%d runs before the stage", n)
		}
		w.do(run.ID, "Build.make", job.Completion{Result: schedule.Succeeded})
		w.advanced(run.ID)
		runs := w.of("app")
		if len(runs) != 1 || runs[0].Commit != commit { // of another repository: its default branch
			t.Fatalf("runs after the stage: %+v", runs)
		}
		w.do(run.ID, "Ship.go", job.Completion{Result: schedule.Failed})
		w.advanced(run.ID)
		if n := len(w.of("app")); n != 1 {
			t.Errorf("%d runs after the whole run", n)
		}
		// A file that names the library no more is not started by it.
		w.source.other = "trigger: none\nsteps:\n- bash: x\n"
		if _, err := w.Pushed(context.Background(), pipelines.Push{Event: 20, Repository: "elsewhere", Ref: "refs/heads/main", After: commitOf(20)}); err != nil {
			t.Fatal(err)
		}
		next := w.pushPaths(21, "main")[0]
		w.do(next.ID, "Build.make", job.Completion{Result: schedule.Succeeded})
		w.advanced(next.ID)
		if n := len(w.of("app")); n != 1 {
			t.Errorf("%d runs after the trigger was taken out", n)
		}
	})
}

// Pipelines that start one another stop where they began.
func TestRunsThatStartOneAnotherEnd(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := pair(t, d, application("true"), "r")
		w.source.files = map[slipway.CommitID]string{commitOf(7): fmt.Sprintf("resources:\n  pipelines:\n  - {pipeline: App, source: app, trigger: true}\n%s", library)}
		run := w.pushPaths(7, "main")[0]
		w.do(run.ID, "Build.make", job.Completion{Result: schedule.Succeeded})
		w.do(run.ID, "Ship.go", job.Completion{Result: schedule.Succeeded})
		w.advanced(run.ID)
		app := w.of("app")
		if len(app) != 1 {
			t.Fatalf("%d runs of app", len(app))
		}
		w.end(app[0].ID, schedule.Succeeded)
		w.advanced(app[0].ID)
		if n := len(w.of("library")); n != 1 {
			t.Errorf("%d runs of the library, want the first alone", n)
		}
	})
}
