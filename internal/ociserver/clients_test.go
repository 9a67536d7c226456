package ociserver_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// orasTool is the registry client of the OCI's artifacts.
const orasTool = "oras.land/oras/cmd/oras@v1.3.6"

// client runs a program of others in a home of its own.
type client struct {
	testing.TB
	program string
	home    string
	env     []string
}

func (w *world) client(t *testing.T, program string, env ...string) client {
	t.Helper()
	home := t.TempDir()
	return client{t, program, home, append([]string{"HOME=" + home, "DOCKER_CONFIG=" + home, "XDG_RUNTIME_DIR=" + home, "REGISTRY_AUTH_FILE=" + home + "/auth.json"}, env...)}
}

func (c client) try(args ...string) (string, error) {
	cmd := exec.CommandContext(c.TB.(*testing.T).Context(), c.program, args...)
	cmd.Dir = c.home
	cmd.Env = append(os.Environ(), c.env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run runs it and gives what it printed.
func (c client) run(args ...string) string {
	c.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.Fatalf("%s %s: %v\n%s", filepath.Base(c.program), strings.Join(args, " "), err, out)
	}
	return out
}

func (c client) file(name, text string) string {
	c.Helper()
	path := filepath.Join(c.home, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	return name
}

// oras pushes artifacts, attaches others to them and finds those again.
func TestOras(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	c := w.client(t, goInstall(t, orasTool, "oras"))
	ref := w.host + "/shop/notes:v1"
	c.run("login", "--plain-http", "-u", "any", "-p", w.admin, w.host)
	c.run("push", "--plain-http", "--artifact-type", "application/vnd.example.notes", ref, c.file("notes.txt", "hello")+":text/plain")
	c.run("attach", "--plain-http", "--artifact-type", "application/vnd.example.sbom", ref, c.file("sbom.json", "{}")+":application/json")
	if got := c.run("discover", "--plain-http", "--format", "json", ref); strings.Count(got, "application/vnd.example.sbom") != 1 {
		t.Errorf("discover: %s", got)
	}
	if got := c.run("discover", "--plain-http", "--artifact-type", "application/vnd.example.none", "--format", "json", ref); strings.Contains(got, "vnd.example.sbom") {
		t.Errorf("discover of another type: %s", got)
	}
	c.run("tag", "--plain-http", ref, "v2")
	if got := c.run("repo", "tags", "--plain-http", w.host+"/shop/notes"); got != "v1\nv2" {
		t.Errorf("tags: %q", got)
	}
	c.run("cp", "-r", "--from-plain-http", "--to-plain-http", ref, w.host+"/shop/copied:v1")
	if got := c.run("discover", "--plain-http", "--format", "json", w.host+"/shop/copied:v1"); !strings.Contains(got, "application/vnd.example.sbom") {
		t.Errorf("what is about the copy: %s", got)
	}
	c.run("pull", "--plain-http", "-o", "out", w.host+"/shop/copied:v1")
	if b, err := os.ReadFile(filepath.Join(c.home, "out", "notes.txt")); err != nil || string(b) != "hello" {
		t.Errorf("pulled %q, %v", b, err)
	}
	if got := c.run("repo", "ls", "--plain-http", w.host); got != "shop/copied\nshop/notes" {
		t.Errorf("repositories: %q", got)
	}
	digest := c.run("resolve", "--plain-http", ref)
	c.run("manifest", "delete", "--plain-http", "-f", w.host+"/shop/notes@"+digest)
	if out, err := c.try("pull", "--plain-http", ref); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("pull after the deletion: %v %s", err, out)
	}
}

// skopeo copies in, between repositories and out, and deletes.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	c := w.client(t, "skopeo")
	image := w.push("shop/web:v1")
	c.run("login", "--tls-verify=false", "-u", "any", "-p", w.admin, w.host)
	web, api := "docker://"+w.host+"/shop/web", "docker://"+w.host+"/shop/api"
	c.run("copy", "--src-tls-verify=false", "--dest-tls-verify=false", web+":v1", api+":v1")
	c.run("copy", "--src-tls-verify=false", api+":v1", "oci:layout:v1")
	c.run("copy", "--dest-tls-verify=false", "oci:layout:v1", api+":oci")
	var info struct {
		Digest   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal([]byte(c.run("inspect", "--tls-verify=false", api+":v1")), &info); err != nil {
		t.Fatal(err)
	}
	if d, _ := image.Digest(); info.Digest != d.String() || strings.Join(info.RepoTags, " ") != "oci v1" || len(info.Layers) != 2 {
		t.Errorf("%+v", info)
	}
	if got := c.run("list-tags", "--tls-verify=false", api); !strings.Contains(got, `"oci"`) || !strings.Contains(got, `"v1"`) {
		t.Errorf("tags: %s", got)
	}
	c.run("sync", "--src", "docker", "--dest", "dir", "--src-tls-verify=false", w.host+"/shop/api", "synced")
	c.run("delete", "--tls-verify=false", api+":v1")
	if out, err := c.try("inspect", "--tls-verify=false", api+":v1"); err == nil || !strings.Contains(out, "manifest unknown") && !strings.Contains(out, "no manifest") {
		t.Errorf("inspect after the deletion: %v %s", err, out)
	}
	w.pull("shop/web:v1", image)
}

// podman signs in, pulls, tags, pushes and loads as docker does.
func TestPodman(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	c := w.client(t, "podman")
	image := w.push("shop/web:v1")
	podman := func(args ...string) string {
		t.Helper()
		return c.run(append([]string{"--root", filepath.Join(c.home, "root"), "--runroot", filepath.Join(c.home, "run"), "--storage-driver", "vfs"}, args...)...)
	}
	podman("login", "--tls-verify=false", "-u", "any", "-p", w.admin, w.host)
	podman("pull", "-q", "--tls-verify=false", w.host+"/shop/web:v1")
	podman("tag", w.host+"/shop/web:v1", w.host+"/shop/tagged:v2")
	podman("push", "-q", "--tls-verify=false", w.host+"/shop/tagged:v2")
	got, err := remote.Image(w.ref("shop/tagged:v2"), w.as())
	if err != nil {
		t.Fatal(err)
	}
	want, _ := image.ConfigName()
	if d, err := got.ConfigName(); err != nil || d != want {
		t.Errorf("pushed configuration %s, %v, want %s", d, err, want)
	}
	// It asks for the list with a token of no scope first, and for another when that is called too little.
	if list := podman("search", "--tls-verify=false", w.host+"/tagged"); !strings.Contains(list, w.host+"/shop/tagged") || strings.Contains(list, "shop/web") {
		t.Errorf("search: %s", list)
	}
	podman("logout", w.host)
	if out, err := c.try("--root", filepath.Join(c.home, "root"), "--runroot", filepath.Join(c.home, "run"), "--storage-driver", "vfs", "pull", "--tls-verify=false", w.host+"/shop/tagged:v2"); err == nil {
		t.Errorf("a pull of nobody: %s", out)
	}
}
