package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"slipway/internal/images"
	"slipway/internal/images/imagestest"
	"slipway/internal/images/progress"
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
	list := &buildList{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-job" {
			http.Error(rw, "not you", http.StatusForbidden)
			return
		}
		scope := images.ProjectScope("shop", false)
		scope.Owner = "job-7"
		var err error
		switch {
		case r.URL.Path == "/_slipway/builder":
			err = tunnel.Serve(rw, r, scope)
		case r.URL.Path == "/_slipway/jobs/7/imagebuilds/watch":
			err = tunnel.ServeWatch(rw, r, scope.Owner)
		default:
			list.serve(rw, r)
		}
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
		}
	}))
	t.Cleanup(server.Close)
	program := buildctl(t)
	hard, end := context.WithCancel(t.Context())
	defer end()
	config := Config{URL: server.URL, Token: "of-the-job", Job: 7, Logger: slog.New(slog.DiscardHandler)}
	r := &runner{config: config, client: newClient(config), mask: &masker{}, folders: folders{root: t.TempDir()}, hard: hard}
	r.mask.Add("word-of-the-job")
	door := r.openBuilder()
	if info, err := os.Stat(door.path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket of a pod, whose containers may have other users, is %v, %v", info, err)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "BUILDKIT_HOST=unix://"+door.path, "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nARG WHO\nRUN --mount=type=secret,id=s cat /run/secrets/s > /secret; echo $WHO > /who; echo word-of-the-job\nCOPY a.txt /\n", "a.txt": "a", "secret": "hidden"})
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

	failing := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo before; exit 3\n"})
	if out, err := run("build", "--frontend", "dockerfile.v0", "--local", "context="+failing, "--local", "dockerfile="+failing); err == nil {
		t.Errorf("a step that fails: %s", out)
	}
	list.mu.Lock()
	list.cancel = "Ada"
	list.mu.Unlock()
	endless := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN sleep 3600\n"})
	if out, err := run("build", "--frontend", "dockerfile.v0", "--local", "context="+endless, "--local", "dockerfile="+endless); err == nil || !strings.Contains(out, "Ada canceled this build") {
		t.Errorf("a build that is cancelled at the server: %v\n%s", err, out)
	}

	door.close()
	if _, err := os.Stat(door.path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	list.check(imagestest.Host + "/team/app:1")
	r.config.Token = "of-another"
	if door = r.openBuilder(); door.path == "" {
		t.Fatal("no socket")
	}
	defer door.close()
	if out, err := run("debug", "workers"); err == nil {
		t.Errorf("with another's token: %s", out)
	}
}

// buildList takes what the agent tells of builds, in place of a server.
type buildList struct {
	t *testing.T

	mu     sync.Mutex // guards what follows
	builds []*toldBuild
	cancel string // who cancels each build that runs
}

type toldBuild struct {
	report progress.Report
	log    string
	end    progress.Update
}

func (l *buildList) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number, isUpdate := strings.CutPrefix(r.URL.Path, "/_slipway/jobs/7/imagebuilds/")
	answer := any(nil)
	if isUpdate && r.Method == http.MethodPatch {
		id, err := strconv.Atoi(number)
		var u progress.Update
		if err = errors.Join(err, json.NewDecoder(r.Body).Decode(&u)); err != nil || id < 1 || id > len(l.builds) || l.builds[id-1].end.Done {
			l.t.Errorf("build %s was told %+v (%v)", number, u, err)
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		b := l.builds[id-1]
		b.log += u.Log[min(len(b.log)-int(u.At), len(u.Log)):]
		if u.Report != nil {
			b.report = *u.Report
		}
		b.end = u
		answer = progress.Updated{At: int64(len(b.log)), CanceledBy: l.cancel}
	} else {
		b := &toldBuild{}
		if err := json.NewDecoder(r.Body).Decode(&b.report); err != nil || r.URL.Path != "/_slipway/jobs/7/imagebuilds" {
			l.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		l.builds = append(l.builds, b)
		answer = map[string]int{"id": len(l.builds)}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		l.t.Error(err)
	}
}

// check looks at the builds that buildctl made: one pushed under the tag, the same without a name from the cache, one that failed and one that was cancelled.
func (l *buildList) check(tag string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.builds) != 4 {
		l.t.Fatalf("%d builds were told of", len(l.builds))
	}
	pushed, cached, failed, canceled := l.builds[0], l.builds[1], l.builds[2], l.builds[3]
	if len(pushed.report.Tags) != 1 || pushed.report.Tags[0] != tag || pushed.report.Digest == "" || !pushed.end.Done || pushed.end.Error != "" {
		l.t.Errorf("the pushed one is %+v, and ended as %+v", pushed.report, pushed.end)
	}
	if text := pushed.log + fmt.Sprint(pushed.report); !strings.Contains(text, "2/3] RUN") || !strings.Contains(text, "echo ***") || strings.Contains(text, "word-of-the-job") {
		l.t.Errorf("the pushed one has the log\n%s\nand the report %+v", pushed.log, pushed.report)
	}
	if _, of := cached.report.Summary.Cached(); of != 3 || !cached.end.Done {
		l.t.Errorf("the one without a name is %+v, and ended as %+v", cached.report, cached.end)
	}
	if !failed.end.Done || failed.end.Canceled || !strings.HasPrefix(failed.end.Error, "Dockerfile:2: ") || !strings.Contains(failed.end.Error, "exit code: 3") || !strings.Contains(failed.log, "before") {
		l.t.Errorf("the failed one ended as %+v with the log\n%s", failed.end, failed.log)
	}
	if !canceled.end.Done || !canceled.end.Canceled || !strings.Contains(canceled.end.Error, "Ada canceled this build") {
		l.t.Errorf("the cancelled one ended as %+v", canceled.end)
	}
}
