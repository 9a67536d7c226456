package repos

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
)

const project = slipway.ProjectID("0b0f6c1e-7c7c-4a5e-9a54-0f4ddc9d0001")

var ada = slipway.Actor{Kind: slipway.ActorUser, ID: "u1", Name: "Ada"}

// world is a service with one repository.
type world struct {
	*Service
	t      testing.TB
	db     *db.DB
	events *events.Log
	repo   Repository
}

func setup(t testing.TB, d *db.DB) *world {
	t.Helper()
	log, err := events.Open(context.Background(), d, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: d, events: log, Service: open(t, d, log, t.TempDir())}
	w.repo, err = w.Create(context.Background(), CreateRequest{Project: project, Name: "Shop", Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func open(t testing.TB, d *db.DB, log *events.Log, folder string) *Service {
	t.Helper()
	s, err := Open(context.Background(), d, log, clock.System{}, folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// commit makes a commit of the files given as path, content, path, content ... on main.
func (w *world) commit(message string, files ...string) slipway.CommitID {
	w.t.Helper()
	var changes []Change
	for i := 0; i < len(files); i += 2 {
		changes = append(changes, Change{Path: files[i], Content: []byte(files[i+1])})
	}
	id, err := w.CommitFiles(context.Background(), CommitRequest{Repository: w.repo.ID, Branch: "main", Changes: changes,
		Message: message, Author: Signature{Name: "Ada", Email: "ada@example.org"}, Actor: ada})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// git runs git in the bare repository, behind the service's back.
func (w *world) git(stdin string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir(w.repo.ID)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ben", "GIT_AUTHOR_EMAIL=ben@example.org",
		"GIT_COMMITTER_NAME=Ben", "GIT_COMMITTER_EMAIL=ben@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// pushes returns the push events, oldest first, with their payloads.
func (w *world) pushes() ([]events.Event, []Pushed) {
	w.t.Helper()
	list, err := w.events.List(context.Background(), events.Filter{Kind: EventPushed})
	if err != nil {
		w.t.Fatal(err)
	}
	payloads := make([]Pushed, len(list))
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	for i, e := range list {
		if err := e.Decode(&payloads[i]); err != nil {
			w.t.Fatal(err)
		}
	}
	return list, payloads
}

func wantCode(t *testing.T, what string, err error, code slipway.Code) {
	t.Helper()
	if slipway.CodeOf(err) != code {
		t.Errorf("%s: %v, want a problem of code %s", what, err, code)
	}
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		for _, name := range []string{"shop", "SHOP"} {
			_, err := w.Create(ctx, CreateRequest{Project: project, Name: name, Actor: ada})
			wantCode(t, "create "+name, err, slipway.CodeConflict)
		}
		for _, name := range []string{"", ".", "a/b", "-x", "x.git", "x ", strings.Repeat("x", 65), "a\x00b", ".."} {
			_, err := w.Create(ctx, CreateRequest{Project: project, Name: name, Actor: ada})
			wantCode(t, fmt.Sprintf("create %q", name), err, slipway.CodeInvalid)
		}
		other, err := w.Create(ctx, CreateRequest{Project: project, Name: "Über uns 2.0", DefaultBranch: "trunk", Actor: ada})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Find(ctx, project, "ÜBER UNS 2.0")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(other, got); diff != "" {
			t.Errorf("find (-want +got):\n%s", diff)
		}
		if byID, err := w.Find(ctx, project, string(other.ID)); err != nil || byID != other {
			t.Errorf("find by id: %+v, %v", byID, err)
		}
		list, err := w.List(ctx, project)
		if err != nil || len(list) != 2 || list[0].Name != "Shop" {
			t.Errorf("list %+v, %v", list, err)
		}
		if err := w.Delete(ctx, other.ID, ada); err != nil {
			t.Fatal(err)
		}
		_, err = w.Get(ctx, other.ID)
		wantCode(t, "get a deleted one", err, slipway.CodeNotFound)
		if _, err := os.Stat(w.dir(other.ID)); !os.IsNotExist(err) {
			t.Errorf("its folder is still there: %v", err)
		}
		all, err := w.events.List(ctx, events.Filter{Project: project})
		if err != nil || len(all) != 3 || all[0].Kind != EventDeleted || all[0].Actor != ada {
			t.Errorf("events %+v, %v", all, err)
		}
	})
}

func TestCommitFiles(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		first := w.commit("begin\n\nwith a body", "README.md", "# Shop\n", "src/a b.go", "package a\n", "src/ö.txt", "x")
		request := CommitRequest{Repository: w.repo.ID, Branch: "main", Expect: first, Message: "change", Actor: ada,
			Author: Signature{Name: "Ada Lovelace", Email: "ada@example.org"},
			Changes: []Change{
				{Path: "run.sh", Content: []byte("#!/bin/sh\n"), Executable: true},
				{Path: "src/a b.go", Delete: true},
				{Path: "README.md", Content: []byte("# The shop\n")},
			}}
		second, err := w.CommitFiles(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		// git itself says what the commit holds.
		if got, want := w.git("", "-c", "core.quotePath=false", "ls-tree", "-r", "--format=%(objectmode) %(path)", string(second)), "100644 README.md\n100755 run.sh\n100644 src/ö.txt"; got != want {
			t.Errorf("tree:\n%s\nwant\n%s", got, want)
		}
		if got, want := w.git("", "log", "--format=%an <%ae>|%cn|%s|%b|%P", "main"), "Ada Lovelace <ada@example.org>|Ada Lovelace|change||"+string(first)+"\nAda <ada@example.org>|Ada|begin|with a body\n|"; got != want {
			t.Errorf("log:\n%s\nwant\n%s", got, want)
		}
		w.git("", "fsck", "--strict", "--no-dangling")
		list, pushes := w.pushes()
		if len(pushes) != 2 || pushes[1].Before != first || pushes[1].After != second || list[1].Actor != ada {
			t.Errorf("events %+v", pushes)
		}
		if diff := cmp.Diff([]string{"README.md", "run.sh", "src/a b.go"}, pushes[1].Paths); diff != "" {
			t.Errorf("paths (-want +got):\n%s", diff)
		}
		_, err = w.CommitFiles(ctx, request)
		wantCode(t, "commit on what was before", err, slipway.CodeConflict)
		request.Expect = ""
		request.Changes = []Change{{Path: "run.sh", Content: []byte("#!/bin/sh\n"), Executable: true}}
		_, err = w.CommitFiles(ctx, request)
		wantCode(t, "commit without a change", err, slipway.CodeInvalid)
		request.Changes = []Change{{Path: "nothing", Delete: true}}
		_, err = w.CommitFiles(ctx, request)
		wantCode(t, "delete what is not there", err, slipway.CodeNotFound)
		for _, path := range []string{"", "/a", "a//b", "../a", ".git/config", "a/.GIT/x", "git~1/config", "a\tb", "a\nb", ".g\u200cit/config"} {
			request.Changes = []Change{{Path: path, Content: []byte("x")}}
			_, err = w.CommitFiles(ctx, request)
			wantCode(t, fmt.Sprintf("path %q", path), err, slipway.CodeInvalid)
		}
		// A file takes the place of a folder, and a folder goes as a whole.
		request.Changes = []Change{{Path: "src", Content: []byte("now a file\n")}}
		if _, err := w.CommitFiles(ctx, request); err != nil {
			t.Error(err)
		}
		if got := w.git("", "ls-tree", "-r", "--name-only", "main"); got != "README.md\nrun.sh\nsrc" {
			t.Errorf("tree %q", got)
		}
	})
}

func TestReading(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	var files []string
	for i := range 200 { // more than are asked for at once
		files = append(files, fmt.Sprintf("many/%03d.txt", i), strings.Repeat("x", i))
	}
	first := w.commit("first", append(files, "README.md", "one\ntwo\nthree\n", "bin/data", "a\x00b")...)
	second := w.commit("second", "README.md", "one\n2\nthree")
	w.git("", "update-index", "--add", "--cacheinfo", "120000,"+w.git("target", "hash-object", "-w", "--stdin")+",link")

	list, more, err := w.Tree(ctx, w.repo.ID, second, "")
	if err != nil || more || len(list) != 3 || list[0].Name != "bin" || list[0].Kind != EntryFolder || list[2].Name != "README.md" || list[2].Size != 11 {
		t.Errorf("root %+v, %v", list, err)
	}
	list, _, err = w.Tree(ctx, w.repo.ID, second, "many/")
	if err != nil || len(list) != 200 || list[150].Path != "many/150.txt" || list[150].Size != 150 {
		t.Errorf("%d entries, %v", len(list), err)
	}
	_, _, err = w.Tree(ctx, w.repo.ID, second, "nothing")
	wantCode(t, "tree of nothing", err, slipway.CodeNotFound)
	_, _, err = w.Tree(ctx, w.repo.ID, second, "README.md")
	wantCode(t, "tree of a file", err, slipway.CodeInvalid)

	f, err := w.File(ctx, w.repo.ID, first, "README.md", 100)
	if err != nil || string(f.Content) != "one\ntwo\nthree\n" || f.Binary || f.Object != w.git("", "rev-parse", string(first)+":README.md") {
		t.Errorf("file %+v, %v", f, err)
	}
	if f, err = w.File(ctx, w.repo.ID, first, "README.md", 5); err != nil || !f.TooLarge || f.Size != 14 || f.Content != nil {
		t.Errorf("too large a file: %+v, %v", f, err)
	}
	if f, err = w.File(ctx, w.repo.ID, first, "bin/data", 100); err != nil || !f.Binary {
		t.Errorf("binary file: %+v, %v", f, err)
	}
	_, err = w.ReadFile(ctx, w.repo.ID, first, "README.md", 5)
	wantCode(t, "read too large a file", err, slipway.CodeLimit)
	_, err = w.ReadFile(ctx, w.repo.ID, first, "many", 5)
	wantCode(t, "read a folder", err, slipway.CodeInvalid)

	page, err := w.History(ctx, HistoryRequest{Repository: w.repo.ID, Commit: second, Path: "README.md", Limit: 1})
	if err != nil || !page.More || len(page.Entries) != 1 || page.Entries[0].ID != second || page.Entries[0].Subject() != "second" || page.Entries[0].Parents[0] != first {
		t.Errorf("history %+v, %v", page, err)
	}
	page, err = w.History(ctx, HistoryRequest{Repository: w.repo.ID, Commit: second, Path: "many"})
	if err != nil || page.More || len(page.Entries) != 1 || page.Entries[0].ID != first {
		t.Errorf("history of a folder %+v, %v", page, err)
	}

	d, err := w.Diff(ctx, w.repo.ID, first, second)
	if err != nil {
		t.Fatal(err)
	}
	want := Diff{Files: []FileDiff{{
		Status: FileModified, OldPath: "README.md", NewPath: "README.md", OldMode: "100644", Additions: 2, Deletions: 2,
		OldObject: w.git("", "rev-parse", string(first)+":README.md"), NewObject: w.git("", "rev-parse", string(second)+":README.md"),
		Hunks: []Hunk{{OldStart: 1, OldLines: 3, NewStart: 1, NewLines: 3, Lines: []DiffLine{
			{Op: ' ', Text: "one", Old: 1, New: 1},
			{Op: '-', Text: "two", Old: 2}, {Op: '-', Text: "three", Old: 3},
			{Op: '+', Text: "2", New: 2}, {Op: '+', Text: "three", New: 3, NoFinal: true},
		}}},
	}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("diff (-want +got):\n%s", diff)
	}
	if d, err = w.Diff(ctx, w.repo.ID, "", first); err != nil || len(d.Files) != 202 || d.Files[0].Status != FileAdded {
		t.Errorf("diff from nothing: %d files, %v", len(d.Files), err)
	}
	paths, more, err := w.ChangedPaths(ctx, w.repo.ID, "", first, 10)
	if err != nil || !more || len(paths) != 10 {
		t.Errorf("changed paths %q, %v, %v", paths, more, err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("first", "a", "1")
	second := w.commit("second", "a", "2")
	w.git("", "tag", "-a", "-m", "release", "v1", string(first))
	w.git("", "branch", "feature/x", string(first))
	for ref, want := range map[string]slipway.CommitID{
		"main": second, "refs/heads/main": second, "v1": first, "refs/tags/v1": first, "feature/x": first,
		string(first): first, strings.ToUpper(string(first)): first, string(first[:10]): first, "HEAD": "",
		"nothing": "", strings.Repeat("1", 40): "",
	} {
		got, err := w.Resolve(ctx, w.repo.ID, ref)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("resolve %q: %q, %v; want %q", ref, got, err, want)
		}
	}
	for _, ref := range []string{"", "-x", "main^", "main~1", "main:a", "@{1}", "a..b", "main\nx", "@", "a b", "x.lock"} {
		_, err := w.Resolve(ctx, w.repo.ID, ref)
		wantCode(t, fmt.Sprintf("resolve %q", ref), err, slipway.CodeInvalid)
	}
}

func TestParseCommit(t *testing.T) {
	t.Parallel()
	raw := "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 1111111111111111111111111111111111111111\n" +
		"author A U Thor <a@example.org> 1700000000 +0530\ncommitter no brackets\n" +
		"gpgsig -----BEGIN PGP SIGNATURE-----\n author Mallory <m@example.org> 1 +0000\n -----END PGP SIGNATURE-----\n\nsubject\n\nauthor of the body\n"
	c, err := parseCommit("x", []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if c.Author.Name != "A U Thor" || c.Author.Email != "a@example.org" || c.Author.Time.Format("2006-01-02T15:04:05Z07:00") != "2023-11-15T03:43:20+05:30" {
		t.Errorf("author %+v", c.Author)
	}
	if c.Committer.Name != "no brackets" || c.Subject() != "subject" || c.Body() != "author of the body" || len(c.Parents) != 1 {
		t.Errorf("commit %+v", c)
	}
	if _, err := parseCommit("x", []byte("nothing")); err == nil {
		t.Error("something that is no commit was read as one")
	}
}

func TestStaleLocksGo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	w.commit("first", "a", "1")
	lock := filepath.Join(w.dir(w.repo.ID), "refs/heads/main.lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lock); err != nil {
		t.Errorf("a lock that somebody may hold was removed: %v", err)
	}
	old := clock.System{}.Now().Add(-2 * staleLock)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	w.commit("second", "a", "2") // would fail on the lock
}
