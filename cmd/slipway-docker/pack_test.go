package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images/imagestest"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// inStep lets the tests' program be what it is called in a build step: the relay, and the fake lifecycle behind it.
func inStep() {
	switch filepath.Base(os.Args[0]) {
	case relayName:
		main()
	case "creator":
		if err := fakeCreator(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "fake creator:", err)
			os.Exit(51)
		}
		os.Exit(0)
	}
}

// fakeCreator does of the lifecycle's creator what the platform has to do with (buildpacks' platform specification, "creator"): it reads the
// application, the platform's folder, the cache and the run image, and pushes an image of the name that it is given.
func fakeCreator(args []string) error {
	flags := map[string][]string{}
	for _, a := range args[:len(args)-1] {
		key, value, _ := strings.Cut(a, "=")
		flags[key] = append(flags[key], value)
	}
	labels := map[string]string{"api": os.Getenv("CNB_PLATFORM_API"), "uid": flags["-uid"][0], "process": strings.Join(flags["-process-type"], "")}
	for label, path := range map[string]string{"app": "/workspace/app.txt", "ignored": "/workspace/ignored.txt", "kept": "/workspace/kept.txt", "variable": "/platform/env/COLOUR", "project": "/platform/env/OF_PROJECT", "cached": "/cache/before",
		"order": "/platform/order.toml"} {
		b, err := os.ReadFile(path)
		if err == nil {
			labels[label] = string(b)
		}
	}
	if err := os.WriteFile("/cache/before", []byte("yes"), 0o600); err != nil {
		return err
	}
	if auth := os.Getenv("CNB_REGISTRY_AUTH"); strings.Contains(auth, "secret-token") {
		return fmt.Errorf("the job's token is in the step: %s", auth)
	}
	base, err := name.ParseReference(flags["-run-image"][0])
	if err != nil {
		return err
	}
	run, err := remote.Image(base)
	if err != nil {
		return err
	}
	config, err := run.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.Config.Labels = labels
	image, err := mutate.ConfigFile(run, config)
	if err != nil {
		return err
	}
	for _, to := range append(flags["-tag"], args[len(args)-1]) {
		ref, err := name.ParseReference(to)
		if err != nil {
			return err
		}
		if err := remote.Write(ref, image); err != nil {
			return err
		}
	}
	other, err := name.ParseReference(base.Context().RegistryStr() + "/team/other:1")
	if err != nil {
		return err
	}
	if err := remote.Write(other, empty.Image, remote.WithAuth(authn.Anonymous)); err == nil || !strings.Contains(err.Error(), "DENIED") {
		return fmt.Errorf("the step may write another image: %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	return os.WriteFile(flags["-report"][0], []byte("[image]\n  digest = \""+digest.String()+"\"\n"), 0o600)
}

// The builder image holds what the specification of platforms asks of one; its lifecycle is fake.
func TestPack(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{Protect: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/team/") }})
	d := newDocker(t)
	d.env["SLIPWAY_BUILDER_URL"], d.env["SLIPWAY_REGISTRY_HOST"], d.env["SLIPWAY_URL"], d.env["SLIPWAY_JOB_TOKEN"] = "unix://"+w.Socket, imagestest.Host, w.URL(), "secret-token"
	label, err := json.Marshal(map[string]any{"stack": map[string]any{"runImage": map[string]any{"image": imagestest.Host + "/team/run:1"}},
		"lifecycle": map[string]any{"apis": map[string]any{"platform": map[string]any{"supported": []string{"0.9", "0.12", "99"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := w.Folder(map[string]string{"run": "FROM busybox:1\nRUN echo run > /run.txt\n", "builder": "FROM busybox:1\nENV CNB_USER_ID=1001 CNB_GROUP_ID=1002\nLABEL io.buildpacks.builder.metadata=" +
		"'" + string(label) + "'\nCOPY creator /cnb/lifecycle/creator\nUSER 1001:1002\n"})
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Link(own, filepath.Join(dir, "creator")) != nil {
		if err := copyFile(own, filepath.Join(dir, "creator"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	host := imagestest.Host + "/team"
	d.ok("build", "-q", "--push", "-t", host+"/run:1", "-f", filepath.Join(dir, "run"), dir)
	d.ok("build", "-q", "--output", "type=image,push=true,compression=uncompressed", "-t", host+"/builder:1", "-f", filepath.Join(dir, "builder"), dir)
	d.dir = w.Folder(map[string]string{"app.txt": "the app", "ignored.txt": "x", "kept.txt": "kept", ".dockerignore": "kept.txt\n",
		"project.toml": "[_]\nschema-version = \"0.2\"\n[io.buildpacks]\nbuilder = \"" + host + "/builder:1\"\nexclude = [\"ignored.txt\"]\n[[io.buildpacks.build.env]]\nname = \"OF_PROJECT\"\nvalue = \"yes\"\n"})
	build := []string{"build", host + "/app:1", "--publish", "-e", "COLOUR=red", "-t", host + "/app:more", "--default-process", "web", "--buildpack", "example/shell@1.0"}
	for _, cached := range []string{"", "yes"} {
		out, log, code := d.as("pack", build...)
		if code != 0 {
			t.Fatalf("pack build ended with %d: %s", code, log)
		}
		image := w.Pull("team/app:more")
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"api": "0.12", "uid": "1001", "process": "web", "app": "the app", "kept": "kept", "variable": "red", "project": "yes",
			"order": "[[order]]\n[[order.group]]\nid = \"example/shell\"\nversion = \"1.0\"\n"}
		if cached != "" {
			want["cached"] = cached
		}
		if got := config.Config.Labels; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the lifecycle saw %v, want %v", got, want)
		}
		if !strings.Contains(out, "Digest: "+digest.String()) || imagestest.Files(t, image)["run.txt"] != "run\n" {
			t.Errorf("pack says %q, the image is %s", out, digest)
		}
	}
	for args, want := range map[string]string{
		"build x": "write --publish", "build --publish": "exactly one argument", "build x --publish --volume a:b": "--env", "build x --publish --interactive": "no terminal", "build x --publish -B busybox:1": "no CNB_USER_ID",
		"build x --publish -b https://host/x.tgz": "ID@VERSION", "build x --publish --path /none": "needs a builder image", "build x --publish --descriptor none.toml": "not there", "suggest": "it knows build",
	} {
		if out, log, code := d.as("pack", strings.Fields(args)...); code == 0 || !strings.Contains(log, want) {
			t.Errorf("pack %s: ended with %d: %s%s", args, code, out, log)
		}
	}
}
