package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
)

// forked asks for the runs of a pull request from a fork, which somebody who may push has let run.
func (w *world) forked(text string, change ...func(*pipelines.PullRequest)) []pipelines.Run {
	w.Helper()
	w.source.text = text
	p := pipelines.PullRequest{ID: 9, Repository: "r", Title: "From a fork", Source: "refs/heads/hats", Target: "refs/heads/main", SourceURI: "http://slipway/Forks/_git/shop",
		SourceCommit: slipway.CommitID(strings.Repeat("d", 40)), MergeRef: "refs/pull/9/merge", MergeCommit: commit, PathsUnknown: true,
		Fork: &pipelines.ForkSource{ApprovedAll: true}}
	for _, f := range change {
		f(&p)
	}
	runs, err := w.PullRequested(context.Background(), p)
	if err != nil {
		w.Fatal(err)
	}
	return runs
}

// Whoever sends a pull request from a fork chooses what its jobs do, so that these get no secrets, whatever the file says of itself.
func TestForksGetNoSecrets(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		c := hub("hub")
		c.AllPipelines = true
		if _, err := w.CreateConnection(ctx, c, ada.Actor); err != nil {
			t.Fatal(err)
		}
		group := pipelines.Group{Project: "p", Name: "vault", Variables: []pipelines.GroupVariable{{Name: "open", Value: "yes"}, {Name: "hidden", Value: "hunter2hunter2", Secret: true}}}
		if _, err := w.PutGroup(ctx, group, slipway.Actor{}); err != nil {
			t.Fatal(err)
		}
		const text = "pr: [main]\nvariables:\n- group: vault\n- {name: System.PullRequest.IsFork, value: False}\nsteps:\n- task: Docker@2\n  inputs: {command: login, containerRegistry: hub}\n" +
			"- task: AzureKeyVault@2\n  inputs: {azureSubscription: x, KeyVaultName: vault}\n- task: DownloadSecureFile@1\n  inputs: {secureFile: key.pem}\n"
		w.push("trigger: none\n" + text) // makes the pipeline
		runs := w.forked(text)
		if len(runs) != 1 || len(runs[0].Problems) > 0 || !runs[0].Untrusted() {
			t.Fatalf("%+v", runs)
		}
		id := w.jobOf(runs[0].ID)
		a, err := w.Assign(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if open, hidden := a.Variables.Text("open"), a.Variables.Text("hidden"); open != "yes" || hidden != "" {
			t.Errorf("variables of the group: %q, %q", open, hidden)
		}
		for what, call := range map[string]func() error{
			"service connections":   func() error { _, err := w.FetchConnection(ctx, id, 2, "hub"); return err },
			"secrets of key vaults": func() error { _, err := w.FetchVault(ctx, id, 3); return err },
			"secure files":          func() error { _, err := w.FetchSecureFile(ctx, id, "key.pem"); return err },
		} {
			if err := call(); slipway.CodeOf(err) != slipway.CodeForbidden || !strings.Contains(err.Error(), "from a fork gets no "+what) {
				t.Errorf("%s: %v", what, err)
			}
		}
		// The same by a pull request of the repository itself.
		own := w.forked(text, func(p *pipelines.PullRequest) { p.Fork, p.ID, p.MergeRef = nil, 10, "refs/pull/10/merge" })
		id = w.jobOf(own[0].ID)
		if _, err := w.FetchConnection(ctx, id, 2, "hub"); err != nil {
			t.Errorf("a connection for a pull request of the repository itself: %v", err)
		}
		if a, err = w.Assign(ctx, id); err != nil || a.Variables.Text("hidden") != "hunter2hunter2" {
			t.Errorf("its secret is %q, %v", a.Variables.Text("hidden"), err)
		}
	})
}

