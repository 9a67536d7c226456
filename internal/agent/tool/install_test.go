package tool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func spec(t *testing.T, text string) Spec {
	t.Helper()
	s, err := ParseSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve puts what each vendor publishes on a mirror, in the layouts of go.dev/dl, nodejs.org/dist, python-build-standalone,
// api.adoptium.net, get.helm.sh, dl.k8s.io, releases.hashicorp.com and .NET's release-metadata.
func serve(t *testing.T, m *fakeMirror) {
	t.Helper()
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	goArchive := tarball(t, map[string]string{"go/bin/go": program("go version go1.22.3 linux/" + runtime.GOARCH), "go/VERSION": "go1.22.3"})
	goFile := "go1.22.3.linux-" + runtime.GOARCH + ".tar.gz"
	m.put("/go/"+goFile, goArchive)
	m.put("/go/?mode=json&include=all", fmt.Appendf(nil, `[{"version":"go1.23rc1","files":[]},
		{"version":"go1.22.3","stable":true,"files":[{"filename":"go1.22.3.src.tar.gz","os":"","arch":"","sha256":"00","kind":"source"},
			{"filename":%q,"os":"linux","arch":%q,"sha256":%q,"kind":"archive"}]}]`, goFile, runtime.GOARCH, sha(goArchive)))

	for _, version := range []string{"20.11.1", "21.7.0"} {
		name := "node-v" + version + "-linux-" + arch()
		archive := tarball(t, map[string]string{name + "/bin/node": program("v" + version), name + "/lib/node_modules/npm/cli.js": "", name + "/bin/npm@": "../lib/node_modules/npm/cli.js"})
		m.put("/node/v"+version+"/"+name+".tar.gz", archive)
		m.put("/node/v"+version+"/SHASUMS256.txt", []byte(strings.Repeat("0", 64)+"  node-v"+version+"-headers.tar.gz\n"+sha(archive)+"  "+name+".tar.gz\n"))
	}
	m.put("/node/index.json", fmt.Appendf(nil, `[{"version":"v21.7.0","files":["linux-%[1]s"],"lts":false},{"version":"v22.0.0","files":["win-x64"],"lts":false},
		{"version":"v20.11.1","files":["linux-%[1]s"],"lts":"Iron"}]`, arch()))

	python := tarball(t, map[string]string{"python/bin/python3.12": program("Python 3.12.4"), "python/bin/python3@": "python3.12", "python/bin/python@": "python3.12"})
	pythonName := "cpython-3.12.4+20240726-" + machine + "-unknown-linux-gnu-install_only.tar.gz"
	m.put("/python/"+strings.ReplaceAll(pythonName, "+", "%2B"), python)
	m.put("/python/SHA256SUMS", []byte(strings.Repeat("0", 64)+"  cpython-3.13.0b4+20240726-"+machine+"-unknown-linux-gnu-install_only.tar.gz\n"+sha(python)+"  "+pythonName+"\n"))

	jdk := tarball(t, map[string]string{"jdk-21.0.3+9/bin/java": program(`openjdk version "21.0.3" 2024-04-16 LTS`)})
	m.put("/jdk.tar.gz", jdk)
	m.put("/java/v3/assets/latest/21/hotspot?architecture="+map[string]string{"amd64": "x64", "arm64": "aarch64"}[runtime.GOARCH]+"&image_type=jdk&os=linux&vendor=eclipse",
		fmt.Appendf(nil, `[{"binary":{"package":{"checksum":%q,"link":%q,"name":"x"}},"version":{"openjdk_version":"21.0.3+9-LTS"}}]`, sha(jdk), m.URL+"/jdk.tar.gz"))

	helm := tarball(t, map[string]string{"linux-" + runtime.GOARCH + "/helm": program("v3.15.2+g1a500d5")})
	helmName := "helm-v3.15.2-linux-" + runtime.GOARCH + ".tar.gz"
	m.put("/helm/helm-latest-version", []byte("v3.15.2\n"))
	m.put("/helm/"+helmName, helm)
	m.put("/helm/"+helmName+".sha256sum", []byte(sha(helm)+"  "+helmName+"\n"))

	kubectl := []byte(program("Client Version: v1.29.6-dispatcher\nKustomize Version: v5.0.4"))
	m.put("/kubectl/release/stable.txt", []byte("v1.29.6"))
	m.put("/kubectl/release/stable-1.29.txt", []byte("v1.29.6"))
	m.put("/kubectl/release/v1.29.6/bin/linux/"+runtime.GOARCH+"/kubectl", kubectl)
	m.put("/kubectl/release/v1.29.6/bin/linux/"+runtime.GOARCH+"/kubectl.sha256", []byte(sha(kubectl)))

	terraform := zipped(t, 0o755, map[string]string{"terraform": program("Terraform v1.9.8"), "LICENSE.txt": "..."})
	m.put("/terraform/index.json", []byte(`{"name":"terraform","versions":{"1.9.8":{"version":"1.9.8"},"1.10.0-rc1":{"version":"1.10.0-rc1"},"1.5.7":{"version":"1.5.7"}}}`))
	m.put("/terraform/1.9.8/terraform_1.9.8_linux_"+runtime.GOARCH+".zip", terraform)
	m.put("/terraform/1.9.8/terraform_1.9.8_SHA256SUMS", []byte(sha(terraform)+"  terraform_1.9.8_linux_"+runtime.GOARCH+".zip\n"))
	serveDotNet(t, m)
}

func serveDotNet(t *testing.T, m *fakeMirror) {
	t.Helper()
	rid := "linux-" + arch()
	if _, err := os.Stat("/etc/alpine-release"); err == nil {
		rid = "linux-musl-" + arch()
	}
	sdk := tarball(t, map[string]string{"./dotnet": program("8.0.302 [/sdk]"), "./host/fxr/8.0.6/libhostfxr.so": ""})
	m.put("/dotnet/Sdk/8.0.302/dotnet-sdk-8.0.302-"+rid+".tar.gz", sdk)
	m.put("/dotnet/release-metadata/releases-index.json", []byte(`{"releases-index":[{"channel-version":"9.0","support-phase":"preview"},{"channel-version":"8.0","support-phase":"active"}]}`))
	m.put("/dotnet/release-metadata/8.0/releases.json", fmt.Appendf(nil, `{"releases":[{"sdk":{"version":"8.0.302","files":[]},"sdks":[{"version":"8.0.302","files":[
		{"name":"dotnet-sdk-%[1]s.zip","rid":%[1]q,"url":"https://vendor.invalid/x.zip","hash":"00"},
		{"name":"dotnet-sdk-%[1]s.tar.gz","rid":%[1]q,"url":"https://vendor.invalid/x.tar.gz","hash":%[2]q}]}],"runtime":{"version":"8.0.6","files":[]}}]}`, rid, strings.ToUpper(sha5(sdk))))
}

func TestDownload(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	serve(t, m)
	for _, c := range []struct {
		tool    *Tool
		spec    string
		version string
	}{
		{Go, "1.22", "1.22.3"},
		{Go, "1.22.3", "1.22.3"},
		{Node, "20.x", "20.11.1"},
		{Node, "20.11.1", "20.11.1"},
		{Node, "latest", "21.7.0"},
		{Node, "lts", "20.11.1"},
		{Node, "lts/iron", "20.11.1"},
		{Python, "3.x", "3.12.4"},
		{Helm, "latest", "3.15.2"},
		{Helm, "3.15.2", "3.15.2"},
		{Kubectl, "latest", "1.29.6"},
		{Kubectl, "1.29", "1.29.6"},
		{Kubectl, "v1.29.6", "1.29.6"},
		{Terraform, "latest", "1.9.8"},
		{Terraform, "~1.9", "1.9.8"},
		{DotNetSDK, "8.x", "8.0.302"},
		{DotNetSDK, "8.0.302", "8.0.302"},
	} {
		t.Run(c.tool.Title+" "+c.spec, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, m)
			found, err := b.Use(t.Context(), c.tool, spec(t, c.spec), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if found.Version.String() != c.version {
				t.Errorf("version %s, want %s", found.Version, c.version)
			}
			if info, err := os.Stat(found.Program); err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("program %s: %v, %v", found.Program, info, err)
			}
			if !strings.HasPrefix(found.Folder, b.Job) && c.tool.private || !strings.HasPrefix(found.Folder, b.Shared) && !c.tool.private {
				t.Errorf("folder %s", found.Folder)
			}
			if left, err := filepath.Glob(filepath.Join(b.Shared, ".install-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			// The next job downloads nothing.
			if _, err := b.Use(t.Context(), c.tool, only(c.spec, found.Version), Options{Offline: true}); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// Java is apart: the machine of the test may have one in a place that is searched.
func TestJavaDownload(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	serve(t, m)
	b := newBench(t, m)
	want, err := ParseJava("21")
	if err != nil {
		t.Fatal(err)
	}
	r, err := javaRelease(t.Context(), b.Installer, m.URL+"/java", want)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.install(t.Context(), Java, r)
	if err != nil || c.Version.String() != "21.0.3" {
		t.Fatalf("%v, %v", c, err)
	}
	if _, err := os.Stat(filepath.Join(c.Folder, "bin", "java")); err != nil {
		t.Error(err)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	serve(t, m)
	b := newBench(t, m)
	use := func(text string, o Options) string {
		t.Helper()
		c, err := b.Use(t.Context(), Node, spec(t, text), o)
		if err != nil {
			return err.Error()
		}
		return c.Version.String() + " of " + string(c.Origin)
	}
	if got := use("20.x", Options{Offline: true}); !strings.Contains(got, "the task allows no download") {
		t.Errorf("nothing there: %s", got)
	}
	put(t, filepath.Join(b.path, "node"), program("v20.1.0"))
	putCached(t, b.Shared, "node", "20.2.0", "bin/node", program("v20.2.0"))
	putCached(t, b.Image[0], "node", "20.0.5", "bin/node", program("v20.0.5"))
	putCached(t, b.Image[0], "node", "20.0.9", "bin/node", program("v20.0.9"))
	put(t, filepath.Join(b.Image[0], "node", "20.8.0", arch(), "bin", "node"), program("v20.8.0")) // without .complete: half there
	got := []string{use("20.x", Options{}), use(">=20.1", Options{}), use("20.1.0", Options{}), use("20.x", Options{Newest: true}), use("latest", Options{})}
	want := []string{"20.0.9 of the image's tool cache", "20.2.0 of the job's tool folder", "20.1.0 of PATH", "20.11.1 of the job's tool folder", "21.7.0 of the job's tool folder"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	m.Close()
	// Nobody can say what is newest: what is there is used, and the log says so.
	if got := use("latest", Options{}); got != "21.7.0 of the job's tool folder" {
		t.Errorf("latest without the vendor: %s", got)
	}
	if !strings.Contains(b.logged(), "##[warning]Which Node.js is the newest is not known") {
		t.Errorf("log\n%s", b.logged())
	}
}

// Azure's tasks have filled tool caches in their own way.
func TestAzuresToolCaches(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	putCached(t, b.Image[0], "helm", "3.14.0", "linux-"+runtime.GOARCH+"/helm", program("v3.14.0"))
	putCached(t, b.Image[0], "helm", "3.15.0", "README.md", "")
	putCached(t, b.Image[0], "Java_Temurin-Hotspot_jdk", "99.0.11-9", "bin/java", "")
	c, err := b.Use(t.Context(), Helm, spec(t, "3.x"), Options{Offline: true})
	if err != nil || c.Version.String() != "3.14.0" || filepath.Base(c.Folder) != "linux-"+runtime.GOARCH {
		t.Errorf("%v, %v", c, err)
	}
	want, err := ParseJava("99")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := b.Find(t.Context(), Java, want); err != nil || c.Version.String() != "99.0.11" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	b := newBench(t, m)
	put(t, filepath.Join(b.path, "node"), program("v16.20.2"))
	putCached(t, b.Image[0], "node", "14.21.3", "bin/node", "")
	_, err := b.Use(t.Context(), Node, spec(t, "18.x"), Options{})
	want := "Node.js 18.x is not there: the image's tool cache has 14.21.3, the job's tool folder has nothing, PATH has 16.20.2; " + m.URL +
		"/node/index.json cannot be read: there is no such file (404); use a job image that has it, or name a mirror in the variable SLIPWAY_TOOL_MIRROR_NODE"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestWhatComesIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*fakeMirror)
		want   string
	}{
		"another file":         {func(m *fakeMirror) { m.files[helmPath] = append(m.files[helmPath], 0) }, "and the one that is published is"},
		"no checksum":          {func(m *fakeMirror) { delete(m.files, helmPath+".sha256sum") }, ".sha256sum cannot be read: there is no such file (404)"},
		"no checksum in it":    {func(m *fakeMirror) { m.files[helmPath+".sha256sum"] = []byte("abc  other.tar.gz\n") }, "it holds no checksum of helm-"},
		"an odd checksum":      {func(m *fakeMirror) { m.files[helmPath+".sha256sum"] = []byte("abc\n") }, "is neither SHA-256 nor SHA-512"},
		"busy for a while":     {func(m *fakeMirror) { m.fail[helmPath] = 2 }, ""},
		"busy for too long":    {func(m *fakeMirror) { m.fail[helmPath] = 9 }, "the answer was 503 Service Unavailable"},
		"no version":           {func(m *fakeMirror) { m.files["/helm/helm-latest-version"] = []byte("<html>") }, `"<html>" is no version`},
		"a program of another": {func(m *fakeMirror) { replaceHelm(m) }, "does not run in this image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t)
			serve(t, m)
			m.mu.Lock()
			c.change(m)
			m.mu.Unlock()
			b := newBench(t, m)
			_, err := b.Use(t.Context(), Helm, spec(t, "latest"), Options{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if entries, err := os.ReadDir(b.Shared); c.want != "" && err == nil && len(entries) > 0 {
				t.Errorf("something was installed: %v", entries)
			}
		})
	}
}

var helmPath = "/helm/helm-v3.15.2-linux-" + runtime.GOARCH + ".tar.gz"

// replaceHelm serves an archive with the right checksum whose program is not Helm.
func replaceHelm(m *fakeMirror) {
	m.files[helmPath] = m.files["/jdk.tar.gz"]
	m.files[helmPath+".sha256sum"] = []byte(sha(m.files["/jdk.tar.gz"]))
}

// Jobs of one project install the same version at the same time.
func TestInstallAtTheSameTime(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	serve(t, m)
	first := newBench(t, m)
	var jobs sync.WaitGroup
	errs := make([]error, 8)
	for n := range errs {
		b := newBench(t, m)
		b.Shared = first.Shared
		jobs.Go(func() {
			c, err := b.Use(t.Context(), Kubectl, spec(t, "1.29.6"), Options{})
			if err == nil {
				_, err = b.Output(t.Context(), nil, c.Program, "version")
			}
			errs[n] = err
		})
	}
	jobs.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, err := os.ReadDir(first.Shared)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"kubectl"}, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What a job installs with npm or pip stays its own.
func TestPrivate(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	serve(t, m)
	one, other := newBench(t, m), newBench(t, m)
	other.Shared = one.Shared
	c, err := one.Use(t.Context(), Node, spec(t, "20.x"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(c.Folder, "bin", "tsc"), program("own"))
	c, err = other.Use(t.Context(), Node, spec(t, "20.x"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Folder, "bin", "tsc")); err == nil {
		t.Error("the other job sees what the first has installed")
	}
	if link, err := os.Readlink(filepath.Join(c.Folder, "bin", "npm")); err != nil || link != "../lib/node_modules/npm/cli.js" {
		t.Errorf("link %q, %v", link, err)
	}
}

func TestDownloadEndsWithTheStep(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	serve(t, m)
	b := newBench(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Use(ctx, Helm, spec(t, "latest"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the end of the context", err)
	}
}

func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"a name with dots":   {"a/../../../evil": "x"},
		"an absolute link":   {"link@": "/etc/passwd"},
		"a link with dots":   {"a/link@": "../../evil"},
		"a name from a root": {"/etc/../../evil": "x"},
	} {
		folder := filepath.Join(t.TempDir(), "in")
		archive := filepath.Join(t.TempDir(), "a.tar.gz")
		if err := os.WriteFile(archive, tarball(t, files), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Unpack(t.Context(), archive, folder, 0)
		if err == nil || !strings.Contains(err.Error(), "leads out of the archive's folder") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(folder), "evil")); err == nil {
			t.Errorf("%s: a file was written outside", name)
		}
	}
}
