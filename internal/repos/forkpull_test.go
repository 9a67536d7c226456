package repos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// From opening to completion: the commits of each push to the fork come to the target's repository, and the branch is deleted where it is.
func TestPullRequestFromFork(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := forkWorld(t, d)
		ctx := t.Context()
		fork := w.fork()
		one := w.pushTo(fork, "hats", "sell hats", "hats", "1\n")
		if there, _ := w.present(ctx, w.repo.ID, []string{string(one)}); there[0] {
			t.Fatal("the commit is there before anybody asks")
		}
		p, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Fork: fork.ID, Source: "hats", Actor: dora})
		if err != nil {
			t.Fatal(err)
		}
		if p.MergeStatus != MergeSucceeded || p.Fork != fork.ID || p.ForkName != "Shop" || p.Title != "sell hats" {
			t.Errorf("%+v", p)
		}
		if _, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Fork: fork.ID, Source: "hats", Actor: dora}); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("the same again: %v", err)
		}
		two := w.pushTo(fork, "hats", "more hats", "hats", "2\n")
		if p = w.pull(p.ID); p.SourceCommit != two {
			t.Errorf("it is at %s, want %s", p.SourceCommit, two)
		}
		iterations, err := w.Iterations(ctx, p.ID)
		if err != nil || len(iterations) != 2 || iterations[1].CreatedBy != dora {
			t.Errorf("%+v, %v", iterations, err)
		}
		if head := w.git("", "rev-parse", fmt.Sprintf("refs/pull/%d/head", p.ID)); head != string(two) {
			t.Errorf("refs/pull/%d/head is %s", p.ID, head)
		}
		diff, err := w.PullRequestDiff(ctx, p)
		if err != nil || len(diff.Files) != 1 || diff.Files[0].Path() != "hats" {
			t.Errorf("%+v, %v", diff, err)
		}
		// The target's own branch of that name is another.
		w.commitOn("hats", "another", "another", "1\n")
		if got := w.pull(p.ID); got.SourceCommit != two {
			t.Errorf("it follows a branch of the target: %s", got.SourceCommit)
		}
		_, err = w.CompletePullRequest(ctx, p.ID, CompleteRequest{Completion: Completion{DeleteSource: true}, Committer: cleo, Actor: ada})
		wantCode(t, "who may not push to the fork deletes its branch", err, slipway.CodeForbidden)
		done, err := w.CompletePullRequest(ctx, p.ID, CompleteRequest{Completion: Completion{DeleteSource: true}, Committer: cleo, Actor: dora})
		if err != nil || done.Status != PullRequestCompleted {
			t.Fatalf("%s, %v", done.Status, err)
		}
		if w.refsOf(fork.ID)["refs/heads/hats"] != "" || w.refsOf(w.repo.ID)["refs/heads/hats"] == "" {
			t.Error("the wrong branch was deleted")
		}
		w.follow()
		if err := w.RestoreSource(ctx, dora, p.ID); err != nil || w.refsOf(fork.ID)["refs/heads/hats"] != string(two) {
			t.Errorf("restoring: %v", err)
		}
		w.git("", "fsck", "--strict", "--connectivity-only")
	})
}

// Between forks of one parent, and from a parent to its fork; not between strangers.
func TestPullRequestsOfRelatives(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	ctx := t.Context()
	first := w.fork()
	second := w.fork(func(r *ForkRequest) { r.Name = "second" })
	w.pushTo(first, "hats", "sell hats", "hats", "1\n")
	p, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: second.ID, Fork: first.ID, Source: "hats", Actor: dora})
	if err != nil || p.MergeStatus != MergeSucceeded || p.Project != otherProject {
		t.Errorf("between forks: %+v, %v", p, err)
	}
	w.commit("new", "README", "more hats\n")
	if p, err = w.CreatePullRequest(ctx, NewPullRequest{Repository: first.ID, Fork: w.repo.ID, Source: "main", Target: "main", Actor: dora}); err != nil || p.MergeStatus != MergeSucceeded {
		t.Errorf("from the parent: %+v, %v", p, err)
	}
	stranger, err := w.Create(ctx, CreateRequest{Project: project, Name: "stranger", Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	w.pushTo(stranger, "main", "begin", "a", "b")
	_, err = w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Fork: stranger.ID, Source: "main", Actor: dora})
	wantCode(t, "from a stranger", err, slipway.CodeInvalid)
}

