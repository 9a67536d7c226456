package api_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
)

func ptr[T any](v T) *T { return &v }

// gitClient is Azure DevOps' own Go client of the world's repository.
func gitClient(t *testing.T) (c git.Client, repo, project *string, w world, token string) {
	t.Helper()
	w, token = gitWorld(t)
	c = must[git.Client](t)(git.NewClient(t.Context(), azuredevops.NewPatConnection(w.url, token)))
	return c, ptr("My Shop"), ptr("Tools"), w, token
}

func read(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	defer r.Close()
	return string(must[[]byte](t)(io.ReadAll(r)))
}

// push makes a commit by REST, and returns what the server says of it.
func push(t *testing.T, c git.Client, repo, project *string, branch, old string, changes ...any) *git.GitPush {
	t.Helper()
	return must[*git.GitPush](t)(c.CreatePush(t.Context(), git.CreatePushArgs{RepositoryId: repo, Project: project, Push: &git.GitPush{
		RefUpdates: &[]git.GitRefUpdate{{Name: ptr("refs/heads/" + branch), OldObjectId: &old}},
		Commits:    &[]git.GitCommitRef{{Comment: ptr("by REST"), Changes: &changes}},
	}}))
}

func head(t *testing.T, c git.Client, repo, project *string, branch string) string {
	t.Helper()
	return *must[*git.GitBranchStats](t)(c.GetBranch(t.Context(), git.GetBranchArgs{RepositoryId: repo, Project: project, Name: &branch})).Commit.CommitId
}

