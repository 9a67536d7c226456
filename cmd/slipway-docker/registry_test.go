package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images/imagestest"

	"github.com/google/go-cmp/cmp"
)

// newJob is a docker with a builder and a registry, as in a job.
func newDockerJob(t *testing.T) (*imagestest.World, docker) {
	w := imagestest.New(t, imagestest.Setup{})
	d := newDocker(t)
	d.env["SLIPWAY_BUILDER_URL"], d.env["SLIPWAY_REGISTRY_HOST"], d.env["SLIPWAY_URL"] = "unix://"+w.Socket, imagestest.Host, w.URL()
	d.env["SLIPWAY_JOB_TOKEN"] = "secret-token"
	return w, d
}

// TestPromotion is what a pipeline does that gives an image that is there another name: pull, inspect, tag, push.
func TestPromotion(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	app := imagestest.Host + "/team/app"
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nLABEL version=7\nRUN echo 1 > /n\n"})
	d.ok("build", "--push", "-q", "-t", app+":1", dir)
	want, err := w.Pull("team/app:1").Digest()
	if err != nil {
		t.Fatal(err)
	}
	d.env["DOCKER_CONFIG"] = t.TempDir() // another job
	out, _ := d.ok("pull", app+":1")
	if !strings.Contains(out, "Digest: "+want.String()) {
		t.Errorf("pull says %q", out)
	}
	d.ok("tag", app+":1", imagestest.Host+"/prod/app:live")
	out, _ = d.ok("push", imagestest.Host+"/prod/app:live")
	if !strings.Contains(out, "live: digest: "+want.String()) {
		t.Errorf("push says %q", out)
	}
	if got, err := w.Pull("prod/app:live").Digest(); err != nil || got != want {
		t.Errorf("the promoted image is %s (%v), want %s", got, err, want)
	}
	for format, text := range map[string]string{
		"{{index .RepoDigests 0}}":           app + "@" + want.String(),
		"{{.Config.Labels.version}}":         "7",
		`{{index .Config.Labels "version"}}`: "7",
		"{{.Os}}/{{.Architecture}}":          "linux/amd64",
	} {
		if out, _ := d.ok("inspect", "--format="+format, app+":1"); out != text+"\n" {
			t.Errorf("inspect --format=%s is %q, want %q", format, out, text)
		}
	}
	var inspected []map[string]any
	out, _ = d.ok("image", "inspect", app+":1")
	if err := json.Unmarshal([]byte(out), &inspected); err != nil || len(inspected) != 1 {
		t.Errorf("inspect is %q (%v)", out, err)
	}
	d.ok("rmi", app+":1")
	if _, log, code := d.run("inspect", app+":1"); code != 1 || !strings.Contains(log, "no image") {
		t.Errorf("inspect of a forgotten image ended with %d: %s", code, log)
	}
	if _, log, code := d.run("pull", app+":2"); code != 1 || !strings.Contains(log, "the registry does not have it") {
		t.Errorf("pull of a tag that is not there ended with %d: %s", code, log)
	}
}

// TestIndexes joins two images by the commands that public pipelines use for it.
func TestIndexes(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	app := imagestest.Host + "/team/app"
	dir := w.Folder(map[string]string{"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n", "amd64": "amd64", "arm64": "arm64"})
	for _, arch := range []string{"amd64", "arm64"} {
		d.ok("buildx", "build", "--platform", "linux/"+arch, "--push", "-t", app+":"+arch, dir)
	}
	check := func(tag string) {
		t.Helper()
		index := w.PullIndex("team/" + tag)
		m, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, part := range m.Manifests {
			img, err := index.Image(part.Digest)
			if err != nil {
				t.Fatal(err)
			}
			got[part.Platform.String()] = imagestest.Files(t, img)["arch"]
		}
		if diff := cmp.Diff(map[string]string{"linux/amd64": "amd64", "linux/arm64": "arm64"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tag, diff)
		}
	}
	d.ok("manifest", "create", app+":list", app+":amd64", app+":arm64")
	d.ok("manifest", "annotate", "--arch", "arm64", "--os", "linux", app+":list", app+":arm64")
	d.ok("manifest", "push", "--purge", app+":list")
	check("app:list")
	d.ok("buildx", "imagetools", "create", "-t", app+":joined", "-t", imagestest.Host+"/team/other:joined", app+":amd64", app+":arm64")
	check("app:joined")
	check("other:joined")
	d.ok("buildx", "imagetools", "create", "--tag", app+":copy", app+":joined")
	check("app:copy")
	raw, _ := d.ok("buildx", "imagetools", "inspect", "--raw", app+":copy")
	var index struct{ Manifests []any }
	if err := json.Unmarshal([]byte(raw), &index); err != nil || len(index.Manifests) != 2 {
		t.Errorf("imagetools inspect --raw is %q (%v)", raw, err)
	}
	digest, _ := d.ok("buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", app+":copy")
	if want, err := w.PullIndex("team/app:copy").Digest(); err != nil || digest != want.String()+"\n" {
		t.Errorf("imagetools inspect --format is %q (%v), want %s", digest, err, want)
	}
	if out, _ := d.ok("manifest", "inspect", app+":copy"); !strings.Contains(out, `"architecture": "arm64"`) {
		t.Errorf("manifest inspect is %q", out)
	}
}

// TestBuildAround covers what stands around a build: Dockerfile alone, files out of an image, archives, commands that find a builder.
func TestBuildAround(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	dir := t.TempDir()
	d.stdin = "FROM busybox:1\nRUN echo hello > /greeting\n"
	_, log := d.ok("build", "-t", "alone", "-")
	if !strings.Contains(log, "0 of 2 steps cached, ") || !strings.Contains(log, "built alone:latest@sha256:") {
		t.Errorf("log is\n%s", log)
	}
	d.ok("save", "-o", filepath.Join(dir, "alone.tar"), "alone")
	if fi, err := os.Stat(filepath.Join(dir, "alone.tar")); err != nil || fi.Size() < 100_000 {
		t.Errorf("the archive is %v (%v)", fi, err)
	}
	files := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1 AS build\nRUN echo out > /result\nFROM scratch\nCOPY --from=build /result /\n"})
	d.ok("build", "--output", filepath.Join(dir, "out"), files)
	if b, err := os.ReadFile(filepath.Join(dir, "out/result")); err != nil || string(b) != "out\n" {
		t.Errorf("the folder holds %q (%v)", b, err)
	}
	name, _ := d.ok("buildx", "create", "--use", "--name", "mine", "--driver-opt", "network=host")
	inspected, _ := d.ok("buildx", "inspect", "--bootstrap", "mine")
	d.ok("buildx", "use", "mine")
	if name != "mine\n" || !strings.Contains(inspected, "Name:          mine\n") || !strings.Contains(inspected, "linux/amd64") {
		t.Errorf("create says %q, inspect %q", name, inspected)
	}
	if out, _ := d.ok("version", "--format", "{{.Server.Os}}"); out != "linux\n" {
		t.Errorf("version is %q", out)
	}
	d.ok("system", "prune", "-af")
}
