package jobserver_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/cgi"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/agent"
	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/issuer"
	"slipway/internal/jobserver"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/joblog"
	"slipway/internal/pipelines/mirror"
	"slipway/internal/pipelines/variable"
	"slipway/internal/secret"
)

// TestMain makes the test's own program the agent when the local executor starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv("SLIPWAY_TEST_AGENT") == "" {
		code := m.Run()
		for _, folder := range forgetAfterTests {
			os.RemoveAll(folder)
		}
		os.Exit(code)
	}
	var id int64
	fmt.Sscan(os.Getenv("SLIPWAY_JOB"), &id)
	c := agent.Config{URL: os.Getenv("SLIPWAY_URL"), Job: slipway.JobID(id), Token: os.Getenv("SLIPWAY_JOB_TOKEN"),
		Folder: os.Getenv("SLIPWAY_WORKSPACE"), Registry: os.Getenv("SLIPWAY_REGISTRY"), Patience: time.Minute, InPod: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if pod := os.Getenv("SLIPWAY_POD"); pod != "" {
		given, err := agent.Await(context.Background(), c, pod)
		if err != nil || given.Job == 0 {
			fmt.Fprintln(os.Stderr, "agent without a job:", err)
			os.Exit(0)
		}
		c.Job, c.Token = given.Job, given.Token
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM) // the end of its pod
	defer stop()
	if err := agent.Run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// forgetAfterTests are the folders of programs that are made once for all tests.
var forgetAfterTests []string

// localExecutor runs a job's agent as a process of this machine instead of a pod. It outlives the server, as a cluster does.
type localExecutor struct {
	folder string
	path   string // put before PATH

	mu   sync.Mutex
	pods map[string]*localPod
}

type localPod struct {
	pod  pipelines.Pod
	cmd  *exec.Cmd
	done chan struct{}
}

func (e *localExecutor) Start(_ context.Context, p pipelines.Pod) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pods[p.Name] != nil {
		return nil
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(own)
	cmd.Env = append(os.Environ(), "SLIPWAY_TEST_AGENT=1", "SLIPWAY_JOB_TOKEN="+p.Token, "SLIPWAY_WORKSPACE="+filepath.Join(e.folder, p.Name))
	for name, value := range p.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "PATH="+e.path+":"+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	pod := &localPod{p, cmd, make(chan struct{})}
	e.pods[p.Name] = pod
	go func() { defer close(pod.done); _ = cmd.Wait() }()
	return nil
}

func (e *localExecutor) get(name string) *localPod {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pods[name]
}

func (e *localExecutor) Stop(_ context.Context, name string) error {
	if pod := e.get(name); pod != nil {
		_ = pod.cmd.Process.Kill()
		<-pod.done
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pods, name)
	return nil
}

func (e *localExecutor) Inspect(_ context.Context, name string) (pipelines.PodStatus, error) {
	pod := e.get(name)
	if pod == nil {
		return pipelines.PodStatus{Phase: pipelines.PodAbsent}, nil
	}
	select {
	case <-pod.done:
		return pipelines.PodStatus{Phase: pipelines.PodEnded}, nil
	default:
		return pipelines.PodStatus{Phase: pipelines.PodRunning}, nil
	}
}

// gitSource serves one bare repository to pipelines, with the git program.
type gitSource struct {
	dir        string
	repository pipelines.Repository
}

func (g *gitSource) Repository(context.Context, slipway.RepositoryID) (pipelines.Repository, error) {
	return g.repository, nil
}

func (g *gitSource) FindRepository(_ context.Context, _ slipway.ProjectID, name string) (pipelines.Repository, error) {
	return pipelines.Repository{}, slipway.NotFound("there is no repository %q", name)
}

func (g *gitSource) git(args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", g.dir}, args...)...).Output()
	return strings.TrimSpace(string(out)), err
}

func (g *gitSource) Branches(context.Context, slipway.RepositoryID) ([]pipelines.Branch, error) {
	out, err := g.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")
	var list []pipelines.Branch
	for line := range strings.Lines(out) {
		ref, commit, _ := strings.Cut(strings.TrimSpace(line), " ")
		list = append(list, pipelines.Branch{Ref: ref, Commit: slipway.CommitID(commit)})
	}
	return list, err
}

func (g *gitSource) Resolve(_ context.Context, _ slipway.RepositoryID, ref string) (slipway.CommitID, error) {
	out, err := g.git("rev-parse", ref)
	return slipway.CommitID(out), err
}

func (g *gitSource) ReadFile(_ context.Context, _ slipway.RepositoryID, commit slipway.CommitID, path string, _ int64) ([]byte, error) {
	out, err := exec.Command("git", "-C", g.dir, "show", string(commit)+":"+path).Output()
	if err != nil {
		return nil, slipway.NotFound("there is no file %s", path)
	}
	return out, nil
}

func (g *gitSource) List(_ context.Context, _ slipway.RepositoryID, commit slipway.CommitID, folder string) ([]string, error) {
	out, err := g.git("ls-tree", "--name-only", string(commit)+":"+folder)
	return strings.Fields(out), err
}

func (g *gitSource) Commit(_ context.Context, _ slipway.RepositoryID, commit slipway.CommitID) (pipelines.Commit, error) {
	message, err := g.git("log", "-1", "--format=%B", string(commit))
	return pipelines.Commit{Message: message, Author: "Ada"}, err
}

// environments gives the variables of the environment dev.
type environments struct{}

func (environments) Waits(context.Context, slipway.RunID) (map[string]string, error) {
	return nil, nil
}

func (environments) Variables(_ context.Context, _ slipway.ProjectID, name string) (variable.Set, error) {
	var set variable.Set
	set.Put("WHERE", variable.Value{Text: "in " + name})
	set.Put("PASSWORD", variable.Value{Text: "hunter2hunter2", Secret: true})
	return set, nil
}

// deployer records what it is asked to deploy.
type deployer struct {
	mu   sync.Mutex
	seen []jobserver.Deployment
}

func (d *deployer) Deploy(_ context.Context, one jobserver.Deployment, progress func(string)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, one)
	progress("deployment.apps/web is ready")
	if one.Namespace == "full" {
		return slipway.Invalid("the quota of namespace full is used up")
	}
	return nil
}

