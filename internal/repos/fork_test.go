package repos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
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
