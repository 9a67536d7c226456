package pipelines_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// names lists the pods of the cluster.
func (c *cluster) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for name := range c.pods {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func (c *cluster) pod(name string) pipelines.Pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pods[name]
}

func (c *cluster) become(name string, s pipelines.PodStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status[name] = s
}

// look does what Run repeats, several times, as its decisions follow one another.
func (w *world) look() {
	w.Helper()
	for range 3 {
		if err := w.Reconcile(context.Background()); err != nil {
			w.Fatal(err)
		}
	}
}

// podsAre compares the pods of the cluster.
func (w *world) podsAre(when string, want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, w.cluster.names()); diff != "" {
		w.Fatalf("%s: -want +got\n%s", when, diff)
	}
}

// await is what a warm pod's agent asks; it must be given the job, or none if that is 0.
func (w *world) await(pod int64, want slipway.JobID) job.PodAssignment {
	w.Helper()
	got, given, err := w.AwaitJob(context.Background(), pod)
	if err != nil || got.Job != want || given != (want != 0) {
		w.Fatalf("pod %d is given job %d (%v), %v; want %d", pod, got.Job, given, err, want)
	}
	return got
}

func warmed(t *testing.T, d *db.DB, warm int) (*world, *hand) {
	t.Helper()
	now := &hand{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w := setupAt(t, d, now)
	w.deps.Warm = warm
	w.restart()
	return w, now
}

const oneJob = "steps:\n- bash: x\n"

// The first job of a project has a pod of its own; the next takes the pod that waits, with a token that is good for that job, and
// another pod is started in its place. A warm pod does one job.
func TestWarmPod(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, _ := warmed(t, d, 1)
		ctx := context.Background()
		first := w.push(oneJob)[0].ID
		w.look()
		w.podsAre("first run", "run-1-job-1", "warm-1")
		waiting := w.cluster.pod("warm-1")
		if waiting.Warm != 1 || waiting.Job != 0 || waiting.Env["SLIPWAY_POD"] != "1" || waiting.Env["SLIPWAY_JOB"] != "" || waiting.Project != "p" ||
			waiting.Image != w.cluster.pod("run-1-job-1").Image {
			t.Errorf("warm pod %+v", waiting)
		}
		who, err := w.people.AuthenticateToken(ctx, waiting.Token)
		if err != nil || who.Token != identity.TokenPod || who.Binding.Pod != 1 || who.Binding.Job != 0 {
			t.Errorf("the token is of %+v, %v", who, err)
		}
		if err := w.people.Authorize(ctx, who, identity.Read, "p"); err == nil {
			t.Error("a pod without a job may read the project")
		}
		w.do(first, "__default.Job", job.Completion{Result: schedule.Succeeded})
		w.await(1, 0)
		second := w.push(oneJob)[0].ID
		id := w.timeline(second)["__default.Job"].ID
		if err := w.Reconcile(ctx); err != nil {
			t.Fatal(err)
		}
		work := w.await(1, id)
		who, err = w.people.AuthenticateToken(ctx, work.Token)
		if err != nil || who.Token != identity.TokenJob || who.Binding.Job != id || who.Binding.Run != second || who.Project != "p" {
			t.Errorf("the job's token is of %+v, %v", who, err)
		}
		w.restart() // killed before the agent heard: it asks again
		w.await(1, id)
		w.cluster.become("run-1-job-1", pipelines.PodStatus{Phase: pipelines.PodEnded})
		w.look()
		w.podsAre("second run", "warm-1", "warm-2")
		if _, err := w.Assign(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		w.cluster.become("warm-1", pipelines.PodStatus{Phase: pipelines.PodEnded})
		w.look()
		w.podsAre("after the second run", "warm-2")
		if _, _, err := w.AwaitJob(ctx, 1); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a pod that has done its job is answered %v", err)
		}
		w.await(2, 0)
		counts, err := w.WarmCounts(ctx)
		if diff := cmp.Diff(map[string]pipelines.WarmCount{"default": {Waiting: 1}}, counts); err != nil || diff != "" {
			t.Errorf("%v, -want +got\n%s", err, diff)
		}
		if err := w.StopWarm(ctx); err != nil {
			t.Fatal(err)
		}
		w.podsAre("stopped")
	})
}

