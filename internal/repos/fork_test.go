package repos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
)

const otherProject = slipway.ProjectID("0b0f6c1e-7c7c-4a5e-9a54-0f4ddc9d0002")

var dora = slipway.Actor{Kind: slipway.ActorUser, ID: "u9", Name: "Dora"}

// fakePeople stands in for identity: Dora may push in the other project alone.
type fakePeople struct{}

func (fakePeople) User(_ context.Context, id slipway.UserID) (identity.User, error) {
	return identity.User{ID: id, Name: string(id)}, nil
}
func (fakePeople) Members(context.Context, slipway.ProjectID) ([]identity.Member, error) {
	return nil, nil
}
func (fakePeople) Role(_ context.Context, user slipway.UserID, p slipway.ProjectID) (identity.Role, error) {
	if (string(user) == dora.ID) == (p == otherProject) {
		return identity.RoleContributor, nil
	}
	return identity.RoleNone, nil
}
func (fakePeople) AuthenticateToken(context.Context, string) (identity.Principal, error) {
	return identity.Principal{}, slipway.Unauthenticated("no")
}

// forkWorld is a world whose repository has history, branches, a tag and a deleted branch.
func forkWorld(t *testing.T, d *db.DB) *world {
	w := setup(t, d)
	w.People = fakePeople{}
	store, err := blob.OpenFiles(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	w.Objects = store
	base := w.commit("base", "README", "hats\n")
	w.branch("topic", base)
	w.commitOn("topic", "topic", "topic", "1\n")
	w.git("", "tag", "-m", "notes", "v1", string(base))
	w.announce("refs/tags/v1")
	w.branch("gone", base)
	w.commitOn("gone", "not for others", "gone", "gone\n")
	w.git("", "update-ref", "-d", "refs/heads/gone")
	w.announce("refs/heads/gone")
	return w
}

// work does the syncs that wait, as Run does.
func (w *world) work() {
	w.t.Helper()
	for {
		f, err := w.claimFork(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		if f.ID == 0 {
			return
		}
		w.syncFork(context.Background(), f)
	}
}

func (w *world) fork(change ...func(*ForkRequest)) Repository {
	w.t.Helper()
	req := ForkRequest{Source: w.repo.ID, Project: otherProject, Actor: dora}
	for _, f := range change {
		f(&req)
	}
	r, _, err := w.Fork(context.Background(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.work()
	return r
}

// refsOf lists the branches and tags of a repository, as git has them.
func (w *world) refsOf(id slipway.RepositoryID) map[string]string {
	w.t.Helper()
	disk, err := w.refsOnDisk(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for name, r := range disk {
		out[name] = r.Target
	}
	return out
}

// in runs git in any of the repositories.
func (w *world) in(r Repository, args ...string) string {
	w.t.Helper()
	other := *w
	other.repo = r
	return other.git("", args...)
}

// pushTo makes a commit on a branch of any repository, as dora.
func (w *world) pushTo(r Repository, branch, message string, files ...string) slipway.CommitID {
	w.t.Helper()
	var changes []Change
	for i := 0; i < len(files); i += 2 {
		changes = append(changes, Change{Path: files[i], Content: []byte(files[i+1])})
	}
	req := CommitRequest{Repository: r.ID, Branch: branch, Changes: changes, Message: message, Author: Signature{Name: "Dora", Email: "dora@example.org"}, Actor: dora}
	if refs := w.refsOf(r.ID); refs[branchPrefix+branch] == "" {
		req.Start = slipway.CommitID(refs[branchPrefix+"main"])
	}
	id, err := w.CommitFiles(context.Background(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.follow()
	return id
}

func TestFork(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := forkWorld(t, d)
		ctx := t.Context()
		gone := w.git("", "for-each-ref", "--format=%(objectname)", "refs/slipway/deleted")
		fork := w.fork()
		if diff := cmp.Diff(w.refsOf(w.repo.ID), w.refsOf(fork.ID)); diff != "" {
			t.Errorf("branches and tags (-parent +fork):\n%s", diff)
		}
		if fork.Name != w.repo.Name || fork.Parent != w.repo.ID || fork.DefaultBranch != "main" {
			t.Errorf("the fork is %+v", fork)
		}
		w.in(fork, "fsck", "--strict", "--connectivity-only")
		if out := w.in(fork, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)"); gone == "" || strings.Contains(out, gone) {
			t.Errorf("a fork in another project has the deleted branch's commit %q", gone)
		}
		syncs, err := w.ForkSyncs(ctx, fork.ID)
		if err != nil || len(syncs) != 1 || syncs[0].State != MirrorSucceeded || !syncs[0].Initial {
			t.Errorf("%+v, %v", syncs, err)
		}
		forks, err := w.Forks(ctx, w.repo.ID)
		if err != nil || len(forks) != 1 || forks[0].ID != fork.ID {
			t.Errorf("the forks are %+v, %v", forks, err)
		}
		_, pushes := w.pushes()
		copied := 0
		for _, p := range pushes {
			if p.Repository == fork.ID && p.Copied {
				copied++
			} else if p.Copied || p.Repository == fork.ID {
				t.Errorf("push %+v", p)
			}
		}
		if copied != 3 {
			t.Errorf("%d pushes tell of the copy, want 3", copied)
		}
		_, _, err = w.Fork(ctx, ForkRequest{Source: w.repo.ID, Project: otherProject, Actor: dora})
		wantCode(t, "a fork of the same name", err, slipway.CodeConflict)
		// Either can be deleted without harm to the other.
		if err := w.Delete(ctx, w.repo.ID, ada); err != nil {
			t.Fatal(err)
		}
		w.in(fork, "fsck", "--strict")
		if got, err := w.ReadFile(ctx, fork.ID, slipway.CommitID(w.refsOf(fork.ID)["refs/heads/topic"]), "topic", 10); err != nil || string(got) != "1\n" {
			t.Errorf("the fork's file is %q, %v", got, err)
		}
	})
}

// Within a project objects are shared by hard links, with nothing that points to the other repository.
func TestForkByLinks(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	w.git("", "repack", "-q", "-a", "-d")
	fork := w.fork(func(r *ForkRequest) { r.Project, r.Name = project, "Shop two" })
	packs, err := filepath.Glob(filepath.Join(w.dir(fork.ID), "objects", "pack", "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("packs %v, %v", packs, err)
	}
	for _, p := range packs {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if n := info.Sys().(*syscall.Stat_t).Nlink; n != 2 {
			t.Errorf("%s has %d names", filepath.Base(p), n)
		}
	}
	if _, err := os.Stat(filepath.Join(w.dir(fork.ID), "objects", "info", "alternates")); !os.IsNotExist(err) {
		t.Errorf("alternates: %v", err)
	}
	if err := w.Delete(t.Context(), w.repo.ID, ada); err != nil {
		t.Fatal(err)
	}
	w.in(fork, "fsck", "--strict")
	if out := w.in(fork, "rev-list", "--count", "--all"); out != "2" {
		t.Errorf("%s commits", out)
	}
}

func TestForkOfOneBranch(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	fork := w.fork(func(r *ForkRequest) { r.Project, r.Name, r.Branch = project, "small", "main" })
	want := map[string]string{"refs/heads/main": w.refsOf(w.repo.ID)["refs/heads/main"]}
	if diff := cmp.Diff(want, w.refsOf(fork.ID)); diff != "" {
		t.Error(diff)
	}
	topic := w.refsOf(w.repo.ID)["refs/heads/topic"]
	if there, err := w.present(t.Context(), fork.ID, []string{topic}); err != nil || there[0] {
		t.Errorf("the other branch's commit is there: %v, %v", there, err)
	}
	_, _, err := w.Fork(t.Context(), ForkRequest{Source: w.repo.ID, Project: project, Name: "x", Branch: "nothing", Actor: ada})
	wantCode(t, "a fork of no branch", err, slipway.CodeInvalid)
}

// A server that dies at any moment of the copying leaves something that the next one finishes.
func TestForkAfterCrash(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(w *world, f ForkSync, r Repository){
		"before the objects": func(*world, ForkSync, Repository) {},
		"between objects and refs": func(w *world, _ ForkSync, r Repository) {
			if err := linkObjects(context.Background(), filepath.Join(w.dir(w.repo.ID), "objects"), filepath.Join(w.dir(r.ID), "objects")); err != nil {
				w.t.Fatal(err)
			}
		},
		"before the events": func(w *world, _ ForkSync, r Repository) {
			refs, err := w.refsOnDisk(context.Background(), w.repo.ID)
			if err == nil {
				err = linkObjects(context.Background(), filepath.Join(w.dir(w.repo.ID), "objects"), filepath.Join(w.dir(r.ID), "objects"))
			}
			if err == nil {
				err = w.createRefs(context.Background(), r.ID, refs)
			}
			if err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := forkWorld(t, dbtest.SQLite(t))
			ctx, cancel := context.WithCancel(t.Context())
			r, _, err := w.Fork(ctx, ForkRequest{Source: w.repo.ID, Project: project, Name: "fork", Actor: dora})
			if err != nil {
				t.Fatal(err)
			}
			f, err := w.claimFork(ctx) // it is running when the server dies
			if err != nil || f.ID == 0 {
				t.Fatal(f, err)
			}
			before(w, f, r)
			if _, err := w.CommitFiles(ctx, CommitRequest{Repository: r.ID, Branch: "x", Changes: []Change{{Path: "x", Content: []byte("x")}}, Message: "x", Author: cleo, Actor: dora}); slipway.CodeOf(err) != slipway.CodeConflict {
				t.Errorf("a commit meanwhile: %v", err)
			}
			told, stop := w.events.Watch(func(e events.Event) bool { return e.Kind == EventForkSynced })
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- w.Run(ctx) }() // the next server
			<-told
			cancel()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w.refsOf(w.repo.ID), w.refsOf(r.ID)); diff != "" {
				t.Error(diff)
			}
			branches, err := w.Branches(t.Context(), r.ID)
			if err != nil || len(branches) != 2 {
				t.Errorf("announced are %v, %v", branches, err)
			}
			_, pushes := w.pushes()
			for _, p := range pushes {
				if p.Repository == r.ID && !p.Copied {
					t.Errorf("%s would start pipelines", p.Ref)
				}
			}
		})
	}
}

func TestForkSync(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	ctx := t.Context()
	fork := w.fork()
	last := func() ForkSync {
		t.Helper()
		w.work()
		list, err := w.ForkSyncs(ctx, fork.ID)
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	w.commit("new", "README", "more hats\n")
	w.commitOn("fresh", "fresh", "fresh", "1\n")
	if _, err := w.SyncFork(ctx, fork.ID, "", []SyncedBranch{{Source: "main"}}, dora); err != nil {
		t.Fatal(err)
	}
	if f := last(); f.State != MirrorSucceeded {
		t.Errorf("%s: %s", f.State, f.Problem)
	}
	parent, own := w.refsOf(w.repo.ID), w.refsOf(fork.ID)
	if own["refs/heads/main"] != parent["refs/heads/main"] || own["refs/heads/fresh"] != "" {
		t.Errorf("%v", own)
	}
	// A branch with commits of its own stays, and the others come.
	w.pushTo(fork, "main", "own", "own", "1\n")
	kept := w.refsOf(fork.ID)["refs/heads/main"]
	w.commit("newer", "README", "most hats\n")
	if _, err := w.SyncFork(ctx, fork.ID, "", nil, dora); err != nil {
		t.Fatal(err)
	}
	f := last()
	if f.State != MirrorFailed || !strings.Contains(f.Problem, "branch main has commits that repository Shop has not") {
		t.Errorf("%s: %s", f.State, f.Problem)
	}
	if own = w.refsOf(fork.ID); own["refs/heads/main"] != kept || own["refs/heads/fresh"] != parent["refs/heads/fresh"] {
		t.Errorf("%v", own)
	}
	if _, err := w.SyncFork(ctx, w.repo.ID, "", nil, ada); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("syncing what is no fork: %v", err)
	}
	stranger, err := w.Create(ctx, CreateRequest{Project: otherProject, Name: "stranger", Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SyncFork(ctx, fork.ID, stranger.ID, nil, ada); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("syncing with a stranger: %v", err)
	}
}

func TestForkedLargeFiles(t *testing.T) {
	t.Parallel()
	w := forkWorld(t, dbtest.SQLite(t))
	ctx := t.Context()
	large := func(r Repository, branch, text string) string {
		sum := sha256.Sum256([]byte(text))
		oid := hex.EncodeToString(sum[:])
		if _, err := w.PutLFSObject(ctx, dora, r.ID, oid, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		w.pushTo(r, branch, "large", oid[:8], fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(text)))
		return oid
	}
	want := func(r Repository, oid string) {
		t.Helper()
		if _, err := w.LFSObject(ctx, r.ID, oid); err != nil {
			t.Error(err)
		}
	}
	first := large(w.repo, "main", "first")
	fork := w.fork()
	want(fork, first)
	p, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Fork: fork.ID, Source: func() string { large(fork, "big", "second"); return "big" }(), Actor: dora})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("second"))
	want(w.repo, hex.EncodeToString(sum[:]))
	if diff, err := w.PullRequestDiff(ctx, p); err != nil || len(diff.Files) != 1 {
		t.Errorf("it changes %+v, %v", diff.Files, err)
	}
}

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
