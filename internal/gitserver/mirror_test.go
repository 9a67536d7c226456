package gitserver_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
	"slipway/internal/secret"
)

// host is another git host: git's own HTTP server, with basic authentication.
type host struct {
	*httptest.Server
	t    *testing.T
	bare string
	work string
}

func newHost(t *testing.T, before func(w http.ResponseWriter, r *http.Request) (served bool)) *host {
	t.Helper()
	root := t.TempDir()
	h := &host{t: t, bare: filepath.Join(root, "shop.git"), work: t.TempDir()}
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(path)), "git-http-backend")
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "hunter2" {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if before != nil && before(w, r) {
			return
		}
		handler := cgi.Handler{Path: backend, Root: "/", InheritEnv: []string{"PATH"}, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ada",
			"GIT_PROTOCOL=" + r.Header.Get("Git-Protocol"), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true"}}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	mustGit(t, "", "init", "-q", "--bare", "-b", "trunk", h.bare)
	mustGit(t, h.work, "init", "-q", "-b", "trunk")
	return h
}

func (h *host) address() string { return h.URL + "/shop.git" }

// push commits a file and pushes all branches and tags to the host behind its server's back.
func (h *host) push(name, content string) string {
	h.t.Helper()
	id := commit(h.t, h.work, name, content, "change "+name)
	mustGit(h.t, h.work, "push", "-q", "--mirror", h.bare)
	return id
}

func (h *host) settings(kind repos.MirrorKind) repos.MirrorSettings {
	return repos.MirrorSettings{Kind: kind, URL: h.address(), User: "ada", Password: "hunter2", Enabled: true}
}

// mirroring is a world whose mirrors run.
type mirroring struct {
	*world
	ended <-chan events.Event
	stop  func()
}

func mirrors(w *world) *mirroring {
	w.t.Helper()
	box, err := secret.NewBox([]byte(strings.Repeat("k", 32)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.repos.Secrets, w.repos.Networks = box, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	m := &mirroring{world: w}
	ch, unwatch := w.log.Watch(func(e events.Event) bool { return e.Kind == repos.EventMirrorSynced })
	m.ended = ch
	w.t.Cleanup(unwatch)
	m.start()
	return m
}

// start runs the service's background work until stop is called or the test ends.
func (m *mirroring) start() {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.repos.Run(ctx) }()
	stopped := false
	m.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				m.t.Errorf("run: %v", err)
			}
		}
	}
	m.t.Cleanup(m.stop)
}

// wait waits until a transfer of the mirror has ended, and wants it to have this state.
func (m *mirroring) wait(id int64, want repos.MirrorState) repos.Mirror {
	m.t.Helper()
	late := time.After(2 * time.Minute)
	for {
		select {
		case e := <-m.ended:
			var p repos.MirrorPayload
			if err := e.Decode(&p); err != nil {
				m.t.Fatal(err)
			}
			if p.Mirror != id {
				continue
			}
			one, err := m.repos.Mirror(context.Background(), slipway.RepositoryID(e.Subject.ID), id)
			if err != nil {
				m.t.Fatal(err)
			}
			if p.Change != string(want) {
				m.t.Fatalf("the transfer ended as %s (%s), want %s", p.Change, one.Problem, want)
			}
			return one
		case <-late:
			m.t.Fatalf("no transfer of mirror %d ended as %s", id, want)
		}
	}
}

func (m *mirroring) add(id slipway.RepositoryID, want repos.MirrorSettings) repos.Mirror {
	m.t.Helper()
	one, err := m.repos.CreateMirror(context.Background(), id, want, slipway.System)
	if err != nil {
		m.t.Fatal(err)
	}
	return one
}

