package repos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db/dbtest"
)

// History simplification (git-log(1)) decides which of several commits is an entry's last one: git itself says so here, entry by entry.
func TestLastCommitsAcrossMerges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	w.commit("begin", "t/both", "1", "t/side", "1", "t/back", "1", "t/second", "1", "t/deep/file", "1", "t/mode", "1", "t/evil", "1", "other", "1")
	c := w.clone()
	branch := func(name, from string) { c.run("checkout", "-q", "-b", name, from) }
	merge := func(args ...string) { c.run(append([]string{"merge", "-q", "--no-ff", "--no-edit"}, args...)...) }

	branch("one", "main") // the same change on two lines
	c.put("both, on a line of its own", "t/both", "2", "t/deep/file", "2")
	c.put("side", "t/side", "2")
	c.run("checkout", "-q", "main")
	c.put("both, on main", "t/both", "2", "other", "2")
	c.put("deep, on main", "t/deep/file", "2")
	merge("one")

	branch("two", "main") // there and back again
	c.put("there", "t/back", "2")
	c.put("and back", "t/back", "1")
	c.put("new on the line", "t/new", "1")
	c.run("checkout", "-q", "main")
	c.put("there, on main", "t/back", "3")
	c.put("and back, on main", "t/back", "1")
	merge("two")

	branch("three", "main") // the second parent's side is taken as a whole, though the first one changed it later
	c.put("second", "t/second", "2")
	c.run("update-index", "--chmod=+x", "t/mode")
	c.run("commit", "-q", "-m", "mode")
	c.run("checkout", "-q", "-f", "main")
	c.put("first", "t/second", "3")
	merge("-X", "theirs", "three")

	branch("four", "main") // what a merge alone changes is the merge's own
	c.put("four", "other", "3")
	c.run("checkout", "-q", "main")
	c.run("merge", "-q", "--no-ff", "--no-commit", "four")
	c.put("evil merge", "t/evil", "2")

	branch("octopus-1", "main")
	c.put("arm 1", "t/arm1", "1", "t/both", "4")
	branch("octopus-2", "main")
	c.put("arm 2", "t/arm2", "1")
	c.run("checkout", "-q", "main")
	merge("octopus-1", "octopus-2")
	c.run("checkout", "-q", "--orphan", "stranger") // a root of its own
	c.run("rm", "-rfq", ".")
	c.put("stranger", "t/stranger", "1")
	c.run("checkout", "-q", "-f", "main")
	merge("--allow-unrelated-histories", "stranger")
	c.run("commit", "-q", "--allow-empty", "-m", "nothing")
	for i := range 3 { // what changes often is found beside what never does
		c.put(fmt.Sprint("often ", i), "t/often", fmt.Sprint(i))
	}
	c.push()

	// The second knows what the first found; at the third there is a commit-graph.
	for _, name := range []string{"main~1", "main", "main~3", "main~4"} {
		if name == "main~3" {
			w.git("", "commit-graph", "write", "--reachable")
		}
		head := slipway.CommitID(c.run("rev-parse", name))
		for _, folder := range []string{"", "t", "t/deep"} {
			last, complete, err := w.LastCommits(ctx, w.repo.ID, head, folder, time.Minute)
			if err != nil || !complete {
				t.Fatalf("last commits of %q at %s: %v, complete %v", folder, name, err, complete)
			}
			entries, _, err := w.Tree(ctx, w.repo.ID, head, folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if want := w.git("", "log", "-1", "--format=%H", string(head), "--", e.Path); string(last[e.Name].ID) != want {
					t.Errorf("%s at %s: %s %q, want %s %q", e.Path, name, last[e.Name].ID, last[e.Name].Subject(), want, w.git("", "log", "-1", "--format=%s", want))
				}
			}
		}
	}
}
