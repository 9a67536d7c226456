package agent

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is published lies where Azure's task puts it: below what all files have in common.
func TestCopyPublishBuildArtifacts(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(server.Close)
	j.client.base = server.URL
	for _, name := range []string{"src/bin/a.dll", "src/bin/deep/b.dll", "src/docs/c.md"} {
		j.write(name, name)
	}
	f := func(contents string, want ...string) {
		t.Helper()
		log := j.must("CopyPublishBuildArtifacts@1", map[string]string{"CopyRoot": "src", "Contents": contents, "ArtifactName": "drop", "ArtifactType": "Container"})
		if !strings.Contains(log, "is added to artifact drop.") {
			t.Errorf("log\n%s", log)
		}
		paths, err := pathsBelow(filepath.Join(j.folders.staging, "drop"))
		if err != nil {
			t.Fatal(err)
		}
		paths = slices.DeleteFunc(paths, func(p string) bool {
			info, err := os.Stat(filepath.Join(j.folders.staging, "drop", p))
			return err != nil || info.IsDir()
		})
		if diff := cmp.Diff(want, paths); diff != "" {
			t.Errorf("%s (-want +got)\n%s", contents, diff)
		}
	}
	f("bin/**", "a.dll", "deep/b.dll")
	f("bin/{a,x}.dll", "a.dll")
	f("bin", "bin/a.dll", "bin/deep/b.dll")
	f("**/*.dll\ndocs", "bin/a.dll", "bin/deep/b.dll", "docs/c.md")
	f("docs/c.md", "c.md")
	if log := j.must("CopyPublishBuildArtifacts@1", map[string]string{"Contents": "none", "ArtifactName": "drop", "ArtifactType": "Container"}); !strings.Contains(log, "##[warning]No file in") {
		t.Errorf("log\n%s", log)
	}
	if _, err := j.run("CopyPublishBuildArtifacts@1", map[string]string{"Contents": "**", "ArtifactName": "../x", "ArtifactType": "Container"}); err == nil || !strings.Contains(err.Error(), "has no name that can be one of a folder") {
		t.Errorf("%v", err)
	}
}