func TestVariablesOfForks(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	const text = "pr: [main]\nsteps: [{script: make}]\n"
	w.push("trigger: none\n" + text)
	a, err := w.Assign(ctx, w.timeline(w.forked(text)[0].ID)["__default.Job"].ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"System.PullRequest.IsFork": "True", "System.PullRequest.SourceRepositoryURI": "http://slipway/Forks/_git/shop"} {
		if got := a.Variables.Text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// The settings of a project hold for its pipelines that have none of their own.
func TestForkSettings(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		const text = "pr: [main]\nsteps: [{script: make}]\n"
		pipeline := w.push("trigger: [main]\nsteps: [{script: make}]\n")[0].Pipeline
		commits := strings.Split("123456789abcdef", "")
		run := func(source pipelines.ForkSource) []pipelines.Run {
			commits = commits[1:]
			return w.forked(text, func(p *pipelines.PullRequest) {
				p.Fork, p.SourceCommit = &source, slipway.CommitID(strings.Repeat(commits[0], 40))
			})
		}
		set := func(pipeline slipway.PipelineID, f *pipelines.ForkSettings) {
			t.Helper()
			if err := w.SetForkSettings(ctx, "p", pipeline, f, ada.Actor); err != nil {
				t.Fatal(err)
			}
		}
		want := func(what string, source pipelines.ForkSource, n int, access pipelines.ForkAccess) {
			t.Helper()
			runs := run(source)
			if len(runs) != n {
				t.Errorf("%s: %d runs, want %d", what, len(runs), n)
			}
			for _, r := range runs {
				if r.Fork == nil || *r.Fork != access {
					t.Errorf("%s: it may %+v, want %+v", what, r.Fork, access)
				}
			}
		}
		nobody, member, named := pipelines.ForkSource{}, pipelines.ForkSource{Member: true}, pipelines.ForkSource{Approved: []string{"SHOP"}}
		want("without a comment", nobody, 0, pipelines.ForkAccess{})
		want("a member's, without a comment", member, 0, pipelines.ForkAccess{})
		want("with a comment that names it", named, 1, pipelines.ForkAccess{})
		want("with a comment that names another", pipelines.ForkSource{Approved: []string{"shop2"}}, 0, pipelines.ForkAccess{})
		set(0, &pipelines.ForkSettings{Build: true, Comment: pipelines.ForkCommentNonMembers, Secrets: true})
		want("a member's, of whom no comment is asked", member, 1, pipelines.ForkAccess{Secrets: true})
		want("another's", nobody, 0, pipelines.ForkAccess{})
		set(pipeline, &pipelines.ForkSettings{Build: true, Comment: pipelines.ForkCommentNever, FullToken: true})
		want("of the pipeline's own", nobody, 1, pipelines.ForkAccess{FullToken: true})
		set(pipeline, &pipelines.ForkSettings{Comment: pipelines.ForkCommentNever})
		want("not built", pipelines.ForkSource{ApprovedAll: true}, 0, pipelines.ForkAccess{})
		set(pipeline, nil)
		want("as the project's again", nobody, 0, pipelines.ForkAccess{})
		if err := w.SetForkSettings(ctx, "p", 0, &pipelines.ForkSettings{Comment: "x"}, ada.Actor); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("a comment of %q: %v", "x", err)
		}
		if err := w.SetForkSettings(ctx, "other", pipeline, nil, ada.Actor); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("another project's pipeline: %v", err)
		}
		if n := w.kinds()[pipelines.EventForkSettingsChanged]; n != 4 {
			t.Errorf("%d events of settings", n)
		}
	})
}

// What a fork's run leaves is restored by no other, and what starts after it does not start.
func TestForksFillNoCaches(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	main := w.jobOn("refs/heads/main")
	w.save(main, "npm")
	run := w.forked("pr: [main]\n" + cacheSteps)[0]
	fork := w.jobOf(run.ID)
	if got := w.restore(fork, "npm"); got == "" {
		t.Error("a fork's run restores nothing of the target")
	}
	w.save(fork, "other")
	hats := w.jobOn("refs/heads/hats") // of the same name as the fork's branch
	w.save(hats, "hats")
	for _, id := range []slipway.JobID{w.jobOn("refs/heads/main"), hats} {
		if got := w.restore(id, "other"); got != "" {
			t.Errorf("job %d restores %q", id, got)
		}
	}
	if got := w.restore(fork, "hats"); got != "" {
		t.Errorf("the fork's run restores %q of a branch of its name", got)
	}
	// A run that somebody queues of its merge by hand is one of the fork too.
	w.FromFork = func(_ context.Context, id slipway.PullRequestID) (bool, error) { return id == 9, nil }
	again, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: run.Pipeline, Actor: ada.Actor, Ref: "refs/pull/9/merge", Commit: commit})
	if err != nil || !again.Untrusted() {
		t.Errorf("%+v, %v", again.Fork, err)
	}
}
