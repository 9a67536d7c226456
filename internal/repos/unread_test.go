package repos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db/dbtest"
)

// importFiles commits files by git's own importer; file gives the path and content of each.
func (w *world) importFiles(message string, n int, file func(i int) (path, content string)) slipway.CommitID {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "commit refs/heads/main\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata %d\n%s\ndeleteall\n", len(message), message)
	for i := range n {
		path, content := file(i)
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", path, len(content), content)
	}
	w.git(b.String(), "fast-import", "--quiet", "--force")
	return slipway.CommitID(w.git("", "rev-parse", "refs/heads/main"))
}

// Git gives up looking for files that were renamed and changed when there are too many, and so says its own porcelain (git-diff(1), -l).
func TestRenamesAreLimitedAsGitLimitsThem(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	text := func(i int, end string) string { return strings.Repeat(fmt.Sprintf("line of file %d\n", i), 20) + end }
	type result struct {
		Renamed int
		Limited bool
	}
	for _, n := range []int{20, 501} {
		before := w.importFiles("before", n+1, func(i int) (string, string) { return fmt.Sprintf("old/%d", i), text(i, "") })
		after := w.importFiles("after", n+1, func(i int) (string, string) {
			if i == n { // its content stays
				return "new/same", text(i, "")
			}
			return fmt.Sprintf("new/file%d", i), text(i, "more\n")
		})
		d, err := w.Diff(context.Background(), w.repo.ID, before, after)
		if err != nil {
			t.Fatal(err)
		}
		got := result{Limited: d.RenamesLimited}
		for _, f := range d.Files {
			if f.Status == FileRenamed {
				got.Renamed++
			}
		}
		cmd := exec.Command("git", "diff", "-M", "-l500", "--name-status", string(before), string(after))
		cmd.Dir, cmd.Env = w.dir(w.repo.ID), append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git diff: %v\n%s", err, out)
		}
		want := result{strings.Count("\n"+string(out), "\nR"), strings.Contains(string(out), "rename detection was skipped")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d files: want -, got +\n%s", n, diff)
		}
	}
}

// Of a difference that is too large the files are told without their lines, each with how many of them have changed as git counts them.
func TestFilesBeyondADifference(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	large := strings.Repeat(strings.Repeat("x", 99)+"\n", 60_000)
	before := w.importFiles("before", 200, func(i int) (string, string) { return fmt.Sprintf("z/%03d", i), fmt.Sprintf("%d\n", i) })
	after := w.importFiles("after", 200, func(i int) (string, string) {
		if i == 0 {
			return "a/large", large
		}
		return fmt.Sprintf("z/%03d", i), fmt.Sprintf("%d\nmore\n", i)
	})
	d, err := w.Diff(ctx, w.repo.ID, before, after)
	if err != nil || d.Truncated {
		t.Fatalf("%v, truncated %v", err, d.Truncated)
	}
	var got strings.Builder
	for _, f := range d.Files {
		if !f.Unread || f.Uncounted {
			t.Errorf("%s: unread %v, uncounted %v", f.Path(), f.Unread, f.Uncounted)
		}
		fmt.Fprintf(&got, "%d\t%d\t%s\n", f.Additions, f.Deletions, f.Path())
	}
	want := w.git("", "diff", "--numstat", "-M", string(before), string(after)) + "\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}

	// What there is no time to count is told all the same.
	var uncounted Diff
	uncounted.addCounted([]TreeChange{{Status: FileModified, OldPath: "a", NewPath: "a"}}, nil, true)
	if diff := cmp.Diff([]FileDiff{{Status: FileModified, OldPath: "a", NewPath: "a", Unread: true, Uncounted: true}}, uncounted.Files); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

func TestParted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	base := w.commit("begin", "a", "1")
	c := w.clone()
	c.run("checkout", "-q", "-b", "side")
	side := c.put("side", "b", "1")
	c.run("checkout", "-q", "main")
	main := c.put("main", "c", "1")
	c.run("checkout", "-q", "--orphan", "stranger")
	stranger := c.put("stranger", "d", "1")
	c.run("push", "-q", "origin", "main", "side", "stranger")
	for range 2 { // the second is remembered
		for _, one := range []struct{ a, b, want slipway.CommitID }{{main, side, base}, {side, main, base}, {main, stranger, ""}, {main, main, main}} {
			if got, err := w.Parted(ctx, w.repo.ID, one.a, one.b); err != nil || got != one.want {
				t.Errorf("%s and %s parted at %q, %v, want %q", one.a.Short(), one.b.Short(), got, err, one.want)
			}
		}
	}
}
