package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"
	client "github.com/microsoft/azure-devops-go-api/azuredevops/v7/pipelines"

	"slipway/internal/api"
	"slipway/internal/pipelines/schedule"
)

// Azure DevOps' own Go client changes how long runs are kept, retains one and deletes it.
func TestRetentionByClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx, project, pipeline := t.Context(), "Shop", 1
	connection := azuredevops.NewPatConnection(w.url, token)
	b := must[build.Client](t)(build.NewClient(ctx, connection))
	run := must[*client.Run](t)(client.NewClient(ctx, connection).RunPipeline(ctx, client.RunPipelineArgs{Project: &project, PipelineId: &pipeline, RunParameters: &client.RunPipelineParameters{}}))

	days := 90
	changed := must[*build.ProjectRetentionSetting](t)(b.UpdateRetentionSettings(ctx, build.UpdateRetentionSettingsArgs{Project: &project,
		UpdateModel: &build.UpdateProjectRetentionSettingModel{RunRetention: &build.UpdateRetentionSettingModel{Value: &days}}}))
	now := must[*build.ProjectRetentionSetting](t)(b.GetRetentionSettings(ctx, build.GetRetentionSettingsArgs{Project: &project}))
	if diff := cmp.Diff(changed, now); diff != "" || *now.PurgeRuns.Value != 90 || *now.PurgePullRequestRuns.Value != 10 || *now.RetainRunsPerProtectedBranch.Value != 3 {
		t.Errorf("settings %+v %s", *now.PurgeRuns.Value, diff)
	}
	days = 99_999
	if _, err := b.UpdateRetentionSettings(ctx, build.UpdateRetentionSettingsArgs{Project: &project,
		UpdateModel: &build.UpdateProjectRetentionSettingModel{RunRetention: &build.UpdateRetentionSettingModel{Value: &days}}}); err == nil ||
		err.Error() != "days to keep runs: 99999 is not from 1 to 3650" {
		t.Errorf("too many days: %v", err)
	}

	owner, valid := "Release:7", 30
	made := *must[*[]build.RetentionLease](t)(b.AddRetentionLeases(ctx, build.AddRetentionLeasesArgs{Project: &project,
		NewLeases: &[]build.NewRetentionLease{{DaysValid: &valid, DefinitionId: &pipeline, OwnerId: &owner, RunId: run.Id}}}))
	if len(made) != 1 || *made[0].RunId != *run.Id || *made[0].OwnerId != owner || made[0].ValidUntil.Time.Sub(made[0].CreatedOn.Time).Hours() != 30*24 {
		t.Fatalf("leases %+v", made)
	}
	for what, found := range map[string]*[]build.RetentionLease{
		"the owner": must[*[]build.RetentionLease](t)(b.GetRetentionLeasesByOwnerId(ctx, build.GetRetentionLeasesByOwnerIdArgs{Project: &project, OwnerId: &owner, RunId: run.Id})),
		"the build": must[*[]build.RetentionLease](t)(b.GetRetentionLeasesForBuild(ctx, build.GetRetentionLeasesForBuildArgs{Project: &project, BuildId: run.Id})),
		"all three": must[*[]build.RetentionLease](t)(b.GetRetentionLeasesByMinimalRetentionLeases(ctx, build.GetRetentionLeasesByMinimalRetentionLeasesArgs{Project: &project,
			LeasesToFetch: &[]build.MinimalRetentionLease{{DefinitionId: &pipeline, OwnerId: &owner, RunId: run.Id}}})),
	} {
		if len(*found) != 1 || *(*found)[0].LeaseId != *made[0].LeaseId {
			t.Errorf("by %s: %+v", what, *found)
		}
	}
	valid = 60
	longer := must[*build.RetentionLease](t)(b.UpdateRetentionLease(ctx, build.UpdateRetentionLeaseArgs{Project: &project, LeaseId: made[0].LeaseId,
		LeaseUpdate: &build.RetentionLeaseUpdate{DaysValid: &valid}}))
	if longer.ValidUntil.Time.Before(made[0].ValidUntil.Time) {
		t.Errorf("the lease holds until %s", longer.ValidUntil.Time)
	}

	act(t, s, *run.Id, schedule.Failed)
	if err := b.DeleteBuild(ctx, build.DeleteBuildArgs{Project: &project, BuildId: run.Id}); err == nil {
		t.Error("a retained run was deleted")
	}
	if err := b.DeleteRetentionLeasesById(ctx, build.DeleteRetentionLeasesByIdArgs{Project: &project, Ids: &[]int{*made[0].LeaseId}}); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{true, false} { // as older clients do it
		var got api.Build
		w.call(token, http.MethodPatch, fmt.Sprintf("/Shop/_apis/build/builds/%d?api-version=7.1", *run.Id), fmt.Sprintf(`{"keepForever":%v}`, keep), http.StatusOK, &got)
		if got.KeepForever != keep || got.Retained != keep {
			t.Errorf("keepForever is %v, want %v", got.KeepForever, keep)
		}
	}
	if err := b.DeleteBuild(ctx, build.DeleteBuildArgs{Project: &project, BuildId: run.Id}); err != nil {
		t.Error(err)
	}
	if n := len(must[*build.GetBuildsResponseValue](t)(b.GetBuilds(ctx, build.GetBuildsArgs{Project: &project})).Value); n != 0 {
		t.Errorf("%d builds, want none", n)
	}
}
