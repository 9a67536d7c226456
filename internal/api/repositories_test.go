package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// repositoryWorld is the API of a project Tools without repositories, whose mirrors run.
type repositoryWorld struct {
	world
	repos                        *repos.Service
	log                          *events.Log
	administrator, owner, writer string // tokens: of the installation, of the project, of a contributor
	source                       string // URL of a repository with one commit
}

func newRepositoryWorld(t *testing.T) *repositoryWorld {
	t.Helper()
	ctx, d, logger := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	check(err)
	ids, err := identity.Open(ctx, d, log, clock.System{})
	check(err)
	items, err := boards.Open(ctx, d, log, clock.System{})
	check(err)
	r, err := repos.Open(ctx, d, log, clock.System{}, t.TempDir(), logger)
	check(err)
	t.Cleanup(func() { _ = r.Close() })
	r.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	p, err := ids.CreateProject(ctx, slipway.System, "Tools", "")
	check(err)
	server := api.New(ids, logger, "http://slipway.test")
	server.AddGit(r, items)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	w := &repositoryWorld{world: world{t, listener.URL, ids, p}, repos: r, log: log, source: sourceRepository(t)}
	w.administrator, w.owner, w.writer = w.user("ada", true), w.user("ben", false), w.user("cleo", false)
	for name, role := range map[string]identity.Role{"ben": identity.RoleAdministrator, "cleo": identity.RoleContributor} {
		u, err := ids.UserByName(ctx, name)
		check(err)
		check(ids.SetRole(ctx, slipway.System, p.ID, u.ID, role))
	}
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(running) }()
	t.Cleanup(func() {
		cancel()
		check(<-done)
	})
	return w
}

// sourceRepository is a repository of another host, served as files (the dumb protocol of gitprotocol-http(5)).
func sourceRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	run := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=a@example.org")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	bare := filepath.Join(root, "hats.git")
	run(root, "init", "-q", "--bare", "-b", "trunk", bare)
	run(root, "clone", "-q", bare, "work")
	work := filepath.Join(root, "work")
	run(work, "commit", "-q", "--allow-empty", "-m", "begin")
	run(work, "push", "-q", "origin", "HEAD:trunk")
	run(bare, "update-server-info")
	server := httptest.NewServer(http.FileServer(http.Dir(root)))
	t.Cleanup(server.Close)
	return server.URL + "/hats.git"
}

// Azure DevOps' own Go client makes a repository, imports into it, renames, deletes and restores it.
func TestAzureDevOpsRepositoryClient(t *testing.T) {
	t.Parallel()
	w := newRepositoryWorld(t)
	ctx, project, name := t.Context(), "Tools", "Hats"
	g := must[git.Client](t)(git.NewClient(ctx, azuredevops.NewPatConnection(w.url, w.owner)))
	made := must[*git.GitRepository](t)(g.CreateRepository(ctx, git.CreateRepositoryArgs{Project: &project, GitRepositoryToCreate: &git.GitRepositoryCreateOptions{Name: &name}}))
	id := made.Id.String()
	ended, stop := w.log.Watch(func(e events.Event) bool { return e.Kind == repos.EventMirrorSynced })
	defer stop()
	request := must[*git.GitImportRequest](t)(g.CreateImportRequest(ctx, git.CreateImportRequestArgs{Project: &project, RepositoryId: &id,
		ImportRequest: &git.GitImportRequest{Parameters: &git.GitImportRequestParameters{GitSource: &git.GitImportGitSource{Url: &w.source}}}}))
	if s := *request.Status; s != git.GitAsyncOperationStatusValues.Queued {
		t.Errorf("the import is %s", s)
	}
	<-ended
	one := must[*git.GitImportRequest](t)(g.GetImportRequest(ctx, git.GetImportRequestArgs{Project: &project, RepositoryId: &id, ImportRequestId: request.ImportRequestId}))
	if *one.Status != git.GitAsyncOperationStatusValues.Completed || *one.Parameters.GitSource.Url != w.source || *one.DetailedStatus.CurrentStep != 3 {
		t.Errorf("the import is %s: %s", *one.Status, *one.DetailedStatus.ErrorMessage)
	}
	if list := must[*[]git.GitImportRequest](t)(g.QueryImportRequests(ctx, git.QueryImportRequestsArgs{Project: &project, RepositoryId: &id})); len(*list) != 1 {
		t.Errorf("%d imports", len(*list))
	}
	got := must[*git.GitRepository](t)(g.GetRepository(ctx, git.GetRepositoryArgs{Project: &project, RepositoryId: &id}))
	if *got.DefaultBranch != "refs/heads/trunk" {
		t.Errorf("the default branch is %s", *got.DefaultBranch)
	}
	other := "Caps"
	got = must[*git.GitRepository](t)(g.UpdateRepository(ctx, git.UpdateRepositoryArgs{Project: &project, RepositoryId: made.Id, NewRepositoryInfo: &git.GitRepository{Name: &other}}))
	if *got.Name != other {
		t.Errorf("it is called %s", *got.Name)
	}
	if got = must[*git.GitRepository](t)(g.GetRepository(ctx, git.GetRepositoryArgs{Project: &project, RepositoryId: &name})); *got.Id != *made.Id {
		t.Errorf("its old name leads to %s", got.Id)
	}
	if err := g.DeleteRepository(ctx, git.DeleteRepositoryArgs{Project: &project, RepositoryId: made.Id}); err != nil {
		t.Fatal(err)
	}
	bin := must[*[]git.GitDeletedRepository](t)(g.GetRecycleBinRepositories(ctx, git.GetRecycleBinRepositoriesArgs{Project: &project}))
	if len(*bin) != 1 || *(*bin)[0].Name != other {
		t.Errorf("deleted are %+v", bin)
	}
	back := false
	must[*git.GitRepository](t)(g.RestoreRepositoryFromRecycleBin(ctx, git.RestoreRepositoryFromRecycleBinArgs{Project: &project, RepositoryId: made.Id, RepositoryDetails: &git.GitRecycleBinRepositoryDetails{Deleted: &back}}))
}

