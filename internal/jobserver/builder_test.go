package jobserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/builds"
	"slipway/internal/jobserver"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/pipelinestest"
)

// TestBuilderScopes asks for the builder as jobs of a branch and of a pull request do, and tells of builds.
func TestBuilderScopes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := pipelinestest.Open(t, "Shop", "trigger: [main]\npr: [main]\npool: x\nsteps:\n- script: docker build .\n")
	if _, err := w.Pipelines.CreateDefinition(ctx, pipelines.Definition{Project: w.Project.ID, Name: "shop", Repository: pipelinestest.RepositoryID, Path: pipelines.DefaultPath}); err != nil {
		t.Fatal(err)
	}
	pushed, err := w.Pipelines.Pushed(ctx, pipelines.Push{Event: 1, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true})
	if err != nil || len(pushed) != 1 {
		t.Fatalf("%d runs, %v", len(pushed), err)
	}
	requested, err := w.Pipelines.PullRequested(ctx, pipelines.PullRequest{ID: 7, Repository: pipelinestest.RepositoryID, Title: "Sell hats", Source: "refs/heads/hats", Target: "refs/heads/main",
		SourceCommit: pipelinestest.Commit, MergeRef: "refs/pull/7/merge", MergeCommit: pipelinestest.Commit, PathsUnknown: true})
	if err != nil || len(requested) != 1 {
		t.Fatalf("%d runs of the pull request, %v", len(requested), err)
	}
	kept, err := builds.New(ctx, dbtest.SQLite(t), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	var scope images.Scope
	var watched string
	server := httptest.NewServer(jobserver.New(jobserver.Deps{Pipelines: w.Pipelines, Identity: w.Identity, Logger: w.Logger, Builds: kept,
		Builder: func(_ http.ResponseWriter, _ *http.Request, s images.Scope) error { scope = s; return nil },
		Watch:   func(_ http.ResponseWriter, _ *http.Request, owner string) error { watched = owner; return nil }}))
	defer server.Close()
	ask := func(method string, run slipway.RunID, kind identity.TokenKind, path, body string, want int) {
		t.Helper()
		token, err := w.Identity.IssueToken(ctx, identity.TokenRequest{Kind: kind, Project: w.Project.ID, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"},
			Binding: identity.Binding{Run: run, Job: slipway.JobID(run)}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s %s of run %d: %s, want %d", method, path, run, resp.Status, want)
		}
	}
	post := func(run slipway.RunID, kind identity.TokenKind, path, body string, want int) {
		t.Helper()
		ask(http.MethodPost, run, kind, path, body, want)
	}
	post(pushed[0].ID, identity.TokenJob, "/_slipway/builder", "", http.StatusOK)
	accepted := images.ProjectScope(w.Project.ID, true)
	accepted.Owner = "job-" + pushed[0].ID.String() // the token says which job it is
	if diff := cmp.Diff(accepted, scope); diff != "" || accepted.Reads != "" {
		t.Errorf("scope of the branch (-want +got):\n%s", diff)
	}
	post(requested[0].ID, identity.TokenJob, "/_slipway/builder", "", http.StatusOK)
	if scope.Name == accepted.Name || scope.Reads != accepted.Name {
		t.Errorf("the pull request's scope is %+v, of %+v", scope, accepted)
	}
	review := scope
	forked, err := w.Pipelines.PullRequested(ctx, pipelines.PullRequest{ID: 8, Repository: pipelinestest.RepositoryID, Title: "From a fork", Source: "refs/heads/hats", Target: "refs/heads/main",
		SourceCommit: pipelinestest.Commit, MergeRef: "refs/pull/8/merge", MergeCommit: pipelinestest.Commit, PathsUnknown: true, Fork: &pipelines.ForkSource{ApprovedAll: true}})
	if err != nil || len(forked) != 1 {
		t.Fatalf("%d runs of the fork, %v", len(forked), err)
	}
	post(forked[0].ID, identity.TokenJob, "/_slipway/builder", "", http.StatusOK)
	if scope.Name == accepted.Name || scope.Name == review.Name || scope.Reads != accepted.Name {
		t.Errorf("the fork's scope is %+v, beside %+v and %+v", scope, review, accepted)
	}
	post(pushed[0].ID, identity.TokenWorkload, "/_slipway/builder", "", http.StatusForbidden)

	run := pushed[0].ID
	path := "/_slipway/jobs/" + run.String() + "/imagebuilds"
	post(run, identity.TokenJob, path+"/watch", "", http.StatusOK)
	if watched != "job-"+run.String() {
		t.Errorf("watched are the builds of %q", watched)
	}
	post(run, identity.TokenWorkload, path+"/watch", "", http.StatusForbidden)
	post(requested[0].ID, identity.TokenJob, path+"/watch", "", http.StatusForbidden)
	const told = `{"tags":["a:1"],"summary":{"seconds":3,"steps":[{"name":"[1/2] FROM x","cached":true,"seconds":0},{"name":"[2/2] RUN y","seconds":2}]}}`
	post(run, identity.TokenJob, path, `{"tags":["a:1"]}`, http.StatusCreated)
	post(run, identity.TokenWorkload, path, `{}`, http.StatusForbidden)
	ask(http.MethodPatch, run, identity.TokenJob, path+"/1", `{"log":"#1 FROM x\n","report":`+told+`,"done":true}`, http.StatusOK)
	other := requested[0].ID
	ask(http.MethodPatch, other, identity.TokenJob, "/_slipway/jobs/"+other.String()+"/imagebuilds/1", `{"done":true}`, http.StatusForbidden)
	ask(http.MethodPatch, run, identity.TokenJob, path+"/7", `{}`, http.StatusNotFound)
	ask(http.MethodPatch, run, identity.TokenJob, path+"/x", `{}`, http.StatusNotFound)
	list, err := kept.OfRun(ctx, run)
	if err != nil || len(list) != 1 || list[0].Project != w.Project.ID || list[0].Cached != 1 || list[0].Total != 2 || list[0].Summary.Seconds != 3 || list[0].State != builds.Succeeded {
		t.Errorf("kept are %+v (%v)", list, err)
	}
}
