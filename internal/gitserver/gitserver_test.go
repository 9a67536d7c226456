package gitserver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/gitserver"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// world is a running server with a project `Tools`, a repository `Shop` and callers of each sort.
type world struct {
	t          testing.TB
	db         *db.DB
	log        *events.Log
	identity   *identity.Service
	repos      *repos.Service
	project    identity.Project
	repository repos.Repository
	url        string // of the server
	folder     string // of the repositories
	git        *gitserver.Server
	server     *httptest.Server
	writer     string // tokens
	reader     string
	stranger   string
	job        string
}

func setup(t testing.TB, d *db.DB, o gitserver.Options) *world {
	t.Helper()
	ctx := context.Background()
	logger := slog.New(slog.DiscardHandler)
	w := &world{t: t, db: d}
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.log, err = events.Open(ctx, d, clock.System{}, logger)
	must(err)
	w.identity, err = identity.Open(ctx, d, w.log, clock.System{})
	must(err)
	w.folder = t.TempDir()
	w.repos, err = repos.Open(ctx, d, w.log, clock.System{}, w.folder, logger)
	must(err)
	t.Cleanup(func() { _ = w.repos.Close() })
	w.project, err = w.identity.CreateProject(ctx, slipway.System, "Tools", "")
	must(err)
	w.repository, err = w.repos.Create(ctx, repos.CreateRequest{Project: w.project.ID, Name: "Shop", Actor: slipway.System})
	must(err)
	token := func(name string, role identity.Role) string {
		u, err := w.identity.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "battery staple"})
		must(err)
		if role != identity.RoleNone {
			must(w.identity.SetRole(ctx, slipway.System, w.project.ID, u.ID, role))
		}
		s, err := w.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "git",
			Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}})
		must(err)
		return s
	}
	w.writer, w.reader, w.stranger = token("Ada", identity.RoleContributor), token("Ben", identity.RoleReader), token("Eve", identity.RoleNone)
	w.job, err = w.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Project: w.project.ID,
		Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7", Name: "job 7"}})
	must(err)
	w.server = httptest.NewUnstartedServer(nil)
	server := w.server
	o.URL = "http://" + server.Listener.Addr().String()
	w.git = gitserver.New(w.repos, w.identity, logger, o)
	server.Config.Handler = w.git
	server.Start()
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// remote is the repository's address with a token in it.
func (w *world) remote(token string) string {
	return strings.Replace(w.url, "://", "://any:"+token+"@", 1) + "/tools/_git/shop"
}

// git runs the real client and returns both of its outputs.
func git(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	return gitWith(t, dir, nil, args...)
}

func gitWith(t testing.TB, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := git(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// work makes a work tree with one commit, whose remote is the repository.
func (w *world) work(token string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	mustGit(w.t, dir, "init", "-q", "-b", "main")
	mustGit(w.t, dir, "remote", "add", "origin", w.remote(token))
	commit(w.t, dir, "README.md", "# Shop\n", "begin AB#12")
	return dir
}

func commit(t testing.TB, dir, name, content, message string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "add", ".")
	mustGit(t, dir, "commit", "-q", "-m", message)
	return mustGit(t, dir, "rev-parse", "HEAD")
}

// pushed returns the payloads of all push events, oldest first.
func (w *world) pushed() []repos.Pushed {
	w.t.Helper()
	list, err := w.log.List(context.Background(), events.Filter{Kind: repos.EventPushed})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []repos.Pushed
	for i := len(list) - 1; i >= 0; i-- {
		var p repos.Pushed
		if err := list[i].Decode(&p); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestPushThenClone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, gitserver.Options{OnPushed: func(_ context.Context, p gitserver.Push) []string {
			return []string{fmt.Sprintf("%s pushed %s to %s", p.Actor.Name, p.Updates[0].Ref, p.Repository.Name)}
		}})
		dir := w.work(w.writer)
		head := mustGit(t, dir, "rev-parse", "HEAD")
		out := mustGit(t, dir, "push", "origin", "main")
		if !strings.Contains(out, "remote: Ada pushed refs/heads/main to Shop") {
			t.Errorf("the pusher was not shown the server's line:\n%s", out)
		}
		list := w.pushed()
		if len(list) != 1 || string(list[0].After) != head || list[0].Before != "" || !list[0].FirstPush || !list[0].DefaultRef {
			t.Fatalf("events %+v, want one push of %s", list, head)
		}
		if c := list[0].Commits; len(c) != 1 || string(c[0].ID) != head || c[0].Message != "begin AB#12" || c[0].Author.Email != "ada@example.org" {
			t.Errorf("commits %+v", c)
		}
		if p := list[0].Paths; len(p) != 1 || p[0] != "README.md" {
			t.Errorf("paths %q", p)
		}
		for name, token := range map[string]string{"reader": w.reader, "job": w.job} {
			clone := filepath.Join(t.TempDir(), "clone")
			mustGit(t, "", "clone", "-q", w.remote(token)+".git", clone)
			if got := mustGit(t, clone, "rev-parse", "HEAD"); got != head {
				t.Errorf("%s cloned %s, want %s", name, got, head)
			}
		}
	})
}

