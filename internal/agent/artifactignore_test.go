package agent

import (
	"archive/tar"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
)

// The examples are those of "Use the .artifactignore file" in Microsoft's documentation and of gitignore(5).
func TestArtifactIgnore(t *testing.T) {
	t.Parallel()
	files := []string{".git/HEAD", ".npmrc", "a.log", "dist/app.js", "dist/css/a.css", "doc/frotz/x", "frotz/x", "important!.txt", "package.json", "src/MyApp/bin/Release/a.dll", "src/MyApp/bin/Release/net8/b.dll", "src/a.log", "{a,b}.txt"}
	without := func(gone ...string) []string {
		return slices.DeleteFunc(slices.Clone(files), func(f string) bool { return slices.Contains(gone, f) })
	}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"all but the files of one folder", "**/*\n!src/MyApp/bin/Release/**.*", []string{"src/MyApp/bin/Release/a.dll"}},
		{"all but a folder and two files", "# Exclude everything\n**/*\n\n# Re-include\n!dist/\n!dist/**\n!package.json\n!.npmrc\n", []string{".npmrc", "dist/app.js", "dist/css/a.css", "package.json"}},
		{"a name in any folder", "*.log", without("a.log", "src/a.log")},
		{"a slash at the beginning", "/*.log\r\n", without("a.log")},
		{"a folder in any folder", "frotz/", without("doc/frotz/x", "frotz/x")},
		{"a slash in the middle", "doc/frotz/", without("doc/frotz/x")},
		{"a folder means no file", "a.log/", files},
		{"all below", "dist/**", without("dist/app.js", "dist/css/a.css")},
		{"no folder or several", "src/**/a.dll", without("src/MyApp/bin/Release/a.dll")},
		{"a star is within a name", "src/*/a.dll", files},
		{"the last line decides", "*.log\n!src/*.log\n", without("a.log")},
		{"blanks at the end", "a.log   \n", without("a.log", "src/a.log")},
		{"no exclamation mark but a name", `important\!.txt`, without("important!.txt")},
		{"braces stand for themselves", "{a,b}.txt", without("{a,b}.txt")},
		{"an empty file", "", files},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rules := newIgnoreRules(c.text)
			if diff := cmp.Diff(c.want, slices.DeleteFunc(slices.Clone(files), rules.ignores)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// artifactServer takes artifacts and keeps the names of their files, by the requests.
type artifactServer struct {
	mu   sync.Mutex
	sent map[string][]string
}

func (s *artifactServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	names := []string{}
	for in := tar.NewReader(r.Body); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		names = append(names, h.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, path, _ := strings.Cut(r.URL.RequestURI(), "/artifacts/")
	s.sent[path] = names
}

// newArtifactBench is a workbench with a server that takes artifacts.
func newArtifactBench(t *testing.T, files ...string) (*workbench, *artifactServer) {
	t.Helper()
	s := &artifactServer{sent: map[string][]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	w := newWorkbench(t, nil, files...)
	w.client = newClient(Config{URL: server.URL, Job: 1, Token: "token"})
	return w, s
}

func TestPublishLeavesOutWhatIsIgnored(t *testing.T) {
	t.Parallel()
	w, s := newArtifactBench(t, ".git/HEAD", "", "a", "", "sub/.git/x", "", "ignored/.artifactignore", "*.log\n!keep.log\n", "ignored/a.log", "", "ignored/keep.log", "", "ignored/.git/x", "")
	if err := os.Symlink("sub", w.absolute("link")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []plan.Publish{
		{Path: "", Artifact: "sources"}, {Path: "ignored", Artifact: "ignored"}, {Path: "ignored/a.log", Artifact: "file"}, {Path: "link", Artifact: "link"},
		{Path: "ignored", Artifact: "build", Add: true}, // the older task knows no such file
	} {
		if err := w.publish(&p); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	want := map[string][]string{
		"sources":        {"a", "ignored/.artifactignore", "ignored/.git/x", "ignored/a.log", "ignored/keep.log", "sub/.git/x"},
		"ignored":        {".artifactignore", ".git/x", "keep.log"},
		"file":           {"a.log"},
		"link":           {},
		"build?add=true": {".artifactignore", ".git/x", "a.log", "keep.log"},
	}
	if diff := cmp.Diff(want, s.sent); diff != "" {
		t.Error(diff)
	}
	w.write("bad/.artifactignore", "\xff")
	if err := w.publish(&plan.Publish{Path: "bad", Artifact: "bad"}); err == nil || !strings.HasSuffix(err.Error(), "/bad/.artifactignore: it is not UTF-8") {
		t.Error(err)
	}
}

// ArtifactCommandExtension.cs of azure-pipelines-agent warns and makes no artifact.
func TestAnEmptyFolderMakesNoBuildArtifact(t *testing.T) {
	t.Parallel()
	w, s := newArtifactBench(t)
	if err := os.MkdirAll(w.absolute("out/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.publish(&plan.Publish{Path: "out", Artifact: "drop", Add: true}); err != nil {
		t.Error(err)
	}
	shown := w.obey(command{name: "artifact.upload", properties: map[string]string{"artifactname": "more"}, text: "out"})
	if diff := cmp.Diff([]string{"##[warning]The folder " + w.absolute("out") + " is empty: nothing is added to artifact more."}, shown); diff != "" {
		t.Error(diff)
	}
	if w.record.Warnings != 2 || len(s.sent) > 0 {
		t.Errorf("%d warnings, sent %v", w.record.Warnings, s.sent)
	}
	shown = w.obey(command{name: "artifact.upload", properties: map[string]string{"artifactname": "more"}, text: "gone"})
	if diff := cmp.Diff([]string{`##[error]artifact.upload: Publish artifact "more": there is no file or folder ` + w.absolute("gone") + "."}, shown); diff != "" {
		t.Error(diff)
	}
}
