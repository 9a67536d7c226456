package feed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

func TestSourceOf(t *testing.T) {
	t.Parallel()
	f := func(kind plan.PackageKind, name, connectionType, connectionURL string, want Source) {
		t.Helper()
		c := job.Connection{Name: "c", Type: connectionType, URL: connectionURL, Parameters: map[string]string{"apitoken": "t"}}
		got, err := SourceOf(&plan.Package{Alias: "a", Kind: kind, Name: name}, &c)
		want.Kind, want.Password = kind, "t"
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s %s: %v\n%s", kind, name, err, diff)
		}
	}
	// The registries of GitHub Packages, as GitHub documents them.
	f(plan.PackageNPM, "octo/tool", "github", "https://github.com", Source{Address: "https://npm.pkg.github.com", Name: "@octo/tool"})
	f(plan.PackageNuGet, "octo/Tool.Core", "GitHub", "https://github.com", Source{Address: "https://nuget.pkg.github.com/octo/index.json", Name: "Tool.Core", User: "slipway"})
	f(plan.PackageNPM, "tool", "generic", "https://npm.example/r/", Source{Address: "https://npm.example/r", Name: "tool"})
	f(plan.PackageNPM, "@octo/tool", "externalnpmregistry", "https://npm.example", Source{Address: "https://npm.example", Name: "@octo/tool"})
	f(plan.PackageNuGet, "Tool", "externalnugetfeed", "https://nuget.example/v3/index.json", Source{Address: "https://nuget.example/v3/index.json", Name: "Tool", User: "slipway"})

	refused := func(name, connectionType, connectionURL, want string) {
		t.Helper()
		_, err := SourceOf(&plan.Package{Alias: "a", Kind: plan.PackageNPM, Name: name}, &job.Connection{Name: "c", Type: connectionType, URL: connectionURL})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	refused("tool", "github", "https://github.com", `name of a package of GitHub is OWNER/NAME, not "tool"`)
	refused("a/../b", "generic", "https://npm.example", "is no name of a package")
	refused("tool", "generic", "npm.example", `the URL of service connection "c" is none of a registry`)
}

// The order of https://learn.microsoft.com/nuget/concepts/package-versioning.
func TestCompareNuGet(t *testing.T) {
	t.Parallel()
	order := []string{"0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0.1", "1.0.1-zzz", "1.0.1", "1.10", "2"}
	shuffled := slices.Clone(order)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, compareNuGet)
	if diff := cmp.Diff(order, shuffled); diff != "" {
		t.Error(diff)
	}
	for _, same := range [][2]string{{"1.0", "1.0.0.0"}, {"1.0.0-RC", "1.0.0-rc"}, {"1.0.0+a", "1.0.0+b"}, {"01.00.1", "1.0.1"}} {
		if compareNuGet(same[0], same[1]) != 0 {
			t.Errorf("%s is not %s", same[0], same[1])
		}
	}
}

// fakeNPM is a registry with one package, which npm itself has packed; its digests are npm's.
type fakeNPM struct {
	file              []byte
	integrity, shasum string
	asked             []string // what came, with its credentials
}

func newFakeNPM(t *testing.T) (*fakeNPM, *httptest.Server) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"package.json": `{"name":"@octo/tool","version":"1.2.0"}`, "index.js": "module.exports = 42\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("npm", "pack", "--json", "--offline")
	cmd.Dir = folder
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("this test needs the program npm: %v", err)
	}
	var packed []struct{ Filename, Integrity, Shasum string }
	if err := json.Unmarshal(out, &packed); err != nil || len(packed) != 1 {
		t.Fatalf("npm pack says %s: %v", out, err)
	}
	f := &fakeNPM{integrity: packed[0].Integrity, shasum: packed[0].Shasum}
	files, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if f.file, err = os.ReadFile(files[0]); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server
}

func (f *fakeNPM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked = append(f.asked, r.URL.EscapedPath()+" "+r.Header.Get("Authorization"))
	switch r.URL.EscapedPath() {
	case "/r/@octo%2Ftool":
		dist := func(integrity string) string {
			return fmt.Sprintf(`{"dist":{"tarball":"http://%s/r/files/tool.tgz","integrity":%q,"shasum":%q}}`, r.Host, integrity, f.shasum)
		}
		fmt.Fprintf(w, `{"name":"@octo/tool","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1"},"versions":{"1.2.0":%s,"1.1.0":%s,"2.0.0-rc.1":%s}}`,
			dist(f.integrity), dist(""), dist("sha512-AAAA"))
	case "/r/files/tool.tgz":
		_, _ = w.Write(f.file)
	case "/r/secret":
		w.WriteHeader(http.StatusUnauthorized)
	default:
		http.NotFound(w, r)
	}
}

