package api_test

import (
	"testing"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"
	client "github.com/microsoft/azure-devops-go-api/azuredevops/v7/pipelines"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// Azure DevOps has no word for a run whose stages were all skipped: it has succeeded. The timeline tells what was skipped, and here the run itself.
func TestRunsOfNothingSucceed(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorldOf(t, "stages:\n- stage: A\n  condition: false\n  jobs: [{job: a, steps: [{script: x}]}]\n")
	ctx, connection, project, id := t.Context(), azuredevops.NewPatConnection(w.url, token), "Shop", 1
	p := client.NewClient(ctx, connection)
	queued := must[*client.Run](t)(p.RunPipeline(ctx, client.RunPipelineArgs{Project: &project, PipelineId: &id, RunParameters: &client.RunPipelineParameters{}}))
	run := must[*client.Run](t)(p.GetRun(ctx, client.GetRunArgs{Project: &project, PipelineId: &id, RunId: queued.Id}))
	if *run.State != client.RunStateValues.Completed || run.Result == nil || *run.Result != client.RunResultValues.Succeeded {
		t.Errorf("run %+v", run)
	}
	b := must[build.Client](t)(build.NewClient(ctx, connection))
	one := must[*build.Build](t)(b.GetBuild(ctx, build.GetBuildArgs{Project: &project, BuildId: queued.Id}))
	if one.Result == nil || *one.Result != build.BuildResultValues.Succeeded {
		t.Errorf("build %+v", one)
	}
	for filter, want := range map[build.BuildResult]int{build.BuildResultValues.Succeeded: 1, build.BuildResultValues.Failed: 0} {
		if list := must[*build.GetBuildsResponseValue](t)(b.GetBuilds(ctx, build.GetBuildsArgs{Project: &project, ResultFilter: &filter})).Value; len(list) != want {
			t.Errorf("%s: %d builds, want %d", filter, len(list), want)
		}
	}
	timeline := must[*build.Timeline](t)(b.GetBuildTimeline(ctx, build.GetBuildTimelineArgs{Project: &project, BuildId: queued.Id}))
	if r := (*timeline.Records)[0]; r.Result == nil || *r.Result != build.TaskResultValues.Skipped {
		t.Errorf("stage %+v", r)
	}
	if own := must[pipelines.Run](t)(s.Get(ctx, slipway.RunID(*queued.Id))); own.Result != schedule.Skipped {
		t.Errorf("here it is %s", own.Result)
	}
}
