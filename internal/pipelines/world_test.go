package pipelines_test

import (
	stdcmp "cmp"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
	"slipway/internal/secret"
)

// source is a repository whose file a test chooses: one of all commits, or those of files.
type source struct {
	text    string
	files   map[slipway.CommitID]string
	tips    map[string]slipway.CommitID     // of branches, when there are others than main
	other   string                          // the file other.yml of all commits
	project slipway.ProjectID               // "" is p
	names   map[slipway.RepositoryID]string // of repositories that can be found by them
	empty   slipway.RepositoryID            // has no file

	projects map[slipway.RepositoryID]slipway.ProjectID // of repositories that are not in project
}

const commit = slipway.CommitID("2222222222222222222222222222222222222222")

func (s *source) Repository(_ context.Context, id slipway.RepositoryID) (pipelines.Repository, error) {
	return pipelines.Repository{ID: id, Project: stdcmp.Or(s.projects[id], s.project, "p"), ProjectName: "Shop", Name: stdcmp.Or(s.names[id], "shop"), DefaultBranch: "refs/heads/main", URL: "http://slipway/Shop/_git/shop"}, nil
}

func (s *source) FindRepository(ctx context.Context, _ slipway.ProjectID, name string) (pipelines.Repository, error) {
	for id, known := range s.names {
		if known == name {
			return s.Repository(ctx, id)
		}
	}
	return pipelines.Repository{}, slipway.NotFound("there is none")
}

func (s *source) Branches(context.Context, slipway.RepositoryID) ([]pipelines.Branch, error) {
	var list []pipelines.Branch
	for ref, c := range s.tips {
		list = append(list, pipelines.Branch{Ref: ref, Commit: c})
	}
	return list, nil
}

func (s *source) Resolve(_ context.Context, _ slipway.RepositoryID, ref string) (slipway.CommitID, error) {
	if s.tips == nil {
		return commit, nil
	}
	if c, ok := s.tips[ref]; ok {
		return c, nil
	}
	return "", slipway.NotFound("there is no %s", ref)
}

func (s *source) ReadFile(_ context.Context, id slipway.RepositoryID, at slipway.CommitID, path string, _ int64) ([]byte, error) {
	if s.empty != "" && id == s.empty {
		return nil, slipway.NotFound("there is no %s", path)
	}
	if text, ok := s.files[at]; ok && path == pipelines.DefaultPath {
		return []byte(text), nil
	}
	if path == "other.yml" && s.other != "" {
		return []byte(s.other), nil
	}
	if path != pipelines.DefaultPath || s.text == "" {
		return nil, slipway.NotFound("there is no %s", path)
	}
	return []byte(s.text), nil
}

func (s *source) List(context.Context, slipway.RepositoryID, slipway.CommitID, string) ([]string, error) {
	return []string{pipelines.DefaultPath, "other.yml"}, nil
}

func (s *source) Commit(context.Context, slipway.RepositoryID, slipway.CommitID) (pipelines.Commit, error) {
	return pipelines.Commit{Message: "Sell hats\n\nAB#7", Author: "Ada"}, nil
}

// cluster is an executor that a test moves.
type cluster struct {
	mu     sync.Mutex
	pods   map[string]pipelines.Pod
	status map[string]pipelines.PodStatus
	start  error
	began  chan string
	asked  map[string]int // how often it was asked about a pod, or to end one
}

func (c *cluster) Start(_ context.Context, p pipelines.Pod) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start != nil {
		return c.start
	}
	c.pods[p.Name] = p
	select {
	case c.began <- p.Name:
	default:
	}
	return nil
}

func (c *cluster) Stop(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(name)
	delete(c.pods, name)
	return nil
}

func (c *cluster) note(name string) {
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked[name]++
}

func (c *cluster) Inspect(_ context.Context, name string) (pipelines.PodStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(name)
	if s, ok := c.status[name]; ok {
		return s, nil
	}
	if _, ok := c.pods[name]; !ok {
		return pipelines.PodStatus{Phase: pipelines.PodAbsent}, nil
	}
	return pipelines.PodStatus{Phase: pipelines.PodRunning}, nil
}

type noEnvironments struct{}