func TestImport(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		h := newHost(t, nil)
		first := h.push("README.md", "# Shop\n")
		mustGit(t, h.work, "tag", "-m", "one", "v1")
		mustGit(t, h.work, "branch", "topic")
		head := h.push("a", "1")
		m := mirrors(setup(t, d, gitserver.Options{}))
		r, one, err := m.repos.Import(ctx, repos.CreateRequest{Project: m.project.ID, Name: "copy", Actor: slipway.System}, h.settings(repos.MirrorImport))
		if err != nil {
			t.Fatal(err)
		}
		m.wait(one.ID, repos.MirrorSucceeded)
		address := strings.Replace(m.remote(m.writer), "/shop", "/copy", 1)
		clone := filepath.Join(t.TempDir(), "clone")
		mustGit(t, "", "clone", "-q", address, clone)
		if got := mustGit(t, clone, "for-each-ref", "--format=%(objectname) %(refname)", "refs/remotes/origin/trunk", "refs/remotes/origin/topic", "refs/tags"); got !=
			first+" refs/remotes/origin/topic\n"+head+" refs/remotes/origin/trunk\n"+mustGit(t, h.work, "rev-parse", "v1")+" refs/tags/v1" {
			t.Errorf("imported:\n%s", got)
		}
		if r, err = m.repos.Get(ctx, r.ID); err != nil || r.DefaultBranch != "trunk" {
			t.Errorf("the default branch is %q, %v", r.DefaultBranch, err)
		}
		if list := m.pushed(); len(list) != 3 || list[0].Ref != "refs/heads/trunk" || !list[0].FirstPush {
			t.Errorf("events %+v", list)
		}
		// It is worked on here now, and not imported into again.
		commit(t, clone, "b", "2", "work here")
		mustGit(t, clone, "push", "-q", "origin", "trunk")
		if _, err := m.repos.CreateMirror(ctx, r.ID, h.settings(repos.MirrorImport), slipway.System); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("an import into what is not empty: %v", err)
		}
		if _, err := m.repos.SyncMirror(ctx, r.ID, one.ID); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("an import again: %v", err)
		}
	})
}

func TestImportFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHost(t, nil)
	h.push("README.md", strings.Repeat("# Shop\n", 100))
	m := mirrors(setup(t, dbtest.SQLite(t), gitserver.Options{}))
	for name, c := range map[string]struct {
		change func(s *repos.MirrorSettings)
		says   string
	}{
		"password":   {func(s *repos.MirrorSettings) { s.Password = "wrong" }, "does not let these credentials in"},
		"address":    {func(s *repos.MirrorSettings) { s.URL = h.URL + "/other.git" }, "there is no repository"},
		"connection": {func(s *repos.MirrorSettings) { s.Connection, s.User, s.Password = "c", "", "" }, "this server has no service connections"},
		"host":       {func(s *repos.MirrorSettings) { s.URL = "http://[::1]:1/x.git" }, "is no public address"}, // no network of ours
	} {
		want := h.settings(repos.MirrorImport)
		c.change(&want)
		r, one, err := m.repos.Import(ctx, repos.CreateRequest{Project: m.project.ID, Name: name, Actor: slipway.System}, want)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.wait(one.ID, repos.MirrorFailed); !strings.Contains(got.Problem, c.says) || strings.Contains(got.Problem, "hunter2") {
			t.Errorf("%s: %q, want %q", name, got.Problem, c.says)
		}
		if refs, err := m.repos.Branches(ctx, r.ID); err != nil || len(refs) != 0 {
			t.Errorf("%s: branches %v, %v", name, refs, err)
		}
	}
	for name, s := range map[string]repos.MirrorSettings{
		"file":     {Kind: repos.MirrorImport, URL: "/etc"},
		"helper":   {Kind: repos.MirrorImport, URL: "ext::sh -c id"},
		"option":   {Kind: repos.MirrorImport, URL: "ssh://-oProxyCommand=id/x"},
		"password": {Kind: repos.MirrorImport, URL: "https://ada:hunter2@example.com/x"},
		"key":      {Kind: repos.MirrorImport, URL: "git@example.com:x.git", PrivateKey: "none"},
		"often":    {Kind: repos.MirrorPull, URL: "https://example.com/x", Every: time.Minute},
	} {
		if _, _, err := m.repos.Import(ctx, repos.CreateRequest{Project: m.project.ID, Name: "bad", Actor: slipway.System}, s); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := m.repos.Find(ctx, m.project.ID, "bad"); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("%s left a repository: %v", name, err)
		}
	}
}

// What comes from another host is bounded, and what came of too much is not visible.
func TestImportTooLarge(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	large := make([]byte, 64<<10)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range large {
		large[i] = byte(random.Uint32())
	}
	h.push("large", string(large))
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	w.repos.TransferLimits = repos.TransferLimits{Bytes: 40_000, Time: time.Minute}
	m := mirrors(w)
	one := m.add(m.repository.ID, h.settings(repos.MirrorImport))
	if got := m.wait(one.ID, repos.MirrorFailed); !strings.Contains(got.Problem, "it sends more than 40000 bytes") {
		t.Errorf("%q", got.Problem)
	}
	if refs := mustGit(t, "", "ls-remote", m.remote(m.reader)); refs != "" {
		t.Errorf("visible: %s", refs)
	}
}

