package mirror_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway"
	"slipway/internal/pipelines/mirror"
)

// host is another host: git's own HTTP server with basic authentication below /private.
type host struct {
	*testing.T
	*httptest.Server
	folder, work string

	mu      sync.Mutex
	headers []string // Authorization of the requests
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{T: t, folder: t.TempDir(), work: t.TempDir()}
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.headers = append(h.headers, r.Header.Get("Authorization"))
		h.mu.Unlock()
		if user, password, _ := r.BasicAuth(); strings.HasPrefix(r.URL.Path, "/private/") && (user != "ada" || password != "hunter2") {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		handler := cgi.Handler{Path: backend, Root: "/", InheritEnv: []string{"PATH"}, Env: []string{"GIT_PROJECT_ROOT=" + h.folder, "GIT_HTTP_EXPORT_ALL=1",
			"GIT_PROTOCOL=" + r.Header.Get("Git-Protocol"), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=uploadpack.allowAnySHA1InWant", "GIT_CONFIG_VALUE_0=true"}}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	h.git("init", "--quiet", "-b", "main", h.work)
	for _, name := range []string{"public", "private"} {
		h.git("init", "--quiet", "--bare", "-b", "main", filepath.Join(h.folder, name, "tools.git"))
	}
	return h
}

func (h *host) git(args ...string) string {
	h.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits a file and pushes it to both repositories' branch.
func (h *host) commit(branch, path string, text []byte) slipway.CommitID {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.work, path), text, 0o644); err != nil {
		h.Fatal(err)
	}
	h.git("-C", h.work, "add", "-A")
	h.git("-C", h.work, "commit", "--quiet", "-m", "Change "+path)
	for _, name := range []string{"public", "private"} {
		h.git("-C", h.work, "push", "--quiet", "--force", filepath.Join(h.folder, name, "tools.git"), "HEAD:"+branch)
	}
	return slipway.CommitID(h.git("-C", h.work, "rev-parse", "HEAD"))
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func open(t *testing.T, o mirror.Options) *mirror.Store {
	t.Helper()
	if o.Folder == "" {
		o.Folder = filepath.Join(t.TempDir(), "mirrors")
	}
	s, err := mirror.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFetch(t *testing.T) {
	t.Parallel()
	h, ctx := newHost(t), context.Background()
	folder := filepath.Join(t.TempDir(), "mirrors")
	s := open(t, mirror.Options{Folder: folder, Networks: loopback})
	first := h.commit("main", "a.yml", []byte("one"))
	h.git("-C", filepath.Join(h.folder, "public", "tools.git"), "tag", "v1", string(first))
	public := mirror.Remote{Owner: "p", URL: h.URL + "/public/tools.git"}
	private := mirror.Remote{Owner: "p", URL: h.URL + "/private/tools.git", User: "ada", Password: "hunter2"}
	fetch := func(r mirror.Remote, ref string, want slipway.CommitID) {
		t.Helper()
		if got, err := s.Fetch(ctx, r, ref, false); err != nil || got != want {
			t.Errorf("%s of %s is %q, %v, want %s", ref, r.URL, got, err, want)
		}
	}
	fetch(public, "main", first)
	fetch(public, "refs/tags/v1", first)
	fetch(private, "refs/heads/main", first)
	read := func(r mirror.Remote, commit slipway.CommitID, path, want string, code slipway.Code) {
		t.Helper()
		if b, err := s.ReadFile(ctx, r, commit, path, 10); slipway.CodeOf(err) != code || string(b) != want {
			t.Errorf("%s at %s: %q, %v", path, commit, b, err)
		}
	}
	second := h.commit("main", "a.yml", []byte("second one"))
	fetch(public, "main", second)
	read(public, first, "a.yml", "one", "") // it is kept
	read(public, second, "a.yml", "second one", "")
	read(public, second, "b.yml", "", slipway.CodeNotFound)
	read(public, second, ".", "", slipway.CodeNotFound)
	read(public, "1111111111111111111111111111111111111111", "a.yml", "", slipway.CodeNotFound)
	third := h.commit("main", "a.yml", []byte("eleven byte"))
	fetch(public, "main", third)
	read(public, third, "a.yml", "", slipway.CodeLimit)
	fails := func(r mirror.Remote, ref string, code slipway.Code, want string) {
		t.Helper()
		if _, err := s.Fetch(ctx, r, ref, false); slipway.CodeOf(err) != code || !strings.Contains(err.Error(), want) {
			t.Errorf("%s of %s: %v, want %s %q", ref, r.URL, err, code, want)
		}
	}
	fails(public, "next", slipway.CodeNotFound, "has no such ref")
	fails(mirror.Remote{URL: h.URL + "/public/other.git"}, "main", slipway.CodeNotFound, "there is no repository")
	fails(mirror.Remote{URL: h.URL + "/private/tools.git"}, "main", slipway.CodeNotFound, "does not let these credentials in")
	fails(mirror.Remote{URL: h.URL + "/private/tools.git", User: "ada", Password: "wrong"}, "main", slipway.CodeNotFound, "does not let these credentials in")
	for _, bad := range []string{"file:///etc", "ext::sh -c id", "ssh://h/r", "https://u:p@h/r", "https://h/r\nx"} {
		fails(mirror.Remote{URL: bad}, "main", slipway.CodeInvalid, "is no URL of a git repository")
	}
	for _, bad := range []string{"refs/heads/-x..y", "a b", "refs/heads/../x"} {
		fails(public, bad, slipway.CodeInvalid, "is no ref")
	}
	// What nobody may read without credentials is read with those of the remote alone, and nothing of them is on the disk.
	if b, err := s.ReadFile(ctx, mirror.Remote{Owner: "q", URL: private.URL}, first, "a.yml", 10); err == nil {
		t.Errorf("another owner reads %q", b)
	}
	secret := base64.StdEncoding.EncodeToString([]byte("ada:hunter2"))
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("hunter2")) || bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A repository that names its objects by SHA-256 is fetched as it is.
func TestFetchSHA256(t *testing.T) {
	t.Parallel()
	h, ctx := newHost(t), context.Background()
	for _, folder := range []string{h.work, filepath.Join(h.folder, "public", "tools.git"), filepath.Join(h.folder, "private", "tools.git")} {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		args := []string{"init", "--quiet", "-b", "main", "--object-format=sha256", folder}
		if folder != h.work {
			args = append(args, "--bare")
		}
		h.git(args...)
	}
	s := open(t, mirror.Options{Networks: loopback})
	public := mirror.Remote{Owner: "p", URL: h.URL + "/public/tools.git"}
	for _, text := range []string{"one", "two"} {
		want := h.commit("main", "a.yml", []byte(text))
		got, err := s.Fetch(ctx, public, "main", false)
		if err != nil || got != want || len(got) != 64 {
			t.Fatalf("%s: fetched %q, %v, want %s", text, got, err, want)
		}
		if b, err := s.ReadFile(ctx, public, got, "a.yml", 10); err != nil || string(b) != text {
			t.Errorf("read %q, %v, want %q", b, err, text)
		}
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.commit("main", "a.yml", []byte("one"))
	s := open(t, mirror.Options{})
	_, err := s.Fetch(context.Background(), mirror.Remote{URL: h.URL + "/public/tools.git"}, "main", false)
	if slipway.CodeOf(err) != slipway.CodeUnavailable || !strings.Contains(err.Error(), "127.0.0.1 is no public address") {
		t.Errorf("%v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.headers) != 0 {
		t.Errorf("the host was asked %d times", len(h.headers))
	}
}

// A host may redirect who comes without credentials. Others it may not: git would send them along.
func TestRedirects(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	want := h.commit("main", "a.yml", []byte("one"))
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, h.URL+"/public"+r.URL.RequestURI(), http.StatusMovedPermanently)
	}))
	t.Cleanup(redirect.Close)
	s := open(t, mirror.Options{Networks: loopback})
	if got, err := s.Fetch(context.Background(), mirror.Remote{URL: redirect.URL + "/tools.git"}, "main", false); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	_, err := s.Fetch(context.Background(), mirror.Remote{URL: redirect.URL + "/tools.git", User: "ada", Password: "hunter2"}, "main", false)
	if slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), "redirects elsewhere") {
		t.Errorf("%v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, header := range h.headers {
		if header != "" {
			t.Errorf("the other host was sent %s", header)
		}
	}
	if len(h.headers) == 0 {
		t.Error("the other host was not asked")
	}
}

func TestMaxBytes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	noise := make([]byte, 300_000)
	for i, x := 0, uint32(1); i < len(noise); i++ { // no zlib makes it smaller
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	h.commit("main", "noise", noise)
	s := open(t, mirror.Options{Networks: loopback, MaxBytes: 100_000})
	_, err := s.Fetch(context.Background(), mirror.Remote{URL: h.URL + "/public/tools.git"}, "main", false)
	if slipway.CodeOf(err) != slipway.CodeUnavailable || !strings.Contains(err.Error(), "it sends more than 100000 bytes") {
		t.Errorf("%v", err)
	}
}

// A server that was killed leaves git's lock files behind; the next one goes on.
func TestKilled(t *testing.T) {
	t.Parallel()
	h, ctx, folder := newHost(t), context.Background(), filepath.Join(t.TempDir(), "mirrors")
	h.commit("main", "a.yml", []byte("one"))
	remote := mirror.Remote{URL: h.URL + "/public/tools.git"}
	if _, err := open(t, mirror.Options{Folder: folder, Networks: loopback}).Fetch(ctx, remote, "main", false); err != nil {
		t.Fatal(err)
	}
	mirrors, err := filepath.Glob(filepath.Join(folder, "*.git"))
	if err != nil || len(mirrors) != 1 {
		t.Fatalf("mirrors %v, %v", mirrors, err)
	}
	for _, name := range []string{"shallow.lock", "refs/heads/main.lock", "packed-refs.lock", "config.lock"} {
		if err := os.WriteFile(filepath.Join(mirrors[0], name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := h.commit("main", "a.yml", []byte("two"))
	if got, err := open(t, mirror.Options{Folder: folder, Networks: loopback}).Fetch(ctx, remote, "main", false); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

// Git of a job fetches from a mirror, which is made whole if it wants history.
func TestServe(t *testing.T) {
	t.Parallel()
	h, ctx := newHost(t), context.Background()
	first := h.commit("main", "a.yml", []byte("one"))
	h.commit("main", "a.yml", []byte("two"))
	s := open(t, mirror.Options{Networks: loopback})
	remote := mirror.Remote{Owner: "p", URL: h.URL + "/private/tools.git", User: "ada", Password: "hunter2"}
	second, err := s.Fetch(ctx, remote, "main", false)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.Serve(w, r, remote, strings.TrimPrefix(r.URL.Path, "/tools/")); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	clone := func(args ...string) string {
		t.Helper()
		folder := filepath.Join(t.TempDir(), "clone")
		h.git("init", "--quiet", folder)
		h.git(append([]string{"-C", folder, "fetch", "--quiet", server.URL + "/tools"}, args...)...)
		return folder
	}
	shallow := clone("--depth=1", "+"+string(second)+":refs/remotes/origin/slipway")
	if text := h.git("-C", shallow, "show", string(second)+":a.yml"); text != "two" {
		t.Errorf("a.yml is %q", text)
	}
	h.commit("main", "a.yml", []byte("three"))
	if err := s.Ensure(ctx, remote, "main", second, true); err != nil {
		t.Fatal(err)
	}
	whole := clone("+refs/heads/*:refs/remotes/origin/*", "+"+string(second)+":refs/remotes/origin/slipway")
	if log := h.git("-C", whole, "log", "--format=%H", "refs/remotes/origin/slipway"); log != string(second)+"\n"+string(first) {
		t.Errorf("history %q", log)
	}
	// A commit that its branch has left, in a store that never saw it.
	h.git("-C", h.work, "reset", "--quiet", "--hard", string(first))
	h.commit("main", "b.yml", []byte("other"))
	fresh := open(t, mirror.Options{Networks: loopback})
	if err := fresh.Ensure(ctx, remote, "main", second, false); err != nil {
		t.Errorf("a commit that its branch has left: %v", err)
	}
	// Nobody pushes to a mirror.
	cmd := exec.Command("git", "-C", whole, "push", server.URL+"/tools", "refs/remotes/origin/slipway:refs/heads/evil")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "403") {
		t.Errorf("push: %v\n%s", err, out)
	}
}