func TestGitItems(t *testing.T) {
	t.Parallel()
	c, repo, project, w, token := gitClient(t)
	ctx := t.Context()
	base64ed := git.ItemContentTypeValues.Base64Encoded
	push(t, c, repo, project, "main", head(t, c, repo, project, "main"),
		git.GitChange{ChangeType: &git.VersionControlChangeTypeValues.Add, Item: git.GitItem{Path: ptr("/docs/deep/a.txt")}, NewContent: &git.ItemContent{Content: ptr("hats\n")}},
		git.GitChange{ChangeType: &git.VersionControlChangeTypeValues.Add, Item: git.GitItem{Path: ptr("/docs/b.bin")},
			NewContent: &git.ItemContent{Content: ptr(base64.StdEncoding.EncodeToString([]byte("a\x00b"))), ContentType: &base64ed}})
	item := must[*git.GitItem](t)(c.GetItem(ctx, git.GetItemArgs{RepositoryId: repo, Project: project, Path: ptr("/docs/deep/a.txt"), IncludeContent: ptr(true),
		IncludeContentMetadata: ptr(true), LatestProcessedChange: ptr(true)}))
	if *item.Content != "hats\n" || *item.Path != "/docs/deep/a.txt" || *item.GitObjectType != git.GitObjectTypeValues.Blob || *item.ContentMetadata.FileName != "a.txt" ||
		*item.LatestProcessedChange.Comment != "by REST" {
		t.Errorf("item %+v", item)
	}
	if got := read(t, must[io.ReadCloser](t)(c.GetItemContent(ctx, git.GetItemContentArgs{RepositoryId: repo, Project: project, Path: ptr("docs/b.bin")}))); got != "a\x00b" {
		t.Errorf("content %q", got)
	}
	if got := read(t, must[io.ReadCloser](t)(c.GetItemText(ctx, git.GetItemTextArgs{RepositoryId: repo, Project: project, Path: ptr("README.md"),
		VersionDescriptor: &git.GitVersionDescriptor{Version: ptr("topic"), VersionType: &git.GitVersionTypeValues.Branch}}))); got != "x\n" {
		t.Errorf("text %q", got)
	}
	zipped := read(t, must[io.ReadCloser](t)(c.GetItemZip(ctx, git.GetItemZipArgs{RepositoryId: repo, Project: project, Path: ptr("/docs")})))
	var names []string
	for _, f := range must[*zip.Reader](t)(zip.NewReader(strings.NewReader(zipped), int64(len(zipped)))).File {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"docs/", "docs/b.bin", "docs/deep/", "docs/deep/a.txt"}, names); diff != "" {
		t.Errorf("zip (-want +got)\n%s", diff)
	}
	paths := func(items []git.GitItem) (list []string) {
		for _, i := range items {
			list = append(list, *i.Path)
		}
		return list
	}
	full := git.VersionControlRecursionTypeValues.Full
	all := *must[*[]git.GitItem](t)(c.GetItems(ctx, git.GetItemsArgs{RepositoryId: repo, Project: project, ScopePath: ptr("/"), RecursionLevel: &full}))
	if diff := cmp.Diff([]string{"/", "/README.md", "/docs", "/docs/b.bin", "/docs/deep", "/docs/deep/a.txt"}, paths(all)); diff != "" {
		t.Errorf("items (-want +got)\n%s", diff)
	}
	// The node client sends enumerations as numbers.
	var numbered struct{ Value []git.GitItem }
	w.call(token, "GET", "/Tools/_apis/git/repositories/My%20Shop/items?scopePath=/docs&recursionLevel=1&versionDescriptor.versionType=0&versionDescriptor.version=main", "", http.StatusOK, &numbered)
	if diff := cmp.Diff([]string{"/docs", "/docs/deep", "/docs/b.bin"}, paths(numbered.Value)); diff != "" {
		t.Errorf("one level (-want +got)\n%s", diff)
	}
	batch := *must[*[][]git.GitItem](t)(c.GetItemsBatch(ctx, git.GetItemsBatchArgs{RepositoryId: repo, Project: project, RequestData: &git.GitItemRequestData{
		ItemDescriptors: &[]git.GitItemDescriptor{{Path: ptr("/README.md")}, {Path: ptr("/docs/deep"), RecursionLevel: &full}}}}))
	if len(batch) != 2 || len(batch[0]) != 1 || len(batch[1]) != 2 {
		t.Errorf("batch %+v", batch)
	}
	if got := read(t, must[io.ReadCloser](t)(c.GetBlobContent(ctx, git.GetBlobContentArgs{RepositoryId: repo, Project: project, Sha1: item.ObjectId}))); got != "hats\n" {
		t.Errorf("blob %q", got)
	}
	if blob := must[*git.GitBlobRef](t)(c.GetBlob(ctx, git.GetBlobArgs{RepositoryId: repo, Project: project, Sha1: item.ObjectId})); *blob.Size != 5 {
		t.Errorf("blob %+v", blob)
	}
	tree := must[*git.GitTreeRef](t)(c.GetTree(ctx, git.GetTreeArgs{RepositoryId: repo, Project: project, Sha1: all[2].ObjectId, Recursive: ptr(true)}))
	var entries []string
	for _, e := range *tree.TreeEntries {
		entries = append(entries, *e.Mode+" "+*e.RelativePath)
	}
	if diff := cmp.Diff([]string{"100644 b.bin", "40000 deep", "100644 deep/a.txt"}, entries); diff != "" {
		t.Errorf("tree (-want +got)\n%s", diff)
	}
	const items = "/Tools/_apis/git/repositories/My%20Shop/items?path=/README.md"
	for query, want := range map[string]int{"&versionDescriptor.version=nothing": 404, "&recursionLevel=7": 400, "&versionOptions=previousChange": 400, "&$format=rar": 400} {
		if status := w.status(token, items+query); status != want {
			t.Errorf("%s: %d, want %d", query, status, want)
		}
	}
	if status := w.status("", items); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
}

// status is that of the answer to a GET.
func (w world) status(token, path string) int {
	w.T.Helper()
	req := must[*http.Request](w.T)(http.NewRequest(http.MethodGet, w.url+path, bytes.NewReader(nil)))
	if token != "" {
		req.SetBasicAuth("", token)
	}
	res := must[*http.Response](w.T)(http.DefaultClient.Do(req))
	res.Body.Close()
	return res.StatusCode
}