// While it is being imported nobody pushes; a canceled import leaves nothing.
func TestCancelImport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	asked, free := make(chan struct{}, 10), make(chan struct{})
	h := newHost(t, func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		select {
		case <-free:
		case <-r.Context().Done():
			return true
		}
		return false
	})
	head := h.push("README.md", "# Shop\n")
	m := mirrors(setup(t, dbtest.SQLite(t), gitserver.Options{}))
	one := m.add(m.repository.ID, h.settings(repos.MirrorImport))
	<-asked
	if out, err := git(t, m.work(m.writer), "push", "origin", "main"); err == nil || !strings.Contains(out, "remote: this repository is being imported from "+h.address()) {
		t.Errorf("a push meanwhile: %v\n%s", err, out)
	}
	if err := m.repos.CancelMirror(ctx, m.repository.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	m.wait(one.ID, repos.MirrorCanceled)
	if err := m.repos.CancelMirror(ctx, m.repository.ID, one.ID); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("canceled again: %v", err)
	}
	if refs := mustGit(t, "", "ls-remote", m.remote(m.reader)); refs != "" {
		t.Errorf("visible: %s", refs)
	}
	close(free)
	if _, err := m.repos.SyncMirror(ctx, m.repository.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	m.wait(one.ID, repos.MirrorSucceeded)
	if refs := mustGit(t, "", "ls-remote", m.remote(m.reader), "trunk"); !strings.HasPrefix(refs, head) {
		t.Errorf("after it was tried again: %s", refs)
	}
}

// A server that dies in the middle leaves a row that says running, and pieces of a pack. The next begins again.
func TestImportAfterACrash(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		asked := make(chan struct{}, 10)
		var alive atomic.Bool
		h := newHost(t, func(_ http.ResponseWriter, r *http.Request) bool {
			if alive.Load() {
				return false
			}
			asked <- struct{}{}
			<-r.Context().Done()
			return true
		})
		head := h.push("README.md", "# Shop\n")
		m := mirrors(setup(t, d, gitserver.Options{}))
		one := m.add(m.repository.ID, h.settings(repos.MirrorImport))
		<-asked
		m.stop() // in the middle: nothing is recorded
		if got, err := m.repos.Mirror(ctx, m.repository.ID, one.ID); err != nil || got.State != repos.MirrorRunning {
			t.Fatalf("the mirror is %s, %v", got.State, err)
		}
		var pack string
		for _, dir := range []string{"*", "*/*"} {
			if list, _ := filepath.Glob(filepath.Join(m.folder, dir, string(m.repository.ID)+".git")); len(list) == 1 {
				pack = filepath.Join(list[0], "objects", "pack", "tmp_pack_abc")
			}
		}
		if err := os.WriteFile(pack, []byte("PACK"), 0o600); err != nil {
			t.Fatal(err)
		}
		alive.Store(true)
		m.start()
		m.wait(one.ID, repos.MirrorSucceeded)
		if refs := mustGit(t, "", "ls-remote", m.remote(m.reader), "trunk"); !strings.HasPrefix(refs, head) {
			t.Errorf("imported %s", refs)
		}
		if _, err := os.Stat(pack); !os.IsNotExist(err) {
			t.Errorf("the piece is still there: %v", err)
		}
	})
}

