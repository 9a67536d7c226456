// Package imagestest gives tests a running slipway-builder with a registry of its own. The
// programs come from SLIPWAY_BUILDER and SLIPWAY_RUNC, which `make test` sets.
package imagestest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"slipway/internal/images"
	"slipway/internal/images/progress"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// need gives a program named by the environment, which `make test` sets. On a laptop the test
// is skipped without it; in CI that is a failure.
func need(t testing.TB, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		Missing(t, "%s does not name the program", variable)
	}
	return path
}

// Missing skips a test that needs something of the machine; in CI it fails.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Host is the registry's name in images: nothing listens there, so only the builder's
// configuration can lead to the registry.
const Host = "registry.test:5000"

// What the protected part of the registry wants; a job's token comes with the same user.
const (
	user     = "job"
	password = "secret-token"
)

// World is one builder with its own state and registry.
type World struct {
	Dir     string    // the test's folder: state, socket, configuration
	Socket  string    // the builder's socket
	Command *exec.Cmd // the running builder, nil when it does not run

	t        testing.TB
	config   string
	registry *httptest.Server
	stderr   *bytes.Buffer
}

// Setup is what differs between worlds; the zero value is complete.
type Setup struct {
	// Protect says which requests need user job with password secret-token.
	Protect func(*http.Request) bool
	// Address is the registry's, 127.0.0.1 by default.
	Address string
	// Config is added to the builder's configuration.
	Config map[string]any
}

