package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// gitWorld is the API over a repository shop whose branch topic has one commit more than main.
func gitWorld(t *testing.T) (w world, token string) {
	t.Helper()
	w, token, _ = gitAndBoards(t)
	return w, token
}

// gitAndBoards is gitWorld with its work items.
func gitAndBoards(t *testing.T) (w world, token string, items *boards.Service) {
	t.Helper()
	ctx, d, logger, folder := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	must(err)
	ids, err := identity.Open(ctx, d, log, clock.System{})
	must(err)
	items, err = boards.Open(ctx, d, log, clock.System{})
	must(err)
	r, err := repos.Open(ctx, d, log, clock.System{}, folder, logger)
	must(err)
	t.Cleanup(func() { _ = r.Close() })
	p, err := ids.CreateProject(ctx, slipway.System, "Tools", "")
	must(err)
	repo, err := r.Create(ctx, repos.CreateRequest{Project: p.ID, Name: "My Shop", Actor: slipway.System})
	must(err)
	commit := func(branch, path string) slipway.CommitID {
		id, err := r.CommitFiles(ctx, repos.CommitRequest{Repository: repo.ID, Branch: branch, Changes: []repos.Change{{Path: path, Content: []byte("x\n")}},
			Message: "add " + path, Author: repos.Signature{Name: "Ada", Email: "ada@example.org"}, Actor: slipway.System})
		must(err)
		return id
	}
	base := commit("main", "README.md")
	bare, err := filepath.Glob(filepath.Join(folder, "*", "*.git"))
	must(err)
	out, err := exec.CommandContext(ctx, "git", "-C", bare[0], "update-ref", "refs/heads/topic", string(base)).CombinedOutput()
	if err != nil {
		t.Fatalf("make branch: %v\n%s", err, out)
	}
	commit("topic", "hats.md")
	server := api.New(ids, logger, "http://slipway.test")
	server.AddGit(r, items)
	server.AddWorkItems(items)
	r.Objects, err = blob.OpenFiles(t.TempDir())
	must(err)
	r.People = ids
	server.AddPolicies(r, fakeValidate(r))
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	w = world{t, listener.URL, ids, p}
	return w, w.user("ada", true), items
}

func TestPullRequests(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	var all struct {
		Count int                 `json:"count"`
		Value []api.GitRepository `json:"value"`
	}
	w.call(token, "GET", "/Tools/_apis/git/repositories?api-version=7.1", "", http.StatusOK, &all)
	if all.Count != 1 || all.Value[0].RemoteURL != "http://slipway.test/Tools/_git/My%20Shop" || all.Value[0].DefaultBranch != "refs/heads/main" {
		t.Errorf("repositories %+v", all)
	}
	const path = "/Tools/_apis/git/repositories/My%20Shop/pullrequests"
	var p api.GitPullRequest
	w.call(token, "POST", path, `{"sourceRefName":"refs/heads/topic","targetRefName":"refs/heads/main","title":"Sell hats","reviewers":[]}`, http.StatusCreated, &p)
	if p.PullRequestID != 1 || p.Status != "active" || p.MergeStatus != "succeeded" || p.CreatedBy.UniqueName != "ada" || p.LastMergeSourceCommit == nil ||
		!strings.HasSuffix(p.Links.Web.Href, "/Tools/_git/My%20Shop/pullrequest/1") || p.Repository.Project.Name != "Tools" {
		t.Errorf("pull request %+v", p)
	}
	// By id, in any of the ways that clients have.
	for _, path := range []string{"/Tools/_apis/git/pullRequests/1", "/Tools/_apis/git/repositories/" + p.Repository.ID + "/pullRequests/1"} {
		var again api.GitPullRequest
		w.call(token, "GET", path, "", http.StatusOK, &again)
		if again.Title != "Sell hats" {
			t.Errorf("GET %s gives %+v", path, again)
		}
	}
	for query, want := range map[string]int{"": 1, "?searchCriteria.status=1": 1, "?searchCriteria.status=Completed": 0, "?searchCriteria.status=all": 1,
		"?searchCriteria.targetRefName=refs/heads/main": 1, "?searchCriteria.sourceRefName=refs/heads/main": 0, "?$skip=1": 0} {
		var list struct {
			Count int `json:"count"`
		}
		w.call(token, "GET", "/Tools/_apis/git/pullrequests"+query, "", http.StatusOK, &list)
		if list.Count != want {
			t.Errorf("%q lists %d, want %d", query, list.Count, want)
		}
	}
	var reviewer api.GitReviewer
	w.call(token, "PUT", path+"/1/reviewers/"+p.CreatedBy.ID, `{"vote":10}`, http.StatusOK, &reviewer)
	w.call(token, "PUT", path+"/1/reviewers/somebody", `{"vote":10}`, http.StatusForbidden, nil)
	w.call(token, "PATCH", path+"/1", `{"description":"They keep heads warm.","isDraft":true}`, http.StatusOK, &p)
	if p.Description != "They keep heads warm." || !p.IsDraft || p.Title != "Sell hats" || len(p.Reviewers) != 1 || p.Reviewers[0].Vote != 10 {
		t.Errorf("changed: %+v", p)
	}
	var commits struct {
		Value []api.GitCommitRef `json:"value"`
	}
	w.call(token, "GET", path+"/1/commits", "", http.StatusOK, &commits)
	if len(commits.Value) != 1 || commits.Value[0].Comment != "add hats.md" || commits.Value[0].Author.Email != "ada@example.org" {
		t.Errorf("commits %+v", commits)
	}
	var iterations struct {
		Value []api.GitIteration `json:"value"`
	}
	w.call(token, "GET", path+"/1/iterations", "", http.StatusOK, &iterations)
	if len(iterations.Value) != 1 || iterations.Value[0].SourceRefCommit.CommitID != p.LastMergeSourceCommit.CommitID {
		t.Errorf("iterations %+v", iterations)
	}
	// A thread about a line, an answer, and its end.
	var thread api.GitThread
	w.call(token, "POST", path+"/1/threads", `{"comments":[{"parentCommentId":0,"content":"Why?","commentType":1}],"status":1,
		"threadContext":{"filePath":"/hats.md","rightFileStart":{"line":1,"offset":1},"rightFileEnd":{"line":1,"offset":2}}}`, http.StatusOK, &thread)
	if thread.Status != "active" || thread.ThreadContext.FilePath != "/hats.md" || thread.ThreadContext.RightFileStart.Line != 1 || thread.Comments[0].Content != "Why?" {
		t.Errorf("thread %+v", thread)
	}
	var comment api.GitComment
	w.call(token, "POST", path+"/1/threads/1/comments", `{"content":"Winter.","parentCommentId":1,"commentType":"text"}`, http.StatusOK, &comment)
	w.call(token, "PATCH", path+"/1/threads/1/comments/2", `{"content":"Winter is near."}`, http.StatusOK, &comment)
	if comment.ID != 2 || comment.ParentCommentID != 1 || comment.Content != "Winter is near." || comment.Author.UniqueName != "ada" {
		t.Errorf("comment %+v", comment)
	}
	w.call(token, "DELETE", path+"/1/threads/1/comments/1", ``, http.StatusOK, &comment)
	w.call(token, "PATCH", path+"/1/threads/1", `{"status":"Fixed"}`, http.StatusOK, &thread)
	var threads struct {
		Value []api.GitThread `json:"value"`
	}
	w.call(token, "GET", path+"/1/threads", "", http.StatusOK, &threads)
	if len(threads.Value) != 1 || threads.Value[0].Status != "fixed" || !threads.Value[0].Comments[0].IsDeleted || threads.Value[0].IsDeleted {
		t.Errorf("threads %+v", threads)
	}
	// A client of the other sort sends numbers where names are meant.
	w.call(token, "PATCH", path+"/1", `{"isDraft":false}`, http.StatusOK, nil)
	w.call(token, "PATCH", path+"/1", `{"status":3,"lastMergeSourceCommit":{"commitId":"`+p.LastMergeSourceCommit.CommitID+`"},
		"completionOptions":{"mergeStrategy":2,"deleteSourceBranch":true}}`, http.StatusOK, &p)
	if p.Status != "completed" || p.CompletionOptions.MergeStrategy != "squash" || p.ClosedBy.UniqueName != "ada" || p.LastMergeCommit == nil {
		t.Errorf("completed: %+v", p)
	}
}

