package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/core"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/operations"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/boards"
)

// Microsoft's client finds pull requests by commits, gives one another target, and is offered branches that were pushed.
func TestFromCommitsToPullRequests(t *testing.T) {
	t.Parallel()
	c, repo, project, w, token := gitClient(t)
	ctx := t.Context()
	main, topic := head(t, c, repo, project, "main"), head(t, c, repo, project, "topic")
	const path = "/Tools/_apis/git/repositories/My%20Shop"
	var offered struct {
		Value []api.GitSuggestion `json:"value"`
	}
	refs := func(name, from, to string) {
		t.Helper()
		results := *must[*[]git.GitRefUpdateResult](t)(c.UpdateRefs(ctx, git.UpdateRefsArgs{RepositoryId: repo, Project: project, RefUpdates: &[]git.GitRefUpdate{{Name: &name, OldObjectId: &from, NewObjectId: &to}}}))
		if !*results[0].Success {
			t.Fatalf("%s: %s", name, *results[0].CustomMessage)
		}
	}
	none := strings.Repeat("0", 40)
	refs("refs/heads/hats", none, topic)
	refs("refs/heads/same", none, main) // brings nothing
	w.call(token, "GET", path+"/suggestions", "", http.StatusOK, &offered)
	if len(offered.Value) != 1 || offered.Value[0].Properties["sourceBranch"] != "refs/heads/hats" || offered.Value[0].Properties["targetBranch"] != "refs/heads/main" {
		t.Errorf("suggested %+v", offered.Value)
	}
	pull := must[*git.GitPullRequest](t)(c.CreatePullRequest(ctx, git.CreatePullRequestArgs{RepositoryId: repo, Project: project, GitPullRequestToCreate: &git.GitPullRequest{
		Title: ptr("Hats"), SourceRefName: ptr("refs/heads/hats"), TargetRefName: ptr("refs/heads/main")}}))
	w.call(token, "GET", path+"/suggestions", "", http.StatusOK, &offered)
	if len(offered.Value) != 0 {
		t.Errorf("suggested although there is a pull request: %+v", offered.Value)
	}
	find := func(kind git.GitPullRequestQueryType, commits ...string) map[string][]git.GitPullRequest {
		t.Helper()
		answer := must[*git.GitPullRequestQuery](t)(c.GetPullRequestQuery(ctx, git.GetPullRequestQueryArgs{RepositoryId: repo, Project: project,
			Queries: &git.GitPullRequestQuery{Queries: &[]git.GitPullRequestQueryInput{{Items: &commits, Type: &kind}}}}))
		return (*answer.Results)[0]
	}
	kinds := git.GitPullRequestQueryTypeValues
	if got := find(kinds.Commit, topic, main, strings.Repeat("1", 40)); len(got) != 1 || *got[topic][0].PullRequestId != *pull.PullRequestId {
		t.Errorf("bringing %s: %+v", topic, got)
	}
	if got := find(kinds.LastMergeCommit, *pull.LastMergeCommit.CommitId, topic); len(got) != 1 {
		t.Errorf("merged by %s: %+v", *pull.LastMergeCommit.CommitId, got)
	}
	refs("refs/heads/release", none, main)
	changed := must[*git.GitPullRequest](t)(c.UpdatePullRequest(ctx, git.UpdatePullRequestArgs{RepositoryId: repo, Project: project, PullRequestId: pull.PullRequestId,
		GitPullRequestToUpdate: &git.GitPullRequest{TargetRefName: ptr("refs/heads/release")}}))
	if *changed.TargetRefName != "refs/heads/release" || *changed.MergeStatus != git.PullRequestAsyncStatusValues.Succeeded {
		t.Errorf("retargeted %+v", changed)
	}
	for body, says := range map[string]string{`{"targetRefName":"refs/heads/nowhere"}`: "nowhere", `{"sourceRefName":"refs/heads/topic"}`: "sourceRefName"} {
		var problem struct{ Message string }
		w.call(token, "PATCH", path+"/pullrequests/1", body, http.StatusBadRequest, &problem)
		if !strings.Contains(problem.Message, says) {
			t.Errorf("%s is refused by %q", body, problem.Message)
		}
	}
	one := must[*git.GitPullRequest](t)(c.GetPullRequest(ctx, git.GetPullRequestArgs{RepositoryId: repo, Project: project, PullRequestId: pull.PullRequestId, IncludeCommits: ptr(true)}))
	if len(*one.Commits) != 1 || *(*one.Commits)[0].CommitId != topic || *one.CodeReviewId != *pull.PullRequestId || !strings.HasPrefix(*one.ArtifactId, "vstfs:///Git/PullRequestId/") {
		t.Errorf("pull request %+v", one)
	}
}

