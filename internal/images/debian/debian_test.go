package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway"
)

func build(t *testing.T, folder string, spec Spec) v1.Image {
	t.Helper()
	i, err := New(folder, func(m string) { t.Log(m) })
	if err != nil {
		t.Fatal(err)
	}
	image, err := i.Build(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func digest(t *testing.T, image v1.Image) string {
	t.Helper()
	d, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// Two folders, so two makings: the digest is the same, and what the library checks of an image holds.
func TestFilesImageIsReproducible(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("\x7fELF and so on"), 0o700); err != nil {
		t.Fatal(err)
	}
	spec := Static([]string{"/bin/program"}, File{Path: "/bin/program", Source: program}, File{Path: "/etc/conf", Content: []byte("x"), Mode: 0o600})
	folder := t.TempDir()
	first := build(t, folder, spec)
	if err := validate.Image(first); err != nil {
		t.Error(err)
	}
	if a, b := digest(t, first), digest(t, build(t, t.TempDir(), spec)); a != b {
		t.Errorf("made twice: %s and %s", a, b)
	}
	list, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(list) != 1 {
		t.Fatalf("cache %q, %v", list, err)
	}
	// A damaged cache is noticed.
	if err := os.Truncate(strings.TrimSuffix(list[0], ".json")+".tar.gz", 3); err != nil {
		t.Fatal(err)
	}
	if a, b := digest(t, first), digest(t, build(t, folder, spec)); a != b {
		t.Errorf("made again after damage: %s and %s", a, b)
	}
	if err := os.WriteFile(program, []byte("another"), 0o700); err != nil {
		t.Fatal(err)
	}
	if a, b := digest(t, first), digest(t, build(t, folder, spec)); a == b {
		t.Error("another program gave the same image")
	}
	_, err = filesLayer{{Path: "../x"}}.key(context.Background())
	if slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("a path outside: %v", err)
	}
}

// The Busybox image, unpacked by tar, runs.
func TestBusybox(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		t.Skip("needs apt-get and root")
	}
	image := build(t, t.TempDir(), BusyboxImage())
	if a, b := digest(t, image), digest(t, build(t, t.TempDir(), BusyboxImage())); a != b {
		t.Errorf("made twice: %s and %s", a, b)
	}
	root := unpack(t, image)
	cmd := exec.Command("chroot", root, "/bin/sh", "-c", "echo hello | sed s/hello/works/ && id -un && test -s /etc/ssl/certs/ca-certificates.crt && stat -c %a /tmp")
	cmd.Env = []string{"PATH=/bin:/usr/bin:/sbin"}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "works\nroot\n1777\n" {
		t.Errorf("%v: %q", err, out)
	}
}

// The Go image compiles and runs a program. Of the standard library it has what the program needs compiled, which is soon done.
func TestGolangCompiles(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		t.Skip("needs apt-get and root")
	}
	spec := Golang()
	spec.Layers[1] = toolchainLayer{library: "runtime"}
	image := build(t, t.TempDir(), spec)
	root := unpack(t, image)
	if _, err := os.Stat(filepath.Join(root, "usr/local/go/pkg", goTarget(), "runtime.a")); err != nil {
		t.Errorf("the library is not compiled: %v", err)
	}
	for name, content := range map[string]string{"go.mod": "module x\n", "main.go": "package main\n\nfunc main() { println(\"compiled\") }\n"} {
		if err := os.MkdirAll(filepath.Join(root, "w"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "w", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	// In a mount namespace of its own, whose /proc and /dev vanish with it.
	cmd := exec.Command("/usr/bin/unshare", "--mount", "/bin/sh", "-c",
		`mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec /usr/sbin/chroot "$0" /bin/sh -c "cd /w && go build -o p . && ./p && go version"`, root)
	cmd.Env = append(file.Config.Env, "HOME=/root", "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "compiled\ngo version "+runtime.Version()) {
		t.Errorf("%v: %s", err, out)
	}
}

func unpack(t *testing.T, image v1.Image) string {
	t.Helper()
	root := t.TempDir()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("tar", "-x", "-p", "-C", root)
		cmd.Stdin = r
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_ = r.Close()
	}
	return root
}

func TestPush(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	image := build(t, t.TempDir(), Static([]string{"/x"}, File{Path: "/x", Content: []byte("x")}))
	reference := strings.TrimPrefix(server.URL, "http://") + "/slipway/x:1"
	got, err := Push(context.Background(), image, reference, Credentials{})
	if err != nil || string(got) != digest(t, image) {
		t.Fatalf("%s, %v", got, err)
	}
	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	back, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back); err != nil || digest(t, back) != string(got) {
		t.Errorf("read back %s, %v", digest(t, back), err)
	}
	if _, err := Push(context.Background(), image, "Not A Reference", Credentials{}); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("a wrong reference: %v", err)
	}
}

// tarball writes a tar with GNU tar's order of things: hard links may point backwards only.
func tarball(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Linkname
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Linkname = int64(len(content)), ""
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = io.WriteString(w, content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// file is a regular file; Linkname carries its content to tarball.
func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content, Mode: 0o644}
}

func folder(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
}

func TestLayerHoldsTheDifference(t *testing.T) {
	t.Parallel()
	read := func(headers ...tar.Header) *tree {
		tr := newTree()
		if err := tr.readTar(tarball(t, headers...), wanted); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	before := read(folder("./"), folder("./etc/"), file("./etc/same", "1"), file("./etc/changed", "1"), file("./etc/gone", "1"),
		folder("./opt/"), folder("./opt/old/"), file("./opt/old/x", "1"))
	after := read(folder("./"), folder("./etc/"), file("./etc/same", "1"), file("./etc/changed", "2"), file("./etc/resolv.conf", "of this machine"),
		folder("./opt/"), folder("./usr/"), folder("./usr/bin/"), file("./usr/bin/perl5", "perl"),
		tar.Header{Typeflag: tar.TypeLink, Name: "./usr/bin/perl", Linkname: "./usr/bin/perl5"},
		file("./var/cache/apt/pkgcache.bin", "x"), file("./usr/share/doc/perl/README", "x"), file("./usr/share/doc/perl/copyright", "free"))
	delta, err := after.since(before)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := delta.writeTo(&b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		content, _ := io.ReadAll(r)
		got = append(got, string(h.Typeflag)+" "+h.Name+" "+h.Linkname+string(content))
	}
	want := []string{
		"5 etc/ ", "0 etc/.wh.gone ", "0 etc/changed 2",
		"0 opt/.wh.old ",
		"5 usr/ ", "5 usr/bin/ ", "0 usr/bin/perl perl", "1 usr/bin/perl5 usr/bin/perl", "0 usr/share/doc/perl/copyright free",
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

func TestTalkPassesProgressOn(t *testing.T) {
	t.Parallel()
	var got []string
	out := &talk{progress: func(line string) { got = append(got, line) }}
	for _, part := range []string{"I: extracting arch", "ives...\nSetting up git\nI: using /tmp/x as tempdir\nI: installing", " packages...\n"} {
		if _, err := out.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"extracting archives", "installing packages"}, got); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if !strings.Contains(out.all.String(), "Setting up git") {
		t.Error("what else it said is lost")
	}
}
