package goimage_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/goimage"
	"slipway/internal/images/imagestest"
	"slipway/internal/images/progress"
)

func TestGoImage(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	// Without an import: the test does not compile the standard library of another processor.
	module := w.Folder(map[string]string{"go.mod": "module example\n\ngo 1.26\n", "cmd/app/main.go": "package main\n\nfunc main() { println(\"hello\") }\n", "lib/lib.go": "package lib\n",
		"cmd/bad/main.go": "package main\n\nfunc main() { frobnicate() }\n"})
	o, done, err := goimage.Prepare(t.Context(), goimage.Options{Dir: module, Package: "./cmd/app", Base: "busybox:1", Platforms: []string{"linux/amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	o.Tags, o.Push = []string{imagestest.Host + "/team/go:1"}, true
	if _, _, err := w.BuildFolder(o); err != nil {
		t.Fatal(err)
	}
	img := w.Pull("team/go:1")
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/app/app"}, config.Config.Entrypoint); diff != "" {
		t.Errorf("entry point (-want +got):\n%s", diff)
	}
	if files := imagestest.Files(t, img); !strings.HasPrefix(files["app/app"], "\x7fELF") || files["bin/busybox"] == "" {
		t.Error("the image does not hold the program on its base")
	}
	// The program runs on the base: a Dockerfile from it says so.
	_, events, err := w.Build(map[string]string{"Dockerfile": "FROM " + imagestest.Host + "/team/go:1\nRUN app\n"}, images.Options{})
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, e := range events {
		if e.Kind == progress.EventLog {
			said += e.Line
		}
	}
	if said != "hello" {
		t.Errorf("the program said %q", said)
	}

	for pkg, want := range map[string]string{"./cmd/none": "no folder of a Go program", "./lib": "package main", "./cmd/bad": "undefined: frobnicate"} {
		if _, _, err := goimage.Prepare(t.Context(), goimage.Options{Dir: module, Package: pkg}); slipway.CodeOf(err) == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", pkg, err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "goimage-*", "linux", "*", "bad")); err != nil || len(left) > 0 {
		t.Errorf("a folder of a program that did not compile is left: %q (%v)", left, err)
	}
}

// Settings are read from ko's file (ko.build, "Configuration"), and the same source makes the same image.
func TestGoImageSettings(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	files := map[string]string{
		"go.mod": "module example\n\ngo 1.26\n", "cmd/app/main.go": "package main\n\nvar version = \"none\"\n\nfunc main() { println(version, tagged) }\n",
		"cmd/app/tag.go": "//go:build special\n\npackage main\n\nconst tagged = true\n", "cmd/app/kodata/hello.txt": "hello",
		".ko.yaml": "defaultBaseImage: scratch\nbaseImageOverrides:\n  example/cmd/app: busybox:1\ndefaultPlatforms: [linux/amd64]\ndefaultLdflags: [-X main.version=other]\n" +
			"builds:\n- id: app\n  main: ./cmd/app\n  env: [GOFLAGS=-tags=special]\n  ldflags: [\"-s\", \"-w\", \"-X main.version={{.Env.PATH}}\"]\n",
	}
	var digests []string
	for _, tag := range []string{"1", "2"} {
		o, done, err := goimage.Prepare(t.Context(), goimage.Options{Dir: w.Folder(files), Package: "./cmd/app"})
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		o.Tags, o.Push, o.NoCache = []string{imagestest.Host + "/team/ko:" + tag}, true, true
		result, _, err := w.BuildFolder(o)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, string(result.Digest))
	}
	if digests[0] != digests[1] {
		t.Errorf("the same source made the images %s", digests)
	}
	img := w.Pull("team/ko:1")
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Created.Unix() != 0 || !slices.Contains(config.Config.Env, "KO_DATA_PATH=/var/run/ko") {
		t.Errorf("configuration is %+v", config)
	}
	if got := imagestest.Files(t, img); got["var/run/ko/hello.txt"] != "hello" || got["bin/busybox"] == "" {
		t.Error("the image does not hold its data on the base of the settings")
	}
	_, events, err := w.Build(map[string]string{"Dockerfile": "FROM " + imagestest.Host + "/team/ko:1\nRUN app\n"}, images.Options{})
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, e := range events {
		if e.Kind == progress.EventLog {
			said += e.Line
		}
	}
	if want := os.Getenv("PATH") + " true"; said != want {
		t.Errorf("the program said %q, want %q", said, want)
	}
	for text, want := range map[string]string{"frobnicate: 1\n": "frobnicate", "defaultPlatforms: [all]\n": "list the platforms", "defaultLdflags: [\"{{.Git.Colour}}\"]\n": ".Git.Branch"} {
		files[".ko.yaml"] = text
		if _, _, err := goimage.Prepare(t.Context(), goimage.Options{Dir: w.Folder(files), Package: "./cmd/app"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}