func TestNPM(t *testing.T) {
	t.Parallel()
	f, server := newFakeNPM(t)
	s := Source{Kind: plan.PackageNPM, Address: server.URL + "/r", Name: "@octo/tool", Password: "t0ken"}
	c := Client{HTTP: server.Client()}
	for _, one := range []struct{ number, tag, want string }{{"", "", "1.2.0"}, {"", "next", "2.0.0-rc.1"}, {"1.1.0", "", "1.1.0"}} {
		v, err := c.Find(t.Context(), s, one.number, one.tag)
		if err != nil || v.Number != one.want {
			t.Errorf("%+v: %+v, %v", one, v, err)
			continue
		}
		var b bytes.Buffer
		err = c.Download(t.Context(), s, v, &b)
		if one.want == "2.0.0-rc.1" {
			if err == nil || !strings.Contains(err.Error(), "is not what the registry promised") {
				t.Errorf("a file that is not what it should be: %v", err)
			}
		} else if err != nil || !bytes.Equal(b.Bytes(), f.file) {
			t.Errorf("%s: %d bytes, %v", v.Number, b.Len(), err)
		}
	}
	for _, asked := range f.asked {
		if !strings.HasSuffix(asked, " Bearer t0ken") {
			t.Errorf("asked %s", asked)
		}
	}
	for _, one := range []struct {
		name, number, tag, want string
		code                    slipway.Code
	}{
		{"@octo/tool", "1.2.1", "", `package @octo/tool has no version "1.2.1"`, slipway.CodeNotFound},
		{"@octo/tool", "", "latests", `package @octo/tool has no tag "latests", did you mean "latest"?`, slipway.CodeNotFound},
		{"gone", "", "", "the registry has nothing at " + server.URL + "/r/gone", slipway.CodeNotFound},
		{"secret", "", "", "refuses the credentials of the service connection (401 Unauthorized)", slipway.CodeInvalid},
	} {
		s.Name = one.name
		if _, err := c.Find(t.Context(), s, one.number, one.tag); slipway.CodeOf(err) != one.code || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%+v: %v", one, err)
		}
	}
}

// Credentials go to the registry's own host alone.
func TestCredentialsStay(t *testing.T) {
	t.Parallel()
	var got string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	t.Cleanup(elsewhere.Close)
	s := Source{Kind: plan.PackageNPM, Address: "http://registry.example", Name: "a", Password: "t0ken"}
	if err := (Client{HTTP: elsewhere.Client()}).Download(t.Context(), s, Version{Number: "1", file: elsewhere.URL + "/a.tgz"}, &bytes.Buffer{}); err != nil || got != "" {
		t.Errorf("another host is told %q, %v", got, err)
	}
}

// The protocol is that of https://learn.microsoft.com/nuget/api/package-base-address-resource.
func TestNuGet(t *testing.T) {
	t.Parallel()
	fakeNuGet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "slipway" || password != "t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/v3/index.json":
			fmt.Fprintf(w, `{"version":"3.0.0","resources":[{"@id":"http://%[1]s/search","@type":"SearchQueryService"},{"@id":"http://%[1]s/flat/","@type":"PackageBaseAddress/3.0.0"}]}`, r.Host)
		case "/old/index.json":
			fmt.Fprint(w, `{"version":"3.0.0","resources":[]}`)
		case "/flat/tool.core/index.json":
			fmt.Fprint(w, `{"versions":["1.9.0","1.10.0","2.0.0-Beta.1"]}`)
		case "/flat/tool.core/1.10.0/tool.core.1.10.0.nupkg", "/flat/tool.core/2.0.0-beta.1/tool.core.2.0.0-beta.1.nupkg":
			fmt.Fprint(w, "PK")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(fakeNuGet.Close)
	c := Client{HTTP: fakeNuGet.Client()}
	s := Source{Kind: plan.PackageNuGet, Address: fakeNuGet.URL + "/v3/index.json", Name: "Tool.Core", User: "slipway", Password: "t0ken"}
	for number, want := range map[string]string{"": "1.10.0", "1.10": "1.10.0", "2.0.0-beta.1": "2.0.0-Beta.1"} {
		v, err := c.Find(t.Context(), s, number, "")
		var b bytes.Buffer
		if err == nil {
			err = c.Download(t.Context(), s, v, &b)
		}
		if err != nil || v.Number != want || b.String() != "PK" {
			t.Errorf("%q: %+v %q, %v", number, v, b.String(), err)
		}
	}
	if _, err := c.Find(t.Context(), s, "1.9.1", ""); slipway.CodeOf(err) != slipway.CodeNotFound || !strings.Contains(err.Error(), `has no version "1.9.1"`) {
		t.Errorf("%v", err)
	}
	s.Address = fakeNuGet.URL + "/old/index.json"
	if _, err := c.Find(t.Context(), s, "", ""); err == nil || !strings.Contains(err.Error(), "so it is none of NuGet version 3") {
		t.Errorf("%v", err)
	}
}
