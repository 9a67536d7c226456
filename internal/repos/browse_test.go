package repos

import (
	"archive/zip"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// worktree is a clone beside the repository, in which git works as people use it.
type worktree struct {
	*world
	folder string
}

func (w *world) clone() worktree {
	w.t.Helper()
	c := worktree{w, w.t.TempDir()}
	c.run("clone", "-q", w.dir(w.repo.ID), c.folder)
	return c
}

// run is git in the clone.
func (c worktree) run(args ...string) string {
	c.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = c.folder
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ben", "GIT_AUTHOR_EMAIL=ben@example.org",
		"GIT_COMMITTER_NAME=Ben", "GIT_COMMITTER_EMAIL=ben@example.org", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always")
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// put writes files, a name and a content by turns, and commits them all.
func (c worktree) put(message string, files ...string) slipway.CommitID {
	c.t.Helper()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(c.folder, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	c.run("add", "-A")
	c.run("commit", "-q", "-m", message)
	return slipway.CommitID(c.run("rev-parse", "HEAD"))
}

// push brings the clone's branch to the repository, and announces it.
func (c worktree) push() {
	c.t.Helper()
	c.run("push", "-q", "origin", "HEAD:refs/heads/main", "--tags")
	if _, err := c.Announce(context.Background(), c.repo.ID, ada); err != nil {
		c.t.Fatal(err)
	}
}

func TestLastCommits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	w.commit("begin", "README.md", "1", "src/a.go", "1", "src/deep/b.go", "1", "with space", "1")
	c := w.clone()
	c.put("change a", "src/a.go", "2")
	c.run("checkout", "-q", "-b", "side")
	c.put("on the side", "src/deep/b.go", "2")
	c.run("checkout", "-q", "main")
	c.put("change README", "README.md", "2")
	c.run("merge", "-q", "--no-ff", "-m", "merge the side", "side")
	c.push()
	head, err := w.Resolve(ctx, w.repo.ID, "main")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"", "src", "src/deep"} {
		entries, _, err := w.Tree(ctx, w.repo.ID, head, folder)
		if err != nil {
			t.Fatal(err)
		}
		last, complete, err := w.LastCommits(ctx, w.repo.ID, head, folder, time.Minute)
		if err != nil || !complete {
			t.Fatalf("last commits of %q: %v, complete %v", folder, err, complete)
		}
		for _, e := range entries { // git itself says which commit is the last of each
			if want := w.git("", "log", "-1", "--format=%H", string(head), "--", e.Path); string(last[e.Name].ID) != want {
				t.Errorf("%s: %s %q, want %s", e.Path, last[e.Name].ID, last[e.Name].Subject(), want)
			}
		}
	}
	if last, complete, err := w.LastCommits(ctx, w.repo.ID, w.commit("more", "new", "1"), "", -time.Second); err != nil || complete || len(last) > 0 {
		t.Errorf("without any time: %v, complete %v, %v", last, complete, err)
	}
}

func TestBlame(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("begin", "old.txt", "one\ntwo\nthree\n")
	c := w.clone()
	c.run("mv", "old.txt", "new.txt")
	second := c.put("rename and change", "new.txt", "one\n2\nthree\n")
	third := c.put("format", "new.txt", "one\n\t2\nthree\n")
	ignoring := c.put("ignore formatting", ".git-blame-ignore-revs", "# no change in what it says\n"+string(third)+" # format\nnonsense\n")
	c.push()
	blamed := func(at slipway.CommitID) (list []slipway.CommitID, b Blame) {
		t.Helper()
		b, err := w.Blame(ctx, w.repo.ID, at, "new.txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range b.Lines {
			list = append(list, l.Commit)
		}
		return list, b
	}
	list, b := blamed(third)
	if diff := cmp.Diff([]slipway.CommitID{first, third, first}, list); diff != "" {
		t.Errorf("blame (-want +got)\n%s", diff)
	}
	if got := b.Commits[third]; got.Previous != second || got.PreviousPath != "new.txt" || got.Subject != "format" || got.Author.Name != "Ben" {
		t.Errorf("commit %+v", got)
	}
	if got := b.Commits[first]; got.Path != "old.txt" || !got.Previous.IsZero() || b.Lines[2].Text != "three" || b.Lines[2].Original != 3 {
		t.Errorf("commit %+v, line %+v", got, b.Lines[2])
	}
	list, b = blamed(ignoring)
	if diff := cmp.Diff([]slipway.CommitID{first, second, first}, list); diff != "" || !b.Ignored {
		t.Errorf("blame past the ignored commit, %v (-want +got)\n%s", b.Ignored, diff)
	}
	_, err := w.Blame(ctx, w.repo.ID, third, "nothing")
	wantCode(t, "blame of nothing", err, slipway.CodeNotFound)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("begin", "a.txt", "one\ntwo\nthree\n")
	c := w.clone()
	second := c.put("fix [caps]", "other", "1")
	c.run("mv", "a.txt", "b.txt")
	third := c.put("rename")
	c.push()
	for name, try := range map[string]struct {
		request HistoryRequest
		want    []slipway.CommitID
	}{
		"all":                {HistoryRequest{}, []slipway.CommitID{third, second, first}},
		"followed":           {HistoryRequest{Path: "b.txt", Follow: true}, []slipway.CommitID{third, first}},
		"not followed":       {HistoryRequest{Path: "b.txt"}, []slipway.CommitID{third}},
		"followed, skipping": {HistoryRequest{Path: "b.txt", Follow: true, Skip: 1}, []slipway.CommitID{first}},
		"author":             {HistoryRequest{Author: "ADA@example"}, []slipway.CommitID{first}},
		"text as it is":      {HistoryRequest{Text: "FIX [c"}, []slipway.CommitID{second}},
		"oldest":             {HistoryRequest{Oldest: true, Limit: 2}, []slipway.CommitID{first, second}},
		"not":                {HistoryRequest{Not: second}, []slipway.CommitID{third}},
		"too late":           {HistoryRequest{Since: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)}, nil},
		"in time":            {HistoryRequest{Until: time.Now().Add(24 * time.Hour)}, []slipway.CommitID{third, second, first}},
	} {
		try.request.Repository, try.request.Commit = w.repo.ID, third
		page, err := w.History(ctx, try.request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []slipway.CommitID
		for _, e := range page.Entries {
			got = append(got, e.ID)
		}
		if diff := cmp.Diff(try.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	page, err := w.History(ctx, HistoryRequest{Repository: w.repo.ID, Commit: third, Path: "b.txt", Follow: true})
	if err != nil || page.Entries[0].Was != "a.txt" || page.Entries[0].Path != "b.txt" || page.Entries[1].Path != "a.txt" {
		t.Errorf("names of the followed file: %+v, %v", page.Entries, err)
	}
	_, err = w.History(ctx, HistoryRequest{Repository: w.repo.ID, Commit: third, Author: "a\n--all"})
	wantCode(t, "an author of two lines", err, slipway.CodeInvalid)
	n, err := w.AheadBehind(ctx, w.repo.ID, first, third)
	if want := (AheadBehind{Ahead: 2}); err != nil || n != want {
		t.Errorf("ahead and behind %+v, %v", n, err)
	}
}

func TestGrep(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	head := w.commit("begin", "a.go", "package a\n\n// Hats sells hats.\nfunc Hats() {}\n", "docs/a: b-2-c.md", "hats and\nCaps\n", "vendor/x/y.go", "hats\n", "bin", "hats\x00",
		"many.txt", strings.Repeat("caps\n", 200), "long.txt", strings.Repeat("é", 2000)+"needle"+strings.Repeat("x", 3000)+"\n")
	grep := func(r GrepRequest) (got []string, result GrepResult) {
		t.Helper()
		r.Repository, r.Commit = w.repo.ID, head
		result, err := w.Grep(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range result.Files {
			for _, g := range f.Groups {
				for _, l := range g {
					text := f.Path
					if l.Match {
						text += "!"
					}
					for _, p := range l.Parts {
						if p.Match {
							p.Text = "<" + p.Text + ">"
						}
						text += "|" + p.Text
					}
					got = append(got, text)
				}
			}
		}
		return got, result
	}
	for name, try := range map[string]struct {
		request GrepRequest
		want    []string
	}{
		"text":                    {GrepRequest{Pattern: "hats"}, []string{"a.go!|// Hats sells |<hats>|.", "docs/a: b-2-c.md!|<hats>| and", "vendor/x/y.go!|<hats>"}},
		"any case":                {GrepRequest{Pattern: "HATS", IgnoreCase: true, Paths: []string{"*.go", "!vendor/"}}, []string{"a.go!|// |<Hats>| sells |<hats>|.", "a.go!|func |<Hats>|() {}"}},
		"a text is no expression": {GrepRequest{Pattern: "Hats() {}"}, []string{"a.go!|func |<Hats() {}>"}},
		"expression":              {GrepRequest{Pattern: "^(func|package) [a-z]", Regex: true}, []string{"a.go!|<package a>"}},
		"whole words":             {GrepRequest{Pattern: "hat", Word: true}, nil},
		"folder":                  {GrepRequest{Pattern: "hats", Paths: []string{"docs/"}}, []string{"docs/a: b-2-c.md!|<hats>| and"}},
		"neighbours":              {GrepRequest{Pattern: "Caps", Context: 1}, []string{"docs/a: b-2-c.md|hats and", "docs/a: b-2-c.md!|<Caps>"}},
		"like an option":          {GrepRequest{Pattern: "--all"}, nil},
	} {
		if got, _ := grep(try.request); !cmp.Equal(try.want, got) {
			t.Errorf("%s (-want +got)\n%s", name, cmp.Diff(try.want, got))
		}
	}
	if got, r := grep(GrepRequest{Pattern: "caps", Limit: 10}); len(got) != 10 || !r.More || r.Lines != 10 {
		t.Errorf("of 200 lines %d are shown, more: %v", len(got), r.More)
	}
	if got, _ := grep(GrepRequest{Pattern: "needle"}); len(got) != 1 || len(got[0]) > 2*maxFoundLine || !strings.Contains(got[0], "<needle>") {
		t.Errorf("a long line: %q", got)
	}
	for what, r := range map[string]GrepRequest{"a bad expression": {Pattern: "(", Regex: true}, "nothing": {}, "a bad path": {Pattern: "x", Paths: []string{":(attr:x)y"}}} {
		r.Repository, r.Commit = w.repo.ID, head
		_, err := w.Grep(ctx, r)
		wantCode(t, what, err, slipway.CodeInvalid)
	}
}

func TestFindFiles(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	head := w.commit("begin", "internal/web/code.go", "1", "internal/web/codefile.go", "1", "docs/code of conduct.md", "1", "x/y/z", "1")
	for query, want := range map[string]string{"code": "internal/web/code.go", "wcf": "internal/web/codefile.go", "CONDUCT": "docs/code of conduct.md", "x y z": "x/y/z", "nothing": "", "": ""} {
		found, err := w.FindFiles(context.Background(), w.repo.ID, head, query, 10)
		got := ""
		if len(found) > 0 {
			got = found[0].Path
		}
		if err != nil || got != want {
			t.Errorf("%q finds %q, want %q; %v", query, got, want, err)
		}
	}
}

func TestArchive(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	head := w.commit("begin", "a/b.txt", "b", "c.txt", "c", "secret.txt", "s", ".gitattributes", "secret.txt export-ignore\n")
	request := ArchiveRequest{Repository: w.repo.ID, Commit: head, Format: "zip", Prefix: "shop-main"}
	var out bytes.Buffer
	begun := 0
	if err := w.Archive(ctx, request, &out, func() { begun++ }); err != nil || begun != 1 {
		t.Fatalf("archive: %v, begun %d times", err, begun)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	if diff := cmp.Diff([]string{"shop-main/.gitattributes", "shop-main/a/b.txt", "shop-main/c.txt"}, names); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
	out.Reset()
	request.Format, request.Path = "tar.gz", "a"
	if err := w.Archive(ctx, request, &out, func() {}); err != nil {
		t.Fatal(err)
	}
	tar := exec.Command("tar", "-tzf", "-")
	tar.Stdin = &out
	if list, err := tar.Output(); err != nil || string(list) != "shop-main/\nshop-main/a/\nshop-main/a/b.txt\n" {
		t.Errorf("tar: %q, %v", list, err)
	}
	for what, bad := range map[string]ArchiveRequest{"a format": {Format: "rar"}, "a prefix": {Format: "zip", Prefix: "../x"}} {
		bad.Repository, bad.Commit = w.repo.ID, head
		wantCode(t, what, w.Archive(ctx, bad, &out, func() { t.Error("it begins") }), slipway.CodeInvalid)
	}
	request.Path = "nothing"
	wantCode(t, "a path", w.Archive(ctx, request, &out, func() { t.Error("it begins") }), slipway.CodeNotFound)
}

func TestRefs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		first := w.commit("begin", "a", "1")
		second := w.commit("more", "a", "2")
		id := w.repo.ID
		if err := w.CreateBranch(ctx, id, ada, "topic/hats", first); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "the same branch", w.CreateBranch(ctx, id, ada, "topic/hats", first), slipway.CodeConflict)
		wantCode(t, "a branch in the place of a folder", w.CreateBranch(ctx, id, ada, "topic", first), slipway.CodeConflict)
		wantCode(t, "a branch below a branch", w.CreateBranch(ctx, id, ada, "topic/hats/red", first), slipway.CodeConflict)
		wantCode(t, "a branch of nothing", w.CreateBranch(ctx, id, ada, "x", slipway.CommitID(strings.Repeat("1", 40))), slipway.CodeNotFound)
		wantCode(t, "a branch with a bad name", w.CreateBranch(ctx, id, ada, "a..b", first), slipway.CodeInvalid)
		results, err := w.UpdateRefs(ctx, id, ada, []RefUpdate{
			{Name: "refs/heads/topic/hats", Old: string(first), New: string(second)},
			{Name: "refs/heads/topic/hats", Old: string(first), New: string(second)}, // it is not there any more
			{Name: "refs/slipway/x", New: string(first)},
			{Name: "refs/heads/main", Old: string(second)}, // the default branch
		})
		if err != nil {
			t.Fatal(err)
		}
		var codes []slipway.Code
		for _, r := range results {
			codes = append(codes, slipway.CodeOf(r))
		}
		if diff := cmp.Diff([]slipway.Code{"", slipway.CodeConflict, slipway.CodeInvalid, slipway.CodeConflict}, codes); diff != "" {
			t.Errorf("results (-want +got)\n%s", diff)
		}

		if err := w.DeleteRef(ctx, id, ada, "refs/heads/topic/hats", string(second)); err != nil {
			t.Fatal(err)
		}
		deleted, err := w.DeletedBranches(ctx, id)
		if err != nil || len(deleted) != 1 || deleted[0].Name != "topic/hats" || deleted[0].Commit != second || deleted[0].By != ada {
			t.Fatalf("deleted %+v, %v", deleted, err)
		}
		if got := w.git("", "for-each-ref", "--format=%(refname) %(objectname)", "refs/slipway"); got != "refs/slipway/deleted/"+string(second)+" "+string(second) {
			t.Errorf("git keeps %q", got)
		}
		if err := w.RestoreBranch(ctx, id, ada, "topic/hats"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "a second restoring", w.RestoreBranch(ctx, id, ada, "topic/hats"), slipway.CodeNotFound)
		if got := w.git("", "rev-parse", "topic/hats"); got != string(second) {
			t.Errorf("restored at %s", got)
		}
		if _, err := d.ExecContext(ctx, `UPDATE deleted_branches SET deleted = $1`, db.Micros(time.Now().Add(-restorable-time.Hour))); err != nil {
			t.Fatal(err)
		}
		if err := w.expireDeleted(ctx, id); err != nil {
			t.Fatal(err)
		}
		if got := w.git("", "for-each-ref", "refs/slipway"); got != "" {
			t.Errorf("after its time git keeps %q", got)
		}
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	head := w.commit("begin", "a", "1")
	request := TagRequest{Repository: w.repo.ID, Name: "v1.0", Object: string(head), Message: "The first.\n\nSells hats.\n",
		Tagger: Signature{Name: "Ada", Email: "ada@example.org", Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, Actor: ada}
	object, err := w.CreateTag(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	// git itself says what the tag holds.
	if got, want := w.git("", "for-each-ref", "--format=%(objecttype) %(*objectname) %(taggername) %(taggerdate:iso) %(contents)", "refs/tags/v1.0"),
		"tag "+string(head)+" Ada 2026-03-01 12:00:00 +0000 The first.\n\nSells hats."; got != want {
		t.Errorf("tag %q, want %q", got, want)
	}
	got, err := w.TagObject(ctx, w.repo.ID, object)
	if err != nil || got.Name != "v1.0" || got.Target != string(head) || got.Kind != "commit" || got.Message != "The first.\n\nSells hats." || got.Tagger.Name != "Ada" {
		t.Errorf("tag %+v, %v", got, err)
	}
	_, err = w.TagObject(ctx, w.repo.ID, string(head))
	wantCode(t, "a commit as a tag", err, slipway.CodeNotFound)
	_, err = w.CreateTag(ctx, request)
	wantCode(t, "the same tag", err, slipway.CodeConflict)
	request.Name, request.Message = "light", ""
	if object, err := w.CreateTag(ctx, request); err != nil || object != string(head) {
		t.Errorf("light tag %s, %v", object, err)
	}
}

func TestCommitCopies(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	head := w.commit("begin", "src/a.go", "package a\n", "src/deep/b.go", "package b\n", "x.txt", "x")
	request := CommitRequest{Repository: w.repo.ID, Branch: "rename", Start: head, Message: "rename", Author: Signature{Name: "Ada"}, Actor: ada,
		Changes: []Change{{Path: "src", Delete: true}, {Path: "lib", From: "src"}, {Path: "x.txt", Delete: true}, {Path: "x.txt/y", From: "x.txt"}}}
	if _, err := w.CommitFiles(ctx, request); err != nil {
		t.Fatal(err)
	}
	if got, want := w.git("", "diff", "--name-status", "-M100%", "main", "rename"), "R100\tsrc/a.go\tlib/a.go\nR100\tsrc/deep/b.go\tlib/deep/b.go\nR100\tx.txt\tx.txt/y"; got != want {
		t.Errorf("renamed\n%s\nwant\n%s", got, want)
	}
	_, err := w.CommitFiles(ctx, request)
	wantCode(t, "the same new branch", err, slipway.CodeConflict)
	request.Branch, request.Changes = "other", []Change{{Path: "a", From: "nothing"}}
	_, err = w.CommitFiles(ctx, request)
	wantCode(t, "a copy of nothing", err, slipway.CodeNotFound)
}

func TestSubmodules(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	head := w.commit("begin", ".gitmodules", "[submodule \"lib x\"]\n\tpath = third/lib\n\turl = ../lib\n[submodule \"broken\"]\n\tpath = b\n")
	got, err := w.Submodules(ctx, w.repo.ID, head)
	if diff := cmp.Diff(map[string]string{"third/lib": "../lib"}, got); err != nil || diff != "" {
		t.Errorf("submodules: %v (-want +got)\n%s", err, diff)
	}
	if got, err := w.Submodules(ctx, w.repo.ID, w.commit("break", ".gitmodules", "[[[")); err != nil || len(got) > 0 {
		t.Errorf("of a file that git cannot read: %v, %v", got, err)
	}
}

func TestPointer(t *testing.T) {
	t.Parallel()
	oid := strings.Repeat("4d", 32)
	// The example is that of git-lfs, docs/spec.md.
	o, ok := Pointer([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12345\n"))
	if !ok || o.OID != oid || o.Size != 12345 {
		t.Errorf("%+v, %v", o, ok)
	}
	for _, text := range []string{"", "version https://git-lfs.github.com/spec/v1\n", "version https://git-lfs.github.com/spec/v1\noid sha256:../x\nsize 1\n",
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize x\n"} {
		if o, ok := Pointer([]byte(text)); ok {
			t.Errorf("%q is %+v", text, o)
		}
	}
}

// Signatures are made by git and ssh-keygen.
func TestCommitSignature(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	plain := w.commit("begin", "a", "1")
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	c := w.clone()
	for _, s := range []string{"gpg.format=ssh", "user.signingKey=" + key, "commit.gpgSign=true"} {
		name, value, _ := strings.Cut(s, "=")
		c.run("config", name, value)
	}
	signed := c.put("signed\n\nby a key", "a", "2")
	c.push()
	got, err := w.CommitSignature(ctx, w.repo.ID, signed)
	if err != nil || got.Kind != "ssh" || got.Bad != "" {
		t.Fatalf("signature %+v, %v", got, err)
	}
	line, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil || !bytes.Equal(public.Marshal(), got.Key.Marshal()) {
		t.Errorf("another key, %v", err)
	}
	if got, err := w.CommitSignature(ctx, w.repo.ID, plain); err != nil || got.Kind != "" {
		t.Errorf("of a commit without one: %+v, %v", got, err)
	}
	object := w.git("", "cat-file", "commit", string(signed)) + "\n"
	forged := slipway.CommitID(w.git(strings.Replace(object, "by a key", "by no key", 1), "hash-object", "-t", "commit", "-w", "--stdin"))
	if got, err := w.CommitSignature(ctx, w.repo.ID, forged); err != nil || got.Kind != "ssh" || got.Bad == "" || got.Key != nil {
		t.Errorf("of a forged commit: %+v, %v", got, err)
	}
	pgp := strings.Replace(object, "-----BEGIN SSH SIGNATURE-----", "-----BEGIN PGP SIGNATURE-----", 1)
	other := slipway.CommitID(w.git(pgp, "hash-object", "-t", "commit", "-w", "--stdin"))
	if got, err := w.CommitSignature(ctx, w.repo.ID, other); err != nil || got.Kind != "pgp" || got.Key != nil {
		t.Errorf("of OpenPGP: %+v, %v", got, err)
	}
}
