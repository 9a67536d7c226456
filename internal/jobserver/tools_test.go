package jobserver_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"slipway/internal/pipelines/schedule"
)

// fakeMirror has one version of Node.js, in the layout of nodejs.org/dist.
func fakeMirror(t *testing.T) string {
	t.Helper()
	machine := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if machine == "" {
		machine = runtime.GOARCH
	}
	name := "node-v18.99.1-linux-" + machine
	var archive bytes.Buffer
	z := gzip.NewWriter(&archive)
	w := tar.NewWriter(z)
	const program = "#!/bin/sh\necho v18.99.1\n"
	if err := w.WriteHeader(&tar.Header{Name: name + "/bin/node", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"/index.json":                   fmt.Appendf(nil, `[{"version":"v18.99.1","files":["linux-%s"],"lts":"Hydrogen"}]`, machine),
		"/v18.99.1/SHASUMS256.txt":      fmt.Appendf(nil, "%x  %s.tar.gz\n", sha256.Sum256(archive.Bytes()), name),
		"/v18.99.1/" + name + ".tar.gz": archive.Bytes(),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A file of Azure's: the tool is installed from a mirror, and the steps after it find it.
func TestToolInstaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tl := w.completed(w.one(w.push(fmt.Sprintf(`
variables:
  SLIPWAY_TOOL_MIRROR_NODE: %s
steps:
- task: NodeTool@0
  inputs:
    versionSpec: 18.99.x
  displayName: install
- script: node --version
  displayName: use
- task: Npm@1
  inputs:
    command: custom
    customCommand: --version
    workingDir: nowhere
  displayName: fail
`, fakeMirror(t)))))
	if tl.Run.Result != schedule.Failed {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	job := w.job(tl, "__default.Job")
	if log := w.log(job, "install"); !strings.Contains(log, "and the checksum is right") || !strings.Contains(log, "is put before PATH.") {
		t.Errorf("log of install:\n%s", log)
	}
	if log := w.log(job, "use"); !strings.Contains(log, "\nv18.99.1\n") {
		t.Errorf("log of use:\n%s", log)
	}
	if log := w.log(job, "fail"); !strings.Contains(log, "##[error]The folder of npm, ") {
		t.Errorf("log of fail:\n%s", log)
	}
}
