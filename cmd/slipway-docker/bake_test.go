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

// at is the docker of a job that works in a folder of files.
func (d docker) at(w *imagestest.World, files map[string]string) docker {
	d.dir = w.Folder(files)
	return d
}

func newJobDocker(t *testing.T, w *imagestest.World) docker {
	d := newDocker(t)
	d.env["SLIPWAY_BUILDER_URL"], d.env["SLIPWAY_REGISTRY_HOST"] = "unix://"+w.Socket, imagestest.Host
	return d
}

func TestBake(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	d := newJobDocker(t, w).at(w, map[string]string{
		"docker-bake.hcl": `
variable "REGISTRY" { default = "none" }
group "default" { targets = ["app", "tools"] }
target "base" {
  context = "base"
  args = { WHO = "base" }
}
target "app" {
  contexts = { base = "target:base" }
  dockerfile-inline = "FROM base\nCOPY --from=base /who /copied\nCOPY a.txt /\n"
  context = "app"
  tags = ["${REGISTRY}/team/app:1", "${REGISTRY}/team/app:latest"]
  labels = { made = "by bake" }
}
target "tools" {
  matrix = { tool = ["one", "two"] }
  name = "tool-${tool}"
  context = "app"
  dockerfile = "Dockerfile.tool"
  args = { TOOL = tool }
  tags = ["${REGISTRY}/team/${tool}:1"]
}
target "files" {
  context = "app"
  dockerfile-inline = "FROM scratch\nCOPY a.txt /\n"
  output = ["type=local,dest=${OUT}"]
}
target "plain" {
  context = "app"
  dockerfile-inline = "FROM scratch\nARG TARGETARCH\nLABEL of=$TARGETARCH\nCOPY a.txt /base.txt\n"
  platforms = ["linux/amd64", "linux/arm64"]
}
target "multi" {
  contexts = { plain = "target:plain" }
  context = "app"
  dockerfile-inline = "FROM plain\nCOPY a.txt /\n"
  platforms = ["linux/amd64", "linux/arm64"]
  tags = ["${REGISTRY}/team/multi:1"]
}
variable "OUT" { default = "" }`,
		"base/Dockerfile":     "FROM busybox:1\nARG WHO\nRUN echo $WHO > /who\n",
		"app/Dockerfile.tool": "FROM busybox:1\nARG TOOL\nRUN echo $TOOL > /tool\n",
		"app/a.txt":           "a",
	})
	d.env["REGISTRY"] = imagestest.Host

	t.Run("a group is built and pushed, with a target as the context of another", func(t *testing.T) {
		d.t = t
		metadata := filepath.Join(t.TempDir(), "metadata.json")
		_, log := d.ok("buildx", "bake", "--push", "--metadata-file", metadata)
		files := imagestest.Files(t, w.Pull("team/app:latest"))
		if files["who"] != "base\n" || files["copied"] != "base\n" || files["a.txt"] != "a" {
			t.Errorf("files are %v", files)
		}
		config, err := w.Pull("team/app:1").ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Config.Labels["made"] != "by bake" || !cmp.Equal(config.Config.Env, []string{"PATH=/bin"}) {
			t.Errorf("configuration is %+v: the base's is not there", config.Config)
		}
		for _, tool := range []string{"one", "two"} {
			if got := imagestest.Files(t, w.Pull("team/"+tool+":1"))["tool"]; got != tool+"\n" {
				t.Errorf("/tool of %s is %q", tool, got)
			}
		}
		var m map[string]map[string]any
		b, err := os.ReadFile(metadata)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		digest, err := w.Pull("team/app:1").Digest()
		if err != nil {
			t.Fatal(err)
		}
		if m["app"]["containerimage.digest"] != digest.String() || len(m) != 4 {
			t.Errorf("metadata is %s", b)
		}
		for _, line := range []string{" 2/2] RUN echo base > /who\n", "[tool-one 2/2] RUN echo one > /tool\n", "pushed " + imagestest.Host + "/team/two:1@sha256:"} {
			if !strings.Contains(log, line) {
				t.Errorf("no %q in the log:\n%s", line, log)
			}
		}
	})

	t.Run("docker push of what was baked on another target", func(t *testing.T) {
		d.t = t
		d.ok("buildx", "bake", "app", "--set", "app.tag="+imagestest.Host+"/team/later:1", "--set", "base.args.WHO=later")
		d.ok("push", imagestest.Host+"/team/later:1")
		if got := imagestest.Files(t, w.Pull("team/later:1"))["who"]; got != "later\n" {
			t.Errorf("/who is %q", got)
		}
	})

	t.Run("files go to a folder", func(t *testing.T) {
		d.t = t
		out := t.TempDir()
		d.ok("buildx", "bake", "files", "--var", "OUT="+out, "--progress=quiet")
		if b, err := os.ReadFile(filepath.Join(out, "a.txt")); err != nil || string(b) != "a" {
			t.Errorf("a.txt is %q (%v)", b, err)
		}
	})

	t.Run("each platform begins with its own of the other target", func(t *testing.T) {
		d.t = t
		d.ok("buildx", "bake", "multi", "--push", "--provenance=false")
		index, err := w.PullIndex("team/multi:1").IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, m := range index.Manifests {
			img, err := w.PullIndex("team/multi:1").Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"a.txt": "a", "base.txt": "a"}, imagestest.Files(t, img)); diff != "" {
				t.Errorf("files of %s (-want +got):\n%s", m.Platform, diff)
			}
			got[m.Platform.String()] = config.Config.Labels["of"]
		}
		if diff := cmp.Diff(map[string]string{"linux/amd64": "amd64", "linux/arm64": "arm64"}, got); diff != "" {
			t.Errorf("labels of the platforms (-want +got):\n%s", diff)
		}
	})

	t.Run("a step that fails ends all, and its target is named", func(t *testing.T) {
		d.t = t
		d := d.at(w, map[string]string{"docker-bake.json": `{"group": {"default": {"targets": ["good", "bad"]}}, "target": {
			"good": {"contexts": {"other": "target:bad"}, "dockerfile-inline": "FROM other\nRUN true"}, "bad": {"dockerfile-inline": "FROM busybox:1\nRUN echo why; exit 3"}}}`})
		_, log, code := d.run("buildx", "bake")
		if code != 1 || !strings.Contains(log, "ERROR: Dockerfile:2:1: target ") || !strings.Contains(log, "exit code: 3") {
			t.Errorf("ended with %d:\n%s", code, log)
		}
	})

	t.Run("print and list build nothing", func(t *testing.T) {
		d.t = t
		d.env = map[string]string{}
		out, _ := d.ok("buildx", "bake", "--print", "tool-one", "--no-cache")
		want := map[string]any{"group": map[string]any{"default": map[string]any{"targets": []any{"tool-one"}}}, "target": map[string]any{"tool-one": map[string]any{
			"context": "app", "dockerfile": "Dockerfile.tool", "args": map[string]any{"TOOL": "one"}, "tags": []any{"none/team/one:1"}, "no-cache": true}}}
		var got any
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("print (-want +got):\n%s", diff)
		}
		out, _ = d.ok("buildx", "bake", "--list", "type=targets")
		if out != "TARGET\tDESCRIPTION\napp\t\nbase\t\ndefault\t\nfiles\t\nmulti\t\nplain\t\ntool-one\t\ntool-two\t\ntools\t\n" {
			t.Errorf("list is %q", out)
		}
	})
}

