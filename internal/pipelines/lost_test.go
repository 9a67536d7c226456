package pipelines_test

import (
	"archive/zip"
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// begin lets the agent of a job begin its first step.
func (w *world) begin(run slipway.RunID, instance, log string) slipway.JobID {
	w.Helper()
	w.look()
	ctx, id := context.Background(), w.timeline(run)[instance].ID
	if _, err := w.Assign(ctx, id); err != nil {
		w.Fatal(err)
	}
	report := job.Report{Steps: []job.StepRecord{{ID: 1, DisplayName: "x", State: schedule.Running, Started: 1}}, Outputs: map[string]string{"s.v": log}}
	if err := w.Report(ctx, id, report); err != nil {
		w.Fatal(err)
	}
	if _, err := w.AppendLog(ctx, id, 1, 0, []byte(log+"\n")); err != nil {
		w.Fatal(err)
	}
	return id
}

// lose loses the pod of a job.
func (w *world) lose(id slipway.JobID) {
	w.Helper()
	j, err := w.Job(context.Background(), id)
	if err != nil {
		w.Fatal(err)
	}
	w.cluster.become(j.PodName(), pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "the node n1 was lost", Lost: true})
	w.look()
}

// A job that is lost after its first step gets another attempt where pool, pipeline or file say so; what the lost one left is kept
// beside it, its token is worth nothing, and a server that was killed meanwhile goes on.
func TestRetryOfLostJobs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, _ := warmed(t, d, 0)
		ctx := context.Background()
		if _, _, err := w.PutPool(ctx, "default", pipelines.PoolSettings{RetryLost: 1}, slipway.System); err != nil {
			t.Fatal(err)
		}
		run := w.push("jobs:\n- job: A\n  steps: [{bash: x}]\n- job: B\n  dependsOn: A\n  steps: [{bash: x}]\n")[0].ID
		first := w.begin(run, "__default.A", "one")
		pod, err := w.Job(ctx, first)
		if err != nil {
			t.Fatal(err)
		}
		token := w.cluster.pod(pod.PodName()).Token
		w.lose(first)
		w.restart()
		if _, err := w.people.AuthenticateToken(ctx, token); err == nil {
			t.Error("the token of the lost pod is still good")
		}
		second := w.begin(run, "__default.A", "two")
		j := w.timeline(run)["__default.A"]
		if j.ID != second || second == first || j.Attempt != 2 || j.Retried != "attempt 1 was lost: the node n1 was lost" || len(j.Earlier) != 1 {
			t.Fatalf("the job is %+v", j)
		}
		lost := j.Earlier[0]
		if lost.Result != schedule.Failed || lost.Reason != "the node n1 was lost; the job is started again as attempt 2" || len(lost.Steps) != 1 ||
			lost.Steps[0].Result != schedule.Failed || lost.Outputs["s.v"] != "one" {
			t.Errorf("the lost attempt is %+v", lost)
		}
		if got, err := w.ReadLog(ctx, first, 1, 0, 100); err != nil || string(got.Data) != "one\n" {
			t.Errorf("its log is %q, %v", got.Data, err)
		}
		explained, err := w.Explain(ctx, run)
		if err != nil || !strings.Contains(reasonOf(explained, "__default.A"), "this is attempt 2, since attempt 1 was lost: the node n1 was lost") {
			t.Errorf("explained as %q, %v", reasonOf(explained, "__default.A"), err)
		}
		w.replays(run, 0)
		w.lose(second)
		if j := w.timeline(run)["__default.A"]; j.Attempt != 2 || j.Result != schedule.Failed || j.Reason != "the node n1 was lost" {
			t.Errorf("the second loss: %+v", j)
		}
		if got := w.result(run); got != schedule.Failed {
			t.Errorf("the run is %q", got)
		}
		if diff := cmp.Diff([]string{"1_Stage/1_A/1_x.txt", "1_Stage/1_A (attempt 2)/1_x.txt"}, w.logNames(run)); diff != "" {
			t.Errorf("logs: -want +got\n%s", diff)
		}
		// A person's retry begins to count anew.
		if err := w.RetryFailed(ctx, run, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.lose(w.begin(run, "__default.A", "three"))
		w.do(run, "__default.A", job.Completion{Result: schedule.Succeeded, Outputs: map[string]string{"s.v": "4"}})
		if j := w.timeline(run)["__default.A"]; j.Attempt != 4 || j.Result != schedule.Succeeded || j.Outputs["s.v"] != "4" {
			t.Errorf("at last: %+v", j)
		}
	})
}

func reasonOf(list []pipelines.Explanation, instance string) string {
	for _, e := range list {
		if e.Instance == instance && e.Step == "" {
			return e.Reason
		}
	}
	return ""
}

