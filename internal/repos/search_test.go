package repos

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db/dbtest"
)

// Paths that git writes in quotes are found by their own names.
func TestGrepOddPaths(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	want := []string{"100%.txt", "a:1:b.txt", `dq".txt`, "tab\tx.txt", "ünï/ß.txt"}
	in := "commit refs/heads/odd\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 1\nx\n"
	for _, path := range want {
		in += "M 100644 inline \"" + strings.NewReplacer(`"`, `\"`, "\t", `\t`).Replace(path) + "\"\ndata 7\nneedle\n\n"
	}
	w.git(in, "fast-import", "--quiet")
	head := w.git("", "rev-parse", "refs/heads/odd")
	result, err := w.Grep(context.Background(), GrepRequest{Repository: w.repo.ID, Commit: slipway.CommitID(head), Pattern: "needle"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range result.Files {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