func TestMirrorsAPI(t *testing.T) {
	t.Parallel()
	w := newRepositoryWorld(t)
	ended, stop := w.log.Watch(func(e events.Event) bool { return e.Kind == repos.EventMirrorSynced })
	defer stop()
	const imports = "/Tools/_apis/slipway/imports"
	body := `{"name":"hats","kind":"pull","url":"` + w.source + `","every":"1h"}`
	w.call(w.writer, "POST", imports, body, http.StatusForbidden, nil)
	w.call(w.owner, "POST", imports, `{"name":"hats","kind":"pull","url":"file:///etc"}`, http.StatusBadRequest, nil)
	w.call(w.owner, "POST", imports, strings.Replace(body, "{", `{"privateAddresses":true,`, 1), http.StatusForbidden, nil)
	var made api.Imported
	w.call(w.owner, "POST", imports, body, http.StatusCreated, &made)
	<-ended
	at := "/Tools/_apis/slipway/repositories/hats/mirrors"
	var list struct{ Value []api.Mirror }
	w.call(w.writer, "GET", at, "", http.StatusOK, &list)
	if len(list.Value) != 1 || list.Value[0].State != "succeeded" || list.Value[0].Every != time.Hour.String() || list.Value[0].Due == nil {
		t.Errorf("%+v", list.Value)
	}
	var push api.Mirror
	w.call(w.owner, "POST", at, `{"kind":"push","url":"https://example.com/x.git","username":"ada","password":"hunter2","enabled":false}`, http.StatusBadRequest, nil) // no master key here
	w.call(w.owner, "POST", at, `{"kind":"push","url":"https://example.com/x.git","enabled":false}`, http.StatusCreated, &push)
	w.call(w.owner, "POST", at+"/"+strconv.FormatInt(push.ID, 10)+"/sync", "", http.StatusConflict, nil)
	w.call(w.owner, "DELETE", at+"/"+strconv.FormatInt(push.ID, 10), "", http.StatusNoContent, nil)
	w.call(w.owner, "GET", at+"/"+strconv.FormatInt(push.ID, 10), "", http.StatusNotFound, nil)
	var changed api.Mirror
	w.call(w.administrator, "PUT", at+"/"+strconv.FormatInt(made.Mirror.ID, 10), `{"kind":"pull","url":"`+w.source+`","privateAddresses":true}`, http.StatusOK, &changed)
	if !changed.PrivateAddresses || changed.Every != "" || changed.Due != nil {
		t.Errorf("%+v", changed)
	}
	w.call(w.writer, "POST", at+"/"+strconv.FormatInt(made.Mirror.ID, 10)+"/sync", "", http.StatusAccepted, nil)
	<-ended
}

