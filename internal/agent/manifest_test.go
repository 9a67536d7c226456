package agent

import (
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/pipelines/job"

	"github.com/google/go-cmp/cmp"
)

// A manifest that names Go programs goes to the cluster with the images that ko makes of them; the fake ko shows how it is called.
func TestManifestsOfGoPrograms(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "plain.yaml", "kind: ConfigMap\n", "web.yaml", "image: ko://example.com/web\n")
	bin := t.TempDir()
	writeProgram(t, filepath.Join(bin, "ko"), "#!/bin/sh\necho building >&2\ntest \"$1 $2\" = 'resolve -f' && exec sed s,ko://example.com/web,registry.test/web@sha256:1, \"$3\"\nexit 1\n")
	w.env = map[string]string{"PATH": bin + ":" + os.Getenv("PATH")}
	got, err := w.manifests([]string{"*.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	want := []job.Manifest{{Path: "plain.yaml", Text: "kind: ConfigMap\n"}, {Path: "web.yaml", Text: "image: registry.test/web@sha256:1\n"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("manifests (-want +got):\n%s", diff)
	}
}