// Access lets a job into a cluster that is not there.
func (d *deployer) Access(_ context.Context, one jobserver.Deployment) (job.ClusterAccess, error) {
	if one.Environment == nil {
		return job.ClusterAccess{}, slipway.Unsupported("only a deployment job reaches the cluster")
	}
	token := fmt.Sprintf("token-of-job-%d", one.JobID)
	return job.ClusterAccess{Server: "https://10.0.0.1:443", Namespace: "shop-" + one.Environment.Name, Token: token,
		Kubeconfig: `{"apiVersion":"v1","kind":"Config","current-context":"dev","users":[{"name":"dev","user":{"token":"` + token + `"}}]}`}, nil
}

// world is a server that can be killed and started again, a repository, and an executor that outlives the server.
type world struct {
	t        testing.TB
	folder   string
	engine   func() *db.DB
	address  string
	key      *secret.Box
	source   *gitSource
	executor *localExecutor
	deployer *deployer
	work     string // a clone to commit in
	pushes   int64
	agentURL string // of the server as agents reach it
	warm     int    // warm pods

	*pipelines.Service
	db   *db.DB
	id   *identity.Service
	http *http.Server
	stop context.CancelFunc
	ran  chan struct{}
	// listener is open from the beginning, so that nobody takes the address before the first start.
	listener net.Listener
}