// Jobs that ask for something of their own get pods of their own.
func TestWarmPodIsNotForAll(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, _ := warmed(t, d, 1)
		w.do(w.push(oneJob)[0].ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		w.look()
		w.push(oneJob)
		w.look()
		w.await(1, 0) // too late for the second run
		for name, text := range map[string]string{
			"container": "container: debian:13\nsteps:\n- bash: x\n",
			"service":   "resources:\n  containers:\n  - container: db\n    image: postgres:17\nservices:\n  db: db\nsteps:\n- bash: x\n",
		} {
			run := w.push(text)[0].ID
			if err := w.Reconcile(context.Background()); err != nil {
				t.Fatal(err)
			}
			if own := pipelines.PodName(run, w.timeline(run)["__default.Job"].ID); !slices.Contains(w.cluster.names(), own) {
				t.Errorf("%s: the job has no pod %s: %q", name, own, w.cluster.names())
			}
			w.await(1, 0)
		}
	})
}

// A warm pod is replaced when it is old, when its image was pushed again, when the server is another one, and when it ends;
// one that cannot start is not tried again at once.
func TestWarmPodIsRenewed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, now := warmed(t, d, 1)
		ctx := context.Background()
		run := w.push(oneJob)[0].ID
		w.look()
		w.do(run, "__default.Job", job.Completion{Result: schedule.Succeeded})
		w.cluster.become("run-1-job-1", pipelines.PodStatus{Phase: pipelines.PodEnded})
		w.look()
		w.podsAre("first", "warm-1")
		now.now = now.now.Add(time.Hour + time.Second)
		w.look()
		w.podsAre("old", "warm-2")
		if err := w.RenewWarm(ctx, "localhost:8080/slipway/other:latest"); err != nil {
			t.Fatal(err)
		}
		w.look()
		w.podsAre("another image", "warm-2")
		if err := w.RenewWarm(ctx, "localhost:8080/slipway/job:latest"); err != nil {
			t.Fatal(err)
		}
		w.look()
		w.podsAre("new image", "warm-3")
		w.deps.Build = "2"
		w.restart()
		w.look()
		w.podsAre("new server", "warm-4")
		w.cluster.become("warm-4", pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "no image"})
		w.look()
		w.podsAre("broken")
		now.now = now.now.Add(6 * time.Minute)
		w.look()
		w.podsAre("after a while", "warm-5")
		if _, err := w.people.CreateUser(ctx, slipway.System, identity.NewUser{Name: "ada", Password: "correct horse"}); err != nil {
			t.Fatal(err)
		}
		none := 0
		if _, _, err := w.PutPool(ctx, "Default", pipelines.PoolSettings{Warm: &none}, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.look()
		w.podsAre("none wanted")
	})
}

// A job whose warm pod has ended before its agent asked for the job gets a pod of its own.
func TestWarmPodEndsTooEarly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, now := warmed(t, d, 1)
		first := w.push(oneJob)[0].ID
		w.look()
		w.do(first, "__default.Job", job.Completion{Result: schedule.Succeeded})
		w.cluster.become("run-1-job-1", pipelines.PodStatus{Phase: pipelines.PodEnded})
		w.look()
		w.await(1, 0)
		run := w.push(oneJob)[0].ID
		w.cluster.become("warm-1", pipelines.PodStatus{Phase: pipelines.PodEnded})
		if err := w.Reconcile(context.Background()); err != nil {
			t.Fatal(err)
		}
		if j := w.timeline(run)["__default.Job"]; j.PodName() != "warm-1" {
			t.Fatalf("the job has the pod %s", j.PodName())
		}
		w.look()
		now.set("2026-03-01 12:01") // its last report may have been on its way
		w.look()
		if j := w.timeline(run)["__default.Job"]; j.State != schedule.Queued || j.PodName() != "run-2-job-2-2" || !slices.Contains(w.cluster.names(), "run-2-job-2-2") {
			t.Errorf("the job is %s %s in the pod %s", j.State, j.Reason, j.PodName())
		}
	})
}

