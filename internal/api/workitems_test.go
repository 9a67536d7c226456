package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/webapi"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/workitemtracking"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/boards"
	"slipway/internal/identity"
)

// documentOf makes a JSON Patch document of paths and values.
func documentOf(op webapi.Operation, pathsAndValues ...any) *[]webapi.JsonPatchOperation {
	var list []webapi.JsonPatchOperation
	for i := 0; i < len(pathsAndValues); i += 2 {
		path := pathsAndValues[i].(string)
		list = append(list, webapi.JsonPatchOperation{Op: &op, Path: &path, Value: pathsAndValues[i+1]})
	}
	return &list
}

// Azure DevOps' own Go client makes, changes, reads, finds and talks about work items.
func TestWorkItemsByClient(t *testing.T) {
	t.Parallel()
	w, token, _ := gitAndBoards(t)
	ctx := t.Context()
	ada := must[identity.User](t)(w.identity.UserByName(ctx, "ada"))
	if err := w.identity.SetRole(ctx, slipway.System, w.project.ID, ada.ID, identity.RoleContributor); err != nil {
		t.Fatal(err)
	}
	c := must[workitemtracking.Client](t)(workitemtracking.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	project, story, bug := "Tools", "User Story", "Bug"
	add, replace, test := webapi.OperationValues.Add, webapi.OperationValues.Replace, webapi.OperationValues.Test

	parent := must[*workitemtracking.WorkItem](t)(c.CreateWorkItem(ctx, workitemtracking.CreateWorkItemArgs{Project: &project, Type: &story,
		Document: documentOf(add, "/fields/System.Title", "Sell hats", "/fields/System.AreaPath", "Tools", "/fields/System.Tags", "shop; hats")}))
	child := must[*workitemtracking.WorkItem](t)(c.CreateWorkItem(ctx, workitemtracking.CreateWorkItemArgs{Project: &project, Type: &bug,
		Document: documentOf(add, "/fields/System.Title", "The price is wrong", "/fields/System.AssignedTo", "ada", "/fields/Microsoft.VSTS.Common.Priority", 1,
			"/fields/System.History", "seen by a customer", "/relations/-", map[string]string{"rel": "System.LinkTypes.Hierarchy-Reverse", "url": *parent.Url})}))
	if *child.Rev != 1 || len(*child.Relations) != 1 || *(*child.Relations)[0].Url != *parent.Url {
		t.Errorf("the bug is %+v", child)
	}
	document := *documentOf(test, "/rev", 1)
	document = append(document, *documentOf(replace, "/fields/System.State", "Active", "/fields/System.Title", "The price of hats is wrong")...)
	update := workitemtracking.UpdateWorkItemArgs{Id: child.Id, Document: &document} // without a project, as az boards does
	must[*workitemtracking.WorkItem](t)(c.UpdateWorkItem(ctx, update))
	if _, err := c.UpdateWorkItem(ctx, update); err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("a change of a revision that is past: %v", err)
	}

	all := workitemtracking.WorkItemExpandValues.All
	got := must[*workitemtracking.WorkItem](t)(c.GetWorkItem(ctx, workitemtracking.GetWorkItemArgs{Id: child.Id, Expand: &all}))
	fields := *got.Fields
	want := map[string]any{"System.Title": "The price of hats is wrong", "System.State": "Active", "System.WorkItemType": "Bug", "System.TeamProject": "Tools",
		"System.Parent": float64(*parent.Id), "Microsoft.VSTS.Common.Priority": 1.0, "System.Rev": 2.0}
	for name, value := range want {
		if fields[name] != value {
			t.Errorf("%s is %v, want %v", name, fields[name], value)
		}
	}
	if who, ok := fields["System.AssignedTo"].(map[string]any); !ok || who["uniqueName"] != "ada" {
		t.Errorf("assigned to %v", fields["System.AssignedTo"])
	}
	above := must[*workitemtracking.WorkItem](t)(c.GetWorkItem(ctx, workitemtracking.GetWorkItemArgs{Id: parent.Id, Project: &project, Expand: &all}))
	if (*above.Fields)["System.Tags"] != "shop; hats" || len(*above.Relations) != 1 || *(*above.Relations)[0].Rel != "System.LinkTypes.Hierarchy-Forward" {
		t.Errorf("the story is %+v", above)
	}

	ids, some := []int{*child.Id, *parent.Id}, []string{"System.Title", "System.Id"}
	list := *must[*[]workitemtracking.WorkItem](t)(c.GetWorkItems(ctx, workitemtracking.GetWorkItemsArgs{Ids: &ids, Fields: &some}))
	batch := *must[*[]workitemtracking.WorkItem](t)(c.GetWorkItemsBatch(ctx, workitemtracking.GetWorkItemsBatchArgs{Project: &project, WorkItemGetRequest: &workitemtracking.WorkItemBatchGetRequest{Ids: &ids, Fields: &some}}))
	for _, found := range [][]workitemtracking.WorkItem{list, batch} {
		if len(found) != 2 || len(*found[0].Fields) != 2 || *found[1].Id != *parent.Id {
			t.Errorf("many: %+v", found)
		}
	}

	query := "SELECT [System.Id], [System.Title] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.AssignedTo] = @me ORDER BY [System.ChangedDate] DESC"
	for _, in := range []*string{&project, nil} {
		found := must[*workitemtracking.WorkItemQueryResult](t)(c.QueryByWiql(ctx, workitemtracking.QueryByWiqlArgs{Project: in, Wiql: &workitemtracking.Wiql{Query: &query}}))
		if len(*found.WorkItems) != 1 || *(*found.WorkItems)[0].Id != *child.Id || *(*found.Columns)[1].ReferenceName != "System.Title" || !*(*found.SortColumns)[0].Descending {
			t.Errorf("the query finds %+v", found)
		}
		must[*[]workitemtracking.WorkItem](t)(c.GetWorkItems(ctx, workitemtracking.GetWorkItemsArgs{Ids: &[]int{*child.Id}, AsOf: found.AsOf}))
	}

	text := "mended"
	must[*workitemtracking.Comment](t)(c.AddComment(ctx, workitemtracking.AddCommentArgs{Project: &project, WorkItemId: child.Id, Request: &workitemtracking.CommentCreate{Text: &text}}))
	comments := must[*workitemtracking.CommentList](t)(c.GetComments(ctx, workitemtracking.GetCommentsArgs{Project: &project, WorkItemId: child.Id}))
	if *comments.TotalCount != 2 || *(*comments.Comments)[0].Text != "mended" || *(*comments.Comments)[1].Text != "seen by a customer" {
		t.Errorf("comments %+v", comments)
	}

	types := *must[*[]workitemtracking.WorkItemType](t)(c.GetWorkItemTypes(ctx, workitemtracking.GetWorkItemTypesArgs{Project: &project}))
	var names []string
	for _, one := range types {
		names = append(names, *one.Name)
	}
	if diff := cmp.Diff([]string{"Epic", "Feature", "User Story", "Bug", "Task"}, names); diff != "" {
		t.Errorf("types: want -, got +\n%s", diff)
	}
	states := *must[*[]workitemtracking.WorkItemStateColor](t)(c.GetWorkItemTypeStates(ctx, workitemtracking.GetWorkItemTypeStatesArgs{Project: &project, Type: &bug}))
	if len(states) != 4 || *states[2].Category != "Resolved" {
		t.Errorf("states %+v", states)
	}
	of := *must[*[]workitemtracking.WorkItemField2](t)(c.GetWorkItemFields(ctx, workitemtracking.GetWorkItemFieldsArgs{Project: &project}))
	if !slices.ContainsFunc(of, func(f workitemtracking.WorkItemField2) bool { return *f.ReferenceName == "System.AssignedTo" }) {
		t.Errorf("fields %+v", of)
	}
}

