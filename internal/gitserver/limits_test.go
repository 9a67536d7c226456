package gitserver_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

func random(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// objects are the files below the repository's objects, which a refused push must not add to.
func (w *world) objects() int {
	w.t.Helper()
	n := 0
	err := filepath.WalkDir(w.folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "/objects/") {
			n++
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// Each limit refuses in git's output, with its name and what to do, and leaves nothing behind.
func TestLimits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	key, err := w.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	dir := w.world.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	project := repos.Limits{Pack: 300_000, File: 1000, PathLength: 30, PathDepth: 3, Refs: 3}
	if err := w.repos.SetProjectLimits(ctx, w.project.ID, project, slipway.System); err != nil {
		t.Fatal(err)
	}
	before := w.objects()
	refused := func(what string, says ...string) {
		t.Helper()
		for over, push := range map[string]func() (string, error){
			"HTTP": func() (string, error) { return git(t, dir, "push", "origin", "HEAD:main") },
			"SSH":  func() (string, error) { return w.git(key, dir, "push", overSSH, "HEAD:main") },
		} {
			out, err := push()
			for _, text := range append(says, "slipway repos limits") {
				if err == nil || !strings.Contains(out, "remote: ") || !strings.Contains(strings.ReplaceAll(out, "\nremote: ", " "), text) {
					t.Errorf("%s over %s: %v, want %q in\n%s", what, over, err, text, out)
				}
			}
		}
		if n := w.objects(); n != before {
			t.Errorf("%s leaves %d files of objects, and there were %d", what, n, before)
		}
		mustGit(t, dir, "reset", "-q", "--hard", "origin/main")
	}
	commit(t, dir, "large.bin", random(400_000), "a large pack")
	refused("pack", "Limit pack: a push may have 300000 bytes.", "git push origin COMMIT:BRANCH")
	commit(t, dir, "dir/large.bin", random(1001), "a large file")
	mustGit(t, dir, "rm", "-q", "dir/large.bin")
	mustGit(t, dir, "commit", "-q", "-m", "it is gone again")
	refused("file", "Limit file: a file may have 1000 bytes", "dir/large.bin has 1001", "git lfs migrate")
	commit(t, dir, strings.Repeat("x", 31), "1", "a long path")
	refused("path", "Limit pathLength: a path may have 30 bytes", strings.Repeat("x", 31)+" has 31")
	commit(t, dir, "a/b/c/d", "1", "a deep path")
	refused("depth", "Limit pathDepth: a path may have 3 names", "a/b/c/d has 4")
	if out, err := git(t, dir, "push", "origin", "main:b", "main:c", "main:d"); err == nil || !strings.Contains(out, "Limit refs: the repository would have 4 branches and tags, and may have 3") {
		t.Errorf("refs: %v\n%s", err, out)
	}
	mustGit(t, dir, "push", "-q", "origin", "main:b", "main:c")
	mustGit(t, dir, "push", "-q", "origin", ":b", "main:d") // as many as before
	// What keeps to the limits goes, and a repository's own limit goes before the project's.
	commit(t, dir, "a/b/"+strings.Repeat("x", 26), strings.Repeat("y", 1000), "at the limits")
	mustGit(t, dir, "push", "-q", "origin", "HEAD:main")
	if err := w.repos.SetRepositoryLimits(ctx, w.repository, repos.Limits{File: 2000}, slipway.System); err != nil {
		t.Fatal(err)
	}
	commit(t, dir, "larger.bin", random(1500), "a larger file")
	mustGit(t, dir, "push", "-q", "origin", "HEAD:main")
	if err := w.repos.SetRepositoryLimits(ctx, w.repository, repos.Limits{File: -1}, slipway.System); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("a negative limit: %v", err)
	}
}

// Who sends more than the sockets hold hears the reason too: the rest is read and thrown away.
func TestPackLimitOfALongPush(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	if err := w.repos.SetRepositoryLimits(context.Background(), w.repository, repos.Limits{Pack: 300_000}, slipway.System); err != nil {
		t.Fatal(err)
	}
	dir := w.work(w.writer)
	commit(t, dir, "large.bin", random(30<<20), "a large pack")
	out, err := git(t, dir, "-c", "http.postBuffer=65536", "push", "origin", "main")
	if err == nil || !strings.Contains(out, "remote: Limit pack: a push may have 300000 bytes.") || strings.Contains(out, "RPC failed") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The server's own limit says so as well.
func TestServersPackLimit(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{MaxPack: 100_000})
	dir := w.work(w.writer)
	commit(t, dir, "large.bin", random(200_000), "a large pack")
	if out, err := git(t, dir, "push", "origin", "main"); err == nil || !strings.Contains(strings.ReplaceAll(out, "\nremote: ", " "), "This server takes at most 100000 bytes of a push") {
		t.Errorf("%v\n%s", err, out)
	}
	if list := w.pushed(); len(list) != 0 {
		t.Errorf("events %+v", list)
	}
}

// Submodules by relative URLs are found beside the repository, by HTTP and SSH.
func TestSubmodulesByRelativeURL(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	key, err := w.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.repos.Create(ctx, repos.CreateRequest{Project: w.project.ID, Name: "Hat lib", Actor: slipway.System}); err != nil {
		t.Fatal(err)
	}
	library := w.world.work(w.writer)
	commit(t, library, "hat.txt", "a hat\n", "hats")
	mustGit(t, library, "push", "-q", strings.Replace(w.remote(w.writer), "/shop", "/hat%20lib", 1), "main")
	dir := w.world.work(w.writer)
	mustGit(t, dir, "submodule", "--quiet", "add", "-b", "main", "--", "../hat%20lib", "lib")
	mustGit(t, dir, "commit", "-q", "-m", "use hats")
	mustGit(t, dir, "push", "-q", "origin", "main")
	over := filepath.Join(t.TempDir(), "http")
	mustGit(t, "", "clone", "-q", "--recurse-submodules", w.remote(w.reader), over)
	ssh := filepath.Join(t.TempDir(), "ssh")
	w.must(key, "", "clone", "-q", "--recurse-submodules", overSSH, ssh)
	for _, clone := range []string{over, ssh} {
		if b := mustRead(t, filepath.Join(clone, "lib", "hat.txt")); string(b) != "a hat\n" {
			t.Errorf("%s: %q", clone, b)
		}
	}
}

// Partial and shallow clones, atomic and careful pushes, push options and certificates.
func TestWaysToCloneAndPush(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	commit(t, dir, "docs/.gitattributes", "secret.txt export-ignore\nversion.txt export-subst\n", "attributes")
	commit(t, dir, "docs/secret.txt", "1", "secret")
	head := commit(t, dir, "docs/version.txt", "$Format:%H$", "version")
	mustGit(t, dir, "push", "-q", "origin", "main")
	clone := func(args ...string) string {
		t.Helper()
		to := filepath.Join(t.TempDir(), "clone")
		mustGit(t, "", append(append([]string{"clone", "-q"}, args...), w.remote(w.writer), to)...)
		return to
	}
	missing := func(dir string) string {
		t.Helper()
		return mustGit(t, dir, "rev-list", "--objects", "--all", "--missing=print", "--filter-print-omitted", "--filter=blob:limit=1g")
	}
	if out := missing(clone("--filter=blob:none", "--no-checkout")); strings.Count(out, "\n?")+strings.Count(out[:1], "?") != 4 {
		t.Errorf("without blobs:\n%s", out)
	}
	trees := clone("--filter=tree:0", "--no-checkout")
	mustGit(t, trees, "checkout", "-q", "main") // which fetches what it lacks
	if b := mustRead(t, filepath.Join(trees, "docs", "secret.txt")); string(b) != "1" {
		t.Errorf("after the checkout: %q", b)
	}
	shallow := clone("--depth=1")
	if n := mustGit(t, shallow, "rev-list", "--count", "HEAD"); n != "1" {
		t.Errorf("a shallow clone has %s commits", n)
	}
	mustGit(t, shallow, "fetch", "-q", "--unshallow")
	if n := mustGit(t, shallow, "rev-list", "--count", "HEAD"); n != "4" {
		t.Errorf("it then has %s", n)
	}
	// Of an atomic push none moves when one may not.
	commit(t, dir, "a", "1", "more")
	other := clone()
	commit(t, other, "b", "2", "meanwhile")
	mustGit(t, other, "push", "-q", "origin", "main")
	if out, err := git(t, dir, "push", "--atomic", "origin", "main", "main:topic"); err == nil || strings.Contains(mustGit(t, "", "ls-remote", w.remote(w.reader)), "topic") {
		t.Errorf("an atomic push: %v\n%s", err, out)
	}
	if out, err := git(t, dir, "push", "--force-with-lease=main:"+head, "origin", "main"); err == nil || !strings.Contains(out, "stale info") {
		t.Errorf("a lease that is lost: %v\n%s", err, out)
	}
	mustGit(t, dir, "push", "-q", "--force-with-lease=main:"+mustGit(t, other, "rev-parse", "HEAD"), "origin", "main")
	// Certificates are not asked for: a client that signs if it is asked pushes without, one that insists is told by its git.
	commit(t, dir, "c", "3", "signed perhaps")
	mustGit(t, dir, "push", "-q", "--signed=if-asked", "origin", "main")
	commit(t, dir, "d", "4", "signed surely")
	if out, err := git(t, dir, "push", "--signed=true", "origin", "main"); err == nil || !strings.Contains(out, "does not support --signed push") {
		t.Errorf("a push that must be signed: %v\n%s", err, out)
	}
}

func TestDisabledAndRenamed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	if _, err := w.repos.Rename(ctx, w.repository.ID, "Store", slipway.System); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "fetch", "-q") // by the old name
	if err := w.repos.SetDisabled(ctx, w.repository.ID, true, slipway.System); err != nil {
		t.Fatal(err)
	}
	if out, err := git(t, dir, "fetch"); err == nil || !strings.Contains(out, "remote: repository Store is disabled") {
		t.Errorf("a fetch: %v\n%s", err, out)
	}
	if err := w.repos.SetDisabled(ctx, w.repository.ID, false, slipway.System); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "fetch", "-q")
	if err := w.repos.Trash(ctx, w.repository.ID, slipway.System); err != nil {
		t.Fatal(err)
	}
	if out, err := git(t, dir, "fetch"); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("a fetch of a deleted one: %v\n%s", err, out)
	}
}

