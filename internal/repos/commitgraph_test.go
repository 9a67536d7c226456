package repos

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/db/dbtest"
)

// TestGraphBeforeMany: many branches at once bring a commit-graph with them, few do not, and upkeep puts one in its place that knows changed paths.
func TestGraphBeforeMany(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		branches int
		want     bool
	}{"few": {graphBranches - 2, false}, "many": {graphBranches - 1, true}} { // besides main
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, dbtest.SQLite(t))
			w.git(manyBranches(c.branches), "fast-import", "--quiet")
			w.git("", "repack", "-q", "-d")
			if _, err := w.Announce(ctx, w.repo.ID, ada); err != nil {
				t.Fatal(err)
			}
			if got := w.hasGraph(w.repo.ID); got != c.want {
				t.Fatalf("a commit-graph is there: %t", got)
			}
			if !c.want {
				return
			}
			w.git("", "commit-graph", "verify")
			if err := w.upkeepDue(ctx); err != nil {
				t.Fatal(err)
			}
			w.git("", "commit-graph", "verify")
			info := filepath.Join(w.dir(w.repo.ID), "objects", "info")
			if _, err := os.Stat(filepath.Join(info, "commit-graph")); !os.IsNotExist(err) {
				t.Errorf("the graph of the push is still there: %v", err)
			}
			graphs, err := filepath.Glob(filepath.Join(info, "commit-graphs", "*.graph"))
			if err != nil || len(graphs) != 1 {
				t.Fatalf("graphs %v, %v", graphs, err)
			}
			graph, err := os.ReadFile(graphs[0])
			if err != nil || !bytes.Contains(graph, []byte("BIDX")) { // the chunk of changed paths (gitformat-commit-graph(5))
				t.Errorf("upkeep's graph does not know changed paths: %v", err)
			}
		})
	}
}
