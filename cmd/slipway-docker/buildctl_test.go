package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images/imagestest"

	"github.com/moby/buildkit/client/llb"
)

// as runs one of the other programs of this file.
func (d docker) as(name string, args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	var out, errs bytes.Buffer
	p := program{getenv: func(k string) string { return d.env[k] }, env: d.env, dir: d.dir, stdin: strings.NewReader(d.stdin), stdout: &out, stderr: &errs}
	switch ctx := d.t.Context(); name {
	case "buildctl":
		code = p.end(p.buildctl(ctx, args))
	case "ko":
		code = p.end(p.ko(ctx, args))
	case "pack":
		code = p.end(p.pack(ctx, args))
	default:
		d.t.Fatalf("no program %s", name)
	}
	return out.String(), errs.String(), code
}

// The command line is that of BuildKit's README.
func TestBuildctl(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1 AS base\nARG WHO\nRUN --mount=type=secret,id=s cat /run/secrets/s > /secret; echo $WHO > /who\nFROM base\nRUN false\n", "secret": "hidden"})
	metadata, out := filepath.Join(t.TempDir(), "metadata.json"), t.TempDir()
	args := []string{"build", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + dir, "--opt", "target=base", "--opt", "build-arg:WHO=buildctl",
		"--secret", "id=s,src=" + filepath.Join(dir, "secret"), "--output", "type=image,name=" + imagestest.Host + "/team/ctl:1,push=true", "--metadata-file", metadata,
		"--export-cache", "type=inline", "--output", "type=local,dest=" + out}
	if _, log, code := d.as("buildctl", args...); code != 0 || !strings.Contains(log, "echo buildctl > /who") {
		t.Fatalf("ended with %d: %s", code, log)
	}
	image := w.Pull("team/ctl:1")
	if files := imagestest.Files(t, image); files["who"] != "buildctl\n" || files["secret"] != "hidden" || readFile(t, filepath.Join(out, "who")) != "buildctl\n" {
		t.Errorf("files are not there: %q %q", files["who"], files["secret"])
	}
	if want, err := image.Digest(); err != nil || !strings.Contains(readFile(t, metadata), want.String()) {
		t.Errorf("metadata is %s, want %s (%v)", readFile(t, metadata), want, err)
	}
	definition, err := llb.Image("busybox:1").Run(llb.Shlex("sh -c 'echo of-llb > /out'")).Root().Marshal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if err := llb.WriteTo(definition, &raw); err != nil {
		t.Fatal(err)
	}
	d.stdin = raw.String()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"build --output type=local,dest=" + out, 0, "of-llb"},
		{"--addr unix://" + w.Socket + " debug workers", 0, "linux/amd64"},
		{"debug info", 0, "BuildKit: github.com/moby/buildkit"},
		{"debug dump-llb", 0, "of-llb"},
		{"--version", 0, "buildctl github.com/moby/buildkit"},
		{"build --frontend dockerfile.v0 --local context=" + dir + " --local dockerfile=" + dir + " --opt requestid=frontend.targets", 0, "base"},
		{"build --frontend dockerfile.v0 --local context=" + dir + " --local dockerfile=" + dir + " --secret id=s,src=" + dir + "/secret", 1, "Dockerfile:5"},
		{"build --frontend dockerfile.v0 --local context=" + dir + "/none", 125, "no such file"},
		{"build --frontend dockerfile.v0 --allow network.host", 1, "in a step of the job"},
		{"build --frontend dockerfile.v0 --output local", 125, "invalid value local"},
		{"--addr tcp://other:1234 build --frontend dockerfile.v0", 1, "BuildKit's own buildctl"},
		{"du", 1, "slipway builder du"},
		{"frobnicate", 1, "knows build"},
	} {
		stdout, log, code := d.as("buildctl", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+log, c.want) {
			t.Errorf("buildctl %s: ended with %d: %s%s", c.args, code, stdout, log)
		}
	}
	if b, err := os.ReadFile(filepath.Join(out, "out")); err != nil || string(b) != "of-llb\n" {
		t.Errorf("the definition made %q (%v)", b, err)
	}
}
