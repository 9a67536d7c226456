package gitserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

// The benchmarks of this file measure clones and pushes of a large repository beside `git http-backend` behind lighttpd (Debian's package) and
// behind net/http/cgi: `make bench-git`.

// generate writes a stream of git-fast-import(1) that is the same at each call: commits of 8 changed files, in 600 folders.
func generate(w io.Writer, commits int) error {
	out := bufio.NewWriter(w)
	random := rand.New(rand.NewPCG(7, 8))
	body := make([]byte, 4500)
	for i := range commits {
		fmt.Fprintf(out, "commit refs/heads/main\ncommitter Ada <ada@example.org> %d +0000\ndata 8\ncommit x\n", 1_700_000_000+i*60)
		for range 8 {
			for j := range body { // half of the bits, as text has
				body[j] = "0123456789abcdef\n +-*/={}()[];.,:aeiou_tnrslABCDEFGHIJKLMNOPQRSTUV"[random.IntN(64)]
			}
			fmt.Fprintf(out, "M 100644 inline src/%02d/%02d/file%d.txt\ndata %d\n", random.IntN(20), random.IntN(30), random.IntN(40), len(body))
			out.Write(body)
			out.WriteByte('\n')
		}
	}
	return out.Flush()
}

// importInto fills a bare repository and packs it.
func importInto(b testing.TB, dir string, commits int) {
	b.Helper()
	cmd := exec.Command("git", "-C", dir, "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if err := generate(in, commits); err != nil {
		b.Fatal(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}

// peer is a git server; address leads to a repository that it finds by its folder's name below root.
type gitPeer struct {
	name    string
	address func(name string) string
	// create makes an empty repository to push to.
	create func(name string)
	// process is the server's own, whose children are its: 0 where that is this one.
	process int
}

// processor is the time that the peer's and its clients' processes have taken so far, of those that have ended or are this one.
func (p gitPeer) processor(b *testing.B) time.Duration {
	b.Helper()
	total := time.Duration(0)
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	if p.process == 0 {
		return total
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.process))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // proc(5): behind the name, utime, stime, cutime and cstime are the fields 12 to 15
	for _, field := range strings.Fields(rest)[11:15] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(ticks) * time.Second / 100
	}
	return total
}

// lighttpd starts Debian's lighttpd in front of git http-backend, as git-http-backend(1) has it.
func lighttpd(b *testing.B, root, backend string) (address string, process int) {
	b.Helper()
	program, err := exec.LookPath("lighttpd")
	if err != nil {
		program = "/usr/sbin/lighttpd"
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	config := filepath.Join(b.TempDir(), "lighttpd.conf")
	text := fmt.Sprintf(`server.modules = ("mod_alias", "mod_setenv", "mod_cgi")
server.document-root = %q
server.bind = "127.0.0.1"
server.port = %d
server.upload-dirs = (%q)
server.stream-response-body = 1
alias.url += ("/git" => %q)
$HTTP["url"] =~ "^/git" {
	cgi.assign = ("" => "")
	setenv.add-environment = ("GIT_PROJECT_ROOT" => %q, "GIT_HTTP_EXPORT_ALL" => "", "REMOTE_USER" => "ada", "GIT_CONFIG_COUNT" => "1", "GIT_CONFIG_KEY_0" => "safe.directory", "GIT_CONFIG_VALUE_0" => "*")
}
`, root, port, b.TempDir(), backend, root)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program, "-D", "-f", config)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatalf("lighttpd: %v; install Debian's package lighttpd", err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address = fmt.Sprintf("http://127.0.0.1:%d/git", port)
	for range 100 {
		if c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/git")); err == nil {
			c.Close()
			return address, cmd.Process.Pid
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("lighttpd does not listen")
	return "", 0
}

// peers are this server and the two others over a repository `large` of the same content, each with its own copy. serves is how long the last
// push took here from its arrival until its event was in the log.
func peers(b *testing.B) (all []gitPeer, large string, serves func() time.Duration) {
	b.Helper()
	ctx := context.Background()
	var begun, announced atomic.Int64
	w := setup(b, dbtest.SQLite(b), gitserver.Options{OnPushed: func(context.Context, gitserver.Push) []string {
		announced.Store(time.Now().UnixNano())
		return nil
	}})
	inner := w.server.Config.Handler
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			begun.Store(time.Now().UnixNano())
		}
		inner.ServeHTTP(rw, r)
	})
	root := b.TempDir()
	large = filepath.Join(root, "large")
	mustGit(b, "", "init", "-q", "--bare", "-b", "main", large)
	importInto(b, large, 3200)
	mustGit(b, large, "repack", "-adq", "--write-bitmap-index")
	b.Logf("the repository has %s", strings.ReplaceAll(mustGit(b, large, "count-objects", "-v"), "\n", ", "))
	ours := func(name string) {
		if _, err := w.repos.Create(ctx, repos.CreateRequest{Project: w.project.ID, Name: name, Actor: slipway.System}); err != nil {
			b.Fatal(err)
		}
	}
	address := func(name string) string { return strings.TrimSuffix(w.remote(w.writer), "/shop") + "/" + name }
	ours("large")
	mustGit(b, large, "push", "-q", address("large"), "main")
	r, err := w.repos.Find(ctx, w.project.ID, "large")
	if err == nil {
		err = w.repos.RequestUpkeep(ctx, r.ID, true)
	}
	if err != nil {
		b.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.repos.Run(running) }()
	for u := (repos.Upkeep{}); u.Finished.IsZero() || u.Running || !u.Due.IsZero(); time.Sleep(100 * time.Millisecond) {
		if u, err = w.repos.UpkeepState(ctx, r.ID); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		b.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(path)), "git-http-backend")
	goCGI := func(env ...string) string {
		server := httptest.NewServer(&cgi.Handler{Path: backend, Root: "/git", InheritEnv: []string{"PATH"}, Env: append(env, "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ada")})
		b.Cleanup(server.Close)
		return server.URL + "/git"
	}
	checking := goCGI("GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=receive.fsckObjects", "GIT_CONFIG_VALUE_0=true") // as Slipway does
	bare := func(name string) { mustGit(b, "", "init", "-q", "--bare", "-b", "main", filepath.Join(root, name)) }
	at := func(base string) func(string) string { return func(name string) string { return base + "/" + name } }
	server, process := lighttpd(b, root, backend)
	return []gitPeer{{"slipway", address, ours, 0}, {"lighttpd", at(server), bare, process}, {"cgi", at(goCGI()), bare, 0}, {"cgi-fsck", at(checking), bare, 0}}, large,
		func() time.Duration { return time.Duration(announced.Load() - begun.Load()) }
}

