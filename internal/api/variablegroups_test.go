package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/taskagent"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

// Azure DevOps' own Go client makes, finds, changes and deletes variable groups. A secret that comes back without a value stays.
func TestVariableGroupClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx, project := t.Context(), "Shop"
	c := must[taskagent.Client](t)(taskagent.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	id := uuid.MustParse(string(w.project.ID))
	reference := &[]taskagent.VariableGroupProjectReference{{Name: to("shared"), Description: to("For all"), ProjectReference: &taskagent.ProjectReference{Id: &id, Name: &project}}}
	parameters := taskagent.VariableGroupParameters{Name: to("shared"), Type: to("Vsts"), VariableGroupProjectReferences: reference, Variables: &map[string]any{
		"region": taskagent.VariableValue{Value: to("eu")}, "key": taskagent.VariableValue{Value: to("hunter2hunter2"), IsSecret: to(true)}}}
	made := must[*taskagent.VariableGroup](t)(c.AddVariableGroup(ctx, taskagent.AddVariableGroupArgs{VariableGroupParameters: &parameters}))
	want := map[string]any{"region": map[string]any{"value": "eu"}, "key": map[string]any{"value": nil, "isSecret": true}}
	if diff := cmp.Diff(want, *made.Variables); diff != "" || *made.Name != "shared" || *made.Description != "For all" || *made.Type != "Vsts" {
		t.Errorf("made %+v: %s", made, diff)
	}
	if _, err := c.AddVariableGroup(ctx, taskagent.AddVariableGroupArgs{VariableGroupParameters: &parameters}); err == nil {
		t.Error("a second group of the name is made")
	}
	parameters.Name = to("other")
	(*reference)[0].Name = to("other")
	other := must[*taskagent.VariableGroup](t)(c.AddVariableGroup(ctx, taskagent.AddVariableGroupArgs{VariableGroupParameters: &parameters}))

	// What the client got it sends back, with another name and without the secret.
	parameters = taskagent.VariableGroupParameters{Name: to("common"), Variables: made.Variables}
	(*parameters.Variables)["region"] = map[string]any{"value": "us"}
	changed := must[*taskagent.VariableGroup](t)(c.UpdateVariableGroup(ctx, taskagent.UpdateVariableGroupArgs{GroupId: made.Id, VariableGroupParameters: &parameters}))
	if *changed.Id != *made.Id || *changed.Name != "common" {
		t.Errorf("changed %+v", changed)
	}
	parameters.Name = to("Other")
	if _, err := c.UpdateVariableGroup(ctx, taskagent.UpdateVariableGroupArgs{GroupId: made.Id, VariableGroupParameters: &parameters}); err == nil {
		t.Error("a group takes the name of another")
	}

	names := func(args taskagent.GetVariableGroupsArgs) (list []string) {
		args.Project = &project
		for _, g := range *must[*[]taskagent.VariableGroup](t)(c.GetVariableGroups(ctx, args)) {
			list = append(list, *g.Name)
		}
		return list
	}
	for _, one := range []struct {
		args taskagent.GetVariableGroupsArgs
		want []string
	}{
		{taskagent.GetVariableGroupsArgs{}, []string{"common", "other"}},
		{taskagent.GetVariableGroupsArgs{GroupName: to("COM*")}, []string{"common"}},
		{taskagent.GetVariableGroupsArgs{Top: to(1)}, []string{"other"}},
		{taskagent.GetVariableGroupsArgs{Top: to(1), ContinuationToken: to(1)}, []string{"common"}},
		{taskagent.GetVariableGroupsArgs{QueryOrder: &taskagent.VariableGroupQueryOrderValues.IdAscending}, []string{"common", "other"}},
	} {
		if diff := cmp.Diff(one.want, names(one.args)); diff != "" {
			t.Error(diff)
		}
	}
	byID := *must[*[]taskagent.VariableGroup](t)(c.GetVariableGroupsById(ctx, taskagent.GetVariableGroupsByIdArgs{Project: &project, GroupIds: &[]int{*other.Id, 99}}))
	if len(byID) != 1 || *byID[0].Id != *other.Id {
		t.Errorf("by id %+v", byID)
	}
	one := must[*taskagent.VariableGroup](t)(c.GetVariableGroup(ctx, taskagent.GetVariableGroupArgs{Project: &project, GroupId: made.Id}))
	if diff := cmp.Diff(map[string]any{"value": "us"}, (*one.Variables)["region"]); diff != "" {
		t.Error(diff)
	}
	if err := c.DeleteVariableGroup(ctx, taskagent.DeleteVariableGroupArgs{GroupId: other.Id, ProjectIds: &[]string{id.String()}}); err != nil {
		t.Error(err)
	}
	left := must[[]pipelines.Group](t)(s.Groups(ctx, w.project.ID))
	if len(left) != 1 || left[0].Name != "common" {
		t.Errorf("left %+v", left)
	}
}

// Everybody in a project sees its groups, administrators change them, and nobody else learns of them.
func TestVariableGroupRights(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	g := must[pipelines.Group](t)(s.PutGroup(t.Context(), pipelines.Group{Project: w.project.ID, Name: "shared"}, slipway.Actor{}))
	contributor, stranger := w.member("carl", identity.RoleContributor), w.user("eve", false)
	const all = "/_apis/distributedtask/variablegroups"
	one := fmt.Sprintf("%s/%d", all, g.ID)
	body := fmt.Sprintf(`{"name": "shared", "variables": {"a": {"value": "b"}}, "variableGroupProjectReferences": [{"projectReference": {"id": %q}}]}`, w.project.ID)
	w.call(contributor, http.MethodGet, "/Shop"+one, "", http.StatusOK, nil)
	w.call(contributor, http.MethodPost, all, body, http.StatusForbidden, nil)
	w.call(contributor, http.MethodPut, one, body, http.StatusForbidden, nil)
	w.call(contributor, http.MethodDelete, "/Shop"+one, "", http.StatusForbidden, nil)
	w.call(stranger, http.MethodPut, one, body, http.StatusNotFound, nil)
	w.call(stranger, http.MethodPost, all, body, http.StatusNotFound, nil)
	w.call(token, http.MethodPut, one, body, http.StatusOK, nil)
	for _, text := range []string{
		`[]`, `{"name": "x"}`, `{"name": "x", "type": "AzureKeyVault"}`, `{"name": "x", "variables": {"a": {"isReadOnly": true}}}`,
		`{"variableGroupProjectReferences": [{}, {}], "name": "x"}`,
	} {
		w.call(token, http.MethodPost, all, text, http.StatusBadRequest, nil)
	}
	w.call(token, http.MethodPost, "/Shop"+all, `{"name": "x"}`, http.StatusOK, nil)
	w.call(token, http.MethodGet, "/Shop"+all+"/999", "", http.StatusNotFound, nil)
	w.call(token, http.MethodGet, "/Shop"+all+"/x", "", http.StatusNotFound, nil)
}