// logNames are the files of the archive of a run's logs.
func (w *world) logNames(run slipway.RunID) (names []string) {
	w.Helper()
	var b bytes.Buffer
	if err := w.WriteLogs(context.Background(), run, &b, false); err != nil {
		w.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range archive.File {
		names = append(names, f.Name)
	}
	return names
}

// What the file says wins over the pipeline, and the pipeline over the pool; a pod that ended by its job's own fault is never retried.
func TestWhoSaysThatLostJobsAreRetried(t *testing.T) {
	t.Parallel()
	const plain, deployment = "- job: A\n  steps: [{bash: x}]\n", "- deployment: A\n  environment: e\n  strategy: {runOnce: {deploy: {steps: [{bash: x}]}}}\n"
	for name, c := range map[string]struct {
		head, job      string
		pool, pipeline int // -1 for nothing
		want           int // attempt
	}{
		"nobody":                        {"", plain, 0, -1, 1},
		"the pool":                      {"", plain, 1, -1, 2},
		"the pipeline":                  {"", plain, 0, 1, 2},
		"the pipeline, not the pool":    {"", plain, 3, 0, 1},
		"the file":                      {"variables: {Slipway.RetryLostJob: 1}\n", plain, 0, 0, 2},
		"the file, not the pipeline":    {"variables: {Slipway.RetryLostJob: 0}\n", plain, 2, 2, 1},
		"deployments are left alone":    {"variables: {Slipway.RetryLostJob: 1}\n", deployment, 2, 2, 1},
		"but for those that want it":    {"", deployment + "  variables: {Slipway.RetryLostJob: 1}\n", 0, -1, 2},
		"another job's wish is its own": {"", "- job: B\n  variables: {Slipway.RetryLostJob: 1}\n  steps: [{bash: x}]\n" + plain, 0, -1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := warmed(t, dbtest.SQLite(t), 0)
			ctx := context.Background()
			if _, _, err := w.PutPool(ctx, "default", pipelines.PoolSettings{RetryLost: c.pool}, slipway.System); err != nil {
				t.Fatal(err)
			}
			run := w.push(c.head + "jobs:\n" + c.job)[0]
			if c.pipeline >= 0 {
				if err := w.ChangeDefinition(ctx, pipelines.Definition{ID: run.Pipeline, RetryLost: &c.pipeline}); err != nil {
					t.Fatal(err)
				}
			}
			instance := "__default.A"
			if strings.Contains(c.job, "deployment") {
				instance += ".deploy"
				if err := w.ChecksCompleted(ctx, run.ID, "__default", 1, schedule.ChecksApproved, ""); err != nil {
					t.Fatal(err)
				}
			}
			w.lose(w.begin(run.ID, instance, "x"))
			if j := w.timeline(run.ID)[instance]; j.Attempt != c.want || (j.State == schedule.Completed) != (c.want == 1) {
				t.Errorf("attempt %d is %s", j.Attempt, j.State)
			}
		})
	}
	t.Run("own fault", func(t *testing.T) {
		t.Parallel()
		w, _ := warmed(t, dbtest.SQLite(t), 0)
		run := w.push("variables: {Slipway.RetryLostJob: 5}\njobs:\n" + plain)[0].ID
		j, err := w.Job(context.Background(), w.begin(run, "__default.A", "x"))
		if err != nil {
			t.Fatal(err)
		}
		w.cluster.become(j.PodName(), pipelines.PodStatus{Phase: pipelines.PodBroken, Note: "the job used more memory than it may"})
		w.look()
		if j := w.timeline(run)["__default.A"]; j.Attempt != 1 || j.Result != schedule.Failed {
			t.Errorf("attempt %d is %s", j.Attempt, j.Result)
		}
	})
}

func TestRetriesAreChecked(t *testing.T) {
	t.Parallel()
	w, _ := warmed(t, dbtest.SQLite(t), 0)
	run := w.push("variables: {Slipway.RetryLostJob: many}\n" + oneJob)[0]
	if len(run.Problems) != 1 || run.Problems[0].String() != `azure-pipelines.yml:1:35: variable Slipway.RetryLostJob is "many": write how often a job whose pod is lost is started again, 0 to 10` {
		t.Errorf("problems %v", run.Problems)
	}
	n := 11
	if err := w.ChangeDefinition(context.Background(), pipelines.Definition{ID: run.Pipeline, RetryLost: &n}); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("eleven times: %v", err)
	}
	if _, _, err := w.PutPool(context.Background(), "default", pipelines.PoolSettings{RetryLost: -1}, slipway.System); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("less than never: %v", err)
	}
}