// Merges of two commits move no branch; what comes of them can be given to one.
func TestMerges(t *testing.T) {
	t.Parallel()
	c, repo, project, w, token := gitClient(t)
	ctx := t.Context()
	main, topic := head(t, c, repo, project, "main"), head(t, c, repo, project, "topic")
	other := *(*push(t, c, repo, project, "main", main, add("/hats.md", "other hats")).RefUpdates)[0].NewObjectId
	merge := func(parents ...string) *git.GitMerge {
		t.Helper()
		m := must[*git.GitMerge](t)(c.CreateMergeRequest(ctx, git.CreateMergeRequestArgs{Project: project, RepositoryNameOrId: repo,
			MergeParameters: &git.GitMergeParameters{Comment: ptr("both"), Parents: &parents}}))
		again := must[*git.GitMerge](t)(c.GetMergeRequest(ctx, git.GetMergeRequestArgs{Project: project, RepositoryNameOrId: repo, MergeOperationId: m.MergeOperationId}))
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("asked for again (-want +got)\n%s", diff)
		}
		return m
	}
	m := merge(main, topic)
	if *m.Status != git.GitAsyncOperationStatusValues.Completed {
		t.Fatalf("merge %+v", m)
	}
	made := must[*git.GitCommit](t)(c.GetCommit(ctx, git.GetCommitArgs{RepositoryId: repo, Project: project, CommitId: m.DetailedStatus.MergeCommitId}))
	if diff := cmp.Diff([]string{main, topic}, *made.Parents); diff != "" || *made.Comment != "both" || *made.Author.Name != "ada" {
		t.Errorf("commit %+v (-want +got)\n%s", made, diff)
	}
	if m := merge(other, topic); *m.Status != git.GitAsyncOperationStatusValues.Failed || !strings.Contains(*m.DetailedStatus.FailureMessage, "hats.md") {
		t.Errorf("conflicting merge %+v", m)
	}
	const path = "/Tools/_apis/git/repositories/My%20Shop/merges"
	w.call(token, "POST", path, `{"comment":"x","parents":["`+main+`"]}`, http.StatusBadRequest, nil)
	w.call(token, "POST", path, `{"comment":"x","parents":["`+main+`","`+strings.Repeat("1", 40)+`"]}`, http.StatusNotFound, nil)
	w.call(token, "GET", path+"/99", "", http.StatusNotFound, nil)
}

// add is a new file of a push.
func add(path, content string) git.GitChange {
	return git.GitChange{ChangeType: &git.VersionControlChangeTypeValues.Add, Item: git.GitItem{Path: &path}, NewContent: &git.ItemContent{Content: &content}}
}

// What pushes by REST say of files has to be so: what is added is not there, what is edited is.
func TestPushesKeepToTheirWord(t *testing.T) {
	t.Parallel()
	c, repo, project, w, token := gitClient(t)
	main := head(t, c, repo, project, "main")
	const path = "/Tools/_apis/git/repositories/My%20Shop/pushes"
	for change, status := range map[string]int{
		`{"changeType":"add","item":{"path":"/README.md"},"newContent":{"content":"x"}}`:                    http.StatusConflict,
		`{"changeType":"edit","item":{"path":"/nothing"},"newContent":{"content":"x"}}`:                     http.StatusNotFound,
		`{"changeType":"rename","item":{"path":"/README.md"},"sourceServerItem":"/README.md"}`:              http.StatusConflict,
		`{"changeType":"rename","item":{"path":"/b"},"sourceServerItem":"/c","newContent":{"content":"x"}}`: http.StatusNotFound,
		`{"changeType":"delete","item":{"path":"/nothing"}}`:                                                http.StatusNotFound,
	} {
		body := `{"refUpdates":[{"name":"refs/heads/main","oldObjectId":"` + main + `"}],"commits":[{"comment":"x","changes":[` + change + `]}]}`
		w.call(token, "POST", path, body, status, nil)
	}
	if now := head(t, c, repo, project, "main"); now != main {
		t.Errorf("main is at %s", now)
	}
}

func TestLockedBranches(t *testing.T) {
	t.Parallel()
	c, repo, project, w, token := gitClient(t)
	ctx := t.Context()
	lock := func(on bool) *git.GitRef {
		t.Helper()
		return must[*git.GitRef](t)(c.UpdateRef(ctx, git.UpdateRefArgs{RepositoryId: repo, Project: project, Filter: ptr("heads/main"), NewRefInfo: &git.GitRefUpdate{IsLocked: &on}}))
	}
	if ref := lock(true); !*ref.IsLocked || *ref.IsLockedBy.UniqueName != "ada" || *ref.Name != "refs/heads/main" {
		t.Errorf("locked %+v", ref)
	}
	main, topic := head(t, c, repo, project, "main"), head(t, c, repo, project, "topic")
	moved := *must[*[]git.GitRefUpdateResult](t)(c.UpdateRefs(ctx, git.UpdateRefsArgs{RepositoryId: repo, Project: project, RefUpdates: &[]git.GitRefUpdate{{Name: ptr("refs/heads/main"), OldObjectId: &main, NewObjectId: &topic}}}))
	if *moved[0].Success || *moved[0].UpdateStatus != git.GitRefUpdateStatusValues.Locked {
		t.Errorf("moved %+v", moved[0])
	}
	other := w.contributor("ben")
	w.call(other.token, "PATCH", "/Tools/_apis/git/repositories/My%20Shop/refs?filter=heads/main", `{"isLocked":false}`, http.StatusForbidden, nil)
	w.call(token, "PATCH", "/Tools/_apis/git/repositories/My%20Shop/refs", `{}`, http.StatusBadRequest, nil)
	if ref := lock(false); *ref.Name != "refs/heads/main" || ref.IsLocked != nil && *ref.IsLocked {
		t.Errorf("unlocked %+v", ref)
	}
}

