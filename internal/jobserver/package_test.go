package jobserver_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slipway/internal/pipelines"
)

// packNPM has npm pack a package, and is its file and npm's digest of it.
func packNPM(t *testing.T) (file []byte, integrity string) {
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
	var packed []struct{ Integrity string }
	if err := json.Unmarshal(out, &packed); err != nil || len(packed) != 1 {
		t.Fatalf("npm pack says %s: %v", out, err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if file, err = os.ReadFile(files[0]); err != nil {
		t.Fatal(err)
	}
	return file, packed[0].Integrity
}

// getPackage unpacks packages of both kinds, with the credentials of their connections, which no log shows.
func TestGetPackage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	packed, integrity := packNPM(t)
	var nupkg bytes.Buffer
	z := zip.NewWriter(&nupkg)
	for name, text := range map[string]string{"Tool.Core.nuspec": "<package/>", "lib/net8.0/Tool.Core.dll": "MZ"} {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	fakeRegistry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		if password != "token-of-nuget" && r.Header.Get("Authorization") != "Bearer token-of-npm" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.EscapedPath() {
		case "/npm/@octo%2Ftool":
			fmt.Fprintf(w, `{"dist-tags":{"latest":"1.2.0"},"versions":{"1.2.0":{"dist":{"tarball":"http://%s/npm/tool.tgz","integrity":%q}}}}`, r.Host, integrity)
		case "/npm/tool.tgz":
			_, _ = w.Write(packed)
		case "/nuget/index.json":
			fmt.Fprintf(w, `{"resources":[{"@id":"http://%s/nuget/flat","@type":"PackageBaseAddress/3.0.0"}]}`, r.Host)
		case "/nuget/flat/tool.core/index.json":
			fmt.Fprint(w, `{"versions":["3.1.0"]}`)
		case "/nuget/flat/tool.core/3.1.0/tool.core.3.1.0.nupkg":
			_, _ = w.Write(nupkg.Bytes())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(fakeRegistry.Close)
	w.connect(pipelines.Connection{Name: "npm", Type: "externalnpmregistry", URL: fakeRegistry.URL + "/npm", Parameters: map[string]string{"apitoken": "token-of-npm"}})
	w.connect(pipelines.Connection{Name: "nuget", Type: "externalnugetfeed", URL: fakeRegistry.URL + "/nuget/index.json", Parameters: map[string]string{"apitoken": "token-of-nuget"}})
	tl := w.completed(w.one(w.push(`
resources:
  packages:
  - {package: Tool, type: NPM, connection: npm, name: octo/tool}
  - {package: core, type: NuGet, connection: nuget, name: Tool.Core, version: '3.1'}
steps:
- checkout: none
- getPackage: Tool
- getPackage: core
  path: lib/core
- bash: |
    cd $(Pipeline.Workspace)
    find Tool lib -type f | sort
    node -p 'require("./Tool")'
    echo "$(resources.package.Tool.version) $(resources.package.core.version)"
  displayName: look
`)))
	j := w.job(tl, "__default.Job")
	w.has(w.log(j, "look"), "Tool/index.js\nTool/package.json\nlib/core/Tool.Core.nuspec\nlib/core/lib/net8.0/Tool.Core.dll\n42\n1.2.0 3.1.0\n")
	w.has(w.log(j, "Get package Tool"), "Downloading @octo/tool 1.2.0 of "+fakeRegistry.URL+"/npm to ")
}
