package pipelines_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

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
		if _, err := w.PutGroup(ctx, pipelines.Group{Project: "p", Name: "Shared", Variables: []pipelines.GroupVariable{{Name: "plain", Value: "a"}, {Name: "key", Value: "hunter2", Secret: true}}}, slipway.Actor{}); err != nil {
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
		want := map[events.Kind]int{pipelines.EventVariableGroupChanged: 1, pipelines.EventRunQueued: 1, pipelines.EventRunStarted: 1, pipelines.EventRunCompleted: 1, pipelines.EventStageWaiting: 1,
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
		if _, err := w.PutGroup(ctx, pipelines.Group{Project: "p", Name: "shared"}, slipway.Actor{}); err != nil {
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
