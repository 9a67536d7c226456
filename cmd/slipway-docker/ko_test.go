package main

import (
	"crypto/md5"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images/imagestest"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"slipway/internal/programtest"
)

// koRepository is what repositories that use ko have: programs of two modules, data with a link, settings, and manifests with ko://.
func koRepository(t *testing.T, w *imagestest.World) string {
	dir := w.Folder(map[string]string{
		"go.mod": "module example.com/App\n\ngo 1.26\n", "cmd/web/main.go": "package main\n\nfunc main() { println(\"web\") }\n", "lib/lib.go": "package lib\n",
		"tools/go.mod": "module example.com/tools\n\ngo 1.26\n", "tools/job/main.go": "package main\n\nfunc main() { println(\"job\") }\n", "VERSION": "7",
		".ko.yaml":         "defaultBaseImage: busybox:1\nbuilds:\n- id: job\n  dir: tools\n  main: ./job\n",
		"config/web.yaml":  "# kept\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  labels: {part: web}\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        image: ko://example.com/App/cmd/web # the program\n        env: [{name: SELF, value: ko://example.com/App/cmd/web}]\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n",
		"config/job.yml":   "kind: Job\nspec: {template: {spec: {containers: [{image: \"ko://example.com/tools/job\"}]}}}\n",
		"config/README.md": "ko://not/a/manifest\n",
	})
	data := filepath.Join(dir, "cmd", "web", "kodata")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../VERSION", filepath.Join(data, "VERSION")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestKo(t *testing.T) {
	t.Parallel()
	w, d := newDockerJob(t)
	d.dir = koRepository(t, w)
	d.env["KO_DOCKER_REPO"] = imagestest.Host + "/team"
	refs := filepath.Join(t.TempDir(), "refs")
	out, log, code := d.as("ko", "build", "-B", "--sbom=none", "-t", "latest,v1", "--image-refs", refs, "--image-label", "a=b", "./cmd/web")
	if code != 0 {
		t.Fatalf("ko build ended with %d: %s", code, log)
	}
	image := w.Pull("team/web:v1")
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if want := imagestest.Host + "/team/web@" + digest.String() + "\n"; out != want || readFile(t, refs) != want {
		t.Errorf("ko build says %q and %q, want %q", out, readFile(t, refs), want)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if files := imagestest.Files(t, image); files["var/run/ko/VERSION"] != "7" || files["bin/busybox"] == "" || !strings.HasPrefix(files["ko-app/web"], "\x7fELF") {
		t.Error("the image does not hold its program and its data on the base of the settings")
	}
	if diff := cmp.Diff([]string{"/ko-app/web"}, config.Config.Entrypoint); diff != "" || config.Config.Labels["a"] != "b" {
		t.Errorf("configuration (-want +got):\n%s%v", diff, config.Config.Labels)
	}

	// The names are those that ko gives: the repository, the last part of the import path, and the MD5 sum of the path.
	name := func(importPath string) string {
		sum := md5.Sum([]byte(importPath))
		return "/" + filepath.Base(importPath) + "-" + hex.EncodeToString(sum[:])
	}
	out, log, code = d.as("ko", "resolve", "-f", "config", "--tags", "v2", "--platform=linux/amd64")
	if code != 0 {
		t.Fatalf("ko resolve ended with %d: %s", code, log)
	}
	var got []map[string]any
	for decoder := yaml.NewDecoder(strings.NewReader(out)); ; {
		var one map[string]any
		if decoder.Decode(&one) != nil {
			break
		}
		got = append(got, one)
	}
	digestOf := func(repository string) string {
		h, err := w.Pull(repository + ":v2").Digest()
		if err != nil {
			t.Fatal(err)
		}
		return imagestest.Host + "/" + repository + ":v2@" + h.String()
	}
	web, job := digestOf("team"+name("example.com/app/cmd/web")), digestOf("team"+name("example.com/tools/job"))
	if len(got) != 3 || strings.Count(out, web) != 2 || strings.Count(out, job) != 1 || strings.Contains(out, "ko://") || !strings.Contains(out, "# kept") {
		t.Errorf("ko resolve says\n%s\nwant %s and %s", out, web, job)
	}

	for args, want := range map[string]string{
		"build ./lib": "name a package main", "build example.com/none/x": "go does not find", "build -L ./cmd/web": "no engine to load into", "build --sbom=cyclonedx .": "spdx or none",
		"resolve": "-f FILE", "resolve -f none.yaml": "none.yaml", "resolve -f https://host/x.yaml": "fetch the file", "resolve -f config x": "come after --", "run ./cmd/web": "it knows build",
		"build --tag-only -t a,b ./cmd/web": "exactly one tag",
	} {
		if out, log, code := d.as("ko", strings.Fields(args)...); code == 0 || !strings.Contains(log, want) {
			t.Errorf("ko %s: ended with %d: %s%s", args, code, out, log)
		}
	}
}

// ko apply gives what it has resolved to kubectl, whose exit code it has.
func TestKoApply(t *testing.T) {
	bin := t.TempDir()
	if err := programtest.Write(filepath.Join(bin, "kubectl"), "#!/bin/sh\necho \"kubectl $*\"\nexec 3<&0\ntest \"$1\" = delete || grep name: <&3\nexit 3\n"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	d := newDocker(t)
	d.stdin = "kind: ConfigMap\nmetadata: {name: a, labels: {part: web}}\n---\nkind: ConfigMap\nmetadata: {name: b}\n"
	if out, log, code := d.as("ko", "apply", "-l", "part=web", "-f", "-", "--", "--namespace", "shop"); code != 3 || out != "kubectl apply -f - --namespace shop\nmetadata: {name: a, labels: {part: web}}\n" {
		t.Errorf("ko apply ended with %d: %q %s", code, out, log)
	}
	if out, log, code := d.as("ko", "delete", "-f", "x.yaml"); code != 3 || out != "kubectl delete -f x.yaml\n" {
		t.Errorf("ko delete ended with %d: %q %s", code, out, log)
	}
}