// What the protocol of documents says of methods, dumb clients and caches (gitprotocol-http(5)).
func TestHTTPDetails(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	mustGit(t, w.work(w.writer), "push", "-q", "origin", "main")
	ask := func(method, path, token string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, w.url+"/tools/_git/shop/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.SetBasicAuth("x", token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	for path, want := range map[string]int{"info/refs": 403, "HEAD": 403, "objects/info/packs": 403, "info/refs?service=git-upload-archive": 403, "info/refs?service=git-upload-pack": 200} {
		res := ask("GET", path, w.reader)
		if res.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, res.Status, want)
		}
		if res.Header.Get("Cache-Control") != "no-cache, max-age=0, must-revalidate" || res.Header.Get("Pragma") != "no-cache" || res.Header.Get("Expires") == "" {
			t.Errorf("GET %s may be cached: %v", path, res.Header)
		}
	}
	if res := ask("HEAD", "info/refs?service=git-upload-pack", w.reader); res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/x-git-upload-pack-advertisement" || res.Header.Get("Cache-Control") == "" {
		t.Errorf("HEAD: %s %v", res.Status, res.Header)
	}
	if res := ask("GET", "git-upload-pack", w.reader); res.StatusCode != 400 || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET of a service: %s %v", res.Status, res.Header)
	}
	if res := ask("GET", "info/refs?service=git-upload-pack", ""); res.StatusCode != 401 || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("without credentials: %s %v", res.Status, res.Header)
	}
}