// What the target does not take leaves nothing there, and the pull request says why and stays at what it had.
func TestForkedCommitsAreChecked(t *testing.T) {
	t.Parallel()
	// It has the documented shape of an access key's id; it is put together so that this file holds none.
	const secret = "AKIA" + "Z7VRSQ5TJN2XMPLQ"
	for name, c := range map[string]struct {
		limits  Limits
		content string
		want    string
	}{
		"a secret":     {content: "token = \"" + secret + "\"\n", want: "looks like secrets"},
		"a large file": {limits: Limits{File: 100}, content: strings.Repeat("large\n", 100), want: "Limit file"},
		"a large pack": {limits: Limits{Pack: 2000}, content: randomText(20_000), want: "limit pack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := forkWorld(t, dbtest.SQLite(t))
			ctx := t.Context()
			fork := w.fork()
			good := w.pushTo(fork, "hats", "sell hats", "hats", "1\n")
			p, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Fork: fork.ID, Source: "hats", Actor: dora})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.SetRepositoryLimits(ctx, w.repo, c.limits, ada); err != nil {
				t.Fatal(err)
			}
			bad := w.behind(fork, "hats", "settings", c.content)
			p = w.pull(p.ID)
			if p.SourceCommit != good || p.MergeStatus != MergeFailure || !strings.Contains(p.MergeReason, c.want) {
				t.Errorf("it is at %s, %s: %s", p.SourceCommit, p.MergeStatus, p.MergeReason)
			}
			if there, err := w.present(ctx, w.repo.ID, []string{string(bad)}); err != nil || there[0] {
				t.Errorf("the commit is there: %v, %v", there, err)
			}
			if left, err := filepath.Glob(filepath.Join(w.dir(w.repo.ID), "objects", "tmp_*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			_, err = w.CompletePullRequest(ctx, p.ID, CompleteRequest{Committer: cleo, Actor: ada})
			wantCode(t, "completing it", err, slipway.CodeConflict)
			w.in(fork, "update-ref", "refs/heads/hats", string(good))
			if _, err := w.Announce(ctx, fork.ID, dora, "refs/heads/hats"); err != nil {
				t.Fatal(err)
			}
			w.follow()
			if p = w.pull(p.ID); p.MergeStatus != MergeSucceeded {
				t.Errorf("without the commit it is %s: %s", p.MergeStatus, p.MergeReason)
			}
		})
	}
}

// randomText does not compress well, and is the same each time.
func randomText(n int) string {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		b.WriteString(hex.EncodeToString(sum[:]) + "\n")
	}
	return b.String()
}

// behind makes a commit on a branch of a fork that was let through there, and tells of it.
func (w *world) behind(r Repository, branch, path, content string) slipway.CommitID {
	w.t.Helper()
	other := *w
	other.repo = r
	object := other.git(content, "hash-object", "-w", "--stdin")
	tree := other.git(other.git("", "ls-tree", branch)+"\n100644 blob "+object+"\t"+path+"\n", "mktree")
	commit := other.git("", "commit-tree", tree, "-p", branch, "-m", "settings")
	other.git("", "update-ref", "refs/heads/"+branch, commit)
	if _, err := w.Announce(context.Background(), r.ID, dora, "refs/heads/"+branch); err != nil {
		w.t.Fatal(err)
	}
	w.follow()
	return slipway.CommitID(commit)
}

