package api_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/workitemtracking"

	"slipway"
)

// otherCase stands before a server and asks it for paths whose fixed parts are written by spell.
func otherCase(t *testing.T, address string, spell func(string) string) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	fixed := map[string]bool{}
	for word := range strings.FieldsSeq("_apis git repositories pullrequests refs items itemsbatch commits commitsbatch annotatedtags resourceareas wit workitems workitemsbatch workitemtypes states") {
		fixed[word] = true
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		parts := strings.Split(r.In.URL.EscapedPath(), "/")
		for i, p := range parts {
			if fixed[strings.ToLower(p)] {
				parts[i] = spell(p)
			}
		}
		path := strings.Join(parts, "/")
		if r.Out.URL.Path, err = url.PathUnescape(path); err != nil {
			t.Error(err)
		}
		r.Out.URL.RawPath = path
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// Azure DevOps does not regard the case of the fixed parts of a path. Names in it are told apart by theirs, if they are elsewhere.
func TestPathsInAnyCase(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	ctx := t.Context()
	for name, spell := range map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper, "as it is": func(s string) string { return s }} {
		t.Run(name, func(t *testing.T) {
			connection := azuredevops.NewPatConnection(otherCase(t, w.url, spell), token)
			client := must[git.Client](t)(git.NewClient(ctx, connection))
			project, repository, file := "Tools", "My Shop", "README.md"
			list := must[*[]git.GitRepository](t)(client.GetRepositories(ctx, git.GetRepositoriesArgs{Project: &project}))
			if len(*list) != 1 || *(*list)[0].Name != repository {
				t.Fatalf("repositories %+v", *list)
			}
			item := must[*git.GitItem](t)(client.GetItem(ctx, git.GetItemArgs{Project: &project, RepositoryId: &repository, Path: &file}))
			if *item.Path != "/README.md" {
				t.Errorf("item %+v", item)
			}
			refs := must[*git.GetRefsResponseValue](t)(client.GetRefs(ctx, git.GetRefsArgs{Project: &project, RepositoryId: &repository}))
			tag := "Release-" + strings.ReplaceAll(name, " ", "-") // whose case stays
			commit := (*refs).Value[0].ObjectId
			made := must[*git.GitAnnotatedTag](t)(client.CreateAnnotatedTag(ctx, git.CreateAnnotatedTagArgs{Project: &project, RepositoryId: &repository,
				TagObject: &git.GitAnnotatedTag{Name: &tag, Message: &tag, TaggedObject: &git.GitObject{ObjectId: commit}}}))
			if *made.Name != tag {
				t.Errorf("tag %q, want %q", *made.Name, tag)
			}
			batch := must[*[]git.GitCommitRef](t)(client.GetCommitsBatch(ctx, git.GetCommitsBatchArgs{Project: &project, RepositoryId: &repository, SearchCriteria: &git.GitQueryCommitsCriteria{}}))
			if len(*batch) == 0 {
				t.Error("no commits")
			}
			pulls := must[*[]git.GitPullRequest](t)(client.GetPullRequests(ctx, git.GetPullRequestsArgs{Project: &project, RepositoryId: &repository, SearchCriteria: &git.GitPullRequestSearchCriteria{}}))
			if len(*pulls) != 0 {
				t.Errorf("pull requests %+v", *pulls)
			}
			items := must[workitemtracking.Client](t)(workitemtracking.NewClient(ctx, connection))
			if types := must[*[]workitemtracking.WorkItemType](t)(items.GetWorkItemTypes(ctx, workitemtracking.GetWorkItemTypesArgs{Project: &project})); len(*types) == 0 {
				t.Error("no types of work items")
			}
		})
	}
	var problem struct{ Message string }
	w.call(token, "PUT", "/Tools/_APIS/Git/REPOSITORIES", `{}`, http.StatusMethodNotAllowed, &problem)
	if problem.Message != "Slipway serves /Tools/_APIS/Git/REPOSITORIES by GET, POST, not by PUT" {
		t.Errorf("another method: %q", problem.Message)
	}
	var answer struct{ Code slipway.Code }
	w.call(token, "GET", "/Tools/_apis/git/repositoriez", "", http.StatusNotFound, &answer)
	w.call(token, "GET", "/DEFAULTCOLLECTION/_Apis/PROJECTS", "", http.StatusOK, &struct{}{})
}
