package gitserver_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

// wide makes a repository `Wide` beside Shop that names its objects by SHA-256.
func (w *world) wide(name string) repos.Repository {
	w.t.Helper()
	r, err := w.repos.Create(context.Background(), repos.CreateRequest{Project: w.project.ID, Name: name, ObjectFormat: repos.SHA256, Actor: slipway.System})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// at is the address of another repository than Shop.
func (w *world) at(token, name string) string {
	return strings.TrimSuffix(w.remote(token), "shop") + name
}

// wideWork makes a work tree of SHA-256 names with one commit.
func (w *world) wideWork() (dir, head string) {
	w.t.Helper()
	dir = w.t.TempDir()
	mustGit(w.t, dir, "init", "-q", "-b", "main", "--object-format=sha256")
	return dir, commit(w.t, dir, "README.md", "# Wide\n", "begin")
}

// The same things are done with SHA-256 names as with SHA-1 ones: git init --object-format=sha256 makes the other side.
func TestSHA256(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setupSSH(t, d, gitserver.Options{})
		w.keepObjects()
		r := w.wide("Wide")
		key, err := w.key("Ada", "-t", "ed25519")
		if err != nil {
			t.Fatal(err)
		}
		overSSH := "ssh://git@127.0.0.1/Tools/_git/Wide"
		dir, head := w.wideWork()
		mustGit(t, dir, "remote", "add", "origin", w.at(w.writer, "wide"))
		mustGit(t, dir, "push", "-q", "origin", "main")
		list := w.pushed()
		if len(list) != 1 || len(head) != 64 || string(list[0].After) != head || list[0].Before != "" || len(list[0].Paths) != 1 {
			t.Fatalf("events %+v, want one push of %s", list, head)
		}
		for _, version := range []string{"0", "2"} {
			clone := filepath.Join(t.TempDir(), "clone")
			mustGit(t, "", "-c", "protocol.version="+version, "clone", "-q", "--depth=1", w.at(w.reader, "wide"), clone)
			w.must(key, clone, "-c", "protocol.version="+version, "fetch", "-q", overSSH, "main")
			if got := mustGit(t, clone, "rev-parse", "HEAD", "FETCH_HEAD"); got != head+"\n"+head {
				t.Errorf("version %s: %s, want %s", version, got, head)
			}
		}
		next := commit(t, dir, "src/hats.txt", "one\n", "sell hats")
		w.must(key, dir, "push", "-q", overSSH, "main", "main:topic")
		if out := w.must(key, dir, "archive", "--remote="+overSSH, "--format=tar", "main", "README.md"); !strings.Contains(out, "# Wide") {
			t.Errorf("the archive holds %q", out)
		}
		// A secret is found in it as anywhere, and a work tree of the other format is refused by git itself.
		commit(t, dir, "config.env", "key=AKIA"+"Z7VRSQ5TJN2XMPLQ\n", "configure")
		if out, err := git(t, dir, "push", "origin", "main"); err == nil || !strings.Contains(out, "config.env:1 has an AWS access key ID") {
			t.Errorf("a secret: %v\n%s", err, out)
		}
		mustGit(t, dir, "reset", "-q", "--hard", next)
		if out, err := git(t, w.work(w.writer), "push", w.at(w.writer, "wide"), "main:other"); err == nil || !strings.Contains(out, "hash algorithm") {
			t.Errorf("a push of SHA-1 names: %v\n%s", err, out)
		}
		w.wideCommits(ctx, r, slipway.CommitID(next))
		content := w.largeFile(dir)
		mustLFS(t, "", dir, "pull", "-q", "--rebase", "origin", "main")
		mustLFS(t, "", dir, "lfs", "push", "origin", "main")
		mustLFS(t, "", dir, "push", "-q", "origin", "main")
		w.wantClone("", w.at(w.reader, "wide"), content)
	})
}

