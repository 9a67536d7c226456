package images_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/imagestest"
	"slipway/internal/images/progress"

	"github.com/google/go-cmp/cmp"
)

// kinds lists how each step whose name holds part ended.
func ends(events []progress.Event, part string) []progress.EventKind {
	var out []progress.EventKind
	for _, e := range events {
		ended := e.Kind == progress.EventDone || e.Kind == progress.EventCached || e.Kind == progress.EventFailed || e.Kind == progress.EventCancelled
		if ended && strings.Contains(e.Name, part) {
			out = append(out, e.Kind)
		}
	}
	return out
}

func lines(events []progress.Event) []string {
	var out []string
	for _, e := range events {
		if e.Kind == progress.EventLog {
			out = append(out, e.Line)
		}
	}
	return out
}

func TestBuild(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})

	t.Run("scratch and COPY, pushed under two names, with dockerignore", func(t *testing.T) {
		image := imagestest.Host + "/team/app"
		result, _, err := w.Build(map[string]string{
			"Dockerfile": "FROM scratch\nCOPY . /app/\n", "main.txt": "hello", "secret.env": "no", ".dockerignore": "*.env\nDockerfile\n.dockerignore\n",
		}, images.Options{Tags: []string{image + ":1", image + ":latest"}, Push: true, Labels: map[string]string{"org.opencontainers.image.revision": "4f0c"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"1", "latest"} {
			img := w.Pull("team/app:" + tag)
			digest, err := img.Digest()
			if err != nil || digest.String() != string(result.Digest) {
				t.Errorf("tag %s is %s (%v), the build said %s", tag, digest, err, result.Digest)
			}
			if diff := cmp.Diff(map[string]string{"app/main.txt": "hello"}, imagestest.Files(t, img)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			c, err := img.ConfigFile()
			if err != nil || c.Config.Labels["org.opencontainers.image.revision"] != "4f0c" {
				t.Errorf("labels are %v (%v)", c.Config.Labels, err)
			}
		}
	})

	t.Run("RUN on a base image of the mirror, arguments, secrets, target, then all cached", func(t *testing.T) {
		o := images.Options{
			ContextDir: w.Folder(map[string]string{"build/Dockerfile": strings.Join([]string{
				"FROM busybox:1 AS one", "ARG WHO", "RUN --mount=type=secret,id=token echo \"to $WHO: $(cat /run/secrets/token)\" | cat > /who",
				"RUN cat /who && echo -n unfinished", "FROM one AS never", "RUN sleep 1000 && false", "",
			}, "\n")}),
			Dockerfile: "build/Dockerfile", Target: "one", BuildArgs: map[string]string{"WHO": "world"},
			Secrets: map[string][]byte{"token": []byte("s3cret")}, Tags: []string{imagestest.Host + "/team/run:1"},
		}
		first, events, err := w.BuildFolder(o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"to world: s3cret", "unfinished"}, lines(events)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]progress.EventKind{progress.EventDone, progress.EventDone}, ends(events, "RUN ")); diff != "" {
			t.Errorf("first build (-want +got):\n%s", diff)
		}
		o.Push = true
		second, events, err := w.BuildFolder(o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]progress.EventKind{progress.EventCached, progress.EventCached}, ends(events, "RUN ")); diff != "" {
			t.Errorf("second build (-want +got):\n%s", diff)
		}
		if first.Digest != second.Digest {
			t.Errorf("the pushed image is %s, the built one was %s", second.Digest, first.Digest)
		}
		if got := imagestest.Files(t, w.Pull("team/run:1"))["who"]; got != "to world: s3cret\n" {
			t.Errorf("/who is %q", got)
		}
	})

	t.Run("a failing RUN names its command, exit code and line", func(t *testing.T) {
		_, events, err := w.Build(map[string]string{"Dockerfile": "FROM busybox:1\n\n# a comment\nRUN echo before; exit 7\n"}, images.Options{})
		var p *slipway.Problem
		if !errors.As(err, &p) || p.Code != slipway.CodeInvalid {
			t.Fatalf("error is %v", err)
		}
		if diff := cmp.Diff(&slipway.Position{File: "Dockerfile", Line: 4, Column: 1}, p.Position); diff != "" {
			t.Errorf("position (-want +got):\n%s", diff)
		}
		if code, ok := images.StepExit(err); !ok || code != 7 {
			t.Errorf("exit code is %d, %v", code, ok)
		}
		if !strings.Contains(p.Message, "RUN echo before; exit 7") || !strings.Contains(p.Message, "exit code: 7") {
			t.Errorf("message is %q", p.Message)
		}
		if !strings.Contains(images.Excerpt(err), ">>> RUN echo before; exit 7") {
			t.Errorf("excerpt is %q", images.Excerpt(err))
		}
		if diff := cmp.Diff([]progress.EventKind{progress.EventFailed}, ends(events, "RUN ")); diff != "" {
			t.Errorf("ends (-want +got):\n%s", diff)
		}
	})

	t.Run("a wrong word in the Dockerfile has its position", func(t *testing.T) {
		_, _, err := w.Build(map[string]string{"Dockerfile": "FROM scratch\nCOPPY a b\n"}, images.Options{})
		var p *slipway.Problem
		if !errors.As(err, &p) || p.Position == nil || p.Position.Line != 2 || !strings.Contains(p.Message, "COPPY") {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("an unknown base image names itself", func(t *testing.T) {
		_, _, err := w.Build(map[string]string{"Dockerfile": "FROM " + imagestest.Host + "/nope:1\n"}, images.Options{})
		if err == nil || !strings.Contains(err.Error(), imagestest.Host+"/nope:1: not found") {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("no Dockerfile is told before the builder is asked", func(t *testing.T) {
		_, _, err := w.Build(map[string]string{"x": ""}, images.Options{})
		if slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("error is %v", err)
		}
	})
}

// TestOptionsRefused needs no builder: what is wrong is said before one is asked.
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    images.Options
		want string
	}{
		{images.Options{Push: true}, "give a tag"},
		{images.Options{Network: "host"}, "or none"},
		{images.Options{Hosts: []string{"a=host-gateway"}}, "NAME:ADDRESS"},
		{images.Options{Contexts: map[string]string{"a b": dir}}, "no name of a build context"},
		{images.Options{Contexts: map[string]string{"more": dir + "/none"}}, "is not a folder"},
		{images.Options{Outputs: []images.Output{{Type: "zip"}}}, "use registry, image, local"},
		{images.Options{Annotations: map[string]string{"layer:a": "b"}}, "manifest, index or manifest-descriptor"},
		{images.Options{SSH: []images.SSH{{ID: "a", Paths: []string{dir + "/Dockerfile"}}}}, "--ssh"},
	} {
		c.o.ContextDir = dir
		_, err := images.Build(t.Context(), func(context.Context) (net.Conn, error) { return nil, errors.New("the builder was asked") }, c.o, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q in it", c.o, err, c.want)
		}
	}
}

func TestPushWithCredentials(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{Protect: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/private/") }})
	context := map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}
	image := imagestest.Host + "/private/app:1"

	var asked []string
	_, _, err := w.Build(context, images.Options{Tags: []string{image}, Push: true, Auth: func(host string) (string, string) {
		asked = append(asked, host)
		return "job", "secret-token"
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) == 0 || asked[0] != imagestest.Host {
		t.Errorf("credentials were asked for %q, want %q", asked, imagestest.Host)
	}

	_, _, err = w.Build(context, images.Options{Tags: []string{image}, Push: true, Auth: func(string) (string, string) { return "job", "wrong-token" }})
	if slipway.CodeOf(err) != slipway.CodeForbidden {
		t.Errorf("with a wrong password: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "wrong-token") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestBuilderKilledAndStopped(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	o := images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN date > /when\n"}), Tags: []string{imagestest.Host + "/team/kept:1"}}
	first, _, err := w.BuildFolder(o)
	if err != nil {
		t.Fatal(err)
	}

	// A builder that is killed in the middle of a step may leave that step's container behind.
	failed := make(chan error, 1)
	started := make(chan struct{})
	slow := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo up; exec sleep 98765\n"})
	go func() {
		_, err := images.Build(t.Context(), images.DialSocket(w.Socket), images.Options{ContextDir: slow}, func(e progress.Event) {
			if e.Kind == progress.EventLog && e.Line == "up" {
				close(started)
			}
		})
		failed <- err
	}()
	<-started
	cgroups := stepCgroups(t, w.Command.Process.Pid)
	if len(cgroups) == 0 {
		t.Fatal("the running step has no cgroup of its own")
	}
	w.Kill()
	if err := <-failed; err == nil {
		t.Error("the build outlived its builder")
	}

	w.Start()
	for _, g := range cgroups {
		if _, err := os.Stat(g); err == nil {
			t.Errorf("cgroup %s of the killed builder's step is left", g)
		}
	}
	second, events, err := w.BuildFolder(o)
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest != second.Digest {
		t.Errorf("digest was %s and is %s", first.Digest, second.Digest)
	}
	if diff := cmp.Diff([]progress.EventKind{progress.EventCached}, ends(events, "RUN ")); diff != "" {
		t.Errorf("after kill -9 (-want +got):\n%s", diff)
	}

	w.Stop()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), w.Dir) {
		t.Errorf("mounts are left below %s", w.Dir)
	}
	for _, g := range cgroups {
		// The step's is BUILDER/buildkit/ID: nothing of the three may be left.
		if _, err := os.Stat(filepath.Dir(filepath.Dir(g))); err == nil {
			t.Errorf("cgroup %s is left", filepath.Dir(filepath.Dir(g)))
		}
	}
}

// stepCgroups gives the cgroup folders of the step that runs below the builder with this process
// id, in each hierarchy.
func stepCgroups(t *testing.T, builder int) []string {
	t.Helper()
	var out []string
	for _, pid := range descendants(t, builder) {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || !strings.Contains(string(cmdline), "98765") || strings.Contains(string(cmdline), "runc") {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // proc(5), cgroups(7): ID:CONTROLLERS:PATH
			if len(parts) != 3 || !strings.Contains(parts[2], "/buildkit/") {
				continue
			}
			found, err := filepath.Glob(filepath.Join("/sys/fs/cgroup/*", parts[2]))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, found...)
			if _, err := os.Stat(filepath.Join("/sys/fs/cgroup", parts[2])); err == nil {
				out = append(out, filepath.Join("/sys/fs/cgroup", parts[2]))
			}
		}
	}
	return out
}

// descendants gives every process below pid.
func descendants(t *testing.T, pid int) []int {
	t.Helper()
	found, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, f := range found {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, s := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, child)
			out = append(out, descendants(t, child)...)
		}
	}
	return out
}
