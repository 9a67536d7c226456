package pipelines_test

import (
	"archive/tar"
	"bytes"
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
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
}

const commit = slipway.CommitID("2222222222222222222222222222222222222222")

func (s *source) Repository(_ context.Context, id slipway.RepositoryID) (pipelines.Repository, error) {
	return pipelines.Repository{ID: id, Project: stdcmp.Or(s.project, "p"), ProjectName: "Shop", Name: stdcmp.Or(s.names[id], "shop"), DefaultBranch: "refs/heads/main", URL: "http://slipway/Shop/_git/shop"}, nil
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
	delete(c.pods, name)
	return nil
}

func (c *cluster) Inspect(_ context.Context, name string) (pipelines.PodStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
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

const twoStages = `
name: $(Date:yyyy)-$(Rev:r)
variables:
- group: shared
- name: n
  value: $[ counter('x', 5) ]
stages:
- stage: Build
  jobs:
  - job: make
    steps:
    - bash: make
      name: make
- stage: Ship
  jobs:
  - deployment: go
    environment: production
    strategy:
      runOnce:
        deploy:
          steps:
          - bash: ship
`

func TestLifeOfARun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		if _, err := w.PutGroup(ctx, pipelines.Group{Project: "p", Name: "Shared", Variables: []pipelines.GroupVariable{{Name: "plain", Value: "a"}, {Name: "key", Value: "hunter2", Secret: true}}}); err != nil {
			t.Fatal(err)
		}
		runs := w.push(twoStages)
		if len(runs) != 1 {
			t.Fatalf("%d runs", len(runs))
		}
		id := runs[0].ID
		if want := fmt.Sprintf("%d-1", time.Now().UTC().Year()); runs[0].Number != want || runs[0].Title != "Sell hats" || runs[0].PipelineName != "shop" {
			t.Errorf("run %+v", runs[0])
		}
		// The same push told again starts nothing new.
		w.pushes--
		if again := w.push(twoStages); len(again) != 1 || again[0].ID != id {
			t.Errorf("told again: %+v", again)
		}
		waits := func(want bool) {
			t.Helper()
			if r, err := w.Get(ctx, id); err != nil || r.Waiting != want {
				t.Errorf("the run waits for checks: %t, %v, want %t", r.Waiting, err, want)
			}
		}
		waits(false)
		a := w.do(id, "Build.make", job.Completion{Result: schedule.Succeeded, Outputs: map[string]string{"make.x": "1"}})
		waits(true)
		key, _ := a.Variables.Get("key")
		if a.Variables.Text("plain") != "a" || key.Text != "hunter2" || !key.Secret || a.Variables.Text("n") != "5" ||
			a.Variables.Text("build.buildid") != id.String() || a.Variables.Text("Build.SourceBranchName") != "main" {
			t.Errorf("variables %v", a.Variables)
		}
		if a.Repositories["self"].Commit != commit || len(a.Steps) != 2 || a.TimeoutInMinutes != 60 {
			t.Errorf("assignment %+v", a)
		}
		if n := w.kinds()[pipelines.EventStageWaiting]; n != 1 {
			t.Errorf("%d stages wait for checks", n)
		}
		for range 2 { // told twice
			if err := w.ChecksCompleted(ctx, id, "Ship", 1, schedule.ChecksApproved, ""); err != nil {
				t.Fatal(err)
			}
		}
		waits(false)
		ship := w.do(id, "Ship.go.deploy", job.Completion{Result: schedule.Succeeded})
		if ship.Environment == nil || ship.Environment.Name != "production" || ship.Variables.Text("REPLICAS") != "3" {
			t.Errorf("deployment %+v", ship)
		}
		if got := w.result(id); got != schedule.Succeeded {
			t.Errorf("result %s", got)
		}
		want := map[events.Kind]int{pipelines.EventRunQueued: 1, pipelines.EventRunStarted: 1, pipelines.EventRunCompleted: 1, pipelines.EventStageWaiting: 1,
			pipelines.EventStageOver: 1, pipelines.EventJobStarted: 2, pipelines.EventJobCompleted: 2}
		if diff := cmp.Diff(want, w.kinds()); diff != "" {
			t.Errorf("events: %s", diff)
		}
		if next := w.push(twoStages); next[0].Number != fmt.Sprintf("%d-2", time.Now().UTC().Year()) {
			t.Errorf("number of the next run: %s", next[0].Number)
		}
	})
}