func TestPullRequestMistakes(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	const path = "/Tools/_apis/git/repositories/My%20Shop/pullrequests"
	w.call(token, "POST", path, `{"sourceRefName":"refs/heads/topic","targetRefName":"refs/heads/main"}`, http.StatusCreated, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", path, `{"sourceRefName":"refs/heads/nowhere"}`, 400, "sourceRefName"},
		{"POST", path, `{"sourceRefName":"refs/heads/topic"}`, 409, "already"},
		{"POST", path, `{"sourceRefName":"refs/heads/topic","forkSource":{"name":"x"}}`, 400, "forkSource"},
		{"POST", path, `[]`, 400, "JSON of a pull request"},
		{"GET", path + "/2", ``, 404, "pull request 2"},
		{"GET", path + "/x", ``, 400, "not a number"},
		{"GET", path + "?searchCriteria.status=open", ``, 400, "searchCriteria.status"},
		{"POST", path + "/1/threads", `{"comments":[]}`, 400, "comments"},
		{"POST", path + "/1/threads", `{"comments":[{"content":"x"}],"status":"done"}`, 400, "status"},
		{"POST", path + "/1/threads", `{"comments":[{"content":"x"}],"threadContext":{"filePath":"/nowhere"}}`, 404, "nowhere"},
		{"GET", path + "/1/threads/4", ``, 404, "no thread 4"},
		{"PATCH", path + "/1", `{"status":"completed"}`, 400, "lastMergeSourceCommit"},
		{"PATCH", path + "/1", `{"status":"merged"}`, 400, "status"},
		{"PATCH", path + "/1", `{"status":"completed","lastMergeSourceCommit":{"commitId":"1111111111111111111111111111111111111111"}}`, 409, "somebody pushed"},
	} {
		var problem struct {
			Message string `json:"message"`
			Field   string `json:"field"`
		}
		w.call(token, c.method, c.path, c.body, c.status, &problem)
		if !strings.Contains(problem.Field+": "+problem.Message, c.says) {
			t.Errorf("%s %s %s says %q, want %q", c.method, c.path, c.body, problem.Message, c.says)
		}
	}
	reader := w.user("ben", false)
	w.call(reader, "GET", path, "", http.StatusNotFound, nil) // who is no member does not learn that there is a project
}
