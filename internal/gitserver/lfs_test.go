package gitserver_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

// lfs runs git with the filters of Git LFS, Debian's git-lfs, and ssh's command when there is one.
func lfs(t testing.TB, ssh, dir string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	filters := []string{"-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.process=git-lfs filter-process",
		"-c", "filter.lfs.required=true", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}
	cmd := exec.CommandContext(ctx, "git", append(filters, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "LC_ALL=C", "GIT_SSH_COMMAND="+ssh)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustLFS(t testing.TB, ssh, dir string, args ...string) string {
	t.Helper()
	out, err := lfs(t, ssh, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) keepObjects() {
	w.t.Helper()
	blobs, err := blob.OpenFiles(w.t.TempDir())
	if err != nil {
		w.t.Fatal(err)
	}
	w.repos.Objects = blobs
}

// largeFile makes a work tree whose big.bin belongs to Git LFS, and returns its content.
func (w *world) largeFile(dir string) []byte {
	w.t.Helper()
	content := make([]byte, 3<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	if err := os.WriteFile(filepath.Join(dir, "big.bin"), content, 0o644); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitattributes"), []byte("*.bin filter=lfs diff=lfs merge=lfs -text\n"), 0o644); err != nil {
		w.t.Fatal(err)
	}
	mustLFS(w.t, "", dir, "add", ".")
	mustLFS(w.t, "", dir, "commit", "-q", "-m", "a large file")
	return content
}

func (w *world) wantClone(ssh, address string, content []byte) {
	w.t.Helper()
	clone := filepath.Join(w.t.TempDir(), "clone")
	mustLFS(w.t, ssh, "", "clone", "-q", address, clone)
	got, err := os.ReadFile(filepath.Join(clone, "big.bin"))
	if err != nil || !bytes.Equal(got, content) {
		w.t.Errorf("%s: the file has %d bytes, want %d: %v", address, len(got), len(content), err)
	}
}

func TestLFS(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, gitserver.Options{})
		w.keepObjects()
		dir := w.work(w.writer)
		content := w.largeFile(dir)
		mustLFS(t, "", dir, "lfs", "push", "origin", "main")
		mustLFS(t, "", dir, "push", "-q", "origin", "main")
		sum := sha256.Sum256(content)
		o, err := w.repos.LFSObject(context.Background(), w.repository.ID, hex.EncodeToString(sum[:]))
		if err != nil || o.Size != int64(len(content)) {
			t.Fatalf("%+v, %v", o, err)
		}
		w.wantClone("", w.remote(w.reader), content)
		if out, err := lfs(t, "", dir, "-c", "remote.reader.url="+w.remote(w.reader), "lfs", "push", "--all", "reader"); err == nil && !strings.Contains(out, "100%") {
			t.Errorf("a reader uploads: %s", out) // all is there already: nothing is sent
		}
	})
}

func TestLFSOverSSH(t *testing.T) {
	t.Parallel()
	w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	w.keepObjects()
	key, err := w.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	ssh := "ssh " + strings.Join(w.options(key), " ")
	dir := w.work(w.writer)
	mustGit(t, dir, "remote", "set-url", "origin", overSSH)
	content := w.largeFile(dir)
	mustLFS(t, ssh, dir, "lfs", "push", "origin", "main")
	mustLFS(t, ssh, dir, "push", "-q", "origin", "main")
	w.wantClone(ssh, overSSH, content)
	reader, err := w.key("Ben", "-t", "ecdsa")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big.bin"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustLFS(t, "", dir, "commit", "-q", "-am", "other")
	if out, err := lfs(t, "ssh "+strings.Join(w.options(reader), " "), dir, "lfs", "push", "origin", "main"); err == nil || !strings.Contains(out, "may not contribute") {
		t.Errorf("a reader uploads: %v\n%s", err, out)
	}
}

func TestLFSLocks(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	w.keepObjects()
	dir := w.work(w.writer)
	w.largeFile(dir)
	mustLFS(t, "", dir, "lfs", "push", "origin", "main")
	mustLFS(t, "", dir, "push", "-q", "origin", "main")
	mustLFS(t, "", dir, "lfs", "lock", "big.bin")
	if out := mustLFS(t, "", dir, "lfs", "locks"); !strings.Contains(out, "big.bin") || !strings.Contains(out, "Ada") {
		t.Errorf("locks: %s", out)
	}
	if out, err := lfs(t, "", dir, "lfs", "lock", "big.bin"); err == nil || !strings.Contains(out, "Ada has locked big.bin already") {
		t.Errorf("locking again: %v\n%s", err, out)
	}
	list, err := w.repos.Locks(context.Background(), w.repository.ID, repos.LockFilter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	other := slipway.Actor{Kind: slipway.ActorUser, ID: "another", Name: "Cleo"}
	if _, err := w.repos.UnlockFile(context.Background(), other, w.repository.ID, list[0].ID, false); slipway.CodeOf(err) != slipway.CodeForbidden {
		t.Errorf("another unlocks: %v", err)
	}
	mustLFS(t, "", dir, "lfs", "unlock", "big.bin")
	if out := mustLFS(t, "", dir, "lfs", "locks"); strings.Contains(out, "big.bin") {
		t.Errorf("it is still locked: %s", out)
	}
}

func TestLFSRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	w.keepObjects()
	f := func(token, method, path, body string, want int) {
		t.Helper()
		req, err := http.NewRequest(method, w.url+"/tools/_git/shop/info/lfs/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(token, "Bearer") {
			req.Header.Set("Authorization", token)
		} else if token != "" {
			req.SetBasicAuth("x", token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s %s %s: %s, want %d", method, path, body, res.Status, want)
		}
	}
	oid := hex.EncodeToString(make([]byte, 32))
	f("", "POST", "objects/batch", `{"operation":"download","objects":[]}`, 401)
	f(w.stranger, "POST", "objects/batch", `{"operation":"download","objects":[]}`, 404)
	f(w.reader, "POST", "objects/batch", `{"operation":"upload","objects":[]}`, 403)
	f(w.reader, "POST", "objects/batch", `{"operation":"download","objects":[]}`, 200)
	f(w.reader, "POST", "objects/batch", `{"operation":"download","transfers":["ssh"],"objects":[]}`, 400)
	f(w.reader, "PUT", "objects/"+oid, "x", 403)
	f(w.writer, "PUT", "objects/"+oid, "not these bytes", 400)
	f(w.writer, "PUT", "objects/..%2f..%2fx", "x", 400)
	f(w.writer, "GET", "objects/"+oid, "", 404) // the refused bytes left nothing behind
	f(w.writer, "POST", "verify", `{"oid":"`+oid+`","size":1}`, 404)
	f(w.writer, "POST", "locks", `{"path":"../x"}`, 400)
	f(w.writer, "POST", "locks/7/unlock", `{}`, 404)
	f(w.reader, "POST", "locks/verify", `{}`, 403)
	f("Bearer lfs.e30.AAAA", "POST", "objects/batch", `{"operation":"download","objects":[]}`, 401)
	f(w.writer, "DELETE", "objects/"+oid, "", 404)
}