func TestPullMirror(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHost(t, nil)
	h.push("README.md", "# Shop\n")
	mustGit(t, h.work, "branch", "gone")
	h.push("a", "1")
	m := mirrors(setup(t, dbtest.SQLite(t), gitserver.Options{}))
	want := h.settings(repos.MirrorPull)
	want.Every = time.Hour
	one := m.add(m.repository.ID, want)
	if got := m.wait(one.ID, repos.MirrorSucceeded); got.Due.Sub(got.Finished) != time.Hour {
		t.Errorf("the next fetch is due %s after the last", got.Due.Sub(got.Finished))
	}
	sync := func() {
		t.Helper()
		if _, err := m.repos.SyncMirror(ctx, m.repository.ID, one.ID); err != nil {
			t.Fatal(err)
		}
		m.wait(one.ID, repos.MirrorSucceeded)
	}
	// The other rewrites a branch and deletes one.
	mustGit(t, h.work, "branch", "-D", "gone")
	mustGit(t, h.work, "commit", "-q", "--amend", "-m", "rewritten")
	head := h.push("b", "2")
	sync()
	if refs := mustGit(t, "", "ls-remote", m.remote(m.reader), "refs/heads/*"); refs != head+"\trefs/heads/trunk" {
		t.Errorf("branches:\n%s", refs)
	}
	last := m.pushed()[len(m.pushed())-2:]
	if slices.IndexFunc(last, func(p repos.Pushed) bool { return p.Ref == "refs/heads/trunk" && p.Forced }) < 0 ||
		slices.IndexFunc(last, func(p repos.Pushed) bool { return p.Ref == "refs/heads/gone" && p.Deleted() }) < 0 {
		t.Errorf("events %+v", last)
	}
	// Nobody else changes it, by git or by pages, until it is turned off.
	dir := filepath.Join(t.TempDir(), "clone")
	mustGit(t, "", "clone", "-q", m.remote(m.writer), dir)
	commit(t, dir, "c", "3", "here")
	if out, err := git(t, dir, "push", "origin", "trunk"); err == nil || !strings.Contains(out, "remote: this repository is a mirror of "+h.address()+": push there") {
		t.Errorf("a push: %v\n%s", err, out)
	}
	_, err := m.repos.CommitFiles(ctx, repos.CommitRequest{Repository: m.repository.ID, Branch: "x", Changes: []repos.Change{{Path: "a"}}, Message: "m",
		Author: repos.Signature{Name: "Ada", Email: "a@example.org"}, Actor: slipway.System})
	if slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("a commit: %v", err)
	}
	off := want
	off.Password, off.Enabled = "", false
	if _, err := m.repos.UpdateMirror(ctx, m.repository.ID, one.ID, off, slipway.System); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "push", "-q", "origin", "trunk")
	// Its password is still known, and is not sent elsewhere.
	off.URL = "https://evil.example/x.git"
	if _, err := m.repos.UpdateMirror(ctx, m.repository.ID, one.ID, off, slipway.System); slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), "give the credentials again") {
		t.Errorf("another address: %v", err)
	}
	if _, err := m.repos.UpdateMirror(ctx, m.repository.ID, one.ID, repos.MirrorSettings{URL: want.URL, User: want.User, Enabled: true}, slipway.System); err != nil {
		t.Fatal(err)
	}
	sync()
	if refs := mustGit(t, "", "ls-remote", m.remote(m.reader), "refs/heads/*"); refs != head+"\trefs/heads/trunk" {
		t.Errorf("after it was turned on again:\n%s", refs)
	}
}

func TestPushMirror(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		down := make(chan bool, 1)
		down <- false
		h := newHost(t, func(w http.ResponseWriter, _ *http.Request) bool {
			is := <-down
			down <- is
			if is {
				http.Error(w, "down", http.StatusBadGateway)
			}
			return is
		})
		m := mirrors(setup(t, d, gitserver.Options{}))
		one := m.add(m.repository.ID, h.settings(repos.MirrorPush))
		m.wait(one.ID, repos.MirrorSucceeded) // there was nothing
		dir := m.work(m.writer)
		mustGit(t, dir, "tag", "v1")
		mustGit(t, dir, "push", "-q", "origin", "main", "v1")
		head := mustGit(t, dir, "rev-parse", "HEAD")
		m.wait(one.ID, repos.MirrorSucceeded)
		if got := mustGit(t, h.bare, "for-each-ref", "--format=%(objectname) %(refname)"); got != head+" refs/heads/main\n"+head+" refs/tags/v1" {
			t.Errorf("the other has\n%s", got)
		}
		// One that cannot be reached gets everything later.
		<-down
		down <- true
		mustGit(t, dir, "push", "-q", "origin", ":v1", "main:topic")
		failed := m.wait(one.ID, repos.MirrorFailed)
		if failed.Failures != 1 || failed.Due.IsZero() || failed.Due.Sub(failed.Finished) != time.Minute {
			t.Errorf("%d failures, the next is due %s later", failed.Failures, failed.Due.Sub(failed.Finished))
		}
		<-down
		down <- false
		if _, err := m.repos.SyncMirror(ctx, m.repository.ID, one.ID); err != nil {
			t.Fatal(err)
		}
		m.wait(one.ID, repos.MirrorSucceeded)
		if got := mustGit(t, h.bare, "for-each-ref", "--format=%(objectname) %(refname)"); got != head+" refs/heads/main\n"+head+" refs/heads/topic" {
			t.Errorf("later the other has\n%s", got)
		}
		// Its own refusals are told with their refs.
		mustGit(t, h.bare, "config", "receive.denyDeletes", "true")
		mustGit(t, dir, "push", "-q", "origin", ":topic")
		if got := m.wait(one.ID, repos.MirrorFailed); !strings.Contains(got.Problem, "refuses to move refs/heads/topic (deletion prohibited)") {
			t.Errorf("%q", got.Problem)
		}
	})
}