func TestRejectRetryCancel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		if _, err := w.PutGroup(ctx, pipelines.Group{Project: "p", Name: "shared"}); err != nil {
			t.Fatal(err)
		}
		id := w.push(twoStages)[0].ID
		w.do(id, "Build.make", job.Completion{Result: schedule.Succeeded})
		if err := w.ChecksCompleted(ctx, id, "Ship", 1, schedule.ChecksRejected, "Ada rejected it"); err != nil {
			t.Fatal(err)
		}
		if got := w.result(id); got != schedule.Failed {
			t.Fatalf("rejected: %q", got)
		}
		if err := w.RetryFailed(ctx, id, slipway.System); err != nil {
			t.Fatal(err)
		}
		if n := w.kinds()[pipelines.EventStageWaiting]; n != 2 {
			t.Errorf("after the retry the checks were asked for %d times, want 2", n)
		}
		// An answer to the checks of the attempt before says nothing about this one.
		if err := w.ChecksCompleted(ctx, id, "Ship", 1, schedule.ChecksApproved, ""); err != nil {
			t.Fatal(err)
		}
		if j := w.timeline(id)["Ship.go.deploy"]; j.State == schedule.Queued {
			t.Error("the job started by an old approval")
		}
		if err := w.Cancel(ctx, id, slipway.Actor{Name: "Ada"}); err != nil {
			t.Fatal(err)
		}
		if got := w.result(id); got != schedule.Canceled {
			t.Errorf("canceled: %q", got)
		}
		if err := w.Cancel(ctx, id, slipway.System); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("cancel of a run that is over: %v", err)
		}
	})
}

func TestOneJobOfAStageRunsAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		id := w.push("jobs:\n- job: A\n  steps: [{bash: a}]\n- job: B\n  dependsOn: A\n  steps: [{bash: b}]\n- job: C\n  steps: [{bash: c}]\n")[0].ID
		if err := w.Retry(ctx, id, schedule.Again{Stage: "__default", All: true}, slipway.System); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a stage that runs: %v", err)
		}
		for _, name := range []string{"A", "B", "C"} {
			w.do(id, "__default."+name, job.Completion{Result: schedule.Succeeded})
		}
		if got := w.result(id); got != schedule.Succeeded {
			t.Fatalf("result %q", got)
		}
		if err := w.Retry(ctx, id, schedule.Again{Stage: "__default", Job: "B"}, slipway.System); err != nil {
			t.Fatal(err)
		}
		timeline := w.timeline(id)
		if b := timeline["__default.B"]; b.Attempt != 2 || b.State != schedule.Queued || len(b.Earlier) != 1 {
			t.Errorf("B is %+v, want its second attempt queued", b)
		}
		if a := timeline["__default.A"]; a.Attempt != 1 || a.Result != schedule.Succeeded {
			t.Errorf("A is %+v, want it as it was", a)
		}
		w.do(id, "__default.B", job.Completion{Result: schedule.Failed})
		if got := w.result(id); got != schedule.Failed {
			t.Errorf("after the second attempt of B the run is %q", got)
		}
	})
}

// Whatever pieces a log comes in, again and again, the log has each byte once.
func TestLog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		run := w.push("steps:\n- bash: x\n")[0].ID
		id := w.timeline(run)["__default.Job"].ID
		if _, err := w.Assign(ctx, id); err != nil {
			t.Fatal(err)
		}
		text := []byte(strings.Repeat("0123456789\n\xff\x00", 3000))
		random := rand.New(rand.NewPCG(1, 2))
		for sent := int64(0); sent < int64(len(text)); {
			from := sent - min(sent, int64(random.IntN(200))) // some of it again
			to := min(from+int64(random.IntN(4000)), int64(len(text)))
			size, err := w.AppendLog(ctx, id, 1, from, text[from:to])
			if err != nil {
				t.Fatal(err)
			}
			if size != max(sent, to) {
				t.Fatalf("size %d after %d to %d, was %d", size, from, to, sent)
			}
			sent = size
		}
		if size, err := w.AppendLog(ctx, id, 1, int64(len(text))+1, []byte("x")); slipway.CodeOf(err) != slipway.CodeConflict || size != int64(len(text)) {
			t.Errorf("a hole: size %d, %v", size, err)
		}
		var got []byte
		for {
			l, err := w.ReadLog(ctx, id, 1, int64(len(got)), 1+random.IntN(5000))
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Data) == 0 {
				break
			}
			got = append(got, l.Data...)
		}
		if !bytes.Equal(text, got) {
			t.Errorf("the log has %d bytes, want %d, or they differ", len(got), len(text))
		}
	})
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		run := w.push("jobs:\n- job: a\n  steps:\n  - bash: x\n- job: b\n  steps:\n  - bash: x\n")[0].ID
		jobs := w.timeline(run)
		pack := func(name, text string) io.Reader {
			var b bytes.Buffer
			tw := tar.NewWriter(&b)
			err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600})
			if _, writeErr := tw.Write([]byte(text)); errors.Join(err, writeErr, tw.Close()) != nil {
				t.Fatal(err, writeErr)
			}
			return &b
		}
		a, b := jobs["__default.a"].ID, jobs["__default.b"].ID
		for range 2 { // the same job may send again
			if _, err := w.PutArtifact(ctx, a, "Drop", pack("x/y.txt", "hello")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.PutArtifact(ctx, b, "drop", pack("y", "z")); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("the name of another job's artifact: %v", err)
		}
		for name, r := range map[string]io.Reader{"outside": pack("../y", "z"), "absolute": pack("/etc/y", "z"), "cut": io.LimitReader(pack("y", "zzzz"), 514)} {
			if _, err := w.PutArtifact(ctx, b, name, r); slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("%s: %v, want invalid", name, err)
			}
		}
		list, err := w.Artifacts(ctx, run)
		if err != nil || len(list) != 1 || list[0].Size != 5 || list[0].Files != 1 {
			t.Errorf("artifacts %+v, %v", list, err)
		}
	})
}

