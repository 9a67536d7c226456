package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"

	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// Azure DevOps' own Go client tags runs, and finds them by tags and by everything else that it filters by.
func TestTagsAndFilters(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx, project := t.Context(), "Shop"
	c := must[build.Client](t)(build.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	queue := func(branch string) int {
		return int(must[pipelines.Run](t)(s.Queue(ctx, pipelines.QueueRequest{Pipeline: 1, Ref: branch, Parameters: map[string]any{"target": "prod"}})).ID)
	}
	first, second, third := queue("refs/heads/main"), queue("refs/heads/next"), queue("refs/heads/main")
	act(t, s, first, schedule.Failed)

	same := func(want, got *[]string) {
		t.Helper()
		if diff := cmp.Diff(*want, *got); diff != "" {
			t.Error(diff)
		}
	}
	same(&[]string{"signed off"}, must[*[]string](t)(c.AddBuildTag(ctx, build.AddBuildTagArgs{Project: &project, BuildId: &second, Tag: to("signed off")})))
	same(&[]string{"signed off", "50%"}, must[*[]string](t)(c.AddBuildTags(ctx, build.AddBuildTagsArgs{Project: &project, BuildId: &second, Tags: &[]string{"Signed OFF", "50%"}})))
	same(&[]string{"50%", "go_live"}, must[*[]string](t)(c.UpdateBuildTags(ctx, build.UpdateBuildTagsArgs{Project: &project, BuildId: &second,
		UpdateParameters: &build.UpdateTagParameters{TagsToAdd: &[]string{"go_live"}, TagsToRemove: &[]string{"SIGNED off"}}})))
	same(&[]string{"late"}, must[*[]string](t)(c.AddBuildTag(ctx, build.AddBuildTagArgs{Project: &project, BuildId: &first, Tag: to("late")})))
	same(&[]string{"50%", "go_live"}, must[*[]string](t)(c.GetBuildTags(ctx, build.GetBuildTagsArgs{Project: &project, BuildId: &second})))
	same(&[]string{"50%", "go_live", "late"}, must[*[]string](t)(c.GetTags(ctx, build.GetTagsArgs{Project: &project})))
	same(&[]string{"go_live"}, must[*[]string](t)(c.DeleteBuildTag(ctx, build.DeleteBuildTagArgs{Project: &project, BuildId: &second, Tag: to("50%")})))

	number := *must[*build.Build](t)(c.GetBuild(ctx, build.GetBuildArgs{Project: &project, BuildId: &first})).BuildNumber
	for name, one := range map[string]struct {
		args build.GetBuildsArgs
		want []int
	}{
		"tag":            {build.GetBuildsArgs{TagFilters: &[]string{"GO_live"}}, []int{second}},
		"no pattern":     {build.GetBuildsArgs{TagFilters: &[]string{"goXlive"}}, nil},
		"two tags":       {build.GetBuildsArgs{TagFilters: &[]string{"go_live", "late"}}, nil},
		"branch":         {build.GetBuildsArgs{BranchName: to("refs/heads/main")}, []int{third, first}},
		"over":           {build.GetBuildsArgs{StatusFilter: &build.BuildStatusValues.Completed}, []int{first}},
		"running":        {build.GetBuildsArgs{StatusFilter: &build.BuildStatusValues.InProgress}, []int{third, second}},
		"failed":         {build.GetBuildsArgs{ResultFilter: &build.BuildResultValues.Failed}, []int{first}},
		"succeeded":      {build.GetBuildsArgs{ResultFilter: &build.BuildResultValues.Succeeded}, nil},
		"manual":         {build.GetBuildsArgs{ReasonFilter: &build.BuildReasonValues.Manual}, []int{third, second, first}},
		"by a schedule":  {build.GetBuildsArgs{ReasonFilter: &build.BuildReasonValues.Schedule}, nil},
		"number":         {build.GetBuildsArgs{BuildNumber: &number}, []int{first}},
		"numbers":        {build.GetBuildsArgs{BuildNumber: to(strings.TrimRight(number, "1") + "*")}, []int{third, second, first}},
		"ids":            {build.GetBuildsArgs{BuildIds: &[]int{first, third, 99}}, []int{third, first}},
		"other pipeline": {build.GetBuildsArgs{Definitions: &[]int{2, 3}}, nil},
		"pipelines":      {build.GetBuildsArgs{Definitions: &[]int{2, 1}}, []int{third, second, first}},
		"a page":         {build.GetBuildsArgs{Top: to(2)}, []int{third, second}},
	} {
		one.args.Project = &project
		var got []int
		for _, b := range must[*build.GetBuildsResponseValue](t)(c.GetBuilds(ctx, one.args)).Value {
			got = append(got, *b.Id)
		}
		if diff := cmp.Diff(one.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	page := must[*build.GetBuildsResponseValue](t)(c.GetBuilds(ctx, build.GetBuildsArgs{Project: &project, Top: to(2)}))
	rest := must[*build.GetBuildsResponseValue](t)(c.GetBuilds(ctx, build.GetBuildsArgs{Project: &project, Top: to(2), ContinuationToken: &page.ContinuationToken}))
	if len(rest.Value) != 1 || *rest.Value[0].Id != first || !cmp.Equal(*rest.Value[0].Tags, []string{"late"}) || rest.ContinuationToken != "" {
		t.Errorf("the next page %+v", rest)
	}

	reader := w.member("rita", identity.RoleReader)
	const path = "/Shop/_apis/build/builds"
	w.call(reader, http.MethodGet, path+"/1/tags", "", http.StatusOK, nil)
	w.call(reader, http.MethodPut, path+"/1/tags/x", "", http.StatusForbidden, nil)
	w.call(token, http.MethodPut, path+"/1/tags/%20", "", http.StatusBadRequest, nil)
	w.call(token, http.MethodPut, path+"/99/tags/x", "", http.StatusNotFound, nil)
	for _, query := range []string{"resultFilter=good", "statusFilter=x", "definitions=x", "buildIds=x", "continuationToken=x", "$top=0"} {
		w.call(token, http.MethodGet, path+"?"+query, "", http.StatusBadRequest, nil)
	}
}