// New starts a registry, which holds library/busybox:1 in the mirror's folder, and a builder
// that knows both. They end with the test.
func New(t testing.TB, setup Setup) *World {
	t.Helper()
	need(t, "SLIPWAY_BUILDER")
	if os.Geteuid() != 0 {
		Missing(t, "the builder needs root")
	}
	backend := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	l, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(setup.Address, "127.0.0.1"), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if setup.Protect != nil && setup.Protect(r) && (u != user || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"sign in"}]}`, http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	w := &World{t: t, registry: server, Dir: t.TempDir()}
	w.Socket = filepath.Join(w.Dir, "builder.sock")
	w.pushBusybox()
	w.writeConfig(setup.Config)
	w.Start()
	t.Cleanup(func() {
		if w.Command != nil {
			w.Stop()
		}
	})
	return w
}

func (w *World) writeConfig(more map[string]any) {
	w.t.Helper()
	c := map[string]any{
		"state": filepath.Join(w.Dir, "state"), "socket": w.Socket, "runc": need(w.t, "SLIPWAY_RUNC"), "cacheBytes": 2 << 30,
		"registries": []any{
			map[string]any{"host": Host, "endpoint": w.registry.URL},
			map[string]any{"host": "docker.io", "mirrors": []string{Host + "/mirror/docker.io"}},
		},
	}
	for k, v := range more {
		c[k] = v
	}
	b, err := json.Marshal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.config = filepath.Join(w.Dir, "builder.json")
	if err := os.WriteFile(w.config, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// Start runs the builder and waits for its line.
func (w *World) Start() {
	w.t.Helper()
	w.stderr = &bytes.Buffer{}
	w.Command = exec.Command(need(w.t, "SLIPWAY_BUILDER"), "run", "--config", w.config)
	w.Command.Stderr = w.stderr
	out, err := w.Command.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Command.Start(); err != nil {
		w.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = w.Command.Wait()
		w.t.Fatalf("the builder ended before it was ready: %v\n%s", err, w.stderr)
	}
	var ready struct {
		Ready  bool
		Socket string
	}
	if err := json.Unmarshal([]byte(line), &ready); err != nil || !ready.Ready || ready.Socket != w.Socket {
		w.t.Fatalf("ready line is %q (%v)", line, err)
	}
}

// Stop ends the builder as the server does and checks that it says no error.
func (w *World) Stop() {
	w.t.Helper()
	if err := w.Command.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = w.Command.Process.Kill() })
	defer timer.Stop()
	if err := w.Command.Wait(); err != nil {
		w.t.Errorf("the builder's end: %v\n%s", err, w.stderr)
	}
	w.Command = nil
}

// Kill ends the builder with kill -9.
func (w *World) Kill() {
	w.t.Helper()
	if err := w.Command.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	_ = w.Command.Wait()
	w.Command = nil
}

// Build builds a folder of files and gives the events with the result.
func (w *World) Build(files map[string]string, o images.Options) (images.Result, []progress.Event, error) {
	w.t.Helper()
	o.ContextDir = w.Folder(files)
	return w.BuildFolder(o)
}

// URL is the registry's own address, where Host leads to.
func (w *World) URL() string { return w.registry.URL }

// Dial reaches the builder.
func (w *World) Dial() images.Dial { return images.DialSocket(w.Socket) }

// BuildFolder builds o.ContextDir.
func (w *World) BuildFolder(o images.Options) (images.Result, []progress.Event, error) {
	w.t.Helper()
	return w.BuildIn(images.Scope{}, o)
}

// BuildIn builds in a scope.
func (w *World) BuildIn(scope images.Scope, o images.Options) (images.Result, []progress.Event, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	var events []progress.Event
	result, err := images.Build(ctx, w.Dial().In(scope), o, func(e progress.Event) { events = append(events, e) })
	if err != nil {
		// A test that expected no error shows what the build said.
		for _, e := range events {
			w.t.Logf("%s %s %s", e.Kind, e.Name, e.Line)
		}
		w.t.Log(err)
	}
	return result, events, err
}

// Folder makes a folder of files.
func (w *World) Folder(files map[string]string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	return dir
}

// PullIndex reads an index back from the registry by another client.
func (w *World) PullIndex(image string) v1.ImageIndex {
	w.t.Helper()
	index, err := remote.Index(w.reference(image), remote.WithContext(w.t.Context()), remote.WithAuth(&authn.Basic{Username: user, Password: password}))
	if err != nil {
		w.t.Fatalf("pull %s: %v", image, err)
	}
	return index
}

func (w *World) reference(image string) name.Reference {
	w.t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(w.registry.URL, "http://") + "/" + image)
	if err != nil {
		w.t.Fatal(err)
	}
	return ref
}

// Pull reads an image back from the registry by another client.
func (w *World) Pull(image string) v1.Image {
	w.t.Helper()
	ref := w.reference(image)
	img, err := remote.Image(ref, remote.WithContext(w.t.Context()), remote.WithAuth(&authn.Basic{Username: user, Password: password}))
	if err != nil {
		w.t.Fatalf("pull %s: %v", image, err)
	}
	return img
}

// Files gives the regular files of an image with their text.
func Files(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	r := mutate.Extract(img)
	defer r.Close()
	out := map[string]string{}
	for tr := tar.NewReader(r); ; {
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
			out[h.Name] = string(b)
		}
	}
}

// busyboxImage is Debian's static busybox as an image, made once for all tests.
var busyboxImage = sync.OnceValues(func() (v1.Image, error) {
	binary, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	write := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		if e := tw.WriteHeader(&h); err == nil {
			err = e
		}
		if _, e := tw.Write(body); err == nil {
			err = e
		}
	}
	write(tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	write(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, binary)
	for _, applet := range []string{"sh", "cat", "echo", "date", "sleep", "wget", "ip", "ls", "nslookup", "true", "awk", "grep", "nc", "head", "tr", "touch", "wc", "df"} {
		write(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
	}
	if e := tw.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(img)},
		Config: v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"/bin/sh"}}})
})

func diffIDs(img v1.Image) []v1.Hash {
	c, err := img.ConfigFile()
	if err != nil {
		return nil
	}
	return c.RootFS.DiffIDs
}

func (w *World) pushBusybox() {
	w.t.Helper()
	img, err := busyboxImage()
	if err != nil {
		Missing(w.t, "a static busybox is needed (Debian: busybox-static): %v", err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(w.registry.URL, "http://") + "/mirror/docker.io/library/busybox:1")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(w.t.Context())); err != nil {
		w.t.Fatalf("push busybox: %v", err)
	}
}
