package repos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
)

var cleo = Signature{Name: "Cleo", Email: "cleo@example.org"}

// branch makes a branch at a commit, as a push does.
func (w *world) branch(name string, at slipway.CommitID) {
	w.t.Helper()
	w.git("", "update-ref", branchPrefix+name, string(at))
	w.announce(branchPrefix + name)
}

// announce publishes and follows the refs' changes, as the loop does with every push.
func (w *world) announce(names ...string) {
	w.t.Helper()
	if _, err := w.Announce(context.Background(), w.repo.ID, ada, names...); err != nil {
		w.t.Fatal(err)
	}
	w.follow()
}

// follow delivers all push events so far, once more.
func (w *world) follow() {
	w.t.Helper()
	_, pushes := w.pushes()
	for _, p := range pushes {
		if err := w.FollowPush(context.Background(), ada, p); err != nil {
			w.t.Fatal(err)
		}
	}
}

// commitOn makes a commit on a branch.
func (w *world) commitOn(branch, message string, files ...string) slipway.CommitID {
	w.t.Helper()
	var changes []Change
	for i := 0; i < len(files); i += 2 {
		changes = append(changes, Change{Path: files[i], Content: []byte(files[i+1])})
	}
	id, err := w.CommitFiles(context.Background(), CommitRequest{Repository: w.repo.ID, Branch: branch, Changes: changes, Message: message,
		Author: Signature{Name: "Ben", Email: "ben@example.org"}, Actor: ada})
	if err != nil {
		w.t.Fatal(err)
	}
	w.follow()
	return id
}