func TestTestsAndSummaries(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		run := w.push("steps:\n- bash: x\n")[0].ID
		id := w.timeline(run)["__default.Job"].ID
		results := []job.TestResult{{Name: "a", Outcome: job.TestPassed, Duration: 10}, {Name: "b", Outcome: job.TestFailed, Message: "bad \x00 byte", Duration: 20}}
		for range 2 { // again replaces
			if err := w.PutTests(ctx, id, job.TestRun{Step: 3, Title: "unit", Results: results}); err != nil {
				t.Fatal(err)
			}
		}
		runs, err := w.TestRuns(ctx, run)
		if err != nil || len(runs) != 1 || runs[0].Passed != 1 || runs[0].Failed != 1 || runs[0].Duration != 30*time.Microsecond {
			t.Fatalf("%+v, %v", runs, err)
		}
		got, err := w.TestResults(ctx, runs[0].ID)
		if err != nil || len(got) != 2 || got[0].Name != "b" || got[0].Message != "bad  byte" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := w.PutSummary(ctx, id, job.Summary{Step: 1, Name: "a.md", Text: "text"}); err != nil {
			t.Fatal(err)
		}
		if list, err := w.Summaries(ctx, run); err != nil || len(list) != 1 || list[0].Text != "text" {
			t.Errorf("%+v, %v", list, err)
		}
	})
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

func TestPods(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.reconcile()
		run := w.push("pool:\n  vmImage: ubuntu-latest\nsteps:\n- bash: x\n")[0].ID
		name := <-w.cluster.began
		w.cluster.mu.Lock()
		pod := w.cluster.pods[name]
		w.cluster.mu.Unlock()
		id := w.timeline(run)["__default.Job"].ID
		if name != pipelines.PodName(run, id) || pod.Image != "localhost:8080/slipway/job:latest" || pod.Env["SLIPWAY_JOB"] != id.String() || len(pod.Token) != 52 {
			t.Errorf("pod %+v", pod)
		}
		w.cluster.mu.Lock()
		w.cluster.status[name] = pipelines.PodStatus{Phase: pipelines.PodStarting, Note: "no node has room"}
		w.cluster.mu.Unlock()
		w.until(run, "__default.Job", func(j pipelines.TimelineJob) bool { return j.PodNote == "no node has room" })
		w.cluster.mu.Lock()
		w.cluster.status[name] = pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "the image cannot be pulled"}
		w.cluster.mu.Unlock()
		if j := w.until(run, "__default.Job", over); j.Result != schedule.Failed || j.Reason != "the image cannot be pulled" {
			t.Errorf("job %+v", j)
		}
		w.cluster.mu.Lock()
		w.cluster.start = slipway.Invalid("the cluster refuses the job's pod: bad")
		w.cluster.mu.Unlock()
		run = w.push("steps:\n- bash: x\n")[0].ID
		if j := w.until(run, "__default.Job", over); j.Result != schedule.Failed || !strings.Contains(j.Reason, "refuses") {
			t.Errorf("job %+v", j)
		}
		w.cluster.mu.Lock()
		w.cluster.start = slipway.Unavailable("the cluster cannot be reached")
		w.cluster.mu.Unlock()
		run = w.push("steps:\n- bash: x\n")[0].ID
		w.until(run, "__default.Job", func(j pipelines.TimelineJob) bool { return j.PodNote == "waiting for the cluster" })
		if err := w.Cancel(ctx, run, slipway.System); err != nil {
			t.Fatal(err)
		}
		if j := w.until(run, "__default.Job", over); j.Result != schedule.Canceled {
			t.Errorf("canceled before its pod: %+v", j)
		}
	})
}
