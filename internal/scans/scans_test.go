package scans_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/registry"
	"slipway/internal/scans"
)

var building = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("slipway-scanner-%d", os.Getpid()))
	out, err := exec.Command("../../scanner/build.sh", folder).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("scanner/build.sh: %w\n%s", err, out)
	}
	return filepath.Join(folder, "slipway-scanner"), err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := building(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// fakeRegistry has images as tars.
type fakeRegistry struct {
	images map[slipway.Digest][]byte
	sboms  map[string][]byte // by digest and type
}

func (f *fakeRegistry) Write(_ context.Context, _ string, d slipway.Digest, w io.Writer) error {
	b, ok := f.images[d]
	if !ok {
		return slipway.NotFound("there is no image %s", d)
	}
	_, err := w.Write(b)
	return err
}

func (f *fakeRegistry) KeepSBOM(_ context.Context, _ string, d slipway.Digest, sbom scans.Document, by slipway.Actor) error {
	f.sboms[string(d)+" "+sbom.Type+" "+by.Name] = sbom.Content
	return nil
}

func (f *fakeRegistry) SBOM(_ context.Context, _ string, d slipway.Digest, kind string) ([]byte, error) {
	b, ok := f.sboms[string(d)+" "+kind+" "+slipway.System.Name]
	if !ok {
		return nil, slipway.NotFound("no document")
	}
	return b, nil
}

type world struct {
	*testing.T
	*scans.Service
	*fakeRegistry
	clock *movable
}

// movable is a clock that a test sets.
type movable struct{ now time.Time }

func (m *movable) Now() time.Time { return m.now }

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	program, err := building()
	if err != nil {
		t.Fatal(err)
	}
	f, c := &fakeRegistry{map[slipway.Digest][]byte{}, map[string][]byte{}}, &movable{now: time.Now().UTC()}
	log, err := events.Open(context.Background(), d, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := scans.Open(context.Background(), scans.Options{DB: d, Log: log, Clock: c, Logger: slog.New(slog.DiscardHandler), Images: f, Program: program,
		Folder: filepath.Join(t.TempDir(), "records")})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, s, f, c}
}

