package repos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db/dbtest"
)

// pushRaw sends a push that makes one branch of whatever pack holds these objects, as a client would that lies, and returns git's report.
func (w *world) pushRaw(into slipway.RepositoryID, from, branch, tip string, objects []string) string {
	w.t.Helper()
	pack := exec.Command("git", "-C", from, "pack-objects", "--stdout", "-q")
	pack.Stdin = strings.NewReader(strings.Join(objects, "\n") + "\n")
	content, err := pack.Output()
	if err != nil {
		w.t.Fatal(err)
	}
	line := fmt.Sprintf("%s %s refs/heads/%s\x00 report-status", strings.Repeat("0", 40), tip, branch)
	body := fmt.Sprintf("%04x%s0000%s", len(line)+4, line, content)
	var out bytes.Buffer
	_ = w.ReceivePack(context.Background(), into, ada, Transport{In: strings.NewReader(body), Out: &out}, nil)
	return out.String()
}

// What is pushed to an empty repository is not walked through once more, and is as complete as what is pushed to another.
func TestIncompletePushes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	source := filepath.Join(t.TempDir(), "source")
	git := func(stdin string, args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", source}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	git("", "init", "-q", "-b", "main")
	for _, commits := range []int{3, 200} { // git unpacks the few objects of the first, and keeps the pack of the other
		git(fastImport(commits), "fast-import", "--quiet", "--force")
		tip := git("", "rev-parse", "main")
		all := strings.Fields(git("", "rev-list", "--objects", "--no-object-names", "main"))
		without := func(rev string) []string {
			id := git("", "rev-parse", rev)
			return slices.DeleteFunc(slices.Clone(all), func(o string) bool { return o == id })
		}
		for name, objects := range map[string][]string{
			"a file": without("main:folder/file-1"), "a folder": without("main~1:folder"), "a commit": without("main~1"), "the tip": without("main"),
		} {
			r, err := w.Create(ctx, CreateRequest{Project: project, Name: fmt.Sprintf("%d without %s", commits, name), Actor: ada})
			if err != nil {
				t.Fatal(err)
			}
			if report := w.pushRaw(r.ID, source, "main", tip, objects); strings.Contains(report, "ok refs/heads/main") {
				t.Errorf("%d commits without %s: %q", commits, name, report)
			}
			if refs, err := w.refs(ctx, r.ID, branchPrefix); err != nil || len(refs) > 0 {
				t.Errorf("%d commits without %s: %v, %v", commits, name, refs, err)
			}
			if report := w.pushRaw(r.ID, source, "main", tip, all); !strings.Contains(report, "ok refs/heads/main") {
				t.Errorf("%d commits: %q", commits, report)
			}
		}
	}
}

// Git is told of the tips of a push which makes refs alone, into a repository without objects.
func TestCompleteTips(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	none, one, two := strings.Repeat("0", 40), strings.Repeat("1", 40), strings.Repeat("2", 40)
	lines := func(list ...string) string {
		var b strings.Builder
		for i, l := range list {
			if i == 0 {
				l += "\x00 report-status push-options"
			}
			fmt.Fprintf(&b, "%04x%s", len(l)+4, l)
		}
		return b.String() + "0000" + "000aoption" + "0000PACK"
	}
	tests := map[string]struct {
		body string
		want []string
	}{
		"made":     {lines(none+" "+one+" refs/heads/main", none+" "+two+" refs/tags/v1"), []string{one, two}},
		"moved":    {lines(none+" "+one+" refs/heads/main", one+" "+two+" refs/heads/topic"), nil},
		"shallow":  {lines("shallow "+two, none+" "+one+" refs/heads/main"), nil},
		"no lines": {"0000", nil},
	}
	for name, test := range tests {
		tap := newPushTap(strings.NewReader(test.body), SHA1, nil)
		if _, err := io.Copy(io.Discard, tap); err != nil {
			t.Fatal(err)
		}
		if got := w.completeTips(ctx, w.repo.ID, tap); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		tap.close()
	}
	w.commit("first", "a", "1")
	tap := newPushTap(strings.NewReader(tests["made"].body), SHA1, nil)
	defer tap.close()
	if _, err := io.Copy(io.Discard, tap); err != nil {
		t.Fatal(err)
	}
	if got := w.completeTips(ctx, w.repo.ID, tap); got != nil {
		t.Errorf("in a repository with objects: %q", got)
	}
}
