package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// workspace.clean deletes what the language says: outputs is the folder of binaries, resources that of the sources, all is both.
func TestWorkspaceClean(t *testing.T) {
	t.Parallel()
	for clean, want := range map[string][]string{"": {"a", "b", "s"}, "outputs": {"a", "s"}, "resources": {"a", "b"}, "all": nil} {
		w := newWorkbench(t, nil)
		f := w.folders
		for _, dir := range []string{f.staging, f.binaries, f.sources} {
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		w.work.Workspace = clean
		if err := w.runner.prepare(); err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, dir := range []string{f.staging, f.binaries, f.sources} {
			if _, err := os.Stat(filepath.Join(dir, "file")); err == nil {
				left = append(left, filepath.Base(dir))
			}
		}
		if diff := cmp.Diff(want, left); diff != "" {
			t.Errorf("clean: %q: -want +got\n%s", clean, diff)
		}
	}
}
