package gitserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

// importBranches makes n branches topic/00000 and so on in a work tree, each with a commit of its own on top of main.
func importBranches(t testing.TB, dir, message string, n int) {
	t.Helper()
	var b strings.Builder
	main := mustGit(t, dir, "rev-parse", "main")
	for i := range n {
		fmt.Fprintf(&b, "commit refs/heads/topic/%05d\ncommitter Ben <ben@example.org> %d +0000\ndata %d\n%s\nfrom %s\nM 644 inline file-%d\ndata 1\nx\n",
			i, 1700000000+i, len(message), message, main, i)
	}
	file := filepath.Join(t.TempDir(), "import")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "-c", "alias.load=!git fast-import --quiet --force <"+file, "load")
}

// refsOf are the branches and tags of a repository, as `OBJECT REF` lines.
func refsOf(t testing.TB, dir string) string {
	t.Helper()
	return mustGit(t, dir, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
}

// bare is the repository's folder.
func (w *world) bare() string {
	id := string(w.repository.ID)
	return filepath.Join(w.folder, id[:2], id+".git")
}

// wantRefs demands that the repository, and what the server says of it, have what a work tree has, and that no move is noted any more.
func (w *world) wantRefs(what, dir string) {
	w.t.Helper()
	want := refsOf(w.t, dir)
	if diff := cmp.Diff(want, refsOf(w.t, w.bare())); diff != "" {
		w.t.Errorf("%s: refs (-want +got):\n%s", what, diff)
	}
	var lines []string
	for _, list := range []func() ([]repos.Ref, error){
		func() ([]repos.Ref, error) { return w.repos.Branches(w.t.Context(), w.repository.ID) },
		func() ([]repos.Ref, error) { return w.repos.Tags(w.t.Context(), w.repository.ID) },
	} {
		refs, err := list()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range refs {
			lines = append(lines, r.Target+" "+r.Full)
		}
	}
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		w.t.Errorf("%s: announced refs (-want +got):\n%s", what, diff)
	}
	if notes, err := os.ReadDir(filepath.Join(w.folder, "moves")); err != nil || len(notes) > 0 {
		w.t.Errorf("%s: notes of moves %v, %v", what, notes, err)
	}
}

// Pushes of many refs have the outcome that git gives those of few, by either protocol: made, moved and deleted ones, branches in the place of
// a folder of branches, refused ones among others, and atomic pushes.
func TestPushOfManyRefs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const n, gone = 30, 5 // more than are left to git
		w := setupSSH(t, d, gitserver.Options{})
		key, err := w.key("Ada", "-t", "ed25519")
		if err != nil {
			t.Fatal(err)
		}
		dir := w.work(w.writer)
		over := map[string]func(args ...string) (string, error){
			"HTTP": func(args ...string) (string, error) {
				return git(t, dir, append([]string{"push", "--force"}, args...)...)
			},
			"SSH": func(args ...string) (string, error) {
				return w.git(key, dir, append([]string{"push", "--force"}, args...)...)
			},
		}
		must := func(protocol string, args ...string) {
			t.Helper()
			if out, err := over[protocol](args...); err != nil {
				t.Fatalf("push %v over %s: %v\n%s", args, protocol, err, out)
			}
		}
		const all, tags = "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"
		places := map[string]string{"HTTP": "origin", "SSH": overSSH}
		for protocol, place := range places {
			importBranches(t, dir, "first over "+protocol, n)
			mustGit(t, dir, "tag", "-f", "-a", "-m", "released", "v1", "topic/00001")
			must(protocol, place, all, tags)
			w.wantRefs("made over "+protocol, dir)

			importBranches(t, dir, "second over "+protocol, n-gone)
			for i := range gone {
				mustGit(t, dir, "branch", "-q", "-D", fmt.Sprintf("topic/%05d", n-gone+i))
			}
			mustGit(t, dir, "branch", fmt.Sprintf("topic/%05d/deeper", n-gone), "main")
			must(protocol, "--prune", place, all, tags)
			w.wantRefs("moved and deleted over "+protocol, dir)

			// Git refuses a file as a branch, and the default branch to be deleted: these alone, unless all are to move or none.
			before := refsOf(t, w.bare())
			importBranches(t, dir, "third over "+protocol, n-gone)
			mustGit(t, dir, "branch", "-q", "-D", fmt.Sprintf("topic/%05d/deeper", n-gone))
			moves := append(firstBranches(n-gone), mustGit(t, dir, "rev-parse", "main:README.md")+":refs/heads/file", ":refs/heads/main")
			if out, err := over[protocol](append([]string{"--atomic", place}, moves...)...); err == nil || refsOf(t, w.bare()) != before {
				t.Errorf("an atomic push of many over %s with refused ones: %v\n%s", protocol, err, out)
			}
			out, err := over[protocol](append([]string{"--porcelain", place}, moves...)...)
			if err == nil || strings.Count(out, "[remote rejected]") != 2 {
				t.Errorf("a push of many over %s with two that are refused: %v\n%s", protocol, err, out)
			}
			if got, want := mustGit(t, w.bare(), "rev-parse", "topic/00007"), mustGit(t, dir, "rev-parse", "topic/00007"); got != want {
				t.Errorf("beside refused ones over %s a branch is at %s, want %s", protocol, got, want)
			}
			must(protocol, append([]string{"--prune", place}, all, tags)...)
			w.wantRefs("after refusals over "+protocol, dir)
		}
	})
}

// firstBranches are refspecs of the first n branches.
func firstBranches(n int) (specs []string) {
	for i := range n {
		specs = append(specs, fmt.Sprintf("refs/heads/topic/%05[1]d:refs/heads/topic/%05[1]d", i))
	}
	return specs
}

// BenchmarkPushOfManyBranches pushes 10,000 new branches, each with a commit of its own, then moves and deletes them all.
func BenchmarkPushOfManyBranches(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		w := setupSSH(b, dbtest.SQLite(b), gitserver.Options{})
		key, err := w.key("Ada", "-t", "ed25519")
		if err != nil {
			b.Fatal(err)
		}
		dir := w.work(w.writer)
		w.must(key, dir, "push", "-q", overSSH, "main")
		push := func(unit string, args ...string) {
			began := time.Now()
			w.must(key, dir, append([]string{"push", "-q", "--force"}, args...)...)
			b.ReportMetric(time.Since(began).Seconds(), unit)
		}
		const all = "refs/heads/*:refs/heads/*"
		importBranches(b, dir, "first", n)
		push("s/made", overSSH, all)
		importBranches(b, dir, "second", n)
		push("s/moved", overSSH, all)
		mustGit(b, dir, "-c", "alias.purge=!git for-each-ref --format='delete %(refname)' refs/heads/topic | git update-ref --stdin", "purge")
		push("s/deleted", "--prune", overSSH, all)
		w.wantRefs("at last", dir)
	}
}