// wideCommits makes commits, a pull request and a revert on the server, and looks at them.
func (w *world) wideCommits(ctx context.Context, r repos.Repository, head slipway.CommitID) {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	ada := repos.Signature{Name: "Ada", Email: "ada@example.org"}
	put := func(branch, message string, changes ...repos.Change) slipway.CommitID {
		w.t.Helper()
		id, err := w.repos.CommitFiles(ctx, repos.CommitRequest{Repository: r.ID, Branch: branch, Changes: changes, Message: message, Author: ada, Actor: slipway.System})
		must(err)
		return id
	}
	put("topic", "copy and remove", repos.Change{Path: "docs", From: "src"}, repos.Change{Path: "README.md", Delete: true})
	put("topic", "two hats", repos.Change{Path: "docs/hats.txt", Content: []byte("one\ntwo\n")})
	pull, err := w.repos.CreatePullRequest(ctx, repos.NewPullRequest{Repository: r.ID, Source: "topic", Title: "Hats", Actor: slipway.System})
	must(err)
	d, err := w.repos.PullRequestDiff(ctx, pull)
	must(err)
	if len(d.Files) != 2 || len(pull.MergeCommit) != 64 {
		w.t.Errorf("the pull request changes %+v by %s", d.Files, pull.MergeCommit)
	}
	pull, err = w.repos.CompletePullRequest(ctx, pull.ID, repos.CompleteRequest{Completion: repos.Completion{Strategy: repos.Squash, DeleteSource: true}, Committer: ada, Actor: slipway.System})
	must(err)
	if pull.Status != repos.PullRequestCompleted || len(pull.MergeCommit) != 64 {
		w.t.Errorf("completed: %+v", pull)
	}
	b, err := w.repos.Blame(ctx, r.ID, pull.MergeCommit, "docs/hats.txt")
	must(err)
	if len(b.Lines) != 2 {
		w.t.Errorf("blame %+v", b)
	}
	whole, err := w.repos.Diff(ctx, r.ID, "", pull.MergeCommit) // since the empty tree
	must(err)
	if len(whole.Files) != 2 || whole.Files[0].Status != repos.FileAdded {
		w.t.Errorf("all of it: %+v", whole.Files)
	}
	if id, err := w.repos.Resolve(ctx, r.ID, string(pull.MergeCommit[:9])); err != nil || id != pull.MergeCommit {
		w.t.Errorf("the beginning of a name: %s, %v", id, err)
	}
	if _, err := w.repos.Resolve(ctx, r.ID, strings.Repeat("1", 40)); slipway.CodeOf(err) != slipway.CodeNotFound {
		w.t.Errorf("a name of SHA-1: %v", err)
	}
	must(w.repos.CreateBranch(ctx, r.ID, slipway.System, "next", head))
	if picked, err := w.repos.Pick(ctx, repos.PickRequest{Repository: r.ID, Kind: repos.Revert, PullRequest: pull.ID, Onto: "main", Branch: "reverted", Committer: ada, Actor: slipway.System}); err != nil || picked.Reason != "" {
		w.t.Errorf("reverted: %+v, %v", picked, err)
	}
	must(w.repos.RequestUpkeep(ctx, r.ID, true))
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.repos.Run(running) }()
	u, late, tick := repos.Upkeep{}, time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for u.Finished.IsZero() || u.Running || !u.Due.IsZero() {
		select {
		case <-late:
			w.t.Fatalf("upkeep does not end: %+v", u)
		case <-tick.C:
		}
		if u, err = w.repos.UpkeepState(ctx, r.ID); err != nil {
			break
		}
	}
	stop()
	must(<-done)
	must(err)
	if u.Problem != "" || u.Packs == 0 {
		w.t.Errorf("upkeep: %+v", u)
	}
}

// A source of SHA-256 names makes an empty repository one of its kind, whatever it was; what is not empty stays, and git translates none.
func TestMirrorsOfSHA256(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	other := setup(t, dbtest.SQLite(t), gitserver.Options{})
	other.wide("Wide")
	dir, head := other.wideWork()
	mustGit(t, dir, "push", "-q", other.at(other.writer, "wide"), "main")
	m := mirrors(setup(t, dbtest.SQLite(t), gitserver.Options{}))
	settings := func(kind repos.MirrorKind, name string) repos.MirrorSettings {
		return repos.MirrorSettings{Kind: kind, URL: other.url + "/tools/_git/" + name, User: "x", Password: other.writer, Enabled: true}
	}
	r, one, err := m.repos.Import(ctx, repos.CreateRequest{Project: m.project.ID, Name: "copy", Actor: slipway.System}, settings(repos.MirrorPull, "wide"))
	if err != nil {
		t.Fatal(err)
	}
	m.wait(one.ID, repos.MirrorSucceeded)
	if r, err = m.repos.Get(ctx, r.ID); err != nil || r.ObjectFormat != repos.SHA256 {
		t.Errorf("the copy has the format %s, %v", r.ObjectFormat, err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	mustGit(t, "", "clone", "-q", m.at(m.reader, "copy"), clone)
	if got := mustGit(t, clone, "rev-parse", "HEAD"); got != head {
		t.Errorf("cloned %s, want %s", got, head)
	}
	// Again, now that it is not empty.
	head = commit(t, dir, "a", "1", "more")
	mustGit(t, dir, "push", "-q", other.at(other.writer, "wide"), "main")
	if _, err := m.repos.SyncMirror(ctx, r.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	m.wait(one.ID, repos.MirrorSucceeded)
	if refs := mustGit(t, "", "ls-remote", m.at(m.reader, "copy"), "main"); !strings.HasPrefix(refs, head) {
		t.Errorf("later: %s", refs)
	}
	// One that has SHA-1 names is neither filled from it nor pushed to it.
	mustGit(t, m.work(m.writer), "push", "-q", "origin", "main")
	pulled := m.add(m.repository.ID, settings(repos.MirrorPull, "wide"))
	if got := m.wait(pulled.ID, repos.MirrorFailed); !strings.Contains(got.Problem, "names its objects by SHA-1 and "+settings(repos.MirrorPull, "wide").URL+" by SHA-256") {
		t.Errorf("%q", got.Problem)
	}
	if err := m.repos.DeleteMirror(ctx, m.repository.ID, pulled.ID, slipway.System); err != nil {
		t.Fatal(err)
	}
	pushed := m.add(m.repository.ID, settings(repos.MirrorPush, "wide"))
	if got := m.wait(pushed.ID, repos.MirrorFailed); !strings.Contains(got.Problem, "--object-format=sha1") {
		t.Errorf("%q", got.Problem)
	}
	if b, err := os.ReadFile(filepath.Join(clone, ".git", "config")); err != nil || !bytes.Contains(bytes.ToLower(b), []byte("objectformat = sha256")) {
		t.Errorf("the clone's config is %s, %v", b, err)
	}
}
