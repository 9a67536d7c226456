package gitserver_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

// A push opens the pull request that its options ask for, and changes it when it is open. What could not be opened is not pushed.
func TestPushOpensPullRequest(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var received []repos.Received
		w := setup(t, d, gitserver.Options{OnPushed: func(_ context.Context, p gitserver.Push) []string {
			received = append(received, p.Received)
			return nil
		}})
		w.repos.People = w.identity
		dir := w.work(w.writer)
		mustGit(t, dir, "push", "-q", "origin", "main")
		topic := commit(t, dir, "hats", "1\n", "sell hats")
		mustGit(t, dir, "push", "-q", "-o", "pullrequest.create", "-o", "pullrequest.description=All kinds.\\n\\nfixes AB#7", "-o", "pullrequest.label=shop",
			"-o", "pullrequest.draft", "origin", "HEAD:refs/heads/topic")
		open := func() repos.PullRequest {
			t.Helper()
			list, err := w.repos.PullRequests(t.Context(), repos.PullRequestFilter{Repository: w.repository.ID})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d pull requests, %v", len(list), err)
			}
			return list[0]
		}
		p := open()
		if p.Title != "sell hats" || p.Description != "All kinds.\n\nfixes AB#7" || !p.Draft || p.Source != "refs/heads/topic" || p.Target != "refs/heads/main" ||
			string(p.SourceCommit) != topic || p.MergeStatus != repos.MergeSucceeded || p.CreatedBy.Kind != slipway.ActorUser {
			t.Errorf("the pull request: %+v", p)
		}
		labels, err := w.repos.Labels(t.Context(), p.ID)
		if err != nil || len(labels[p.ID]) != 1 || labels[p.ID][0].Name != "shop" {
			t.Errorf("labels %v, %v", labels, err)
		}
		last := received[len(received)-1]
		if len(last.PullRequests) != 1 || last.PullRequests[0].ID != p.ID || last.Refusal != "" {
			t.Errorf("the answer to the pusher: %+v", last)
		}

		commit(t, dir, "hats", "2\n", "sell more hats")
		mustGit(t, dir, "push", "-q", "-o", "pullrequest.create", "-o", "pullrequest.title=Hats", "-o", "pullrequest.auto-complete=squash", "-o", "pullrequest.delete-source",
			"origin", "HEAD:refs/heads/topic")
		p = open()
		if a := p.AutoComplete; p.Title != "Hats" || p.Description != "All kinds.\n\nfixes AB#7" || a == nil || a.Strategy != repos.Squash || !a.DeleteSource || a.By != p.CreatedBy || a.Committer.Name == "" {
			t.Errorf("changed: %+v, %+v", p, a)
		}
	})
}

// The options are checked before a ref moves.
func TestPushRefusesPullRequestOptions(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	w.repos.People = w.identity
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	commit(t, dir, "hats", "1\n", "sell hats")
	tests := map[string]struct {
		options []string
		refs    []string
		want    string
	}{
		"unknown":        {[]string{"pullrequest.crate"}, []string{"HEAD:refs/heads/a"}, `push option "pullrequest.crate" is not known here`},
		"no value":       {[]string{"pullrequest.create", "pullrequest.title="}, []string{"HEAD:refs/heads/a"}, `push option "pullrequest.title=" is not known here`},
		"a value":        {[]string{"pullrequest.create=yes"}, []string{"HEAD:refs/heads/a"}, `push option "pullrequest.create=yes" is not known here`},
		"without create": {[]string{"pullrequest.draft"}, []string{"HEAD:refs/heads/a"}, "git push -o pullrequest.create"},
		"strategy":       {[]string{"pullrequest.create", "pullrequest.auto-complete=octopus"}, []string{"HEAD:refs/heads/a"}, `merge strategy "octopus"`},
		"delete alone":   {[]string{"pullrequest.create", "pullrequest.delete-source"}, []string{"HEAD:refs/heads/a"}, "goes with -o pullrequest.auto-complete"},
		"two branches":   {[]string{"pullrequest.create"}, []string{"HEAD:refs/heads/a", "HEAD:refs/heads/b"}, "this push has 2 branches"},
		"itself":         {[]string{"pullrequest.create"}, []string{"HEAD:refs/heads/main"}, "needs another target"},
		"no target":      {[]string{"pullrequest.create", "pullrequest.target=nowhere"}, []string{"HEAD:refs/heads/a"}, `there is no branch "nowhere"`},
	}
	for name, tt := range tests {
		args := []string{"push"}
		for _, o := range tt.options {
			args = append(args, "-o", o)
		}
		out, err := git(t, dir, append(append(args, "origin"), tt.refs...)...)
		if err == nil || !strings.Contains(strings.ReplaceAll(out, "\nremote: ", ""), tt.want) {
			t.Errorf("%s: %v, want %q in\n%s", name, err, tt.want, out)
		}
	}
	if refs := mustGit(t, dir, "ls-remote", "origin", "refs/heads/*"); len(strings.Fields(refs)) != 2 {
		t.Errorf("refs moved:\n%s", refs)
	}
	list, err := w.repos.PullRequests(t.Context(), repos.PullRequestFilter{Project: w.project.ID})
	if err != nil || len(list) != 0 {
		t.Errorf("pull requests %v, %v", list, err)
	}
}