// A project is made as Azure DevOps makes one: an operation to ask for, and a repository of its name.
func TestCreateProject(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	ctx := t.Context()
	connection := azuredevops.NewPatConnection(w.url, token)
	projects := must[core.Client](t)(core.NewClient(ctx, connection))
	made := must[*operations.OperationReference](t)(projects.QueueCreateProject(ctx, core.QueueCreateProjectArgs{ProjectToCreate: &core.TeamProject{Name: ptr("Fabrikam"),
		Description: ptr("Travel"), Visibility: &core.ProjectVisibilityValues.Private, Capabilities: &map[string]map[string]string{"versioncontrol": {"sourceControlType": "Git"}}}}))
	done := must[*operations.Operation](t)(operations.NewClient(ctx, connection).GetOperation(ctx, operations.GetOperationArgs{OperationId: made.Id}))
	if *done.Status != operations.OperationStatusValues.Succeeded {
		t.Errorf("operation %+v", done)
	}
	if p := must[*core.TeamProject](t)(projects.GetProject(ctx, core.GetProjectArgs{ProjectId: ptr("Fabrikam")})); *p.Description != "Travel" || p.Id.String() != made.Id.String() {
		t.Errorf("project %+v", p)
	}
	var repositories struct {
		Value []api.GitRepository `json:"value"`
	}
	w.call(token, "GET", "/Fabrikam/_apis/git/repositories", "", http.StatusOK, &repositories)
	if len(repositories.Value) != 1 || repositories.Value[0].Name != "Fabrikam" {
		t.Errorf("repositories %+v", repositories.Value)
	}
	for body, status := range map[string]int{`{"name":"Fabrikam"}`: http.StatusConflict, `{"name":"a b"}`: http.StatusBadRequest, `{"name":"New","visibility":"public"}`: http.StatusBadRequest,
		`{"name":"New","capabilities":{"versioncontrol":{"sourceControlType":"Tfvc"}}}`: http.StatusBadRequest} {
		w.call(token, "POST", "/_apis/projects", body, status, nil)
	}
	w.call(w.user("ben", false), "POST", "/_apis/projects", `{"name":"Bens"}`, http.StatusForbidden, nil)
	w.call(token, "GET", "/_apis/operations/nothing", "", http.StatusNotFound, nil)
	var problem struct{ Message string }
	w.call(token, "DELETE", "/_apis/projects", "", http.StatusMethodNotAllowed, &problem)
	if !strings.Contains(problem.Message, "by GET, POST") {
		t.Errorf("another method is refused by %q", problem.Message)
	}
}

func TestPullRequestWithWorkItems(t *testing.T) {
	t.Parallel()
	w, token, items := gitAndBoards(t)
	item := must[boards.Item](t)(items.Create(t.Context(), slipway.System, boards.NewItem{Project: w.project.ID, Type: boards.Task, Title: "Hats"}))
	const path = "/Tools/_apis/git/repositories/My%20Shop/pullrequests"
	const body = `{"sourceRefName":"refs/heads/topic","targetRefName":"refs/heads/main","title":"Hats","workItemRefs":[{"id":"ITEM"}]}`
	for _, wrong := range []string{"77", "x"} {
		var problem struct{ Field string }
		status := map[string]int{"77": http.StatusNotFound, "x": http.StatusBadRequest}[wrong]
		if w.call(token, "POST", path, strings.Replace(body, "ITEM", wrong, 1), status, &problem); problem.Field != "workItemRefs" {
			t.Errorf("work item %q: %+v", wrong, problem)
		}
	}
	w.call(token, "POST", path, strings.Replace(body, "ITEM", item.ID.String(), 1), http.StatusCreated, nil)
	var p api.GitPullRequest
	w.call(token, "GET", path+"/1?includeWorkItemRefs=true", "", http.StatusOK, &p)
	if len(p.WorkItemRefs) != 1 || p.WorkItemRefs[0].ID != item.ID.String() {
		t.Errorf("work items %+v", p.WorkItemRefs)
	}
	links := must[[]boards.Link](t)(items.Links(t.Context(), item.ID))
	if len(links) != 1 || links[0].To.ID != "1" || links[0].URL != "/Tools/_git/My%20Shop/pullrequest/1" {
		t.Errorf("links %+v", links)
	}
}
