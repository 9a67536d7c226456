package agent

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images"
	"slipway/internal/images/imagestest"
)

// buildctl is BuildKit's own client, built from the modules of this one.
func buildctl(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "buildctl")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", path, "github.com/moby/buildkit/cmd/buildctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build buildctl: %v\n%s", err, out)
	}
	return path
}

// The unmodified buildctl works in a job, through the job's socket and the server, in the scope that the server chose.
func TestBuilderDoor(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	tunnel := images.NewTunnel(w.Dial(), images.TunnelLimits{})
	t.Cleanup(tunnel.Close)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_slipway/builder" || r.Header.Get("Authorization") != "Bearer of-the-job" {
			http.Error(rw, "not you", http.StatusForbidden)
			return
		}
		if err := tunnel.Serve(rw, r, images.ProjectScope("shop", false)); err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
		}
	}))
	t.Cleanup(server.Close)
	program := buildctl(t)
	hard, end := context.WithCancel(t.Context())
	defer end()
	r := &runner{config: Config{URL: server.URL, Token: "of-the-job", Logger: slog.New(slog.DiscardHandler)}, folders: folders{root: t.TempDir()}, hard: hard}
	door := r.openBuilder()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "BUILDKIT_HOST=unix://"+door.path, "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nARG WHO\nRUN --mount=type=secret,id=s cat /run/secrets/s > /secret; echo $WHO > /who\nCOPY a.txt /\n", "a.txt": "a", "secret": "hidden"})
	build := []string{"build", "--progress=plain", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + dir, "--opt", "build-arg:WHO=buildctl",
		"--secret", "id=s,src=" + filepath.Join(dir, "secret"), "--output", "type=image,name=" + imagestest.Host + "/team/app:1,push=true",
		"--export-cache", "type=registry,mode=max,ref=" + imagestest.Host + "/team/cache:1"}
	out, err := run(build...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files := imagestest.Files(t, w.Pull("team/app:1"))
	if files["who"] != "buildctl\n" || files["secret"] != "hidden" || files["a.txt"] != "a" {
		t.Errorf("files are %v", files)
	}
	for args, want := range map[string]string{"debug workers": "linux/amd64", "debug info": "BuildKit:", "build --frontend dockerfile.v0 --local context=" + dir + " --local dockerfile=" + dir: ""} {
		if out, err := run(strings.Fields(args)...); err != nil || !strings.Contains(out, want) {
			t.Errorf("buildctl %s: %v\n%s", args, err, out)
		}
	}
	// What belongs to all is not for a job; neither is what another scope has built.
	for _, args := range []string{"du", "prune", "debug histories"} {
		if out, err := run(strings.Fields(args)...); err == nil || !strings.Contains(out, "for the builder's owner and not for a build") {
			t.Errorf("buildctl %s: %v\n%s", args, err, out)
		}
	}
	result, _, err := w.BuildIn(images.ProjectScope("shop", true), images.Options{ContextDir: dir, BuildArgs: map[string]string{"WHO": "buildctl"}, Secrets: map[string][]byte{"s": []byte("hidden")}})
	if err != nil {
		t.Fatal(err)
	}
	if cached, _ := result.Summary.Cached(); cached > 1 { // the base image is everybody's
		t.Errorf("a build of accepted code found %d steps of one under review", cached)
	}

	door.close()
	if _, err := os.Stat(door.path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	r.config.Token = "of-another"
	if door = r.openBuilder(); door.path == "" {
		t.Fatal("no socket")
	}
	defer door.close()
	if out, err := run("debug", "workers"); err == nil {
		t.Errorf("with another's token: %s", out)
	}
}