// open asks for topic to be merged into main.
func (w *world) open(change ...func(*NewPullRequest)) PullRequest {
	w.t.Helper()
	ask := NewPullRequest{Repository: w.repo.ID, Source: "topic", Title: "Topic", Actor: ada}
	for _, f := range change {
		f(&ask)
	}
	p, err := w.CreatePullRequest(context.Background(), ask)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) pull(id slipway.PullRequestID) PullRequest {
	w.t.Helper()
	p, err := w.PullRequest(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// told lists the kinds of the pull requests' events, oldest first, without their prefix.
func (w *world) told() []string {
	w.t.Helper()
	list, err := w.events.List(context.Background(), events.Filter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var kinds []string
	for _, e := range list {
		if e.Subject.Kind == slipway.RefPullRequest {
			kinds = append(kinds, strings.TrimPrefix(string(e.Kind), "repos.pull_request_"))
		}
	}
	slices.Reverse(kinds)
	return kinds
}

// diverged is a repository whose main and topic each have two commits of their own; one file is changed by both, at different ends.
func diverged(t *testing.T, d *db.DB) *world {
	w := setup(t, d)
	lines := func(first, last string) string { return first + strings.Repeat("between\n", 20) + last }
	base := w.commit("base", "both", lines("first\n", "last\n"), "only", "1\n")
	w.branch("topic", base)
	w.commitOn("topic", "topic one", "both", lines("first of topic\n", "last\n"))
	w.commitOn("topic", "topic two\n\nwith a body", "topic/new", "new\n")
	w.commit("main one", "both", lines("first\n", "last of main\n"))
	w.commit("main two", "only", "2\n")
	return w
}

// gitDoes runs git commands in a clone, on main with topic beside it, and returns HEAD's tree and the subjects with authors since base.
func (w *world) gitDoes(commands ...[]string) (tree, log string) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "clone")
	run := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_EDITOR=true", "GIT_AUTHOR_NAME=Cleo",
			"GIT_AUTHOR_EMAIL=cleo@example.org", "GIT_COMMITTER_NAME=Cleo", "GIT_COMMITTER_EMAIL=cleo@example.org")
		out, err := cmd.CombinedOutput()
		if err != nil {
			w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("clone", "-q", w.dir(w.repo.ID), dir)
	run("-C", dir, "branch", "topic", "origin/topic")
	for _, c := range commands {
		run(append([]string{"-C", dir}, c...)...)
	}
	return run("-C", dir, "rev-parse", "HEAD^{tree}"), run("-C", dir, "log", "--topo-order", "--format=%s|%an|%cn|%p", "--abbrev=0", "HEAD")
}

// shape is a log's subjects, authors and committers, with the number of each commit's parents.
func shape(log string) []string {
	var list []string
	for line := range strings.Lines(log) {
		f := strings.Split(strings.TrimSpace(line), "|")
		list = append(list, fmt.Sprintf("%s by %s, %s, %d", f[0], f[1], f[2], len(strings.Fields(f[3]))))
	}
	return list
}

// What each strategy makes is what git itself makes of the same branches.
func TestStrategiesDoAsGitDoes(t *testing.T) {
	t.Parallel()
	rebased := [][]string{{"switch", "-q", "topic"}, {"rebase", "-q", "main"}}
	for strategy, commands := range map[MergeStrategy][][]string{
		NoFastForward: {{"merge", "-q", "--no-ff", "-m", "Merged PR 1: Topic", "topic"}},
		Squash:        {{"merge", "-q", "--squash", "topic"}, {"commit", "-q", "--author=Ben <ben@example.org>", "-m", "Merged PR 1: Topic"}},
		Rebase:        rebased,
		RebaseMerge:   append(slices.Clone(rebased), []string{"switch", "-q", "main"}, []string{"merge", "-q", "--no-ff", "-m", "Merged PR 1: Topic", "topic"}),
	} {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			w := diverged(t, dbtest.SQLite(t))
			p := w.open()
			if p.MergeStatus != MergeSucceeded {
				t.Fatalf("the trial merge: %s %s %v", p.MergeStatus, p.MergeReason, p.Conflicts)
			}
			tree, log := w.gitDoes(commands...)
			done, err := w.CompletePullRequest(context.Background(), p.ID, CompleteRequest{Completion: Completion{Strategy: strategy, DeleteSource: true},
				Expect: p.SourceCommit, Committer: cleo, Actor: ada})
			if err != nil {
				t.Fatal(err)
			}
			if got := w.git("", "rev-parse", "main^{tree}"); got != tree {
				t.Errorf("main's tree is %s, git's %s", got, tree)
			}
			if diff := cmp.Diff(shape(log), shape(w.git("", "log", "--topo-order", "--format=%s|%an|%cn|%p", "main"))); diff != "" {
				t.Errorf("main's history (-git +slipway):\n%s", diff)
			}
			if done.Status != PullRequestCompleted || string(done.MergeCommit) != w.git("", "rev-parse", "main") || done.ClosedBy != ada || done.Closed.IsZero() {
				t.Errorf("it is %+v", done)
			}
			if out := w.git("", "for-each-ref", "refs/heads"); strings.Contains(out, "topic") {
				t.Errorf("the source is still there:\n%s", out)
			}
			// What it brought can be read on, although the source is gone.
			commits, _, err := w.PullRequestCommits(context.Background(), done)
			if err != nil || len(commits) != 2 || commits[0].Subject() != "topic two" {
				t.Errorf("its commits are %+v, %v", commits, err)
			}
			merged, err := w.PullRequestsMerged(context.Background(), w.repo.ID, []slipway.CommitID{done.MergeCommit, p.SourceCommit})
			if err != nil || len(merged) != 1 || merged[0].ID != p.ID {
				t.Errorf("merged by its commit: %+v, %v", merged, err)
			}
			if diff := cmp.Diff([]string{"created", "updated", "completed"}, w.told()); diff != "" {
				t.Errorf("events: %s", diff)
			}
		})
	}
}

