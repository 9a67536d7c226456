package tool

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
)

// A site with nothing but a proxy of modules has Go too. The proxy is a fake one; the checksum database is the server of
// golang.org/x/mod, with a key of its own.
func TestGoFromModuleProxy(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	version := "v0.0.1-go1.22.3.linux-" + runtime.GOARCH
	prefix := "golang.org/toolchain@" + version + "/"
	archive := zipped(t, 0o444, map[string]string{prefix + "bin/go": program("go version go1.22.3 linux/" + runtime.GOARCH), prefix + "src/_go.mod": "module std\n",
		prefix + "pkg/tool/linux_" + runtime.GOARCH + "/compile": "", prefix + "VERSION": "go1.22.3\n"})
	m.put("/goproxy/golang.org/toolchain/@v/list", []byte(version+"\nv0.0.1-go1.22.3.windows-amd64\nv0.0.1-go1.21.0.linux-"+runtime.GOARCH+"\n"))
	m.put("/goproxy/golang.org/toolchain/@v/"+version+".zip", archive)
	file := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	sum, err := dirhash.HashZip(file, dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	signer, verifier, err := note.GenerateKey(rand.Reader, "sums.example")
	if err != nil {
		t.Fatal(err)
	}
	database := http.NewServeMux()
	server := sumdb.NewServer(sumdb.NewTestServer(signer, func(path, vers string) ([]byte, error) {
		return []byte(path + " " + vers + " " + sum + "\n" + path + " " + vers + "/go.mod " + sum + "\n"), nil
	}))
	for _, path := range sumdb.ServerPaths {
		database.Handle(path, server)
	}
	m.Config.Handler = withSums(m.Config.Handler, database)

	use := func(settings map[string]string) (*bench, Candidate, error) {
		b := newBench(t, nil)
		b.Mirror = func(name string) string { return map[string]string{"goproxy": m.URL + "/goproxy"}[name] }
		b.Getenv = func(name string) string { return settings[name] }
		want, err := ParseGo("1.22")
		if err != nil {
			t.Fatal(err)
		}
		b.Tries = 1
		c, err := b.Use(t.Context(), Go, want, Options{Base: m.URL + "/nothing"})
		return b, c, err
	}
	b, c, err := use(map[string]string{"GOSUMDB": verifier + " " + m.URL + "/sums"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Version.String() != "1.22.3" || !strings.Contains(b.logged(), "The checksum is that of Go's checksum database.") {
		t.Errorf("version %s, log\n%s", c.Version, b.logged())
	}
	if text, err := os.ReadFile(filepath.Join(c.Folder, "src", "go.mod")); err != nil || string(text) != "module std\n" {
		t.Errorf("src/go.mod: %q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(c.Folder, "pkg", "tool", "linux_"+runtime.GOARCH, "compile")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the compiler cannot be run: %v", err)
	}
	// Another key than the database's own: nothing is believed.
	_, other, err := note.GenerateKey(rand.Reader, "sums.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := use(map[string]string{"GOSUMDB": other + " " + m.URL + "/sums"}); err == nil || !strings.Contains(err.Error(), "checksum database") {
		t.Errorf("a wrong key: %v", err)
	}
	// A module that is not what the database says.
	m.put("/goproxy/golang.org/toolchain/@v/"+version+".zip", zipped(t, 0o444, map[string]string{prefix + "bin/go": program("go version go1.22.3 linux/amd64")}))
	if _, _, err := use(map[string]string{"GOSUMDB": verifier + " " + m.URL + "/sums"}); err == nil || !strings.Contains(err.Error(), "and the checksum database says "+sum) {
		t.Errorf("another module: %v", err)
	}
	if b, _, err := use(map[string]string{"GOSUMDB": "off"}); err != nil || !strings.Contains(b.logged(), "##[warning]GOSUMDB is off") {
		t.Errorf("without a database: %v\n%s", err, b.logged())
	}
}

// withSums has the checksum database below /sums.
func withSums(files http.Handler, database http.Handler) http.Handler {
	stripped := http.StripPrefix("/sums", database)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/sums/") {
			stripped.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
}
