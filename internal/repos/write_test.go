package repos

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db/dbtest"
)

// Commits of the server keep modes, and move and remove files whatever their names are.
func TestCommitFilesOfOddNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	w.commit("begin", "plain", "1\n")
	blob := w.git("run\n", "hash-object", "-w", "--stdin")
	odd := []string{"quo\"te", "back\\slash", "tab\there", "Gr\xf6\xdfe", "%2e#+ ü", "dir/quo\"te"}
	lines := "100755 " + blob + "\trun.sh\x00120000 " + w.git("plain", "hash-object", "-w", "--stdin") + "\tlink\x00"
	for _, name := range odd {
		lines += "100644 " + blob + "\t" + name + "\x00"
	}
	w.git("", "read-tree", "main")
	w.git(lines, "update-index", "-z", "--add", "--index-info")
	commit := w.git("", "commit-tree", w.git("", "write-tree"), "-p", "main", "-m", "odd")
	w.git("", "update-ref", "refs/heads/main", commit)
	w.announce("refs/heads/main")

	commits := func(changes ...Change) error {
		_, err := w.CommitFiles(ctx, CommitRequest{Repository: w.repo.ID, Branch: "main", Message: "change", Changes: changes, Author: cleo, Actor: ada})
		return err
	}
	for name, try := range map[string]struct {
		change Change
		code   slipway.Code
	}{
		"a new file that is there":       {Change{Path: "plain", New: true}, slipway.CodeConflict},
		"a new file in a folder's place": {Change{Path: "dir", New: true}, slipway.CodeConflict},
		"like none":                      {Change{Path: "no", Like: "no"}, slipway.CodeNotFound},
		"removing none":                  {Change{Path: "no", Delete: true}, slipway.CodeNotFound},
		"removing everything":            {Change{Delete: true}, slipway.CodeInvalid},
		"a name with a quote":            {Change{Path: "new\"", Content: []byte("x")}, slipway.CodeInvalid},
	} {
		wantCode(t, name, commits(try.change), try.code)
	}
	err := commits(Change{Path: "run.sh", Content: []byte("faster\n"), Like: "run.sh"}, Change{Path: "link", Content: []byte("run.sh"), Like: "link"},
		Change{Path: odd[0], Delete: true}, Change{Path: odd[1], Delete: true}, Change{Path: odd[2], Delete: true}, Change{Path: odd[3], Delete: true},
		Change{Path: "moved", From: odd[4]}, Change{Path: odd[4], Delete: true}, Change{Path: "folder", From: "dir"}, Change{Path: "dir", Delete: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.SplitSeq(strings.TrimSuffix(w.git("", "ls-tree", "-r", "-z", "main"), "\x00"), "\x00") {
		head, name, _ := strings.Cut(line, "\t")
		got = append(got, strings.Fields(head)[0]+" "+name)
	}
	want := []string{"100644 folder/quo\"te", "120000 link", "100644 moved", "100644 plain", "100755 run.sh"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
	if got := w.git("", "show", "main:run.sh"); got != "faster" {
		t.Errorf("run.sh has %q", got)
	}
}