func TestCompose(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	d := newJobDocker(t, w).at(w, map[string]string{
		".env": "TAG=7\nTOKEN=from-env-file\n",
		"compose.yaml": `
name: shop
services:
  web:
    image: registry.test:5000/team/web:${TAG}
    build:
      context: web
      args:
        WHO: compose
      secrets: [token]
      additional_contexts:
        base: service:base
  base:
    profiles: [never]
    build:
      dockerfile_inline: |
        FROM busybox:1
        RUN echo base > /base
  db:
    image: registry.test:5000/mirror/docker.io/library/busybox:1
    depends_on: [web]
  debug:
    profiles: [debug]
    image: registry.test:5000/team/debug:1
    build:
      dockerfile_inline: FROM busybox:1
secrets:
  token:
    environment: TOKEN
`,
		"web/Dockerfile": "FROM base\nARG WHO\nRUN --mount=type=secret,id=token cat /run/secrets/token > /token; echo $WHO > /who\n",
	})

	t.Run("build, then push", func(t *testing.T) {
		d.t = t
		d.ok("compose", "build")
		out, _ := d.ok("compose", "push", "web")
		if !strings.Contains(out, "The push refers to repository ["+imagestest.Host+"/team/web]") {
			t.Errorf("push says %q", out)
		}
		files := imagestest.Files(t, w.Pull("team/web:7"))
		if files["base"] != "base\n" || files["token"] != "from-env-file" || files["who"] != "compose\n" {
			t.Errorf("files are %v", files)
		}
	})

	t.Run("build --push of a service of another profile, with an argument", func(t *testing.T) {
		d.t = t
		d.ok("compose", "-f", filepath.Join(d.dir, "compose.yaml"), "build", "--push", "--build-arg", "X=1", "debug")
		w.Pull("team/debug:1")
	})

	t.Run("config", func(t *testing.T) {
		d.t = t
		for args, want := range map[string]string{
			"config --services": "db\nweb\n", "--profile debug config --services": "db\ndebug\nweb\n", "config --profiles": "debug\nnever\n",
			"config --images": imagestest.Host + "/mirror/docker.io/library/busybox:1\n" + imagestest.Host + "/team/web:7\n", "config -q": "", "config --images web": imagestest.Host + "/team/web:7\n",
		} {
			if out, _ := d.ok(append([]string{"compose"}, strings.Fields(args)...)...); out != want {
				t.Errorf("compose %s: %q, want %q", args, out, want)
			}
		}
		out, _ := d.ok("compose", "config", "--format", "json")
		var got struct {
			Name     string
			Services map[string]struct {
				Image string
				Build struct{ Context string }
			}
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if got.Name != "shop" || got.Services["web"].Image != imagestest.Host+"/team/web:7" || got.Services["web"].Build.Context != filepath.Join(d.dir, "web") {
			t.Errorf("config is %s", out)
		}
		out, _ = d.ok("compose", "build", "--print")
		if !strings.Contains(out, `"base": "target:base"`) || strings.Contains(out, "debug") {
			t.Errorf("build --print is %s", out)
		}
	})
}