func newWorld(t testing.TB) *world {
	t.Helper()
	folder := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, folder: folder, address: listener.Addr().String(), listener: listener, deployer: &deployer{}}
	w.agentURL = "http://" + w.address
	w.engine = func() *db.DB {
		d, err := db.Open(context.Background(), "sqlite:"+filepath.Join(folder, "slipway.db"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if w.key, err = secret.OpenKeyFile(filepath.Join(folder, "key")); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(folder, "bin")
	w.executor = &localExecutor{folder: filepath.Join(folder, "jobs"), path: bin, pods: map[string]*localPod{}}
	w.source = &gitSource{dir: filepath.Join(folder, "git", "shop.git"), repository: pipelines.Repository{ID: slipway.RepositoryID(uuid.NewString()),
		Name: "shop", ProjectName: "Shop", DefaultBranch: "refs/heads/main", URL: "http://" + w.address + "/git/shop.git"}}
	w.work = filepath.Join(folder, "work")
	w.command("git", "init", "--quiet", "--bare", "-b", "main", w.source.dir)
	w.command("git", "clone", "--quiet", w.source.dir, w.work)
	// A program called docker that shows how it is called: there is no builder here.
	w.write(filepath.Join(bin, "docker"), "#!/bin/sh\necho docker \"$@\"\n", 0o755)
	w.start()
	project, err := w.id.CreateProject(context.Background(), slipway.System, "Shop", "")
	if err != nil {
		t.Fatal(err)
	}
	w.source.repository.Project = project.ID
	t.Cleanup(func() {
		w.kill()
		w.executor.mu.Lock()
		names := make([]string, 0)
		for name := range w.executor.pods {
			names = append(names, name)
		}
		w.executor.mu.Unlock()
		for _, name := range names {
			_ = w.executor.Stop(context.Background(), name)
		}
	})
	return w
}

// start starts a server on the data of the one before.
func (w *world) start() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.db = w.engine()
	log, err := events.Open(ctx, w.db, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.id, err = identity.Open(ctx, w.db, log, clock.System{}); err != nil {
		w.t.Fatal(err)
	}
	blobs, err := blob.OpenFiles(filepath.Join(w.folder, "blobs"))
	if err != nil {
		w.t.Fatal(err)
	}
	mirrors, err := mirror.Open(mirror.Options{Folder: filepath.Join(w.folder, "mirrors"), Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		w.t.Fatal(err)
	}
	signs, err := issuer.Open(ctx, w.db, w.key, clock.System{}, "http://"+w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Service, err = pipelines.Open(ctx, pipelines.Deps{DB: w.db, Log: log, Blobs: blobs, Clock: clock.System{}, Secrets: w.key, Source: w.source,
		Environments: environments{}, Tokens: w.id, Executor: w.executor, Logger: logger, Issuer: signs, URL: w.agentURL, Registry: "registry.test:5000",
		Warm: w.warm, Mirrors: mirrors, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/_slipway/", jobserver.New(jobserver.Deps{Pipelines: w.Service, Identity: w.id, Deployer: w.deployer, Logger: logger}))
	mux.Handle("/git/", w.git())
	rest := api.New(w.id, logger, "http://"+w.address)
	rest.AddPipelines(w.Service)
	rest.AddIssuer(signs)
	mux.Handle("/", rest.Handler())
	if w.listener == nil {
		if w.listener, err = net.Listen("tcp", w.address); err != nil {
			w.t.Fatal(err)
		}
	}
	w.http = &http.Server{Handler: mux}
	go func(listener net.Listener) { _ = w.http.Serve(listener) }(w.listener)
	w.listener = nil // which ends with the server
	w.ran = make(chan struct{})
	go func(s *pipelines.Service, ran chan struct{}) { defer close(ran); _ = s.Run(ctx) }(w.Service, w.ran)
	w.stop = stop
}

// kill ends the server in the middle of whatever it does.
func (w *world) kill() {
	w.http.Close()
	w.stop()
	<-w.ran
	if err := w.db.Close(); err != nil {
		w.t.Errorf("close database: %v", err)
	}
}

// git serves the repository by git's own HTTP server to callers with a job's token.
func (w *world) git() http.Handler {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), Root: "/git",
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Join(w.folder, "git"), "GIT_HTTP_EXPORT_ALL=1"}, InheritEnv: []string{"PATH"}}
	id := w.id
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if p, err := id.Authenticate(r); err != nil || p.Token != identity.TokenJob {
			http.Error(rw, "no", http.StatusUnauthorized)
			return
		}
		if v := r.Header.Get("Git-Protocol"); v != "" {
			with := *backend
			with.Env = append([]string{"GIT_PROTOCOL=" + v}, backend.Env...)
			with.ServeHTTP(rw, r)
			return
		}
		backend.ServeHTTP(rw, r)
	})
}

func (w *world) command(name string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) write(path, text string, mode os.FileMode) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
}