// While a job finds no room, warm pods make some.
func TestWarmPodsMakeRoom(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, _ := warmed(t, d, 2)
		w.push(oneJob)
		w.look()
		w.podsAre("first", "run-1-job-1", "warm-1", "warm-2")
		w.cluster.become("run-1-job-1", pipelines.PodStatus{Phase: pipelines.PodStarting, Note: "no node has room for the job: Insufficient memory"})
		w.look()
		w.podsAre("crowded", "run-1-job-1")
		w.cluster.become("run-1-job-1", pipelines.PodStatus{Phase: pipelines.PodStarting, Note: "waiting for a node"})
		w.look()
		w.podsAre("room", "run-1-job-1", "warm-3", "warm-4")
	})
}

// A pod that is lost before its job's first step is replaced, and what it knew is worth nothing; after the first step the job fails.
func TestLostPod(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, _ := warmed(t, d, 0)
		ctx := context.Background()
		run := w.push(oneJob)[0].ID
		w.look()
		id := w.timeline(run)["__default.Job"].ID
		if _, err := w.Assign(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := w.Report(ctx, id, job.Report{Steps: []job.StepRecord{{ID: 0, DisplayName: "Initialize job", State: schedule.Running, Started: 1}, {ID: 1, DisplayName: "x"}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AppendLog(ctx, id, 0, 0, []byte("the first agent\n")); err != nil {
			t.Fatal(err)
		}
		old := w.cluster.pod("run-1-job-1").Token
		w.cluster.become("run-1-job-1", pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "the node n1 was lost", Lost: true})
		w.look()
		w.podsAre("lost", "run-1-job-1-2")
		j := w.timeline(run)["__default.Job"]
		if j.State != schedule.Queued || len(j.Steps) != 0 || j.ID != id || j.Attempt != 1 {
			t.Errorf("the job is %s with %d steps, attempt %d", j.State, len(j.Steps), j.Attempt)
		}
		if _, err := w.people.AuthenticateToken(ctx, old); err == nil {
			t.Error("the token of the lost pod is still good")
		}
		if _, err := w.people.AuthenticateToken(ctx, w.cluster.pod("run-1-job-1-2").Token); err != nil {
			t.Errorf("the token of the new pod: %v", err)
		}
		if _, err := w.Assign(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := w.Report(ctx, id, job.Report{Steps: []job.StepRecord{{ID: 1, DisplayName: "x", State: schedule.Running, Started: 2}}}); err != nil {
			t.Fatal(err)
		}
		w.cluster.become("run-1-job-1-2", pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "the node n2 was lost", Lost: true})
		w.look()
		if j := w.timeline(run)["__default.Job"]; j.Result != schedule.Failed || !strings.Contains(j.Reason, "the node n2 was lost") {
			t.Errorf("the job is %s: %s", j.Result, j.Reason)
		}
	})
}

// A job whose pods are lost again and again fails, as one does whose pod ends by its own fault.
func TestLostPodGivesUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, _ := warmed(t, d, 0)
		run := w.push(oneJob)[0].ID
		w.look()
		for _, name := range []string{"run-1-job-1", "run-1-job-1-2", "run-1-job-1-3", "run-1-job-1-4"} {
			w.podsAre("before "+name+" is lost", name)
			w.cluster.become(name, pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "the node was lost", Lost: true})
			w.look()
		}
		if j := w.timeline(run)["__default.Job"]; j.Result != schedule.Failed || !strings.Contains(j.Reason, "the node was lost") {
			t.Errorf("the job is %s: %s", j.Result, j.Reason)
		}
		run = w.push(oneJob)[0].ID
		w.look()
		w.cluster.become("run-2-job-2", pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "the registry does not have it"})
		w.look()
		if j := w.timeline(run)["__default.Job"]; j.Result != schedule.Failed {
			t.Errorf("the job is %s: %s", j.Result, j.Reason)
		}
	})
}