func TestGitCommits(t *testing.T) {
	t.Parallel()
	c, repo, project, _, _ := gitClient(t)
	ctx := t.Context()
	base := head(t, c, repo, project, "main")
	push(t, c, repo, project, "main", base,
		git.GitChange{ChangeType: &git.VersionControlChangeTypeValues.Rename, SourceServerItem: ptr("/README.md"), Item: git.GitItem{Path: ptr("/docs/README.md")}},
		git.GitChange{ChangeType: &git.VersionControlChangeTypeValues.Add, Item: git.GitItem{Path: ptr("caps.md")}, NewContent: &git.ItemContent{Content: ptr("caps")}})
	main := head(t, c, repo, project, "main")
	comments := func(criteria git.GitQueryCommitsCriteria) (list []string) {
		t.Helper()
		for _, one := range *must[*[]git.GitCommitRef](t)(c.GetCommits(ctx, git.GetCommitsArgs{RepositoryId: repo, Project: project, SearchCriteria: &criteria})) {
			list = append(list, *one.Comment)
		}
		return list
	}
	topic := &git.GitVersionDescriptor{Version: ptr("topic"), VersionType: &git.GitVersionTypeValues.Branch}
	for name, try := range map[string]struct {
		criteria git.GitQueryCommitsCriteria
		want     []string
	}{
		"default branch":      {git.GitQueryCommitsCriteria{}, []string{"by REST", "add README.md"}},
		"a branch":            {git.GitQueryCommitsCriteria{ItemVersion: topic}, []string{"add hats.md", "add README.md"}},
		"one against another": {git.GitQueryCommitsCriteria{ItemVersion: topic, CompareVersion: &git.GitVersionDescriptor{Version: ptr("main")}}, []string{"add hats.md"}},
		"a path":              {git.GitQueryCommitsCriteria{ItemPath: ptr("/caps.md")}, []string{"by REST"}},
		"an author":           {git.GitQueryCommitsCriteria{Author: ptr("ada@example.org")}, []string{"add README.md"}},
		"top":                 {git.GitQueryCommitsCriteria{Top: ptr(1), Skip: ptr(1)}, []string{"add README.md"}},
		"oldest first":        {git.GitQueryCommitsCriteria{ShowOldestCommitsFirst: ptr(true)}, []string{"add README.md", "by REST"}},
		"by name":             {git.GitQueryCommitsCriteria{Ids: &[]string{base}}, []string{"add README.md"}},
		"too late":            {git.GitQueryCommitsCriteria{FromDate: ptr("2999-01-01T00:00:00Z")}, nil},
	} {
		if diff := cmp.Diff(try.want, comments(try.criteria)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	batch := *must[*[]git.GitCommitRef](t)(c.GetCommitsBatch(ctx, git.GetCommitsBatchArgs{RepositoryId: repo, Project: project, SearchCriteria: &git.GitQueryCommitsCriteria{ItemVersion: topic, Top: ptr(1)}}))
	if len(batch) != 1 || *batch[0].Comment != "add hats.md" {
		t.Errorf("batch %+v", batch)
	}
	one := must[*git.GitCommit](t)(c.GetCommit(ctx, git.GetCommitArgs{RepositoryId: repo, Project: project, CommitId: &main, ChangeCount: ptr(10)}))
	if *one.CommitId != main || !slices.Equal(*one.Parents, []string{base}) || len(*one.TreeId) != 40 || len(*one.Changes) != 2 || *one.Author.Name != "ada" {
		t.Errorf("commit %+v", one)
	}
	if changes := changed(t, *must[*git.GitCommitChanges](t)(c.GetChanges(ctx, git.GetChangesArgs{RepositoryId: repo, Project: project, CommitId: &main})).Changes); !slices.Equal(changes, []string{"add /caps.md", "rename /docs/README.md"}) {
		t.Errorf("changes %q", changes)
	}
	diffs := func(common bool) *git.GitCommitDiffs {
		return must[*git.GitCommitDiffs](t)(c.GetCommitDiffs(ctx, git.GetCommitDiffsArgs{RepositoryId: repo, Project: project, DiffCommonCommit: &common,
			BaseVersionDescriptor: &git.GitBaseVersionDescriptor{BaseVersion: ptr("main")}, TargetVersionDescriptor: &git.GitTargetVersionDescriptor{TargetVersion: ptr("topic")}}))
	}
	d := diffs(true)
	if got := changed(t, *d.Changes); !slices.Equal(got, []string{"add /hats.md"}) || *d.AheadCount != 1 || *d.BehindCount != 1 || *d.CommonCommit != base || !*d.AllChangesIncluded {
		t.Errorf("since they parted %q, %+v", got, d)
	}
	if got := changed(t, *diffs(false).Changes); !slices.Equal(got, []string{"delete /caps.md", "rename /README.md", "add /hats.md"}) && len(got) != 3 {
		t.Errorf("the two themselves %q", got)
	}
	topicHead := head(t, c, repo, project, "topic")
	bases := *must[*[]git.GitCommitRef](t)(c.GetMergeBases(ctx, git.GetMergeBasesArgs{RepositoryNameOrId: repo, Project: project, CommitId: &main, OtherCommitId: &topicHead}))
	if len(bases) != 1 || *bases[0].CommitId != base {
		t.Errorf("merge bases %+v", bases)
	}
}

// changed are the kinds and paths of changes.
func changed(t *testing.T, list []any) (out []string) {
	t.Helper()
	for _, one := range list {
		change, ok := one.(map[string]any)
		if !ok {
			t.Fatalf("change %v", one)
		}
		item, _ := change["item"].(map[string]any)
		kind, _ := change["changeType"].(string)
		path, _ := item["path"].(string)
		out = append(out, kind+" "+path)
	}
	return out
}

func TestGitRefs(t *testing.T) {
	t.Parallel()
	c, repo, project, w, token := gitClient(t)
	ctx := t.Context()
	const zero = "0000000000000000000000000000000000000000"
	main, topic := head(t, c, repo, project, "main"), head(t, c, repo, project, "topic")
	update := func(name, from, to string) string {
		t.Helper()
		results := *must[*[]git.GitRefUpdateResult](t)(c.UpdateRefs(ctx, git.UpdateRefsArgs{RepositoryId: repo, Project: project, RefUpdates: &[]git.GitRefUpdate{{Name: &name, OldObjectId: &from, NewObjectId: &to}}}))
		if *results[0].Success != (*results[0].UpdateStatus == git.GitRefUpdateStatusValues.Succeeded) {
			t.Errorf("%s: %+v", name, results[0])
		}
		return string(*results[0].UpdateStatus)
	}
	for _, try := range []struct{ name, from, to, want string }{
		{"refs/heads/new", zero, main, "succeeded"},
		{"refs/heads/new", zero, main, "staleOldObjectId"},
		{"refs/heads/new", main, topic, "succeeded"},
		{"refs/heads/new", main, topic, "staleOldObjectId"},
		{"refs/heads/a..b", zero, main, "invalidRefName"},
		{"refs/heads/x", zero, strings.Repeat("1", 40), "unresolvableToCommit"},
		{"refs/heads/new", topic, zero, "succeeded"},
		{"refs/tags/light", zero, main, "succeeded"},
	} {
		if got := update(try.name, try.from, try.to); got != try.want {
			t.Errorf("%s from %.7s to %.7s: %s, want %s", try.name, try.from, try.to, got, try.want)
		}
	}
	tag := must[*git.GitAnnotatedTag](t)(c.CreateAnnotatedTag(ctx, git.CreateAnnotatedTagArgs{RepositoryId: repo, Project: project,
		TagObject: &git.GitAnnotatedTag{Name: ptr("v1"), Message: ptr("The first."), TaggedObject: &git.GitObject{ObjectId: &main}}}))
	again := must[*git.GitAnnotatedTag](t)(c.GetAnnotatedTag(ctx, git.GetAnnotatedTagArgs{RepositoryId: repo, Project: project, ObjectId: tag.ObjectId}))
	if *again.Name != "v1" || *again.Message != "The first." || *again.TaggedObject.ObjectId != main || *again.TaggedBy.Name != "ada" {
		t.Errorf("tag %+v", again)
	}
	refs := func(args git.GetRefsArgs) (list []string, token string) {
		t.Helper()
		args.RepositoryId, args.Project = repo, project
		got := must[*git.GetRefsResponseValue](t)(c.GetRefs(ctx, args))
		for _, r := range got.Value {
			line := *r.Name
			if r.PeeledObjectId != nil {
				line += " " + *r.PeeledObjectId
			}
			list = append(list, line)
		}
		return list, got.ContinuationToken
	}
	list, next := refs(git.GetRefsArgs{PeelTags: ptr(true), Top: ptr(3)})
	if diff := cmp.Diff([]string{"refs/heads/main", "refs/heads/topic", "refs/tags/light"}, list); diff != "" || next == "" {
		t.Errorf("refs, then %q (-want +got)\n%s", next, diff)
	}
	if list, next := refs(git.GetRefsArgs{PeelTags: ptr(true), ContinuationToken: &next}); next != "" || !slices.Equal(list, []string{"refs/tags/v1 " + main}) {
		t.Errorf("the rest %q, then %q", list, next)
	}
	if list, _ := refs(git.GetRefsArgs{Filter: ptr("heads/t")}); !slices.Equal(list, []string{"refs/heads/topic"}) {
		t.Errorf("filtered %q", list)
	}
	stats := *must[*[]git.GitBranchStats](t)(c.GetBranches(ctx, git.GetBranchesArgs{RepositoryId: repo, Project: project}))
	if len(stats) != 2 || *stats[1].AheadCount != 1 || *stats[1].BehindCount != 0 || !*stats[0].IsBaseVersion {
		t.Errorf("branches %+v", stats)
	}
	made := push(t, c, repo, project, "fresh", zero, git.GitChange{ChangeType: &git.VersionControlChangeTypeValues.Add, Item: git.GitItem{Path: ptr("a")}, NewContent: &git.ItemContent{Content: ptr("a")}})
	got := must[*git.GitPush](t)(c.GetPush(ctx, git.GetPushArgs{RepositoryId: repo, Project: project, PushId: made.PushId, IncludeRefUpdates: ptr(true)}))
	if (*got.RefUpdates)[0].Name == nil || *(*got.RefUpdates)[0].Name != "refs/heads/fresh" || *(*got.RefUpdates)[0].OldObjectId != zero || *(*got.Commits)[0].Comment != "by REST" {
		t.Errorf("push %+v", got)
	}
	pushes := *must[*[]git.GitPush](t)(c.GetPushes(ctx, git.GetPushesArgs{RepositoryId: repo, Project: project, Top: ptr(2)}))
	if len(pushes) != 2 || *pushes[0].PushId != *made.PushId || *pushes[0].PushedBy.DisplayName != "ada" {
		t.Errorf("pushes %+v", pushes)
	}
	commits := *must[*[]git.GitCommitRef](t)(c.GetPushCommits(ctx, git.GetPushCommitsArgs{RepositoryId: repo, Project: project, PushId: made.PushId}))
	if len(commits) != 1 || *commits[0].Comment != "by REST" {
		t.Errorf("commits of the push %+v", commits)
	}
	// Several commits come in their order, each on the one before, as one push.
	changes := func(path, content string, kind git.VersionControlChangeType) *[]any {
		return &[]any{git.GitChange{ChangeType: &kind, Item: git.GitItem{Path: &path}, NewContent: &git.ItemContent{Content: &content}}}
	}
	tip := (*made.Commits)[0].CommitId
	series := must[*git.GitPush](t)(c.CreatePush(ctx, git.CreatePushArgs{RepositoryId: repo, Project: project, Push: &git.GitPush{
		RefUpdates: &[]git.GitRefUpdate{{Name: ptr("refs/heads/fresh"), OldObjectId: tip}},
		Commits: &[]git.GitCommitRef{{Comment: ptr("one"), Changes: changes("/series.md", "1\n", git.VersionControlChangeTypeValues.Add)},
			{Comment: ptr("two"), Changes: changes("/series.md", "2\n", git.VersionControlChangeTypeValues.Edit)}}}}))
	if len(*series.Commits) != 2 || *(*series.Commits)[0].Comment != "two" || (*(*series.Commits)[0].Parents)[0] != *(*series.Commits)[1].CommitId || (*(*series.Commits)[1].Parents)[0] != *tip {
		t.Errorf("the series is %+v", *series.Commits)
	}
	if brought := *must[*[]git.GitCommitRef](t)(c.GetPushCommits(ctx, git.GetPushCommitsArgs{RepositoryId: repo, Project: project, PushId: series.PushId})); len(brought) != 2 {
		t.Errorf("the push brought %d commits", len(brought))
	}
	const path = "/Tools/_apis/git/repositories/My%20Shop/pushes"
	// One that is wrong leaves nothing of the others.
	last := *(*series.Commits)[0].CommitId
	w.call(token, "POST", path, `{"refUpdates":[{"name":"refs/heads/fresh","oldObjectId":"`+last+`"}],"commits":[{"comment":"a","changes":[{"changeType":1,"item":{"path":"x"},"newContent":{"content":"x","contentType":0}}]},{"comment":"b","changes":[{"changeType":"delete","item":{"path":"nothing"}}]}]}`, http.StatusNotFound, nil)
	w.call(token, "POST", path, `{"refUpdates":[{"name":"refs/heads/fresh","oldObjectId":"`+last+`"}],"commits":[{"comment":"a","changes":[{"changeType":1,"item":{"path":"x"},"newContent":{"content":"x","contentType":0}}]},{"comment":"b","parents":["`+last+`"]}]}`, http.StatusBadRequest, nil)
	w.call(token, "POST", path, `{"refUpdates":[{"name":"refs/heads/main","oldObjectId":"`+topic+`"}],"commits":[{"comment":"a","changes":[{"changeType":1,"item":{"path":"x"},"newContent":{"content":"x","contentType":0}}]}]}`, http.StatusConflict, nil)
}