// push commits the pipeline file and other files (name, text, ...) and tells the server of it.
func (w *world) push(file string, more ...string) []pipelines.Run {
	w.t.Helper()
	for i, pair := 0, append([]string{"azure-pipelines.yml", file}, more...); i+1 < len(pair); i += 2 {
		w.write(filepath.Join(w.work, pair[i]), pair[i+1], 0o644)
	}
	w.command("git", "-C", w.work, "add", "-A")
	w.command("git", "-C", w.work, "commit", "--quiet", "-m", "Change the shop")
	w.command("git", "-C", w.work, "push", "--quiet", "origin", "HEAD:main")
	w.pushes++
	runs, err := w.Pushed(context.Background(), pipelines.Push{Event: w.pushes, Repository: w.source.repository.ID, Ref: "refs/heads/main",
		After: slipway.CommitID(w.command("git", "-C", w.work, "rev-parse", "HEAD")), Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}, PathsUnknown: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return runs
}

// one is the only run of a push.
func (w *world) one(runs []pipelines.Run) slipway.RunID {
	w.t.Helper()
	if len(runs) != 1 {
		w.t.Fatalf("%d runs, want 1", len(runs))
	}
	return runs[0].ID
}

// until waits for a run's timeline to be as wanted.
func (w *world) until(id slipway.RunID, what string, is func(*pipelines.Timeline) bool) *pipelines.Timeline {
	w.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		changes, end := w.Watch(id)
		t, err := w.Timeline(context.Background(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if is(t) {
			end()
			return t
		}
		select {
		case <-changes:
		case <-time.After(time.Second): // for changes before the watch
		case <-deadline:
			w.t.Fatalf("run %d never was %s; it is %s, and its jobs:\n%s", id, what, t.Run.State, w.describe(t))
		}
		end()
	}
}

func (w *world) completed(id slipway.RunID) *pipelines.Timeline {
	w.t.Helper()
	return w.until(id, "completed", func(t *pipelines.Timeline) bool { return t.Run.State == pipelines.RunCompleted })
}

func (w *world) describe(t *pipelines.Timeline) string {
	var b strings.Builder
	for _, p := range t.Run.Problems {
		fmt.Fprintln(&b, p)
	}
	for _, s := range t.Stages {
		fmt.Fprintf(&b, "stage %s: %s %s %s\n", s.Name, s.State, s.Result, s.Reason)
		for _, j := range s.Jobs {
			fmt.Fprintf(&b, "  job %s: %s %s %s\n", j.Instance, j.State, j.Result, j.Reason)
			for _, st := range j.Steps {
				fmt.Fprintf(&b, "    %d %s: %s %s %s %v\n", st.ID, st.DisplayName, st.State, st.Result, st.Reason, st.Issues)
				if st.Result == "Failed" {
					l, _ := w.ReadLog(context.Background(), j.ID, st.ID, 0, 0)
					fmt.Fprintln(&b, string(l.Data))
				}
			}
		}
	}
	return b.String()
}

// job finds the timeline's job of that instance.
func (w *world) job(t *pipelines.Timeline, instance string) pipelines.TimelineJob {
	w.t.Helper()
	for _, s := range t.Stages {
		for _, j := range s.Jobs {
			if j.Instance == instance {
				return j
			}
		}
	}
	w.t.Fatalf("no job %s in the timeline:\n%s", instance, w.describe(t))
	return pipelines.TimelineJob{}
}

// log is the whole log of the job's step of that display name, without timestamps.
func (w *world) log(j pipelines.TimelineJob, step string) string {
	w.t.Helper()
	for _, st := range j.Steps {
		if st.DisplayName != step {
			continue
		}
		var text []byte
		for {
			l, err := w.ReadLog(context.Background(), j.ID, st.ID, int64(len(text)), 0)
			if err != nil {
				w.t.Fatal(err)
			}
			if len(l.Data) == 0 {
				break
			}
			text = append(text, l.Data...)
		}
		if int64(len(text)) != st.LogSize {
			w.t.Errorf("the log of %s has %d bytes, its size is told as %d", step, len(text), st.LogSize)
		}
		var b strings.Builder
		for line := range strings.Lines(string(text)) {
			if len(line) < joblog.TimeLength {
				w.t.Fatalf("log line %q has no timestamp", line)
			}
			b.WriteString(line[joblog.TimeLength:])
		}
		return b.String()
	}
	w.t.Fatalf("job %s has no step %q", j.Instance, step)
	return ""
}
