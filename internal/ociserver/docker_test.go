package ociserver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// The programs of Debian's package docker.io.
const (
	dockerClient = "/usr/bin/docker"
	dockerEngine = "/usr/sbin/dockerd"
)

// engineStart gives the engine a /run, a /etc/docker and a /proc of its own, so that it finds no other engine or containerd and leaves nothing.
const engineStart = `mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/docker && exec "$@"`

// said is what a program has written so far.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.WriteString(line + "\n")
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// docker starts Docker's engine, which needs root, and gives its client. The engine has neither a bridge nor rules for the firewall.
func (w *world) docker(t *testing.T) client {
	t.Helper()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	if err := os.WriteFile(at("daemon.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	group := fmt.Sprintf("/slipway-docker-%d", os.Getpid())
	cmd := exec.Command("sh", "-ec", engineStart, "sh", dockerEngine, "--host=unix://"+at("docker.sock"), "--config-file="+at("daemon.json"), "--data-root="+at("data"),
		"--exec-root="+at("exec"), "--pidfile="+at("pid"), "--cgroup-parent="+group,
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	// The first process of a space of processes takes all others with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	output, input := io.Pipe()
	cmd.Stdout, cmd.Stderr = input, input
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Docker's engine, which the package docker.io has: %v", err)
	}
	log, listening, ended := &said{}, make(chan struct{}), make(chan error, 1)
	go func() {
		lines, open := bufio.NewScanner(output), true
		for lines.Scan() {
			log.add(lines.Text())
			if open && strings.Contains(lines.Text(), "API listen on") {
				close(listening)
				open = false
			}
		}
	}()
	go func() {
		ended <- cmd.Wait()
		input.Close()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-ended
		removeGroups(group)
	})
	select {
	case <-listening:
	case err := <-ended:
		ended <- err
		t.Fatalf("Docker's engine ended: %v\n%s", err, log)
	case <-t.Context().Done():
		t.Fatalf("Docker's engine does not listen:\n%s", log)
	}
	return w.client(t, dockerClient, "DOCKER_HOST=unix://"+at("docker.sock"))
}

// removeGroups removes the control groups that the engine made for its containers, which are gone.
func removeGroups(name string) {
	hierarchies, _ := filepath.Glob("/sys/fs/cgroup/*" + name)
	for _, top := range append(hierarchies, "/sys/fs/cgroup"+name) {
		var all []string
		_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for i := len(all) - 1; i >= 0; i-- {
			_ = syscall.Rmdir(all[i])
		}
	}
}

// refused runs a command that must fail with all of the texts.
func (c client) refused(texts []string, args ...string) {
	c.Helper()
	out, err := c.try(args...)
	if err == nil {
		c.Errorf("%s %s succeeded:\n%s", filepath.Base(c.program), strings.Join(args, " "), out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			c.Errorf("%s %s: want %q in\n%s", filepath.Base(c.program), strings.Join(args, " "), text, out)
		}
	}
}

// context makes a folder for a build: an image of the shell that Debian's busybox-static is.
func (c client) context(greeting string) {
	c.Helper()
	shell, err := os.ReadFile("/bin/busybox")
	if err != nil {
		c.Fatal(err)
	}
	for name, content := range map[string]string{"busybox": string(shell), "greeting": greeting,
		"Dockerfile": "FROM scratch\nCOPY busybox /bin/sh\nCOPY greeting /greeting\nCMD [\"/bin/sh\", \"-c\", \"echo the image says $(cat /greeting)\"]\n"} {
		if err := os.WriteFile(filepath.Join(c.home, name), []byte(content), 0o755); err != nil {
			c.Fatal(err)
		}
	}
}

func (c client) inspect(format, image string) string {
	c.Helper()
	return c.run("image", "inspect", "--format", format, image)
}

// Docker's own client and engine sign in, build, push, pull, run and are refused what they may not.
func TestDocker(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	c := w.docker(t)
	web := w.host + "/shop/web"
	c.context("ahoy")
	c.refused([]string{"unauthorized"}, "login", "-u", "any", "-p", strings.Repeat("a", 52), w.host)
	if got := c.run("login", "-u", "any", "-p", w.admin, w.host); !strings.Contains(got, "Login Succeeded") {
		t.Errorf("login: %s", got)
	}
	c.run("build", "-q", "-t", web+":v1", ".")
	c.run("push", web+":v1")
	pushed, err := remote.Get(w.ref("shop/web:v1"), w.as())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.inspect("{{index .RepoDigests 0}}", web+":v1"); got != web+"@"+pushed.Digest.String() {
		t.Errorf("docker names the image %s, the registry %s", got, pushed.Digest)
	}
	c.run("tag", web+":v1", web+":v2")
	c.run("push", "--all-tags", web)
	for _, name := range []string{web + ":v2", web + "@" + pushed.Digest.String()} {
		c.run("rmi", "-f", c.inspect("{{.Id}}", web+":v1"))
		if got := c.run("pull", name); !strings.Contains(got, "Digest: "+pushed.Digest.String()) {
			t.Errorf("pull %s: %s", name, got)
		}
		c.run("tag", name, web+":v1")
	}
	if got := c.run("run", "--rm", "--network=none", web+":v1"); got != "the image says ahoy" {
		t.Errorf("the image that was pulled says %q", got)
	}
	t.Run("builds of BuildKit", func(t *testing.T) { dockerBuildKit(t, w, c) })
	t.Run("manifests", func(t *testing.T) { dockerManifests(t, w, c) })
	t.Run("refusals", func(t *testing.T) { dockerRefusals(t, w, c) })
	t.Run("a job's token", func(t *testing.T) { dockerJob(t, w, c) })
	t.Run("without a login", func(t *testing.T) { dockerAnonymous(t, w, c) })
}

// The engine's BuildKit takes its base from the registry, with the client's login.
func dockerBuildKit(t *testing.T, w *world, c client) {
	c.TB = t
	c.env = append(c.env, "DOCKER_BUILDKIT=1")
	base, derived := w.host+"/shop/web:v1", w.host+"/shop/derived:v1"
	c.run("rmi", "-f", c.inspect("{{.Id}}", base))
	c.file("Derived", "FROM "+base+"\nCOPY greeting /other\n")
	c.run("build", "--pull", "--progress=plain", "-f", "Derived", "-t", derived, ".")
	c.run("push", "-q", derived)
	var layers []string
	if err := json.Unmarshal([]byte(c.inspect("{{json .RootFS.Layers}}", derived)), &layers); err != nil || len(layers) != 3 {
		t.Errorf("layers %v, %v, want the base's two and one", layers, err)
	}
	image, err := remote.Image(w.ref("shop/derived:v1"), w.as())
	if err != nil {
		t.Fatal(err)
	}
	w.pull("shop/derived:v1", image)
	c.run("pull", base)
}

// Docker makes a list of images, pushes it and shows it.
func dockerManifests(t *testing.T, w *world, c client) {
	c.TB = t
	list := w.host + "/shop/web:all"
	c.run("manifest", "create", "--insecure", list, w.host+"/shop/web:v1")
	c.run("manifest", "annotate", "--os", "linux", "--arch", "arm64", list, w.host+"/shop/web:v1")
	d := c.run("manifest", "push", "--insecure", "--purge", list)
	if got, err := remote.Get(w.ref("shop/web:all"), w.as()); err != nil || got.Digest.String() != d {
		t.Errorf("pushed %s, the registry has %v (%v)", d, got, err)
	}
	if got := c.run("manifest", "inspect", "--insecure", list); !strings.Contains(got, `"architecture": "arm64"`) {
		t.Errorf("the list reads\n%s", got)
	}
	c.refused([]string{"no such manifest"}, "manifest", "inspect", "--insecure", w.host+"/shop/web:none")
}

// What the registry refuses is said in docker's output.
func dockerRefusals(t *testing.T, w *world, c client) {
	c.TB = t
	tag, full := w.host+"/shop/web:v1", w.host+"/shop/full:v1"
	settings := registry.Settings{Immutable: []string{"v*"}}
	if err := w.registry.SetProjectSettings(t.Context(), w.project.ID, settings, slipway.System); err != nil {
		t.Fatal(err)
	}
	c.run("push", tag) // the same again
	c.context("avast")
	c.run("build", "-q", "-t", tag, "-t", full, ".")
	c.refused([]string{"denied", "immutable"}, "push", tag)
	settings = registry.Settings{Quota: registry.Quota{Bytes: 1000}}
	if err := w.registry.SetProjectSettings(t.Context(), w.project.ID, settings, slipway.System); err != nil {
		t.Fatal(err)
	}
	c.refused([]string{"denied", "quota"}, "push", full)
	if err := w.registry.SetProjectSettings(t.Context(), w.project.ID, registry.Settings{}, slipway.System); err != nil {
		t.Fatal(err)
	}
	c.refused([]string{"not found"}, "pull", w.host+"/shop/none:v1")
	c.run("push", full)
}

// A job that has Docker's own client, and an engine elsewhere, signs in with its token, which is good for its project.
func dockerJob(t *testing.T, w *world, c client) {
	c.TB = t
	w.newProject("other")
	token := w.token(identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7"}, Project: w.project.ID, Binding: identity.Binding{Run: 3, Job: 7}})
	own, other := w.host+"/shop/job:1", w.host+"/other/job:1"
	c.run("tag", w.host+"/shop/full:v1", own)
	c.run("tag", w.host+"/shop/full:v1", other)
	c.run("login", "-u", "job", "-p", token, w.host)
	c.run("push", own)
	c.refused([]string{"denied", "a job's token is good for its own project alone"}, "push", other)
	m, err := w.registry.Manifests(t.Context(), registry.Filter{Run: 3})
	if err != nil || len(m) != 1 || m[0].Repository != "shop/job" {
		t.Errorf("pushed by the run: %+v, %v", m, err)
	}
}

// After a logout what is public can be pulled, and nothing else.
func dockerAnonymous(t *testing.T, w *world, c client) {
	c.TB = t
	c.run("logout", w.host)
	repo, err := w.registry.Repository(t.Context(), "shop/derived")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.registry.SetPublic(t.Context(), repo, true, slipway.System); err != nil {
		t.Fatal(err)
	}
	c.run("rmi", "-f", w.host+"/shop/derived:v1")
	c.run("pull", w.host+"/shop/derived:v1")
	c.refused([]string{"unauthorized"}, "push", w.host+"/shop/derived:v1")
	c.run("rmi", "-f", w.host+"/shop/web:v1")
	c.refused([]string{"unauthorized"}, "pull", w.host+"/shop/web:v1")
	if got := c.run("search", "--format", "{{.Name}}", w.host+"/shop"); got != "shop/derived" {
		t.Errorf("docker finds %q, want what is public", got)
	}
}