func TestProtocolVersions(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	for _, version := range []string{"0", "1", "2"} {
		clone := filepath.Join(t.TempDir(), "clone")
		mustGit(t, "", "-c", "protocol.version="+version, "clone", "-q", w.remote(w.reader), clone)
		mustGit(t, clone, "-c", "protocol.version="+version, "fetch", "-q")
	}
	// What the server says when version 2 is asked for: no `# service` line, and its version first.
	req, err := http.NewRequest(http.MethodGet, w.url+"/tools/_git/shop/info/refs?service=git-upload-pack", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("x", w.reader)
	req.Header.Set("Git-Protocol", "version=2")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if !bytes.HasPrefix(body, []byte("000eversion 2\n")) {
		t.Errorf("advertisement begins %q", body[:min(len(body), 40)])
	}
	if c := res.Header.Get("Cache-Control"); !strings.Contains(c, "no-cache") {
		t.Errorf("Cache-Control %q must forbid caching", c)
	}
}

func TestShallowAndPartialClones(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	for i := range 5 {
		commit(t, dir, "count.txt", fmt.Sprint(i), fmt.Sprintf("count %d", i))
	}
	mustGit(t, dir, "push", "-q", "origin", "main")

	shallow := filepath.Join(t.TempDir(), "shallow")
	mustGit(t, "", "clone", "-q", "--depth=2", w.remote(w.reader), shallow)
	if n := mustGit(t, shallow, "rev-list", "--count", "HEAD"); n != "2" {
		t.Errorf("a clone of depth 2 has %s commits", n)
	}
	mustGit(t, shallow, "fetch", "-q", "--unshallow")
	if n := mustGit(t, shallow, "rev-list", "--count", "HEAD"); n != "6" {
		t.Errorf("unshallowed it has %s commits, want 6", n)
	}

	partial := filepath.Join(t.TempDir(), "partial")
	mustGit(t, "", "clone", "-q", "--filter=blob:none", "--no-checkout", w.remote(w.reader), partial)
	if missing := mustGit(t, partial, "rev-list", "--objects", "--all", "--missing=print"); !strings.Contains(missing, "\n?") {
		t.Errorf("a clone without blobs misses none:\n%s", missing)
	}
	mustGit(t, partial, "checkout", "-q", "main") // fetches what it needs
	if b, err := os.ReadFile(filepath.Join(partial, "count.txt")); err != nil || string(b) != "4" {
		t.Errorf("checked out %q, %v", b, err)
	}
	// A single commit by its name, as the agent fetches it.
	one := t.TempDir()
	mustGit(t, one, "init", "-q")
	mustGit(t, one, "fetch", "-q", "--depth=1", w.remote(w.job), mustGit(t, dir, "rev-parse", "HEAD~2"))
}

func TestLargePushIsChunked(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	random := rand.New(rand.NewPCG(1, 2))
	big := make([]byte, 5<<20) // above http.postBuffer (1 MiB), and it does not compress
	for i := range big {
		big[i] = byte(random.Uint32())
	}
	head := commit(t, dir, "big.bin", string(big), "big")
	out := mustGit(t, dir, "-c", "http.expect=true", "push", "origin", "main")
	clone := filepath.Join(t.TempDir(), "clone")
	mustGit(t, "", "clone", "-q", w.remote(w.reader), clone)
	if got, err := os.ReadFile(filepath.Join(clone, "big.bin")); err != nil || !bytes.Equal(got, big) {
		t.Errorf("cloned %d bytes, %v; want %d\n%s", len(got), err, len(big), out)
	}
	if list := w.pushed(); len(list) != 1 || string(list[0].After) != head {
		t.Errorf("events %+v", list)
	}
}

func TestPackAboveLimitIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{MaxPack: 10_000})
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	random := rand.New(rand.NewPCG(1, 2))
	big := make([]byte, 50_000)
	for i := range big {
		big[i] = byte(random.Uint32())
	}
	commit(t, dir, "big.bin", string(big), "big")
	out, err := git(t, dir, "push", "origin", "main")
	if err == nil || !strings.Contains(out, "exceeds maximum allowed size") {
		t.Errorf("push of a pack above the limit: %v\n%s", err, out)
	}
	if n := len(w.pushed()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestForceDeleteAndTags(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, gitserver.Options{})
		dir := w.work(w.writer)
		first := mustGit(t, dir, "rev-parse", "HEAD")
		second := commit(t, dir, "a.txt", "a", "second")
		mustGit(t, dir, "push", "-q", "origin", "main", "main:topic")
		mustGit(t, dir, "reset", "-q", "--hard", first)
		third := commit(t, dir, "b.txt", "b", "third")
		if _, err := git(t, dir, "push", "-q", "origin", "main:topic"); err == nil {
			t.Error("a push that is no fast-forward went through without force")
		}
		mustGit(t, dir, "push", "-q", "--force", "origin", "main:topic")
		mustGit(t, dir, "tag", "-a", "-m", "release", "v1.0")
		mustGit(t, dir, "push", "-q", "origin", "v1.0")
		mustGit(t, dir, "push", "-q", "origin", ":topic", ":v1.0")
		if out, err := git(t, dir, "push", "origin", ":main"); err == nil {
			t.Errorf("the default branch was deleted:\n%s", out)
		}
		type row struct {
			ref, before, after string
			forced             bool
			commits            int
		}
		want := []row{
			{"refs/heads/main", "", second, false, 2},
			{"refs/heads/topic", "", second, false, 0},
			{"refs/heads/topic", second, third, true, 1},
			{"refs/tags/v1.0", "", third, false, 1},
			{"refs/heads/topic", third, "", false, 0},
			{"refs/tags/v1.0", third, "", false, 0},
		}
		var got []row
		for _, p := range w.pushed() {
			got = append(got, row{p.Ref, string(p.Before), string(p.After), p.Forced, len(p.Commits)})
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("events\n%v\nwant\n%v", got, want)
		}
		branches, err := w.repos.Branches(context.Background(), w.repository.ID)
		if err != nil || len(branches) != 1 || string(branches[0].Commit) != second {
			t.Errorf("branches %+v, %v", branches, err)
		}
	})
}

