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
)

const ofAnotherProject = `
trigger: none
variables: {line: main}
resources:
  pipelines:
  - pipeline: Lib
    source: library
    project: Tools
    trigger: true
steps:
- checkout: none
- download: Lib
- task: DownloadPipelineArtifact@2
  inputs: {source: specific, project: tools, pipeline: NUMBER, runVersion: latestFromBranch, runBranch: refs/heads/$(line)}
`

// Another project's pipelines start runs and give their artifacts where jobs reach other projects, and nowhere else.
func TestPipelinesOfAnotherProject(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.deps.Project = func(_ context.Context, name string) (slipway.ProjectID, error) {
			if !strings.EqualFold(name, "tools") && name != "q" {
				return "", slipway.NotFound("there is no project %q", name)
			}
			return "q", nil
		}
		w.restart()
		w.source.text = library
		w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commit}
		lib, err := w.CreateDefinition(ctx, pipelines.Definition{Project: "q", Name: "library", Repository: "r", Path: pipelines.DefaultPath})
		if err != nil {
			t.Fatal(err)
		}
		w.source.other = strings.Replace(ofAnotherProject, "NUMBER", lib.ID.String(), 1)
		app, err := w.CreateDefinition(ctx, pipelines.Definition{Project: "p", Name: "app", Repository: "elsewhere", Path: "other.yml"})
		if err != nil {
			t.Fatal(err)
		}
		w.startOwed()
		built := func(event int64) slipway.RunID {
			t.Helper()
			run := w.pushPaths(event, "main")[0]
			w.do(run.ID, "Build.make", job.Completion{Result: schedule.Succeeded})
			w.do(run.ID, "Ship.go", job.Completion{Result: schedule.Succeeded})
			w.advanced(run.ID)
			return run.ID
		}
		refused := func(want string) {
			t.Helper()
			if _, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: app.ID, Actor: ada.Actor}); slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
		built(7)
		refused(`pipeline library is of project Tools, and jobs here reach their own project alone: an administrator of this installation, and then one of this project,`)
		if err := w.SetJobScope(ctx, "", false, ada.Actor); err != nil {
			t.Fatal(err)
		}
		refused(`an administrator of this project switches off "Limit job authorization scope to current project"`)
		if n := len(w.of("app")); n != 0 {
			t.Fatalf("%d runs that must not be", n)
		}
		if err := w.SetJobScope(ctx, "p", false, ada.Actor); err != nil {
			t.Fatal(err)
		}
		second := built(8)
		runs := w.of("app")
		if len(runs) != 1 {
			t.Fatalf("%d runs of app", len(runs))
		}
		a := w.do(runs[0].ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		if len(runs[0].Problems) > 0 || a.Runs["lib"] != second || a.Runs["latest of "+lib.ID.String()+" of refs/heads/main in tools"] != second {
			t.Errorf("problems %v, runs %v, want run %d for both", runs[0].Problems, a.Runs, second)
		}
		for id, want := range map[slipway.RunID]bool{runs[0].ID: true, second: false} { // q's own jobs are limited still
			if reads, err := w.ReadsOtherProjects(ctx, id); err != nil || reads != want {
				t.Errorf("run %d reads other projects: %v, %v", id, reads, err)
			}
		}
		if err := w.SetJobScope(ctx, "", true, ada.Actor); err != nil {
			t.Fatal(err)
		}
		if reads, err := w.ReadsOtherProjects(ctx, runs[0].ID); err != nil || reads {
			t.Errorf("the installation's word does not count: %v, %v", reads, err)
		}
		w.source.other = strings.Replace(w.source.other, "project: Tools", "project: Toolz", 1)
		refused(`pipeline library is of a project "Toolz", which is not there`)
	})
}

// The checkout of another project's repository is refused when the run is queued, not by git in the job.
func TestCheckoutOfAnotherProject(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	w.source.text = "resources: {repositories: [{repository: lib, type: git, name: Tools/library}]}\nsteps:\n- checkout: lib\n"
	w.source.names = map[slipway.RepositoryID]string{"l": "Tools/library"}
	app, err := w.CreateDefinition(ctx, pipelines.Definition{Project: "p", Name: "app", Repository: "r", Path: pipelines.DefaultPath})
	if err != nil {
		t.Fatal(err)
	}
	w.source.project = "q" // the repositories', also that of the pipeline, whose project counts
	_, err = w.Queue(ctx, pipelines.QueueRequest{Pipeline: app.ID, Actor: ada.Actor})
	if want := "repository lib is of project Shop, and jobs here reach their own project alone"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	for _, project := range []slipway.ProjectID{"", "p"} {
		if err := w.SetJobScope(ctx, project, false, ada.Actor); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: app.ID, Actor: ada.Actor}); err != nil {
		t.Error(err)
	}
}

// A repository that a checkout names in place is read with the rights of one that the file declares, on its default branch if it names no ref.
func TestCheckoutOfAnInlineRepository(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const text = "trigger: none\nsteps:\n- checkout: git://Tools/lib\n- checkout: git://Tools/lib@refs/tags/v1\n- bash: x\n"
		w, ctx := define(t, d, text), context.Background()
		w.source.names = map[slipway.RepositoryID]string{"l": "Tools/lib"}
		w.source.projects = map[slipway.RepositoryID]slipway.ProjectID{"l": "q"}
		w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commit, "refs/tags/v1": commitOf(9)}
		queue := func() (pipelines.Run, error) {
			return w.Queue(ctx, pipelines.QueueRequest{Pipeline: 1, Actor: ada.Actor})
		}
		const refused = "repository git://Tools/lib is of project Shop, and jobs here reach their own project alone"
		if _, err := queue(); slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), refused) {
			t.Errorf("%v, want %s", err, refused)
		}
		for _, project := range []slipway.ProjectID{"", "p"} {
			if err := w.SetJobScope(ctx, project, false, ada.Actor); err != nil {
				t.Fatal(err)
			}
		}
		run, err := queue()
		if err != nil {
			t.Fatal(err)
		}
		a := w.do(run.ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		for alias, want := range map[string]job.Repository{"git://tools/lib": {Ref: "refs/heads/main", Commit: commit}, "git://tools/lib@refs/tags/v1": {Ref: "refs/tags/v1", Commit: commitOf(9)}} {
			if got := a.Repositories[alias]; got.Ref != want.Ref || got.Commit != want.Commit {
				t.Errorf("%s is %s of %s, want %s of %s", alias, got.Commit, got.Ref, want.Commit, want.Ref)
			}
		}
	})
}