// interleaved measures the work of each peer in turns and reports the median of each: how long it takes, and how much processor time, which says
// more on a machine that is busy with other work.
func interleaved(b *testing.B, all []gitPeer, work func(p gitPeer, round int)) {
	b.Helper()
	times := map[string][]float64{}
	for round := 0; b.Loop(); round++ {
		for i := range all {
			p := all[(i+round)%len(all)]
			start, used := time.Now(), p.processor(b)
			work(p, round)
			times[p.name+"-s"] = append(times[p.name+"-s"], time.Since(start).Seconds())
			times[p.name+"-cpu-s"] = append(times[p.name+"-cpu-s"], (p.processor(b) - used).Seconds())
		}
	}
	for name, list := range times {
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], name)
	}
}

func BenchmarkPeers(b *testing.B) {
	all, large, serves := peers(b)
	atOnce := func(n int, f func(i int)) {
		var wait sync.WaitGroup
		for i := range n {
			wait.Go(func() { f(i) })
		}
		wait.Wait()
	}
	clone := func(p gitPeer) {
		dir, err := os.MkdirTemp(b.TempDir(), "clone-")
		if err != nil {
			b.Error(err)
			return
		}
		defer os.RemoveAll(dir)
		if out, err := git(b, "", "clone", "-q", "--bare", p.address("large"), dir); err != nil {
			b.Errorf("%s: %v\n%s", p.name, err, out)
		}
	}
	pushes := 0
	// In one body: net/http/cgi takes none in chunks.
	push := func(p gitPeer, name string) {
		if out, err := git(b, large, "-c", "http.postBuffer=500m", "push", "-q", p.address(name), "main"); err != nil {
			b.Errorf("%s: %v\n%s", p.name, err, out)
		}
	}
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("Clone/%d", n), func(b *testing.B) {
			interleaved(b, all, func(p gitPeer, _ int) { atOnce(n, func(int) { clone(p) }) })
		})
	}
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("Push/%d", n), func(b *testing.B) {
			interleaved(b, all, func(p gitPeer, _ int) {
				var names []string
				for range n {
					pushes++
					names = append(names, fmt.Sprint("pushed", pushes))
					p.create(names[len(names)-1])
				}
				atOnce(n, func(i int) { push(p, names[i]) })
			})
		})
	}
	b.Run("Commit", func(b *testing.B) { // of one file, on top of all
		folder := b.TempDir()
		for _, p := range all {
			mustGit(b, "", "clone", "-q", "--shared", large, filepath.Join(folder, p.name))
			p.create("small-" + p.name)
			push(p, "small-"+p.name)
		}
		commits := 0
		var took []float64
		interleaved(b, all, func(p gitPeer, _ int) {
			for range 10 {
				commits++
				commit(b, filepath.Join(folder, p.name), "small.txt", fmt.Sprint(commits), "small")
				mustGit(b, filepath.Join(folder, p.name), "push", "-q", p.address("small-"+p.name), "HEAD:refs/heads/main")
				if p.name == "slipway" {
					took = append(took, serves().Seconds())
				}
			}
		})
		slices.Sort(took)
		b.ReportMetric(1000*took[len(took)/2], "receive-to-event-ms")
	})
	b.Run("List", func(b *testing.B) {
		interleaved(b, all, func(p gitPeer, _ int) {
			for range 20 {
				mustGit(b, "", "ls-remote", p.address("large"), "refs/heads/main")
			}
		})
	})
}

// A hundred clones at once all come to an end, though few git processes serve them.
func TestHundredClones(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{Processes: 4})
	source := filepath.Join(t.TempDir(), "source")
	mustGit(t, "", "init", "-q", "--bare", "-b", "main", source)
	importInto(t, source, 20)
	mustGit(t, source, "push", "-q", w.remote(w.writer), "main")
	head := mustGit(t, source, "rev-parse", "main")
	line := "want " + head + "\n"
	request := "0011command=fetch0001" + fmt.Sprintf("%04x%s", len(line)+4, line) + "0009done\n0000"
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0}}
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			req, err := http.NewRequest("POST", w.url+"/tools/_git/shop/git-upload-pack", strings.NewReader(request))
			if err != nil {
				t.Error(err)
				return
			}
			req.SetBasicAuth("x", w.reader)
			req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
			req.Header.Set("Git-Protocol", "version=2")
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != 200 || !strings.HasSuffix(string(b), "0000") || len(b) < 100_000 {
				t.Errorf("%s, %d bytes, %v", res.Status, len(b), err)
			}
		})
	}
	wait.Wait()
}
