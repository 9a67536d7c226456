package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/core"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"

	"slipway/internal/api"
)

// Azure DevOps' own Go client labels, likes, attaches, compares iterations, picks and reverts.
func TestReviewsByAzureDevOpsClient(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	ctx := t.Context()
	c := must[git.Client](t)(git.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	project, repo, source, target, title := "Tools", "My Shop", "refs/heads/topic", "refs/heads/main", "Sell hats"
	label := "later"
	pull := must[*git.GitPullRequest](t)(c.CreatePullRequest(ctx, git.CreatePullRequestArgs{Project: &project, RepositoryId: &repo,
		GitPullRequestToCreate: &git.GitPullRequest{SourceRefName: &source, TargetRefName: &target, Title: &title, Labels: &[]core.WebApiTagDefinition{{Name: &label}}}}))
	id := pull.PullRequestId
	if pull.Labels == nil || len(*pull.Labels) != 1 || *(*pull.Labels)[0].Name != label {
		t.Errorf("labels %+v", pull.Labels)
	}

	urgent := "urgent"
	made := must[*core.WebApiTagDefinition](t)(c.CreatePullRequestLabel(ctx, git.CreatePullRequestLabelArgs{Project: &project, RepositoryId: &repo, PullRequestId: id,
		Label: &core.WebApiCreateTagRequestData{Name: &urgent}}))
	gone := made.Id.String()
	if err := c.DeletePullRequestLabels(ctx, git.DeletePullRequestLabelsArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, LabelIdOrName: &gone}); err != nil {
		t.Fatal(err)
	}
	labels := *must[*[]core.WebApiTagDefinition](t)(c.GetPullRequestLabels(ctx, git.GetPullRequestLabelsArgs{Project: &project, RepositoryId: &repo, PullRequestId: id}))
	if len(labels) != 1 || *labels[0].Name != label {
		t.Errorf("labels %+v", labels)
	}

	path, one, text := "/hats.md", 1, "Why?"
	at := &git.CommentPosition{Line: &one, Offset: &one}
	thread := must[*git.GitPullRequestCommentThread](t)(c.CreateThread(ctx, git.CreateThreadArgs{Project: &project, RepositoryId: &repo, PullRequestId: id,
		CommentThread: &git.GitPullRequestCommentThread{Comments: &[]git.Comment{{Content: &text}}, ThreadContext: &git.CommentThreadContext{FilePath: &path, RightFileStart: at, RightFileEnd: at}}}))
	if err := c.CreateLike(ctx, git.CreateLikeArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, ThreadId: thread.Id, CommentId: &one}); err != nil {
		t.Fatal(err)
	}
	liked, err := c.GetLikes(ctx, git.GetLikesArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, ThreadId: thread.Id, CommentId: &one})
	if err != nil || len(*liked) != 1 || *(*liked)[0].DisplayName != "ada" {
		t.Errorf("likes %+v, %v", liked, err)
	}
	if err := c.DeleteLike(ctx, git.DeleteLikeArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, ThreadId: thread.Id, CommentId: &one}); err != nil {
		t.Fatal(err)
	}

	name := "a picture.png"
	attached := must[*git.Attachment](t)(c.CreateAttachment(ctx, git.CreateAttachmentArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, FileName: &name,
		UploadStream: strings.NewReader("abc")}))
	if *attached.DisplayName != name || *attached.ContentHash != "a9993e364706816aba3e25717850c26c9cd0d89d" { // FIPS 180's example
		t.Errorf("attachment %+v", attached)
	}
	content := must[io.ReadCloser](t)(c.GetAttachmentContent(ctx, git.GetAttachmentContentArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, FileName: &name}))
	if b := must[[]byte](t)(io.ReadAll(content)); string(b) != "abc" {
		t.Errorf("the attachment holds %q", b)
	}
	content.Close()
	if err := c.DeleteAttachment(ctx, git.DeleteAttachmentArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, FileName: &name}); err != nil {
		t.Fatal(err)
	}
	if n := len(*must[*[]git.Attachment](t)(c.GetAttachments(ctx, git.GetAttachmentsArgs{Project: &project, RepositoryId: &repo, PullRequestId: id}))); n != 0 {
		t.Errorf("%d attachments are left", n)
	}

	iteration := must[*git.GitPullRequestIteration](t)(c.GetPullRequestIteration(ctx, git.GetPullRequestIterationArgs{Project: &project, RepositoryId: &repo, PullRequestId: id, IterationId: &one}))
	if *iteration.SourceRefCommit.CommitId != *pull.LastMergeSourceCommit.CommitId {
		t.Errorf("iteration %+v", iteration)
	}
	changes := must[*git.GitPullRequestIterationChanges](t)(c.GetPullRequestIterationChanges(ctx, git.GetPullRequestIterationChangesArgs{Project: &project, RepositoryId: &repo,
		PullRequestId: id, IterationId: &one}))
	entries := *changes.ChangeEntries
	if len(entries) != 1 || *entries[0].ChangeType != git.VersionControlChangeTypeValues.Add || entries[0].Item.(map[string]any)["path"] != path || *changes.NextSkip != 0 {
		t.Errorf("changes %+v", entries)
	}

	status, strategy := git.PullRequestStatusValues.Completed, git.GitPullRequestMergeStrategyValues.Squash
	pull = must[*git.GitPullRequest](t)(c.UpdatePullRequest(ctx, git.UpdatePullRequestArgs{Project: &project, RepositoryId: &repo, PullRequestId: id,
		GitPullRequestToUpdate: &git.GitPullRequest{Status: &status, LastMergeSourceCommit: pull.LastMergeSourceCommit,
			CompletionOptions: &git.GitPullRequestCompletionOptions{MergeStrategy: &strategy}}}))
	back := "refs/heads/back"
	ask := &git.GitAsyncRefOperationParameters{GeneratedRefName: &back, OntoRefName: &target, Source: &git.GitAsyncRefOperationSource{PullRequestId: id}}
	reverted := must[*git.GitRevert](t)(c.CreateRevert(ctx, git.CreateRevertArgs{Project: &project, RepositoryId: &repo, RevertToCreate: ask}))
	if *reverted.Status != git.GitAsyncOperationStatusValues.Completed {
		t.Errorf("revert %+v: %s", reverted, *reverted.DetailedStatus.FailureMessage)
	}
	again := must[*git.GitRevert](t)(c.GetRevertForRefName(ctx, git.GetRevertForRefNameArgs{Project: &project, RepositoryId: &repo, RefName: &back}))
	if *again.RevertId != *reverted.RevertId {
		t.Errorf("revert %d, want %d", *again.RevertId, *reverted.RevertId)
	}
	// What the branch has already is picked in vain.
	picked := "refs/heads/picked"
	ask = &git.GitAsyncRefOperationParameters{GeneratedRefName: &picked, OntoRefName: &target, Source: &git.GitAsyncRefOperationSource{
		CommitList: &[]git.GitCommitRef{{CommitId: pull.LastMergeCommit.CommitId}}}}
	pick := must[*git.GitCherryPick](t)(c.CreateCherryPick(ctx, git.CreateCherryPickArgs{Project: &project, RepositoryId: &repo, CherryPickToCreate: ask}))
	if *pick.Status != git.GitAsyncOperationStatusValues.Failed || *pick.DetailedStatus.Conflict || !strings.Contains(*pick.DetailedStatus.FailureMessage, "no change") {
		t.Errorf("cherry-pick %+v", pick)
	}
	ask.OntoRefName = &back
	pick = must[*git.GitCherryPick](t)(c.CreateCherryPick(ctx, git.CreateCherryPickArgs{Project: &project, RepositoryId: &repo, CherryPickToCreate: ask}))
	pick = must[*git.GitCherryPick](t)(c.GetCherryPick(ctx, git.GetCherryPickArgs{Project: &project, RepositoryId: &repo, CherryPickId: pick.CherryPickId}))
	if diff := cmp.Diff([]string{"completed", picked, back}, []string{string(*pick.Status), *pick.Parameters.GeneratedRefName, *pick.Parameters.OntoRefName}); diff != "" {
		t.Errorf("cherry-pick (-want +got):\n%s", diff)
	}
}

