package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images/imagestest"

	"github.com/google/go-cmp/cmp"
)

// tarFiles are the files of an archive with their text.
func tarFiles(t *testing.T, archive string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for tr := tar.NewReader(strings.NewReader(archive)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			out[strings.TrimPrefix(h.Name, "./")] = string(b)
		}
	}
}

// Files come out of images as scripts take them: docker create, docker cp, docker rm (docker's reference, "docker container cp").
func TestContainerCopy(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	d.dir = t.TempDir()
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1 AS build\nRUN echo of a stage > /stage.txt\nFROM busybox:1\nCOPY --from=build /stage.txt /\nCOPY dist /app/dist\nRUN touch /app/dist/link && awk 'BEGIN{print \"top\"}' > /top.txt\n",
		"dist/a.txt": "a", "dist/sub/b.txt": "b"})
	app := imagestest.Host + "/team/app"
	d.ok("build", "-q", "-t", "local/app", dir)        // in the builder's cache alone
	d.ok("build", "-q", "--push", "-t", app+":1", dir) // in a registry
	for _, image := range []string{"local/app", app + ":1"} {
		id, _ := d.ok("create", "--name", "extract", "-v", "/x:/y", image, "sh")
		id = strings.TrimSpace(id)
		if len(id) != 64 {
			t.Fatalf("docker create says %q", id)
		}
		there := filepath.Join(d.dir, "there")
		if err := os.MkdirAll(there, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			from, to string
			want     map[string]string // below the folder where it works
		}{
			{id + ":/app/dist", "new", map[string]string{"new/a.txt": "a", "new/sub/b.txt": "b", "new/link": ""}},
			{id[:12] + ":/app/dist", "there", map[string]string{"there/dist/a.txt": "a"}},
			{"extract:app/dist/.", "./there", map[string]string{"there/a.txt": "a", "there/sub/b.txt": "b"}},
			{"extract:/stage.txt", "renamed.txt", map[string]string{"renamed.txt": "of a stage\n"}},
			{"extract:/top.txt", "there/", map[string]string{"there/top.txt": "top\n"}},
		} {
			d.ok("cp", c.from, c.to)
			for path, want := range c.want {
				if got := readFile(t, filepath.Join(d.dir, path)); got != want {
					t.Errorf("docker cp %s %s: %s is %q, want %q", c.from, c.to, path, got, want)
				}
			}
		}
		if out, _ := d.ok("ps", "-aq", "--filter", "name=extract"); strings.TrimSpace(out) != id {
			t.Errorf("docker ps is %q", out)
		}
		archive := filepath.Join(t.TempDir(), "all.tar")
		d.ok("export", "-o", archive, "extract")
		if got := tarFiles(t, readFile(t, archive)); got["app/dist/a.txt"] != "a" || got["bin/busybox"] == "" {
			t.Errorf("docker export has %d files", len(got))
		}
		for args, want := range map[string]string{
			"create --name extract " + image: "is taken", "cp extract:/none x": "/none", "cp extract:/top.txt none/x": "is not there", "cp top extract:/": "COPY in a Dockerfile",
			"cp other:/x y": "no container other", "cp extract:/app/dist renamed.txt": "is a file", "start extract": "`services:` key",
		} {
			if out, log, code := d.run(strings.Fields(args)...); code != 1 || !strings.Contains(log, want) {
				t.Errorf("docker %s: ended with %d: %s%s", args, code, out, log)
			}
		}
		d.ok("rm", "-f", "-v", "extract", "never-there")
		if out, _ := d.ok("ps", "-aq"); out != "" {
			t.Errorf("docker ps is %q", out)
		}
		for _, name := range []string{"new", "there", "renamed.txt"} {
			if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, _ := d.ok("inspect", "-f", "{{.Os}} {{index .Config.Env 0}}", "local/app"); out != "linux PATH=/bin\n" {
		t.Errorf("docker inspect of an image that was not pushed is %q", out)
	}
}

// Tools run in containers at the builder, with the job's folders.
func TestDockerRun(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	d.dir = w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nENTRYPOINT [\"sh\", \"-c\"]\n", "in.txt": "in", "vars": "# comment\nA=1\nFROM_JOB\n"})
	d.env["FROM_JOB"] = "job"
	d.ok("build", "-q", "-t", "tool", d.dir)
	for _, c := range []struct {
		args  []string
		stdin string
		code  int
		out   string
	}{
		{args: []string{"run", "--rm", "busybox:1", "echo", "-n", "plain"}, out: "plain"},
		{args: []string{"run", "--rm", "-v", d.dir + ":/src", "-w", "/src", "tool", "tr a-z A-Z < in.txt > out.txt; cat out.txt"}, out: "IN"},
		{args: []string{"run", "--rm", "--mount", "type=bind,source=./in.txt,target=/x,readonly", "--entrypoint", "cat", "tool", "/x"}, out: "in"},
		{args: []string{"run", "-i", "--rm", "tool", "wc -c"}, stdin: "12345", out: "5\n"},
		{args: []string{"run", "--env-file", "vars", "-e", "B=2", "-e", "FROM_JOB", "tool", "echo $A $B $FROM_JOB; exit 9"}, code: 9, out: "1 2 job\n"},
	} {
		d.stdin = c.stdin
		out, log, code := d.run(c.args...)
		if diff := cmp.Diff(c.out, out); diff != "" || code != c.code {
			t.Errorf("docker %s: ended with %d (-want +got):\n%s%s", strings.Join(c.args, " "), code, diff, log)
		}
	}
	if got := readFile(t, filepath.Join(d.dir, "out.txt")); got != "IN" {
		t.Errorf("out.txt is %q", got)
	}
}