func TestPullRequestFollowsItsBranches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := diverged(t, d)
		p := w.open()
		again := w.commitOn("topic", "topic three", "only", "3\n") // main changed the same line
		if p = w.pull(p.ID); p.MergeStatus != MergeConflicts || !slices.Equal(p.Conflicts, []string{"only"}) || p.SourceCommit != again || p.MergeCommit != "" {
			t.Fatalf("after a push that conflicts: %+v", p)
		}
		_, err := w.CompletePullRequest(ctx, p.ID, CompleteRequest{Committer: cleo, Actor: ada})
		if slipway.CodeOf(err) != slipway.CodeConflict || !strings.Contains(err.Error(), "only") {
			t.Errorf("completing it says %v", err)
		}
		fixed := w.commitOn("topic", "topic four", "only", "1\n")
		if p = w.pull(p.ID); p.MergeStatus != MergeSucceeded || w.git("", "rev-parse", p.MergeRef()+"^2") != string(fixed) {
			t.Errorf("after the fix: %+v", p)
		}
		main := w.commit("main three", "else", "x")
		w.follow()
		if p = w.pull(p.ID); p.TargetCommit != main || w.git("", "rev-parse", p.MergeRef()+"^1") != string(main) {
			t.Errorf("after a push to the target: %+v", p)
		}
		list, err := w.Iterations(ctx, p.ID)
		if err != nil || len(list) != 3 || list[2].SourceCommit != fixed || list[0].BaseCommit == "" {
			t.Errorf("iterations %+v, %v", list, err)
		}
		w.git("", "update-ref", "-d", "refs/heads/topic")
		w.announce("refs/heads/topic")
		if p = w.pull(p.ID); p.Status != PullRequestActive || p.MergeStatus != MergeFailure || p.MergeReason != "branch topic is gone" {
			t.Errorf("without its source: %+v", p)
		}
		before := len(w.told())
		w.follow() // told again, nothing changes
		if after := len(w.told()); after != before {
			t.Errorf("following again tells %d events", after-before)
		}
	})
}

// Somebody merges by hand and pushes the target.
func TestPullRequestIsCompletedByAPush(t *testing.T) {
	t.Parallel()
	w := diverged(t, dbtest.SQLite(t))
	p := w.open()
	w.git("", "update-ref", "refs/heads/main", string(p.MergeCommit))
	w.announce("refs/heads/main")
	if p = w.pull(p.ID); p.Status != PullRequestCompleted || string(p.MergeCommit) != w.git("", "rev-parse", "main") || p.Completion.Strategy != "" {
		t.Errorf("it is %+v", p)
	}
}

// A source that is set back to what the target has brings nothing, which is no completion.
func TestPullRequestWithoutCommits(t *testing.T) {
	t.Parallel()
	w := diverged(t, dbtest.SQLite(t))
	p := w.open()
	w.git("", "update-ref", "refs/heads/topic", w.git("", "rev-parse", "main~1"))
	w.announce("refs/heads/topic")
	w.commit("main three", "else", "x")
	w.follow()
	if p = w.pull(p.ID); p.Status != PullRequestActive || p.MergeStatus != MergeFailure || !strings.Contains(p.MergeReason, "has no commit") {
		t.Errorf("it is %+v", p)
	}
}

// The server dies after the target has moved, before the pull request is completed.
func TestPullRequestIsCompletedAfterACrash(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := diverged(t, d)
		p := w.open()
		commit, err := w.completion(ctx, p, CompleteRequest{Completion: Completion{Strategy: Squash, Message: "all"},
			Committer: Signature{Name: "Cleo", Email: "cleo@example.org", Time: time.Now()}})
		if err != nil {
			t.Fatal(err)
		}
		p.completing, p.Completion, p.ClosedBy = commit, Completion{Strategy: Squash}, ada
		if err := updatePullRequest(ctx, w.db, p); err != nil {
			t.Fatal(err)
		}
		if err := w.moveRefs(ctx, w.repo.ID, refMove{Ref: p.Target, Before: p.TargetCommit, After: commit}); err != nil {
			t.Fatal(err)
		}
		w.Service = open(t, d, w.events, w.folder) // the server after its restart
		if err := w.Recover(ctx); err != nil {
			t.Fatal(err)
		}
		w.follow()
		if p = w.pull(p.ID); p.Status != PullRequestCompleted || p.MergeCommit != commit || p.Completion.Strategy != Squash || p.ClosedBy != ada {
			t.Errorf("it is %+v", p)
		}
	})
}