// A fork that is gone leaves a pull request that can be read and completed.
func TestPullRequestOfDeletedFork(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	ctx := t.Context()
	fork := w.fork()
	tip := w.pushTo(fork, "hats", "sell hats", "hats", "1\n")
	p, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Fork: fork.ID, Source: "hats", Actor: dora})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(ctx, fork.ID, dora); err != nil {
		t.Fatal(err)
	}
	w.commit("new", "README", "more hats\n")
	w.follow()
	if p = w.pull(p.ID); p.MergeStatus != MergeSucceeded || p.SourceCommit != tip {
		t.Errorf("%s: %s", p.MergeStatus, p.MergeReason)
	}
	if commits, _, err := w.PullRequestCommits(ctx, p); err != nil || len(commits) != 1 {
		t.Errorf("%v, %v", commits, err)
	}
	may, err := w.MayPushSource(ctx, p, dora)
	if may || err != nil {
		t.Errorf("pushing to what is gone: %v, %v", may, err)
	}
	if p, err = w.CompletePullRequest(ctx, p.ID, CompleteRequest{Committer: cleo, Actor: ada}); err != nil || p.Status != PullRequestCompleted {
		t.Errorf("%s, %v", p.Status, err)
	}
}

// Conflicts and suggestions make commits in the fork, for those who may push there.
func TestCommitsOnForkedBranch(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	ctx := t.Context()
	fork := w.fork()
	w.pushTo(fork, "hats", "sell hats", "README", "straw hats\n")
	w.commit("new", "README", "felt hats\n")
	p, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Fork: fork.ID, Source: "hats", Actor: dora})
	if err != nil || p.MergeStatus != MergeConflicts {
		t.Fatalf("%s, %v", p.MergeStatus, err)
	}
	ask := ResolveRequest{PullRequest: p.ID, Source: p.SourceCommit, Target: p.TargetCommit, Author: cleo, Actor: ada,
		Files: []Resolution{{Path: "README", Text: []byte("felt and straw hats\n")}}}
	_, err = w.ResolveConflicts(ctx, ask)
	wantCode(t, "resolving by who may not push there", err, slipway.CodeForbidden)
	ask.Actor = dora
	commit, err := w.ResolveConflicts(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	if p = w.pull(p.ID); p.MergeStatus != MergeSucceeded || w.refsOf(fork.ID)["refs/heads/hats"] != string(commit) {
		t.Errorf("%s at %s", p.MergeStatus, p.SourceCommit)
	}
	thread, err := w.StartThread(ctx, NewThread{PullRequest: p.ID, Place: Place{Path: "README", Side: Right, Line: 1}, Text: "```suggestion\nhats of all kinds\n```", Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	apply := ApplyRequest{PullRequest: p.ID, Suggestions: []SuggestionRef{{Thread: thread.ID, Comment: 1}}, Author: cleo, Actor: ada}
	_, err = w.ApplySuggestions(ctx, apply)
	wantCode(t, "applying by who may not push there", err, slipway.CodeForbidden)
	apply.Actor = dora
	if _, err = w.ApplySuggestions(ctx, apply); err != nil {
		t.Fatal(err)
	}
	p = w.pull(p.ID)
	if text, err := w.ReadFile(ctx, w.repo.ID, p.SourceCommit, "README", 100); err != nil || string(text) != "hats of all kinds\n" {
		t.Errorf("%q, %v", text, err)
	}
	list, err := w.PullRequests(ctx, PullRequestFilter{Repository: w.repo.ID, From: fork.ID})
	if err != nil || !slices.ContainsFunc(list, func(o PullRequest) bool { return o.ID == p.ID }) {
		t.Errorf("of the fork: %v, %v", list, err)
	}
	if list, err = w.PullRequests(ctx, PullRequestFilter{Repository: w.repo.ID, From: w.repo.ID}); err != nil || len(list) != 0 {
		t.Errorf("of the repository itself: %v, %v", list, err)
	}
}