func TestWorkItemsRefused(t *testing.T) {
	t.Parallel()
	w, token, items := gitAndBoards(t)
	reader := w.user("ron", false)
	item, err := items.Create(context.Background(), slipway.System, boards.NewItem{Project: w.project.ID, Type: boards.Task, Title: "Draw caps"})
	if err != nil {
		t.Fatal(err)
	}
	one := "/Tools/_apis/wit/workitems/" + item.ID.String()
	patch := func(path, value string) string { return `[{"op":"add","path":"` + path + `","value":` + value + `}]` }
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/Tools/_apis/wit/workitems/77", "", http.StatusNotFound, "no work item 77"},
		{"GET", "/Tools/_apis/wit/workitems?ids=a", "", http.StatusBadRequest, "by their numbers"},
		{"GET", one + "?fields=System.Nothing", "", http.StatusBadRequest, "no field"},
		{"GET", one + "?$expand=everything", "", http.StatusBadRequest, "choose none, relations"},
		{"GET", one + "?asOf=2020-01-01T00:00:00Z", "", http.StatusBadRequest, "changed since"},
		{"DELETE", one, "", http.StatusBadRequest, "Removed"},
		{"POST", "/Tools/_apis/wit/workitems/Task", patch("/fields/System.Title", `"x"`), http.StatusBadRequest, "$Task"},
		{"POST", "/Tools/_apis/wit/workitems/$Issue", patch("/fields/System.Title", `"x"`), http.StatusBadRequest, "choose Epic"},
		{"POST", "/Tools/_apis/wit/workitems/$Task", patch("/fields/System.State", `"New"`), http.StatusBadRequest, "needs a title"},
		{"PATCH", one, patch("/fields/System.State", `"Resolved"`), http.StatusBadRequest, "no state"},
		{"PATCH", one, patch("/fields/System.IterationPath", `"Sprint 1"`), http.StatusBadRequest, "no other areas"},
		{"PATCH", one, patch("/fields/Custom.Hat", `"x"`), http.StatusBadRequest, "no field"},
		{"PATCH", one, patch("/fields/System.AssignedTo", `"nobody"`), http.StatusBadRequest, "no member"},
		{"PATCH", one, patch("/fields/System.CreatedBy", `"ada"`), http.StatusBadRequest, "by itself"},
		{"PATCH", one, patch("/relations/-", `{"rel":"System.LinkTypes.Related","url":"x/1"}`), http.StatusBadRequest, "Hierarchy-Reverse"},
		{"PATCH", one, patch("/attachments", `1`), http.StatusBadRequest, "use /fields/NAME"},
		{"PATCH", one, `[{"op":"move","path":"/fields/System.Title"}]`, http.StatusBadRequest, "use add, replace"},
		{"PATCH", one, `[]`, http.StatusBadRequest, "0 operations"},
		{"PATCH", one + "?bypassRules=true", patch("/fields/System.Title", `"x"`), http.StatusBadRequest, "keeps the rules"},
		{"POST", "/Tools/_apis/wit/wiql", `{"query":"SELECT [System.Id] FROM WorkItemLinks"}`, http.StatusBadRequest, "FROM WorkItems"},
		{"POST", "/Tools/_apis/wit/wiql?$top=0", `{"query":"SELECT [System.Id] FROM WorkItems"}`, http.StatusBadRequest, "1 to 20000"},
		{"GET", "/Tools/_apis/wit/workitemtypes/Issue", "", http.StatusNotFound, "choose Epic"},
	} {
		var problem struct{ Message string }
		w.call(token, test.method, test.path, test.body, test.status, &problem)
		if !strings.Contains(problem.Message, test.says) {
			t.Errorf("%s %s %s: %q, want %q", test.method, test.path, test.body, problem.Message, test.says)
		}
	}
	// Who is no member sees nothing of the project, by whichever address.
	for _, path := range []string{"/_apis/wit/workitems/" + item.ID.String(), "/_apis/wit/workitems?ids=" + item.ID.String()} {
		w.call(reader, "GET", path, "", http.StatusNotFound, nil)
	}
	w.call(reader, "PATCH", "/_apis/wit/workitems/"+item.ID.String(), patch("/fields/System.Title", `"x"`), http.StatusNotFound, nil)
	var found api.WorkItemQueryResult
	w.call(reader, "POST", "/_apis/wit/wiql", `{"query":"SELECT [System.Id] FROM WorkItems"}`, http.StatusOK, &found)
	if len(found.WorkItems) != 0 {
		t.Errorf("a stranger finds %+v", found.WorkItems)
	}
}
