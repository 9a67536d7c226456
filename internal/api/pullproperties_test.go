package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/webapi"
)

// Azure DevOps' own Go client keeps properties with a pull request, and statuses with its iterations.
func TestPullPropertiesByAzureDevOpsClient(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	ctx := t.Context()
	c := must[git.Client](t)(git.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	project, repo, source, target, title := "Tools", "My Shop", "refs/heads/topic", "refs/heads/main", "Sell hats"
	pull := must[*git.GitPullRequest](t)(c.CreatePullRequest(ctx, git.CreatePullRequestArgs{Project: &project, RepositoryId: &repo,
		GitPullRequestToCreate: &git.GitPullRequest{SourceRefName: &source, TargetRefName: &target, Title: &title}}))
	id, one := pull.PullRequestId, 1

	change := func(op webapi.Operation, path string, value any) any {
		t.Helper()
		return must[any](t)(c.UpdatePullRequestProperties(ctx, git.UpdatePullRequestPropertiesArgs{Project: &project, RepositoryId: &repo, PullRequestId: id,
			PatchDocument: &[]webapi.JsonPatchOperation{{Op: &op, Path: &path, Value: value}}}))
	}
	change(webapi.OperationValues.Add, "/team~1size", 3)
	change(webapi.OperationValues.Replace, "/ratio", 0.5)
	change(webapi.OperationValues.Add, "", map[string]any{"note": "later", "gone": true})
	change(webapi.OperationValues.Remove, "/gone", nil)
	got := must[any](t)(c.GetPullRequestProperties(ctx, git.GetPullRequestPropertiesArgs{Project: &project, RepositoryId: &repo, PullRequestId: id}))
	// The form is that of the reference's answers: https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-properties/list
	want := map[string]any{"count": 3.0, "value": map[string]any{
		"note":      map[string]any{"$type": "System.String", "$value": "later"},
		"ratio":     map[string]any{"$type": "System.Double", "$value": 0.5},
		"team/size": map[string]any{"$type": "System.Int32", "$value": 3.0},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	commits := *must[*[]git.GitCommitRef](t)(c.GetPullRequestIterationCommits(ctx, git.GetPullRequestIterationCommitsArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, IterationId: &one}))
	if len(commits) != 1 || *commits[0].Comment != "add hats.md" {
		t.Errorf("%+v", commits)
	}

	name := "lint"
	post := func() int {
		t.Helper()
		st := must[*git.GitPullRequestStatus](t)(c.CreatePullRequestIterationStatus(ctx, git.CreatePullRequestIterationStatusArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, IterationId: &one,
			Status: &git.GitPullRequestStatus{State: &git.GitStatusStateValues.Failed, Context: &git.GitStatusContext{Name: &name}}}))
		if *st.IterationId != 1 {
			t.Errorf("it is of iteration %d", *st.IterationId)
		}
		return *st.Id
	}
	left := func() []int {
		t.Helper()
		var ids []int
		for _, s := range *must[*[]git.GitPullRequestStatus](t)(c.GetPullRequestIterationStatuses(ctx, git.GetPullRequestIterationStatusesArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, IterationId: &one})) {
			ids = append(ids, *s.Id)
		}
		return ids
	}
	first, second, third := post(), post(), post()
	if st := must[*git.GitPullRequestStatus](t)(c.GetPullRequestStatus(ctx, git.GetPullRequestStatusArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, StatusId: &second})); *st.State != "failed" {
		t.Errorf("%+v", st)
	}
	if err := c.DeletePullRequestIterationStatus(ctx, git.DeletePullRequestIterationStatusArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, IterationId: &one, StatusId: &second}); err != nil {
		t.Fatal(err)
	}
	remove, path := webapi.OperationValues.Remove, fmt.Sprintf("/%d", first)
	if err := c.UpdatePullRequestIterationStatuses(ctx, git.UpdatePullRequestIterationStatusesArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, IterationId: &one,
		PatchDocument: &[]webapi.JsonPatchOperation{{Op: &remove, Path: &path}}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{third}, left()); diff != "" {
		t.Error(diff)
	}
}

func TestPullPropertiesRefusals(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	w.call(token, "POST", "/Tools/_apis/git/repositories/My%20Shop/pullrequests", `{"sourceRefName":"refs/heads/topic","targetRefName":"refs/heads/main","title":"Sell hats"}`, http.StatusCreated, nil)
	of := "/Tools/_apis/git/repositories/My%20Shop/pullRequests/1"
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"PATCH", "/properties", `[{"op":"add","path":"/a","value":{"b":1}}]`, 400},
		{"PATCH", "/properties", `[{"op":"add","path":"/a"}]`, 400},
		{"PATCH", "/properties", `[{"op":"add","path":"/a/b","value":"x"}]`, 400},
		{"PATCH", "/properties", `[{"op":"test","path":"/a","value":"x"}]`, 400},
		{"PATCH", "/properties", `{"a":"b"}`, 400},
		{"PATCH", "/statuses", `[{"op":"remove","path":"/99"}]`, 404},
		{"DELETE", "/statuses/99", ``, 404},
		{"GET", "/iterations/2/commits", ``, 404},
		{"GET", "/reviewers/nobody", ``, 404},
		{"POST", "/iterations/2/statuses", `{"state":"failed","context":{"name":"lint"}}`, 400},
		{"POST", "/share", `{"message":"look"}`, 400},
	} {
		var answer json.RawMessage
		w.call(token, test.method, of+test.path, test.body, test.status, &answer)
	}
	var none struct {
		Count int `json:"count"`
	}
	if w.call(token, "GET", of+"/properties", "", http.StatusOK, &none); none.Count != 0 {
		t.Errorf("%d properties are left of what was refused", none.Count)
	}
}
