package tool

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// The answers are shaped as docs.github.com/rest/releases has them, and the files are named as the two projects name theirs.
func TestToolsOfGitHub(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	describe := func(path, tag string, files map[string][]byte) {
		var assets []string
		for name, body := range files {
			m.put("/files/"+tag+"/"+name, body)
			assets = append(assets, fmt.Sprintf(`{"name": %q, "browser_download_url": %q}`, name, m.URL+"/files/"+tag+"/"+name))
		}
		m.put(path, []byte(`{"tag_name": "`+tag+`", "assets": [`+strings.Join(assets, ", ")+`]}`))
	}
	sum := func(b []byte, name string) []byte {
		digest := sha256.Sum256(b)
		return []byte(hex.EncodeToString(digest[:]) + "  " + name + "\n")
	}
	program := "opa_linux_amd64"
	if runtime.GOARCH != "amd64" {
		program = "opa_linux_" + runtime.GOARCH + "_static"
	}
	archive := "kubelogin-linux-" + runtime.GOARCH + ".zip"
	kubelogin := zipped(t, 0o755, map[string]string{"bin/linux_" + runtime.GOARCH + "/kubelogin": "#!/bin/sh\nprintf 'kubelogin version \\ngit hash: v0.1.4/0e0f\\nGo version: go1.22\\n'\n"})
	describe("/kubelogin/latest", "v0.1.4", map[string][]byte{archive: kubelogin, archive + ".sha256": sum(kubelogin, archive)})
	opa := []byte("#!/bin/sh\nprintf 'Version: 0.60.0\\nBuild Commit: abc\\n'\n")
	describe("/opa/tags/v0.60.0", "v0.60.0", map[string][]byte{program: opa, program + ".sha256": sum(opa, program)})
	describe("/opa/tags/v0.61.0", "v0.61.0", map[string][]byte{program: opa})
	describe("/opa/tags/v0.62.0", "v0.62.0", map[string][]byte{program: opa, program + ".sha256": sum([]byte("other"), program)})
	i := newBench(t, m)
	f := func(tool *Tool, version, want, fails string) {
		t.Helper()
		spec, err := ParseSpec(version)
		if err != nil {
			t.Fatal(err)
		}
		c, err := i.Use(t.Context(), tool, spec, Options{})
		switch {
		case fails != "":
			if err == nil || !strings.Contains(err.Error(), fails) {
				t.Errorf("%s %s: %v, want %s", tool.Name, version, err, fails)
			}
		case err != nil:
			t.Errorf("%s %s: %v", tool.Name, version, err)
		case c.Version.String() != want:
			t.Errorf("%s %s: %s, want %s", tool.Name, version, c.Version, want)
		}
	}
	f(Kubelogin, "latest", "0.1.4", "")
	f(OPA, "v0.60.0", "0.60.0", "")
	f(OPA, "0.61.0", "", "has no file "+program+".sha256")
	f(OPA, "0.62.0", "", "checksum")
	f(OPA, "0.63.0", "", "404")
	f(Kubelogin, "0.0.x", "", "has 0.1.4 as its newest version: write a whole version")
}