func TestWhoMay(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	commit(t, dir, "a.txt", "a", "more")
	for _, test := range []struct {
		name, remote, verb, want string
	}{
		{"wrong token", w.remote(strings.Repeat("x", 52)), "fetch", "Authentication failed"},
		{"no token", w.url + "/tools/_git/shop", "fetch", "could not read Username"},
		{"unknown project and no token", w.url + "/secret/_git/shop", "fetch", "could not read Username"},
		{"stranger", w.remote(w.stranger), "fetch", "remote: there is no such project"},
		{"unknown repository", strings.Replace(w.remote(w.writer), "/shop", "/nothing", 1), "fetch", `remote: the project has no repository "nothing"`},
		{"reader pushes", w.remote(w.reader), "push", "remote: you are a reader of this project"},
		{"job pushes", w.remote(w.job), "push", "remote: a job may read repositories"},
	} {
		out, err := git(t, dir, test.verb, test.remote, "main")
		if err == nil || !strings.Contains(out, test.want) {
			t.Errorf("%s: %v, want %q in\n%s", test.name, err, test.want, out)
		}
	}
	if n := len(w.pushed()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	for path, status := range map[string]int{
		"/tools/_git/shop/info/refs":                         403, // the dumb protocol
		"/tools/_git/shop/HEAD":                              403,
		"/tools/_git/shop/objects/info/packs":                403,
		"/tools/_git/shop/info/refs?service=git-evil":        403,
		"/tools/_git/shop/git-upload-pack":                   400, // GET
		"/tools/_git/shop/info/refs?service=git-upload-pack": 401,
	} {
		res, err := http.Get(w.url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("GET %s: %d, want %d", path, res.StatusCode, status)
		}
		if challenge := res.Header.Get("WWW-Authenticate"); (status == 401) != strings.HasPrefix(challenge, "Basic realm=") {
			t.Errorf("GET %s: WWW-Authenticate %q", path, challenge)
		}
	}
}

func TestRacingPushes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, gitserver.Options{})
		base := w.work(w.writer)
		mustGit(t, base, "push", "-q", "origin", "main")
		const pushers = 4
		dirs := make([]string, pushers)
		for i := range dirs {
			dirs[i] = filepath.Join(t.TempDir(), "clone")
			mustGit(t, "", "clone", "-q", w.remote(w.writer), dirs[i])
			commit(t, dirs[i], "a.txt", fmt.Sprint(i), fmt.Sprintf("race %d", i))
		}
		var wait sync.WaitGroup
		won := make([]bool, pushers)
		for i, dir := range dirs {
			wait.Go(func() {
				_, err := git(t, dir, "push", "-q", "origin", "main", fmt.Sprintf("main:topic-%d", i))
				won[i] = err == nil
			})
		}
		wait.Wait()
		winners := 0
		for _, ok := range won {
			if ok {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("%d pushes of the same branch went through, want 1", winners)
		}
		seen := map[string]int{}
		for _, p := range w.pushed() {
			seen[p.Ref]++
		}
		want := map[string]int{"refs/heads/main": 2, "refs/heads/topic-0": 1, "refs/heads/topic-1": 1, "refs/heads/topic-2": 1, "refs/heads/topic-3": 1}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("events by ref %v, want %v", seen, want)
		}
	})
}

// The trial merge of a pull request can be fetched; what is under refs/pull nobody pushes.
func TestPullRequestRefs(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	mustGit(t, dir, "switch", "-q", "-c", "topic")
	commit(t, dir, "topic", "x", "topic")
	mustGit(t, dir, "push", "-q", "origin", "topic")
	p, err := w.repos.CreatePullRequest(context.Background(), repos.NewPullRequest{Repository: w.repository.ID, Source: "topic", Actor: slipway.System})
	if err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "fetch", "-q", "origin", p.MergeRef())
	if got := mustGit(t, dir, "show", "FETCH_HEAD:topic"); got != "x" {
		t.Errorf("the trial merge has %q", got)
	}
	for _, refspec := range []string{"topic:refs/pull/1/merge", "topic:refs/pull/2/merge", ":refs/pull/1/head"} {
		if out, err := git(t, dir, "push", "-q", "origin", refspec); err == nil || !strings.Contains(out, "hidden ref") {
			t.Errorf("push of %s: %v\n%s", refspec, err, out)
		}
	}
}
