package api_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/core"
	client "github.com/microsoft/azure-devops-go-api/azuredevops/v7/pipelines"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// must gives what a client's call gave, which must not fail.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// act plays the agent of the run's first job: a log, test results, an artifact, and an end.
func act(t *testing.T, s *pipelines.Service, run int, end schedule.Result) {
	t.Helper()
	ctx := context.Background()
	timeline := must[*pipelines.Timeline](t)(s.Timeline(ctx, slipway.RunID(run)))
	id := timeline.Stages[0].Jobs[0].ID
	must[job.Assignment](t)(s.Assign(ctx, id))
	step := job.StepRecord{ID: 1, DisplayName: "Make dev", State: schedule.Completed, Result: end, Started: 1_000_000, Finished: 3_000_000, Errors: 1,
		Issues: []job.Issue{{Kind: job.IssueError, Message: "no rule", At: &slipway.Position{File: "Makefile", Line: 3, Column: 1}}}}
	if err := s.Report(ctx, id, job.Report{Steps: []job.StepRecord{step}}); err != nil {
		t.Fatal(err)
	}
	must[int64](t)(s.AppendLog(ctx, id, 1, 0, []byte("2026-03-01T12:00:00.0000000Z one\n2026-03-01T12:00:01.0000000Z two\n2026-03-01T12:00:02.0000000Z three\n")))
	if timeline.Stages[0].Jobs[0].Attempt <= 1 {
		var tarred bytes.Buffer
		w := tar.NewWriter(&tarred)
		if err := w.WriteHeader(&tar.Header{Name: "a/b.txt", Size: 3, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		must[int](t)(w.Write([]byte("abc")))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		must[pipelines.Artifact](t)(s.PutArtifact(ctx, id, "drop", &tarred))
	}
	if err := s.Complete(ctx, id, job.Completion{Result: end}); err != nil {
		t.Fatal(err)
	}
}

// Azure DevOps' own Go client finds everything by the locations, and understands the answers.
func TestAzureDevOpsClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx := t.Context()
	connection := azuredevops.NewPatConnection(w.url, token)
	project := "Shop"

	projects := must[*core.GetProjectsResponseValue](t)(must[core.Client](t)(core.NewClient(ctx, connection)).GetProjects(ctx, core.GetProjectsArgs{}))
	if len(projects.Value) != 1 || *projects.Value[0].Name != project {
		t.Fatalf("projects %+v", projects.Value)
	}

	p := client.NewClient(ctx, connection)
	list := *must[*[]client.Pipeline](t)(p.ListPipelines(ctx, client.ListPipelinesArgs{Project: &project}))
	if len(list) != 1 || *list[0].Name != "shop" {
		t.Fatalf("pipelines %+v", list)
	}
	id, ref := *list[0].Id, "refs/heads/main"
	target := map[string]string{"target": "prod"}
	run := must[*client.Run](t)(p.RunPipeline(ctx, client.RunPipelineArgs{Project: &project, PipelineId: &id, RunParameters: &client.RunPipelineParameters{
		TemplateParameters: &target, Resources: &client.RunResourcesParameters{Repositories: &map[string]client.RepositoryResourceParameters{"self": {RefName: &ref}}}}}))
	if *run.State != client.RunStateValues.InProgress {
		t.Errorf("run is %s", *run.State)
	}
	act(t, s, *run.Id, schedule.Failed)
	run = must[*client.Run](t)(p.GetRun(ctx, client.GetRunArgs{Project: &project, PipelineId: &id, RunId: run.Id}))
	if *run.State != client.RunStateValues.Completed || *run.Result != client.RunResultValues.Failed {
		t.Errorf("run is %s, %s", *run.State, *run.Result)
	}

	b := must[build.Client](t)(build.NewClient(ctx, connection))
	one := must[*build.Build](t)(b.GetBuild(ctx, build.GetBuildArgs{Project: &project, BuildId: run.Id}))
	if *one.Status != build.BuildStatusValues.Completed || *one.Result != build.BuildResultValues.Failed || *one.Definition.Name != "shop" || *one.SourceBranch != ref {
		t.Errorf("build %+v", one)
	}
	if n := len(must[*build.GetBuildsResponseValue](t)(b.GetBuilds(ctx, build.GetBuildsArgs{Project: &project})).Value); n != 1 {
		t.Errorf("%d builds, want 1", n)
	}
	timeline := must[*build.Timeline](t)(b.GetBuildTimeline(ctx, build.GetBuildTimelineArgs{Project: &project, BuildId: run.Id}))
	var got []string
	var log int
	for _, r := range *timeline.Records {
		line := *r.Type + " " + *r.Name + " " + string(*r.State)
		if r.Result != nil {
			line += " " + string(*r.Result)
		}
		if r.Issues != nil {
			line += ": " + *(*r.Issues)[0].Message
		}
		if r.Log != nil && *r.Type == "Task" {
			log = *r.Log.Id
		}
		got = append(got, line)
	}
	want := []string{"Stage Build completed failed", "Job make completed failed", "Task Make dev completed failed: no rule", "Stage Ship completed skipped", "Job go completed skipped"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("timeline (-want +got)\n%s", diff)
	}
	logs := *must[*[]build.BuildLog](t)(b.GetBuildLogs(ctx, build.GetBuildLogsArgs{Project: &project, BuildId: run.Id}))
	if len(logs) != 1 || *logs[0].Id != log {
		t.Fatalf("logs %+v, want %d", logs, log)
	}
	from, to := uint64(2), uint64(3)
	lines := *must[*[]string](t)(b.GetBuildLogLines(ctx, build.GetBuildLogLinesArgs{Project: &project, BuildId: run.Id, LogId: &log, StartLine: &from, EndLine: &to}))
	if diff := cmp.Diff([]string{"2026-03-01T12:00:01.0000000Z two", "2026-03-01T12:00:02.0000000Z three"}, lines); diff != "" {
		t.Errorf("lines (-want +got)\n%s", diff)
	}
	zippedLogs := must[io.ReadCloser](t)(b.GetBuildLogsZip(ctx, build.GetBuildLogsZipArgs{Project: &project, BuildId: run.Id}))
	allLogs := must[[]byte](t)(io.ReadAll(zippedLogs))
	zippedLogs.Close()
	logFiles := must[*zip.Reader](t)(zip.NewReader(bytes.NewReader(allLogs), int64(len(allLogs))))
	if len(logFiles.File) != 1 || logFiles.File[0].Name != "1_Build/1_make/1_Make dev.txt" {
		t.Errorf("the logs' zip file has %d files", len(logFiles.File))
	}
	artifacts := *must[*[]build.BuildArtifact](t)(b.GetArtifacts(ctx, build.GetArtifactsArgs{Project: &project, BuildId: run.Id}))
	if len(artifacts) != 1 || *artifacts[0].Name != "drop" || (*artifacts[0].Resource.Properties)["artifactsize"] != "3" {
		t.Fatalf("artifacts %+v", artifacts)
	}
	content := must[io.ReadCloser](t)(b.GetArtifactContentZip(ctx, build.GetArtifactContentZipArgs{Project: &project, BuildId: run.Id, ArtifactName: artifacts[0].Name}))
	zipped := must[[]byte](t)(io.ReadAll(content))
	content.Close()
	archive := must[*zip.Reader](t)(zip.NewReader(bytes.NewReader(zipped), int64(len(zipped))))
	if len(archive.File) != 1 || archive.File[0].Name != "drop/a/b.txt" {
		t.Errorf("the zip holds %+v", archive.File)
	}

	stage, retry := "Build", build.StageUpdateTypeValues.Retry
	if err := b.UpdateStage(ctx, build.UpdateStageArgs{Project: &project, BuildId: run.Id, StageRefName: &stage, UpdateParameters: &build.UpdateStageParameters{State: &retry}}); err != nil {
		t.Fatal(err)
	}
	act(t, s, *run.Id, schedule.Succeeded)
	canceling := build.BuildStatusValues.Cancelling
	must[*build.Build](t)(b.UpdateBuild(ctx, build.UpdateBuildArgs{Project: &project, BuildId: run.Id, Build: &build.Build{Status: &canceling}}))
	one = must[*build.Build](t)(b.GetBuild(ctx, build.GetBuildArgs{Project: &project, BuildId: run.Id}))
	if *one.Status != build.BuildStatusValues.Cancelling {
		t.Errorf("after the cancel the build is %s", *one.Status)
	}
	// A mistake is told with its words.
	missing := 4711
	if _, err := b.GetBuild(ctx, build.GetBuildArgs{Project: &project, BuildId: &missing}); err == nil || err.Error() != "there is no run 4711" {
		t.Errorf("a build that is not there: %v", err)
	}
}