// Another Slipway is a host as well: over SSH, with its host key kept from the first time, and over HTTP, with large files by both.
func TestMirrorOfAnotherSlipway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	other := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	other.keepObjects()
	dir := other.world.work(other.writer)
	key, err := other.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	private, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "push", "-q", "origin", "main")
	head := mustGit(t, dir, "rev-parse", "HEAD")
	m := mirrors(setup(t, dbtest.SQLite(t), gitserver.Options{}))
	m.keepObjects()
	overSSH := "ssh://git@127.0.0.1:" + other.port + "/Tools/_git/Shop"
	one := m.add(m.repository.ID, repos.MirrorSettings{Kind: repos.MirrorPull, URL: overSSH, PrivateKey: string(private), Enabled: true})
	got := m.wait(one.ID, repos.MirrorSucceeded)
	if refs := mustGit(t, "", "ls-remote", m.remote(m.reader), "main"); !strings.HasPrefix(refs, head) {
		t.Errorf("over SSH: %s", refs)
	}
	known, err := os.ReadFile(other.known)
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.TrimSpace(got.KnownHosts); line == "" || !strings.Contains(string(known), strings.Fields(line)[2]) {
		t.Errorf("the host's key is %q, want one of\n%s", got.KnownHosts, known)
	}
	// Large files come over SSH's own way: git-lfs-authenticate says where they are.
	first := other.largeFile(dir)
	mustLFS(t, "", dir, "push", "-q", "origin", "main")
	if _, err := m.repos.SyncMirror(ctx, m.repository.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	m.wait(one.ID, repos.MirrorSucceeded)
	m.wantClone("", m.remote(m.reader), first)
	// A host with another key is not spoken to.
	stranger := strings.Fields(string(mustRead(t, key+".pub")))[1]
	if _, err := m.repos.UpdateMirror(ctx, m.repository.ID, one.ID, repos.MirrorSettings{URL: overSSH, Enabled: true, PrivateKey: string(private),
		KnownHosts: "[127.0.0.1]:" + other.port + " ssh-ed25519 " + stranger + "\n"}, slipway.System); err != nil {
		t.Fatal(err)
	}
	if _, err := m.repos.SyncMirror(ctx, m.repository.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	if got := m.wait(one.ID, repos.MirrorFailed); !strings.Contains(got.Problem, "has another key than before") {
		t.Errorf("%q", got.Problem)
	}
	// Large files over HTTP, and back over SSH.
	content := append(first, '.')
	if err := os.WriteFile(filepath.Join(dir, "big.bin"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	mustLFS(t, "", dir, "commit", "-q", "-am", "a larger file")
	mustLFS(t, "", dir, "push", "-q", "origin", "main")
	overHTTP := repos.MirrorSettings{URL: other.url + "/tools/_git/shop", User: "x", Password: other.reader, Enabled: true}
	if _, err := m.repos.UpdateMirror(ctx, m.repository.ID, one.ID, overHTTP, slipway.System); err != nil {
		t.Fatal(err)
	}
	if _, err := m.repos.SyncMirror(ctx, m.repository.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	m.wait(one.ID, repos.MirrorSucceeded)
	m.wantClone("", m.remote(m.reader), content)
	third := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	third.keepObjects()
	writer, err := third.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := third.key("Ben", "-t", "ecdsa")
	if err != nil {
		t.Fatal(err)
	}
	pushed := repos.MirrorSettings{Kind: repos.MirrorPush, URL: "ssh://git@127.0.0.1:" + third.port + "/Tools/_git/Shop", PrivateKey: string(mustRead(t, reader)), Enabled: true}
	back := m.add(m.repository.ID, pushed)
	if got := m.wait(back.ID, repos.MirrorFailed); !strings.Contains(got.Problem, "may not contribute") {
		t.Errorf("a reader's key: %q", got.Problem)
	}
	pushed.PrivateKey = string(mustRead(t, writer))
	if _, err := m.repos.UpdateMirror(ctx, m.repository.ID, back.ID, pushed, slipway.System); err != nil {
		t.Fatal(err)
	}
	m.wait(back.ID, repos.MirrorSucceeded)
	third.wantClone("", third.remote(third.reader), content)
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
