package agent

import (
	"os"
	"path/filepath"
	"strings"
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
	got, err := w.manifests(patterns{"*.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	want := []job.Manifest{{Path: "plain.yaml", Text: "kind: ConfigMap\n"}, {Path: "web.yaml", Text: "image: registry.test/web@sha256:1\n"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("manifests (-want +got):\n%s", diff)
	}
}

// One findMatch of azure-pipelines-task-lib takes all patterns: a later one takes out what an earlier one chose, and one of several may choose
// nothing.
func TestManifestPatterns(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "k8s/web.yaml", "kind: A\n", "k8s/kustomization.yaml", "kind: B\n", "k8s/notes.txt", "", "jobs/clean.json", "{}")
	names := func(text string) []string {
		t.Helper()
		list, err := w.manifests(newPatterns(text))
		if err != nil {
			return []string{strings.ReplaceAll(err.Error(), w.folders.sources, "S")}
		}
		var names []string
		for _, m := range list {
			names = append(names, m.Path)
		}
		return names
	}
	for text, want := range map[string][]string{
		"k8s/*\n!**/kustomization.yaml\njobs/*": {"jobs/clean.json", "k8s/web.yaml"},
		"# all of them\n./k8s/web.yaml":         {"k8s/web.yaml"},
		"k8s/web.yaml\nk8s/gone.yaml":           {"k8s/web.yaml"},
		"k8s/gone.yaml\nold/*":                  {"no manifest matches k8s/gone.yaml, old/* below S"},
		"k8s/*.txt":                             {"the input manifests names no file that ends in .yaml, .yml or .json"},
	} {
		if diff := cmp.Diff(want, names(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	w.says("##[warning]There is no manifest k8s/gone.yaml.")
}
