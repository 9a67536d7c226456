package tool

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/programtest"
)

// fakeMirror is an HTTP server that has the files of vendors' sites.
type fakeMirror struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte // by path, with the query
	fail  map[string]int    // how often a path answers 503 first
}

func newMirror(t *testing.T) *fakeMirror {
	t.Helper()
	m := &fakeMirror{files: map[string][]byte{}, fail: map[string]int{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		path := r.URL.RequestURI()
		if m.fail[path] > 0 {
			m.fail[path]--
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		body, ok := m.files[path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *fakeMirror) put(path string, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path] = body
}

func sha(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func sha5(body []byte) string {
	sum := sha512.Sum512(body)
	return hex.EncodeToString(sum[:])
}

// program is a program that says its version.
func program(says string) string { return "#!/bin/sh\necho '" + says + "'\n" }

// tarball is a .tar.gz of files; a name that ends in @ is a link to the text.
func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		h := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if link, ok := strings.CutSuffix(name, "@"); ok {
			h = &tar.Header{Name: link, Mode: 0o777, Linkname: text, Typeflag: tar.TypeSymlink}
			text = ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, mode os.FileMode, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(mode)
		to, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bench is an installer with folders of its own and nothing on PATH.
type bench struct {
	*Installer
	path string // a folder that is PATH
	mu   sync.Mutex
	log  []string
}

func newBench(t *testing.T, mirror *fakeMirror) *bench {
	t.Helper()
	root := t.TempDir()
	b := &bench{path: filepath.Join(root, "path")}
	if err := os.Mkdir(b.path, 0o755); err != nil {
		t.Fatal(err)
	}
	b.Installer = &Installer{Image: []string{filepath.Join(root, "image")}, Shared: filepath.Join(root, "shared"), Job: filepath.Join(root, "job"), Pause: time.Millisecond,
		Getenv: func(string) string { return "" }}
	b.Logf = func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.log = append(b.log, fmt.Sprintf(format, args...))
	}
	b.Mirror = func(string) string { return "" }
	if mirror != nil {
		b.Mirror = func(name string) string { return mirror.URL + "/" + name + "/" }
	}
	b.Look = func(name string) (string, error) {
		path := filepath.Join(b.path, name)
		_, err := os.Stat(path)
		return path, err
	}
	b.Output = func(ctx context.Context, env map[string]string, name string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = os.Environ()
		for key, value := range env {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	return b
}

func (b *bench) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.log, "\n")
}

// put writes a program.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := programtest.Write(path, text); err != nil {
		t.Fatal(err)
	}
}

// putCached puts a tool into a tool cache, in the layout of Azure's.
func putCached(t *testing.T, root, name, version, program, text string) {
	t.Helper()
	folder := filepath.Join(root, name, version, arch())
	put(t, filepath.Join(folder, program), text)
	put(t, folder+".complete", "")
}