// add makes an image of files in one layer, and asks for its inventory.
func (w *world) add(files map[string]string) slipway.Digest {
	w.Helper()
	archive := func(members map[string]string) []byte {
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		names := []string{}
		for name := range members {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(members[name]))}); err != nil {
				w.Fatal(err)
			}
			if _, err := io.WriteString(out, members[name]); err != nil {
				w.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			w.Fatal(err)
		}
		return b.Bytes()
	}
	blobs := map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`}
	put := func(kind string, content []byte) string {
		d := registry.DigestOf("sha256", content)
		blobs["blobs/sha256/"+d.Hex()] = string(content)
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, kind, d, len(content))
	}
	layer := archive(files)
	config := put("application/vnd.oci.image.config.v1+json", []byte(fmt.Sprintf(
		`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q]}}`, registry.DigestOf("sha256", layer))))
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, registry.TypeOCIManifest, config, put("application/vnd.oci.image.layer.v1.tar", layer))
	blobs["index.json"] = fmt.Sprintf(`{"schemaVersion":2,"manifests":[%s]}`, put(registry.TypeOCIManifest, []byte(manifest)))
	d := registry.DigestOf("sha256", []byte(manifest))
	w.images[d] = archive(blobs)
	w.want(d)
	return d
}

const (
	project    = slipway.ProjectID("p")
	repository = "shop/web"
)

func (w *world) want(d slipway.Digest) {
	w.Helper()
	for range 2 {
		if err := w.Want(context.Background(), project, repository, d); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) scan() {
	w.Helper()
	for {
		more, err := w.Next(context.Background())
		if err != nil {
			w.Fatal(err)
		}
		if !more {
			return
		}
	}
}

// debian is an image as Debian's packages leave it: openssl's library is of the source package openssl.
func debian(version string) map[string]string {
	return map[string]string{
		"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
		"var/lib/dpkg/status": "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: " + version +
			"\nMaintainer: x\nDescription: y\n\nPackage: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12.4+deb12u5\nMaintainer: x\nDescription: y\n",
		"usr/lib/python3/dist-packages/Jinja2-2.10.dist-info/METADATA": "Metadata-Version: 2.1\nName: Jinja2\nVersion: 2.10\nLicense: BSD-3-Clause\n",
		"app/node_modules/minimist/package.json":                       `{"name":"minimist","version":"1.2.5","license":"MIT"}`,
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *db.DB) {
		w, ctx := newWorld(t, db), context.Background()
		program, err := building() // a Go program, which says what it was built of
		if err != nil {
			t.Fatal(err)
		}
		built, err := buildinfo.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		code, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		files := debian("3.0.11-1~deb12u2")
		files["app/server"] = string(code)
		d := w.add(files)
		if _, err := w.Packages(ctx, repository, d); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("before the scan: %v, want a conflict", err)
		}
		w.scan()
		list, err := w.Packages(ctx, repository, d)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, p := range list {
			got[p.Type+" "+p.Name] = p.Version + " " + p.Ecosystem + " " + p.Source + " " + strings.Join(p.Licenses, ",")
		}
		for name, want := range map[string]string{
			"deb libssl3": "3.0.11-1~deb12u2 Debian:12 openssl ", "deb base-files": "12.4+deb12u5 Debian:12  ", "pypi Jinja2": "2.10 PyPI  ", "npm minimist": "1.2.5 npm  ",
		} {
			if got[name] != want {
				t.Errorf("%s: got %q, want %q", name, got[name], want)
			}
		}
		for _, m := range built.Deps {
			if want := strings.TrimPrefix(m.Version, "v") + " Go  "; got["golang "+m.Path] != want {
				t.Errorf("module %s: got %q, want %q", m.Path, got["golang "+m.Path], want)
			}
		}
		var spdx struct {
			Version  string `json:"spdxVersion"`
			Packages []struct {
				Name string `json:"name"`
				Refs []struct {
					Type    string `json:"referenceType"`
					Locator string `json:"referenceLocator"`
				} `json:"externalRefs"`
			} `json:"packages"`
		}
		document, err := w.Service.SBOM(ctx, repository, d, scans.TypeSPDX)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(document, &spdx); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, p := range spdx.Packages {
			found = found || p.Name == "libssl3" && p.Refs[0].Type == "purl" && strings.HasPrefix(p.Refs[0].Locator, "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?")
		}
		if spdx.Version != "SPDX-2.3" || !found {
			t.Errorf("the SPDX document: %.2000s", document)
		}
		if m, err := w.Get(ctx, repository, d); err != nil || m.Packages != len(list) || !m.Matched.IsZero() {
			t.Errorf("summary %+v, %v", m, err)
		}
		if _, _, err := w.Findings(ctx, project, repository, d); slipway.CodeOf(err) != slipway.CodeUnavailable {
			t.Errorf("without records: %v, want unavailable", err)
		}
	})
}

// records are in the form that osv.dev exports; the versions are those of the real advisories.
var records = map[string]string{
	"DSA-5532-1.json": `{"id":"DSA-5532-1","modified":"2023-10-24T00:00:00Z","upstream":["CVE-2023-5363"],"summary":"openssl - security update","affected":[
		{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.11-1~deb12u2"}]}]},
		{"package":{"ecosystem":"Debian:11","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
	"GHSA-462w-v97r-4m45.json": `{"id":"GHSA-462w-v97r-4m45","aliases":["CVE-2019-10906"],"modified":"2024-01-01T00:00:00Z","summary":"Jinja2 sandbox escape",
		"severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:N"}],"affected":[
		{"package":{"ecosystem":"PyPI","name":"jinja2"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.10.1"}]}],"versions":["2.10"]}]}`,
	"GHSA-xvch-5gv4-984h.json": `{"id":"GHSA-xvch-5gv4-984h","summary":"Prototype pollution in minimist","database_specific":{"severity":"CRITICAL"},"affected":[
		{"package":{"ecosystem":"npm","name":"minimist"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"1.2.6"}]}]},
		{"package":{"ecosystem":"npm","name":"minimist"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.2.4"}]}]}]}`,
	"MAL-1.json":    `{"id":"MAL-1","withdrawn":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"minimist"},"versions":["1.2.5"]}]}`,
	"OTHER-1.json":  `{"id":"OTHER-1","affected":[{"package":{"ecosystem":"npm","name":"minimist"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.2.6"}]}]}]}`,
	"LAST-1.json":   `{"id":"LAST-1","affected":[{"package":{"ecosystem":"npm","name":"minimist"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"last_affected":"1.2.4"}]}]}]}`,
	"not-a-record":  "x",
	"GO-LATER.json": `{"id":"GO-LATER","affected":[{"package":{"ecosystem":"Go","name":"example.com/none"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
}

func export(t *testing.T, records map[string]string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for name, content := range records {
		w, err := out.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestFindings(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *db.DB) {
		w, ctx := newWorld(t, db), context.Background()
		before := w.add(debian("3.0.11-1~deb12u1"))
		w.scan()
		ecosystems, err := w.Import(ctx, export(t, records))
		if err != nil {
			t.Fatal(err)
		}
		if len(ecosystems) != 4 {
			t.Errorf("imported %+v, want four ecosystems", ecosystems)
		}
		after := w.add(debian("3.0.11-1~deb12u2"))
		w.scan()
		short := func(d slipway.Digest) []string {
			t.Helper()
			list, m, err := w.Findings(ctx, project, repository, d)
			if err != nil {
				t.Fatal(err)
			}
			if m.Counts.Critical != 1 || m.Counts.High != 1 || m.Counts.Unchecked != 0 {
				t.Errorf("counts %+v", m.Counts)
			}
			var out []string
			for _, f := range list {
				out = append(out, fmt.Sprintf("%s %s %.1f %s %s<%s", f.ID, f.Severity, f.Score, f.Package, f.Version, f.Fixed))
			}
			return out
		}
		common := []string{"GHSA-xvch-5gv4-984h critical 0.0 minimist 1.2.5<1.2.6", "GHSA-462w-v97r-4m45 high 8.6 Jinja2 2.10<2.10.1"}
		if diff := cmp.Diff(append(slices.Clone(common), "DSA-5532-1 unknown 0.0 libssl3 3.0.11-1~deb12u1<3.0.11-1~deb12u2"), short(before)); diff != "" {
			t.Errorf("the image that was there before the records (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(common, short(after)); diff != "" {
			t.Errorf("the image with the fixed package (-want +got):\n%s", diff)
		}
		// A newer export of one ecosystem replaces its records and leaves the others.
		if _, err := w.Import(ctx, export(t, map[string]string{"a.json": `{"id":"NEW","affected":[{"package":{"ecosystem":"npm","name":"minimist"},"versions":["1.2.5"]}]}`})); err != nil {
			t.Fatal(err)
		}
		list, _, err := w.Findings(ctx, project, repository, after)
		if err != nil || len(list) != 2 || list[1].ID != "NEW" {
			t.Errorf("after another import: %+v, %v", list, err)
		}
		if all, err := w.Ecosystems(ctx); err != nil || len(all) != 4 {
			t.Errorf("ecosystems %+v, %v", all, err)
		}
		for _, bad := range []io.Reader{strings.NewReader("x"), export(t, map[string]string{"a.json": "{"}), export(t, nil)} {
			if _, err := w.Import(ctx, bad); slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("a bad export: %v, want invalid", err)
			}
		}
	})
}

func TestAtLeast(t *testing.T) {
	t.Parallel()
	var list []scans.Finding
	for _, severity := range []string{"critical", "high", "medium", "low", "unknown"} {
		list = append(list, scans.Finding{Severity: severity})
	}
	for severity, want := range map[string]int{"critical": 1, "high": 2, "medium": 3, "low": 4, "unknown": 5} {
		if got := len(scans.AtLeast(list, severity)); got != want {
			t.Errorf("at least %s: %d, want %d", severity, got, want)
		}
	}
	if slipway.CodeOf(scans.CheckSeverity("grave")) != slipway.CodeInvalid {
		t.Error("grave is a severity")
	}
}

// What is no image is given up, with the scanner's own words; what was deleted meanwhile at once.
func TestBadImages(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, dbtest.SQLite(t)), context.Background()
	broken, gone := slipway.Digest("sha256:"+strings.Repeat("ab", 32)), slipway.Digest("sha256:"+strings.Repeat("cd", 32))
	w.images[broken] = []byte("this is no tar, and long enough to look like a header" + strings.Repeat(".", 1024))
	w.want(broken)
	w.want(gone)
	for range 2 {
		if _, err := w.Next(ctx); err == nil {
			t.Error("a bad image is taken")
		}
	}
	if m, err := w.Get(ctx, repository, gone); err != nil || m.State != "failed" {
		t.Errorf("the image that is gone: %+v, %v", m, err)
	}
	if m, err := w.Get(ctx, repository, broken); err != nil || m.State != "waiting" || !strings.Contains(m.Problem, "read the image") {
		t.Errorf("the broken image: %+v, %v", m, err)
	}
	if more, err := w.Next(ctx); more || err != nil {
		t.Errorf("it is tried again at once: %v, %v", more, err)
	}
	if _, err := w.Get(ctx, repository, "sha256:none"); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("an image that nobody asked for: %v", err)
	}
}
