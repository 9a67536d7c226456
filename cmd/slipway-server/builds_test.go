package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/internal/api"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/images"
	"slipway/internal/images/builds"
	"slipway/internal/images/imagestest"
	"slipway/internal/pipelines/pipelinestest"
)

// servedBuilds is a server whose builder is a real one, and a folder with its access.
func servedBuilds(t *testing.T) (w *imagestest.World, kept *builds.Service, project *pipelinestest.World, data string) {
	t.Helper()
	w = imagestest.New(t, imagestest.Setup{})
	p := pipelinestest.Open(t, "sample", "")
	kept, err := builds.New(context.Background(), dbtest.SQLite(t), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	tunnel := images.NewTunnel(w.Dial(), images.TunnelLimits{})
	t.Cleanup(tunnel.Close)
	routes := api.New(p.Identity, p.Logger, "http://localhost:8080")
	routes.AddBuilds(kept, w.Dial(), tunnel.Serve)
	server := httptest.NewServer(routes.Handler())
	t.Cleanup(server.Close)
	data = t.TempDir()
	if err := (access{URL: server.URL, Token: p.Token(t)}).write(data); err != nil {
		t.Fatal(err)
	}
	return w, kept, p, data
}

// awaited is where a command writes to; it closes seen when the text comes.
type awaited struct {
	text string
	seen chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer // guarded by mu
}

func (a *awaited) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := strings.Contains(a.got.String(), a.text)
	a.got.Write(b)
	if !before && strings.Contains(a.got.String(), a.text) {
		close(a.seen)
	}
	return len(b), nil
}

// `slipway build` is listed with its steps, its log without secrets, and its end.
func TestBuildIsListed(t *testing.T) {
	t.Parallel()
	w, kept, project, data := servedBuilds(t)
	c := commandTest{t, data}
	c.says("nothing was built", "builds")
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN --mount=type=secret,id=s cat /run/secrets/s && echo plain words\n",
		"broken/Dockerfile": "FROM busybox:1\nRUN echo before && false\n", "secret": "hidden-value"})
	tag := imagestest.Host + "/team/listed:1"
	c.says("sha256:", "build", dir, "-t", tag, "--push", "--secret", "id=s,src="+filepath.Join(dir, "secret"))
	c.says("plain words", "builds", "1", "--log")
	if out, err := run("builds", "1", "--log", "--data", data); err != nil || strings.Contains(out, "hidden-value") || !strings.Contains(out, "***") || !strings.Contains(out, "steps cached") {
		t.Errorf("the log is %q (%v)", out, err)
	}
	b, err := kept.Get(t.Context(), project.Project.ID, 1)
	digest, digestErr := w.Pull("team/listed:1").Digest()
	if err != nil || digestErr != nil || b.State != builds.Succeeded || string(b.Digest) != digest.String() || b.Total != 2 || b.By == nil || b.By.Name != project.Administrator.Name {
		t.Errorf("kept is %+v, %v, %v", b, err, digestErr)
	}
	c.says(project.Administrator.Name+": succeeded", "builds", "1")
	c.fails("did not complete successfully", "build", filepath.Join(dir, "broken"), "--progress", "quiet")
	c.says("failed", "builds", "2")
	c.says("before", "builds", "2", "--log")
	c.fails("does not run", "builds", "2", "--cancel")
	c.fails("no image build 9", "builds", "9")
	c.fails("name the build's number", "builds", "--log")
	c.says(tag, "builds")
	if out, err := run("builds", "--run", "7", "--data", data); err != nil || !strings.Contains(out, "nothing was built") {
		t.Errorf("builds of a run: %q, %v", out, err)
	}
}

// Cancelling a build at the server ends the command that builds.
func TestBuildIsCancelled(t *testing.T) {
	t.Parallel()
	w, _, project, data := servedBuilds(t)
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo beg''un && sleep 3600\n"})
	out := &awaited{text: "begun", seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		cmd := command()
		cmd.SetErr(out)
		cmd.SetArgs([]string{"build", dir, "--data", data})
		ended <- cmd.ExecuteContext(t.Context())
	}()
	select {
	case <-out.seen:
	case err := <-ended:
		t.Fatalf("the build ended too early: %v\n%s", err, &out.got)
	}
	c := commandTest{t, data}
	c.says("running", "builds", "1")
	c.says("asked to give up", "builds", "1", "--cancel")
	if err := <-ended; err == nil || !strings.Contains(err.Error(), project.Administrator.Name+" asked for that") {
		t.Errorf("the command ended with %v", err)
	}
	c.says("canceled by: "+project.Administrator.Name, "builds", "1")
	c.says("canceled", "builds")
	c.fails("it is canceled", "builds", "1", "--cancel")
}

// A builder of this machine needs no server.
func TestBuildWithoutServer(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	dir, to := w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY a /\n", "a": "here"}), t.TempDir()
	if _, err := run("build", dir, "--builder", "unix://"+w.Socket, "-o", to, "--data", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(to, "a")); err != nil || string(b) != "here" {
		t.Errorf("it built %q (%v)", b, err)
	}
}