func TestRepositoryLimitsAndUpkeepAPI(t *testing.T) {
	t.Parallel()
	w := newRepositoryWorld(t)
	w.call(w.owner, "POST", "/Tools/_apis/git/repositories", `{"name":"hats"}`, http.StatusCreated, nil)
	const ofProject, own = "/Tools/_apis/slipway/repositorylimits", "/Tools/_apis/slipway/repositories/hats/limits"
	w.call(w.writer, "PUT", ofProject, `{"file":1}`, http.StatusForbidden, nil)
	w.call(w.owner, "PUT", ofProject, `{"file":100,"refs":7}`, http.StatusOK, nil)
	w.call(w.owner, "PUT", own, `{"file":-1}`, http.StatusBadRequest, nil)
	var l api.RepositoryLimits
	w.call(w.owner, "PUT", own, `{"file":200}`, http.StatusOK, &l)
	if want := (repos.Limits{File: 200, Refs: 7}); *l.Effective != want || l.Refs != 0 {
		t.Errorf("%+v, effective %+v", l, l.Effective)
	}
	var u api.Upkeep
	w.call(w.writer, "POST", "/Tools/_apis/slipway/repositories/hats/upkeep", "", http.StatusForbidden, nil)
	w.call(w.owner, "POST", "/Tools/_apis/slipway/repositories/hats/upkeep", "", http.StatusOK, &u)
	w.call(w.writer, "GET", "/Tools/_apis/slipway/repositories/hats/upkeep", "", http.StatusOK, &u)
}

// A repository of SHA-256 names is made, pushed to and reviewed by Azure DevOps' own client, which writes zeros of 40 digits for no object.
func TestSHA256API(t *testing.T) {
	t.Parallel()
	c, _, project, w, token := gitClient(t)
	ctx, name := t.Context(), "wide"
	w.call(token, "POST", "/Tools/_apis/git/repositories", `{"name": "narrow", "objectFormat": "md5"}`, http.StatusBadRequest, nil)
	w.call(token, "POST", "/Tools/_apis/git/repositories", `{"name": "wide", "objectFormat": "sha256"}`, http.StatusCreated, nil)
	const zero = "0000000000000000000000000000000000000000"
	add := func(path string) map[string]any {
		return map[string]any{"changeType": "add", "item": map[string]string{"path": path}, "newContent": map[string]string{"content": path, "contentType": "rawtext"}}
	}
	first := push(t, c, &name, project, "main", zero, add("/a.txt"))
	base := *(*first.RefUpdates)[0].NewObjectId
	if old := *(*first.RefUpdates)[0].OldObjectId; len(base) != 64 || old != strings.Repeat("0", 64) {
		t.Errorf("the push is from %s to %s", old, base)
	}
	results := *must[*[]git.GitRefUpdateResult](t)(c.UpdateRefs(ctx, git.UpdateRefsArgs{RepositoryId: &name, Project: project,
		RefUpdates: &[]git.GitRefUpdate{{Name: ptr("refs/heads/topic"), OldObjectId: ptr(zero), NewObjectId: &base}}}))
	if !*results[0].Success {
		t.Errorf("the branch: %+v", results[0])
	}
	topic := *(*push(t, c, &name, project, "topic", base, add("/b.txt")).RefUpdates)[0].NewObjectId
	commit := must[*git.GitCommit](t)(c.GetCommit(ctx, git.GetCommitArgs{RepositoryId: &name, Project: project, CommitId: &topic, ChangeCount: ptr(10)}))
	if len(*commit.TreeId) != 64 || len(*commit.Changes) != 1 || (*commit.Parents)[0] != base {
		t.Errorf("the commit %+v", commit)
	}
	pull := must[*git.GitPullRequest](t)(c.CreatePullRequest(ctx, git.CreatePullRequestArgs{RepositoryId: &name, Project: project, GitPullRequestToCreate: &git.GitPullRequest{
		SourceRefName: ptr("refs/heads/topic"), TargetRefName: ptr("refs/heads/main"), Title: ptr("wide")}}))
	done := must[*git.GitPullRequest](t)(c.UpdatePullRequest(ctx, git.UpdatePullRequestArgs{RepositoryId: &name, Project: project, PullRequestId: pull.PullRequestId,
		GitPullRequestToUpdate: &git.GitPullRequest{Status: &git.PullRequestStatusValues.Completed, LastMergeSourceCommit: &git.GitCommitRef{CommitId: &topic}}}))
	if *done.Status != git.PullRequestStatusValues.Completed || len(*done.LastMergeCommit.CommitId) != 64 || head(t, c, &name, project, "main") != *done.LastMergeCommit.CommitId {
		t.Errorf("the pull request %+v", done)
	}
}