func (noEnvironments) Waits(context.Context, slipway.RunID) (map[string]string, error) {
	return map[string]string{"Ship": "waits for an approval of environment shop"}, nil
}

func (noEnvironments) Variables(context.Context, slipway.ProjectID, string) (variable.Set, error) {
	return variable.Of(map[string]string{"REPLICAS": "3"}), nil
}

type world struct {
	testing.TB
	*pipelines.Service
	source  *source
	cluster *cluster
	log     *events.Log
	people  *identity.Service
	deps    pipelines.Deps
	pushes  int64
}

// restart puts a new service over the same records, as after a server was killed.
func (w *world) restart() {
	w.Helper()
	var err error
	if w.Service, err = pipelines.Open(context.Background(), w.deps); err != nil {
		w.Fatal(err)
	}
}

func setup(t testing.TB, d *db.DB) *world {
	t.Helper()
	return setupAt(t, d, clock.System{})
}

// setupAt is setup with a clock that the test moves.
func setupAt(t testing.TB, d *db.DB, now clock.Clock) *world {
	t.Helper()
	ctx, logger := context.Background(), slog.New(slog.DiscardHandler)
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Open(ctx, d, log, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, source: &source{}, log: log, cluster: &cluster{pods: map[string]pipelines.Pod{}, status: map[string]pipelines.PodStatus{}, began: make(chan string, 10)}}
	w.people = id
	w.deps = pipelines.Deps{DB: d, Log: log, Blobs: blobs, Clock: now, Secrets: box, Source: w.source, Environments: noEnvironments{},
		Tokens: id, Executor: w.cluster, Logger: logger, URL: "http://slipway", Registry: "localhost:8080"}
	w.restart()
	return w
}

// reconcile runs the service until the test ends.
func (w *world) reconcile() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Service.Run(ctx) }()
	w.Cleanup(func() { stop(); <-done })
}

func (w *world) push(text string) []pipelines.Run {
	w.Helper()
	w.source.text = text
	w.pushes++
	runs, err := w.Pushed(context.Background(), pipelines.Push{Event: w.pushes, Repository: "r", Ref: "refs/heads/main", After: commit, PathsUnknown: true,
		Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}})
	if err != nil {
		w.Fatal(err)
	}
	return runs
}

func (w *world) timeline(id slipway.RunID) map[string]pipelines.TimelineJob {
	w.Helper()
	t, err := w.Timeline(context.Background(), id)
	if err != nil {
		w.Fatal(err)
	}
	jobs := map[string]pipelines.TimelineJob{}
	for _, st := range t.Stages {
		for _, j := range st.Jobs {
			jobs[j.Instance] = j
		}
	}
	return jobs
}

// do runs a job as an agent would and gives what it was assigned.
func (w *world) do(run slipway.RunID, instance string, end job.Completion) job.Assignment {
	w.Helper()
	id := w.timeline(run)[instance].ID
	if id == 0 {
		w.Fatalf("job %s has not been decided about", instance)
	}
	a, err := w.Assign(context.Background(), id)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.Complete(context.Background(), id, end); err != nil {
		w.Fatal(err)
	}
	return a
}

func (w *world) result(id slipway.RunID) schedule.Result {
	w.Helper()
	run, err := w.Get(context.Background(), id)
	if err != nil {
		w.Fatal(err)
	}
	return run.Result
}

func (w *world) kinds() map[events.Kind]int {
	w.Helper()
	list, err := w.log.List(context.Background(), events.Filter{Project: "p"})
	if err != nil {
		w.Fatal(err)
	}
	count := map[events.Kind]int{}
	for _, e := range list {
		count[e.Kind]++
	}
	return count
}

// until waits for a job's state, told of changes by the service.
func (w *world) until(run slipway.RunID, instance string, is func(pipelines.TimelineJob) bool) pipelines.TimelineJob {
	w.Helper()
	deadline := time.After(30 * time.Second)
	for {
		changes, end := w.Watch(run)
		j := w.timeline(run)[instance]
		if is(j) {
			end()
			return j
		}
		select {
		case <-changes:
		case <-time.After(time.Second):
		case <-deadline:
			w.Fatalf("job %+v", j)
		}
		end()
	}
}

func over(j pipelines.TimelineJob) bool { return j.State == schedule.Completed }