func TestPullRequestRefusals(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := diverged(t, dbtest.SQLite(t))
	w.branch("same", slipway.CommitID(w.git("", "rev-parse", "main~1")))
	for name, f := range map[string]func(*NewPullRequest){
		"there is no branch": func(n *NewPullRequest) { n.Source = "nowhere" },
		"needs two branches": func(n *NewPullRequest) { n.Source = "main" },
		"nothing to bring":   func(n *NewPullRequest) { n.Source = "same" },
		"title of one line":  func(n *NewPullRequest) { n.Title = "a\nb" },
		"more than the":      func(n *NewPullRequest) { n.Description = strings.Repeat("x", maxDescription+1) },
	} {
		ask := NewPullRequest{Repository: w.repo.ID, Source: "topic", Title: "x", Actor: ada}
		f(&ask)
		if _, err := w.CreatePullRequest(ctx, ask); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q, got %v", name, err)
		}
	}
	p := w.open(func(n *NewPullRequest) { n.Draft, n.Title = true, "" })
	if p.Title != "topic" {
		t.Errorf("the title is %q", p.Title)
	}
	if _, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Source: "refs/heads/topic", Target: "main", Actor: ada}); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("a second one of the same branches: %v", err)
	}
	complete := func(r CompleteRequest) error {
		r.Committer, r.Actor = cleo, ada
		_, err := w.CompletePullRequest(ctx, p.ID, r)
		return err
	}
	if err := complete(CompleteRequest{}); err == nil || !strings.Contains(err.Error(), "draft") {
		t.Errorf("completing a draft: %v", err)
	}
	change := func(c PullRequestChange) error {
		_, err := w.UpdatePullRequest(ctx, ada, p.ID, c)
		return err
	}
	no, abandoned, active := false, PullRequestAbandoned, PullRequestActive
	if err := change(PullRequestChange{Draft: &no}); err != nil {
		t.Fatal(err)
	}
	if err := complete(CompleteRequest{Expect: p.TargetCommit}); err == nil || !strings.Contains(err.Error(), "somebody pushed") {
		t.Errorf("completing what was not looked at: %v", err)
	}
	if err := complete(CompleteRequest{Completion: Completion{Strategy: "octopus"}}); err == nil || !strings.Contains(err.Error(), "octopus") {
		t.Errorf("an unknown strategy: %v", err)
	}
	if err := w.VotePullRequest(ctx, ada, p.ID, 7); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("an unknown vote: %v", err)
	}
	for _, v := range []Vote{VoteRejected, VoteApproved} {
		if err := w.VotePullRequest(ctx, ada, p.ID, v); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := w.Reviewers(ctx, p.ID); err != nil || len(list) != 1 || list[0].Vote != VoteApproved || list[0].Actor != ada {
		t.Errorf("reviewers %+v, %v", list, err)
	}
	if err := change(PullRequestChange{Status: &abandoned}); err != nil {
		t.Fatal(err)
	}
	if err := complete(CompleteRequest{}); err == nil || !strings.Contains(err.Error(), "abandoned already") {
		t.Errorf("completing an abandoned one: %v", err)
	}
	if err := w.VotePullRequest(ctx, ada, p.ID, VoteApproved); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("voting on an abandoned one: %v", err)
	}
	if err := change(PullRequestChange{Status: &active}); err != nil {
		t.Fatal(err)
	}
	if p := w.pull(p.ID); p.MergeStatus != MergeSucceeded || !p.Closed.IsZero() {
		t.Errorf("active again: %+v", p)
	}
	if err := complete(CompleteRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := change(PullRequestChange{Status: &abandoned}); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("abandoning a completed one: %v", err)
	}
	if err := w.Delete(ctx, w.repo.ID, ada); err != nil {
		t.Errorf("deleting the repository: %v", err)
	}
}

// Two pull requests into one branch that are completed at once both get there: who comes second is merged anew.
func TestCompletedAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	base := w.commit("base", "a", "1\n")
	var ids []slipway.PullRequestID
	for _, name := range []string{"one", "two", "three"} {
		w.branch(name, base)
		w.commitOn(name, name, name, name)
		ids = append(ids, w.open(func(n *NewPullRequest) { n.Source = name }).ID)
	}
	errs := make(chan error, len(ids))
	for _, id := range ids {
		go func() {
			_, err := w.CompletePullRequest(ctx, id, CompleteRequest{Actor: ada, Committer: cleo, Completion: Completion{Strategy: Squash}})
			errs <- err
		}()
	}
	for range ids {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := w.git("", "ls-tree", "--name-only", "main"); got != "a\none\nthree\ntwo" {
		t.Errorf("main has %q", got)
	}
	for _, id := range ids {
		if p := w.pull(id); p.Status != PullRequestCompleted {
			t.Errorf("pull request %d is %s", id, p.Status)
		}
	}
}
