package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/core"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// forkAPI is a repository Hats of the project Tools, of which Dora is a reader, and a project Forks of her own.
type forkAPI struct {
	*repositoryWorld
	hats  repos.Repository
	forks identity.Project
	dora  string // her token
	ended <-chan events.Event
}

func newForkAPI(t *testing.T) forkAPI {
	t.Helper()
	ctx := context.Background()
	w := forkAPI{repositoryWorld: newRepositoryWorld(t)}
	w.repos.People = w.identity
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.dora = w.user("dora", false)
	u, err := w.identity.UserByName(ctx, "dora")
	check(err)
	check(w.identity.SetRole(ctx, slipway.System, w.project.ID, u.ID, identity.RoleReader))
	w.forks, err = w.identity.CreateProject(ctx, slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: "dora"}, "Forks", "")
	check(err)
	w.hats, err = w.repos.Create(ctx, repos.CreateRequest{Project: w.project.ID, Name: "Hats", Actor: slipway.System})
	check(err)
	w.commit(w.hats.ID, "main", "", "README.md")
	var stop func()
	w.ended, stop = w.log.Watch(func(e events.Event) bool { return e.Kind == repos.EventForkSynced })
	t.Cleanup(stop)
	return w
}

func (w forkAPI) commit(id slipway.RepositoryID, branch string, start slipway.CommitID, path string) slipway.CommitID {
	w.Helper()
	c, err := w.repos.CommitFiles(context.Background(), repos.CommitRequest{Repository: id, Branch: branch, Start: start, Changes: []repos.Change{{Path: path, Content: []byte(path + "\n")}},
		Message: "add " + path, Author: repos.Signature{Name: "Dora", Email: "dora@example.org"}, Actor: slipway.System})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// Azure DevOps' own Go client forks a repository, syncs the fork and opens a pull request from it.
func TestAzureDevOpsForkClient(t *testing.T) {
	t.Parallel()
	w := newForkAPI(t)
	ctx, tools, forks, hats := t.Context(), "Tools", "Forks", string(w.hats.ID)
	connection := azuredevops.NewPatConnection(w.url, w.dora)
	g := must[git.Client](t)(git.NewClient(ctx, connection))
	parent := uuid.MustParse(hats)
	project := uuid.MustParse(string(w.project.ID))
	made := must[*git.GitRepository](t)(g.CreateRepository(ctx, git.CreateRepositoryArgs{Project: &forks, GitRepositoryToCreate: &git.GitRepositoryCreateOptions{
		Name: ptr("Caps"), ParentRepository: &git.GitRepositoryRef{Id: &parent, Project: &core.TeamProjectReference{Id: &project}}}}))
	if !*made.IsFork || *made.ParentRepository.Id != parent || *made.ParentRepository.Project.Name != tools {
		t.Errorf("the fork is %+v", made)
	}
	<-w.ended
	id := made.Id.String()
	again := must[*git.GitRepository](t)(g.GetRepositoryWithParent(ctx, git.GetRepositoryWithParentArgs{Project: &forks, RepositoryId: &id, IncludeParent: ptr(true)}))
	if *again.ParentRepository.Name != "Hats" || *again.DefaultBranch != "refs/heads/main" {
		t.Errorf("the fork is %+v", again)
	}
	collection := uuid.New()
	list := *must[*[]git.GitRepositoryRef](t)(g.GetForks(ctx, git.GetForksArgs{Project: &tools, RepositoryNameOrId: &hats, CollectionId: &collection}))
	if len(list) != 1 || *list[0].Id != *made.Id || *list[0].Project.Name != forks || !*list[0].IsFork {
		t.Errorf("forks %+v", list)
	}
	tip := w.commit(w.hats.ID, "main", "", "new.md")
	request := must[*git.GitForkSyncRequest](t)(g.CreateForkSyncRequest(ctx, git.CreateForkSyncRequestArgs{Project: &forks, RepositoryNameOrId: &id, SyncParams: &git.GitForkSyncRequestParameters{
		Source: &git.GlobalGitRepositoryKey{ProjectId: &project, RepositoryId: &parent}, SourceToTargetRefs: &[]git.SourceToTargetRef{{SourceRef: ptr("refs/heads/main"), TargetRef: ptr("refs/heads/main")}}}}))
	<-w.ended
	one := must[*git.GitForkSyncRequest](t)(g.GetForkSyncRequest(ctx, git.GetForkSyncRequestArgs{Project: &forks, RepositoryNameOrId: &id, ForkSyncOperationId: request.OperationId}))
	if *one.Status != git.GitAsyncOperationStatusValues.Completed || *one.Source.RepositoryId != parent || *one.Source.ProjectId != project || *one.DetailedStatus.CurrentStep != 3 {
		t.Errorf("the sync is %+v", one)
	}
	if all := *must[*[]git.GitForkSyncRequest](t)(g.GetForkSyncRequests(ctx, git.GetForkSyncRequestsArgs{Project: &forks, RepositoryNameOrId: &id})); len(all) != 2 {
		t.Errorf("%d syncs, want the first copy and this one", len(all))
	}
	if got, err := w.repos.Resolve(ctx, slipway.RepositoryID(id), "refs/heads/main"); err != nil || got != tip {
		t.Errorf("the fork's branch is at %s, %v", got, err)
	}
	w.commit(slipway.RepositoryID(id), "straw", tip, "straw.md")
	pull := must[*git.GitPullRequest](t)(g.CreatePullRequest(ctx, git.CreatePullRequestArgs{Project: &tools, RepositoryId: &hats, GitPullRequestToCreate: &git.GitPullRequest{
		SourceRefName: ptr("refs/heads/straw"), TargetRefName: ptr("refs/heads/main"), Title: ptr("Straw hats"),
		ForkSource: &git.GitForkRef{Name: ptr("refs/heads/straw"), Repository: &git.GitRepository{Id: made.Id}}}}))
	if *pull.MergeStatus != git.PullRequestAsyncStatusValues.Succeeded || *pull.ForkSource.Name != "refs/heads/straw" || *pull.ForkSource.Repository.Id != *made.Id {
		t.Errorf("the pull request is %+v", pull)
	}
	for from, want := range map[uuid.UUID]int{*made.Id: 1, parent: 0} {
		found := *must[*[]git.GitPullRequest](t)(g.GetPullRequests(ctx, git.GetPullRequestsArgs{Project: &tools, RepositoryId: &hats, SearchCriteria: &git.GitPullRequestSearchCriteria{SourceRepositoryId: &from}}))
		if len(found) != want {
			t.Errorf("%d pull requests from %s, want %d", len(found), from, want)
		}
	}
}

// Who reads a project forks its repositories and takes part in their own pull request, and nothing more; who may not read the fork sees what the
// pull request shows.
func TestWhoMayForkWhat(t *testing.T) {
	t.Parallel()
	w := newForkAPI(t)
	const made, at = "/Forks/_apis/git/repositories", "/Tools/_apis/git/repositories/Hats"
	body := `{"name":"Caps","parentRepository":{"id":"` + string(w.hats.ID) + `"}}`
	w.call(w.writer, "POST", made, body, http.StatusNotFound, nil)                                                                             // no member of the target
	w.call(w.dora, "POST", "/Tools/_apis/git/repositories", body, http.StatusForbidden, nil)                                                   // may not create there
	w.call(w.owner, "POST", "/Tools/_apis/git/repositories", strings.ReplaceAll(body, string(w.hats.ID), "nothing"), http.StatusNotFound, nil) // of nothing
	var fork api.GitRepository
	w.call(w.dora, "POST", made, body, http.StatusCreated, &fork)
	<-w.ended
	var list struct{ Value []api.GitRepositoryRef }
	w.call(w.writer, "GET", at+"/forks/x", "", http.StatusOK, &list)
	if len(list.Value) != 0 {
		t.Errorf("somebody else sees %+v", list.Value)
	}
	tip, err := w.repos.Resolve(context.Background(), slipway.RepositoryID(fork.ID), "refs/heads/main")
	if err != nil {
		t.Fatal(err)
	}
	w.commit(slipway.RepositoryID(fork.ID), "straw", tip, "straw.md")
	ask := `{"sourceRefName":"refs/heads/straw","targetRefName":"refs/heads/main","forkSource":{"name":"refs/heads/straw","repository":{"id":"` + fork.ID + `"}}}`
	w.call(w.writer, "POST", at+"/pullrequests", ask, http.StatusNotFound, nil)                                          // may not read the fork
	w.call(w.dora, "POST", at+"/pullrequests", `{"sourceRefName":"refs/heads/main"}`, http.StatusForbidden, nil)         // not from the repository itself
	w.call(w.dora, "POST", at+"/pullrequests", `{"forkSource":{"name":"refs/heads/straw"}}`, http.StatusBadRequest, nil) // which fork
	w.call(w.owner, "POST", at+"/pullrequests", strings.ReplaceAll(ask, fork.ID, "nothing"), http.StatusNotFound, nil)
	var p, seen api.GitPullRequest
	w.call(w.dora, "POST", at+"/pullrequests", ask, http.StatusCreated, &p)
	w.call(w.writer, "GET", at+"/pullrequests/1", "", http.StatusOK, &seen)
	want := &api.GitForkRef{Name: "refs/heads/straw", Repository: &api.GitRepositoryRef{ID: fork.ID, Name: "Caps", IsFork: true}}
	if diff := cmp.Diff(want, seen.ForkSource); diff != "" {
		t.Errorf("who may not read the fork sees (-want +got):\n%s", diff)
	}
	one := at + "/pullrequests/1"
	for _, c := range []struct {
		who, method, path, body string
		status                  int
	}{
		{w.dora, "PATCH", one, `{"title":"Hats of straw"}`, http.StatusOK},
		{w.dora, "PATCH", one, `{"status":"completed","lastMergeSourceCommit":{"commitId":"` + p.LastMergeSourceCommit.CommitID + `"}}`, http.StatusForbidden},
		{w.dora, "PATCH", one, `{"autoCompleteSetBy":{"id":"` + p.CreatedBy.ID + `"}}`, http.StatusForbidden},
		{w.dora, "PUT", one + "/reviewers/" + p.CreatedBy.ID, `{"vote":10}`, http.StatusForbidden},
		{w.dora, "POST", one + "/threads", `{"comments":[{"content":"please"}]}`, http.StatusOK},
		{w.writer, "POST", one + "/threads/1/comments", `{"content":"why?"}`, http.StatusOK},
		{w.dora, "POST", one + "/threads/1/comments", `{"content":"it is summer"}`, http.StatusOK},
		{w.writer, "PATCH", one, `{"status":"completed","lastMergeSourceCommit":{"commitId":"` + p.LastMergeSourceCommit.CommitID + `"},"completionOptions":{"deleteSourceBranch":true}}`, http.StatusForbidden},
		{w.writer, "PATCH", one, `{"status":"completed","lastMergeSourceCommit":{"commitId":"` + p.LastMergeSourceCommit.CommitID + `"}}`, http.StatusOK},
	} {
		w.call(c.who, c.method, c.path, c.body, c.status, nil)
	}
	// Another's pull request is not hers to change.
	w.commit(w.hats.ID, "felt", tip, "felt.md")
	w.call(w.writer, "POST", at+"/pullrequests", `{"sourceRefName":"refs/heads/felt"}`, http.StatusCreated, nil)
	w.call(w.dora, "PATCH", at+"/pullrequests/2", `{"title":"x"}`, http.StatusForbidden, nil)
	w.call(w.dora, "POST", at+"/pullrequests/2/threads", `{"comments":[{"content":"please"}]}`, http.StatusForbidden, nil)
}