func TestReviewMistakes(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	const repo = "/Tools/_apis/git/repositories/My%20Shop"
	const pull = repo + "/pullrequests/1"
	w.call(token, "POST", repo+"/pullrequests", `{"sourceRefName":"refs/heads/topic","targetRefName":"refs/heads/main"}`, http.StatusCreated, nil)
	w.call(token, "POST", pull+"/threads", `{"comments":[{"content":"x"}]}`, http.StatusOK, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", pull + "/labels", `{"name":"a,b"}`, 400, "name"},
		{"GET", pull + "/labels/none", ``, 404, "no label"},
		{"POST", pull + "/threads/1/comments/7/likes", ``, 404, "no comment 7"},
		{"GET", pull + "/attachments/none", ``, 404, "no attachment"},
		{"GET", pull + "/iterations/9", ``, 404, "no iteration 9"},
		{"GET", pull + "/iterations/9/changes", ``, 404, "iterations 1 to 1"},
		{"GET", pull + "/iterations/1/changes?$compareTo=1", ``, 400, "later one"},
		{"POST", repo + "/reverts", `{"generatedRefName":"refs/heads/x","ontoRefName":"refs/heads/main","source":{"pullRequestId":1}}`, 409, "nothing to revert"},
		{"POST", repo + "/reverts", `{"generatedRefName":"refs/heads/x","ontoRefName":"refs/heads/main","source":{}}`, 400, "name a pull request"},
		{"POST", repo + "/cherryPicks", `{"generatedRefName":"refs/heads/x","ontoRefName":"refs/heads/none","source":{"pullRequestId":1}}`, 400, "ontoRefName"},
		{"POST", repo + "/cherryPicks", `{"source":{"commitList":[{"commitId":"main"}]}}`, 400, "commitList"},
		{"GET", repo + "/cherryPicks", ``, 400, "refName"},
		{"GET", repo + "/cherryPicks/3", ``, 404, "no such"},
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
	var list struct {
		Value []api.GitPullRequest `json:"value"`
	}
	w.call(token, "POST", pull+"/labels", `{"name":"Later"}`, http.StatusOK, nil)
	for query, want := range map[string]int{"label=later": 1, "label=now": 0, "title=HATS": 1, "title=caps": 0, "reviewerId=nobody": 0} {
		w.call(token, "GET", repo+"/pullrequests?searchCriteria."+query, ``, http.StatusOK, &list)
		if len(list.Value) != want {
			t.Errorf("%s lists %d, want %d", query, len(list.Value), want)
		}
	}
}