// A push beyond http.postBuffer is chunked, after a probe, and waits to be let in with Expect: 100-continue if it is told to.
func TestChunkedPush(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	commit(t, dir, "large.bin", random(300_000), "large")
	cmd := []string{"-c", "http.postBuffer=65536", "-c", "http.version=HTTP/1.1", "push", "origin", "main"}
	t.Run("chunked", func(t *testing.T) {
		trace := filepath.Join(t.TempDir(), "trace")
		out, err := gitTraced(t, dir, trace, cmd...)
		if text := string(mustRead(t, trace)); err != nil || !strings.Contains(strings.ToLower(text), "transfer-encoding: chunked") || !strings.Contains(strings.ToLower(text), "content-length: 4\n") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	commit(t, dir, "larger.bin", random(400_000), "larger")
	t.Run("expect", func(t *testing.T) {
		trace := filepath.Join(t.TempDir(), "trace")
		out, err := gitTraced(t, dir, trace, append([]string{"-c", "http.extraHeader=Expect: 100-continue"}, cmd...)...)
		if text := string(mustRead(t, trace)); err != nil || !strings.Contains(text, "HTTP/1.1 100 Continue") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func gitTraced(t *testing.T, dir, trace string, args ...string) (string, error) {
	t.Helper()
	return gitWith(t, dir, []string{"GIT_TRACE_CURL=" + trace, "GIT_TRACE_CURL_NO_DATA=1"}, args...)
}