// What one job saves another loads and pushes, under the digest that it had; compressed as scripts do it.
func TestDockerLoad(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	app := imagestest.Host + "/team/loaded"
	archive := filepath.Join(t.TempDir(), "app.tar")
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo loaded > /loaded\n"})
	d.ok("build", "-q", "-t", app+":1", dir)
	d.ok("save", "-o", archive, app+":1")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(readFile(t, archive))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"load", "--input", archive}, {"image", "load"}} {
		d.env["DOCKER_CONFIG"] = t.TempDir() // another job
		d.stdin = packed.String()
		if out, _ := d.ok(args...); out != "Loaded image: "+app+":1\n" {
			t.Errorf("docker %v says %q", args, out)
		}
		d.ok("tag", app+":1", app+":2")
		out, _ := d.ok("push", app+":2")
		image := w.Pull("team/loaded:2")
		if digest, err := image.Digest(); err != nil || !strings.Contains(out, digest.String()) || imagestest.Files(t, image)["loaded"] != "loaded\n" {
			t.Errorf("push says %q, the registry has %s (%v)", out, digest, err)
		}
	}
	if out, _ := d.ok("inspect", "-f", "{{.Os}}", app+":2"); out != "linux\n" { // it is in the registry now
		t.Errorf("inspect says %q", out)
	}
	for _, args := range [][]string{{"run", app + ":2"}, {"save", app + ":2"}} {
		if _, log, code := d.run(args...); code != 1 || !strings.Contains(log, "push it") && !strings.Contains(log, "crane") {
			t.Errorf("docker %v: ended with %d: %s", args, code, log)
		}
	}
	// As docker wrote archives before its version 25, with another tool.
	old := filepath.Join(t.TempDir(), "old.tar")
	if out, err := exec.Command("skopeo", "copy", "-q", "oci-archive:"+archive, "docker-archive:"+old+":"+app+":old").CombinedOutput(); err != nil {
		t.Fatalf("skopeo: %v: %s", err, out)
	}
	if out, _ := d.ok("load", "-i", old); out != "Loaded image: "+app+":old\n" {
		t.Errorf("docker load of an old archive says %q", out)
	}
	d.ok("push", app+":old")
	if got := imagestest.Files(t, w.Pull("team/loaded:old"))["loaded"]; got != "loaded\n" {
		t.Errorf("the image of an old archive holds %q", got)
	}
	d.stdin = "no archive at all, and long enough to be read as the header of one, if it were: " + strings.Repeat("x", 1024)
	if _, log, code := d.run("load"); code != 1 || !strings.Contains(log, "no tar file") {
		t.Errorf("ended with %d: %s", code, log)
	}
}
