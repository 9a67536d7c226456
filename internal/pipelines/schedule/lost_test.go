package schedule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/variable"
)

// lose loses the pod of a job that runs, whose pool and pipeline allow so many retries, and settles.
func (w *world) lose(instance string, allowed int) *world {
	w.t.Helper()
	next, again := RetryLost(w.plan, w.facts, Loss{Instance: instance, Reason: "the node n1 was lost", Variables: w.starts[instance].Variables, Allowed: allowed})
	if !again {
		return w.end(instance, Failed)
	}
	w.facts.Jobs[instance] = next
	return w.settle()
}

func TestLostJobsStartAgainAsOftenAsTheyMay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, instance  string
		allowed, starts int
	}{
		"not by itself":          {"jobs:\n- job: A\n  steps: [{script: x}]\n", "__default.A", 0, 1},
		"the settings":           {"jobs:\n- job: A\n  steps: [{script: x}]\n", "__default.A", 2, 3},
		"more than there is":     {"jobs:\n- job: A\n  steps: [{script: x}]\n", "__default.A", 99, 1 + variable.MaxRetryLost},
		"the job":                {"jobs:\n- job: A\n  variables: {Slipway.RetryLostJob: 1}\n  steps: [{script: x}]\n", "__default.A", 0, 2},
		"the job says never":     {"jobs:\n- job: A\n  variables: {slipway.retrylostjob: 0}\n  steps: [{script: x}]\n", "__default.A", 5, 1},
		"the file, by a macro":   {"jobs:\n- job: A\n  variables: {times: 3, Slipway.RetryLostJob: $(times)}\n  steps: [{script: x}]\n", "__default.A", 0, 4},
		"one leg":                {"jobs:\n- job: A\n  strategy: {matrix: {a: {v: 1}, b: {v: 2}}}\n  steps: [{script: x}]\n", "__default.A.a", 1, 2},
		"a deployment":           {"stages:\n- stage: __default\n  variables: {Slipway.RetryLostJob: 2}\n  jobs:\n  - deployment: A\n    environment: e\n    strategy: {runOnce: {deploy: {steps: [{script: x}]}}}\n", "__default.A.deploy", 2, 1},
		"a deployment that asks": {"jobs:\n- deployment: A\n  variables: {Slipway.RetryLostJob: 2}\n  environment: e\n  strategy: {runOnce: {deploy: {steps: [{script: x}]}}}\n", "__default.A.deploy", 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.text).settle()
			if strings.Contains(c.text, "deployment") {
				w.check("__default", ChecksApproved)
			}
			for range 20 {
				if f := w.facts.Jobs[c.instance]; f.State == Queued {
					w.lose(c.instance, c.allowed)
				}
			}
			n := 0
			for _, started := range w.started {
				if started == c.instance {
					n++
				}
			}
			if n != c.starts {
				t.Errorf("it started %d times, want %d", n, c.starts)
			}
			w.job(c.instance, Failed)
		})
	}
}

func TestLostJobKeepsTheRest(t *testing.T) {
	t.Parallel()
	const text = `
jobs:
- job: A
  steps: [{script: x}]
- job: B
  dependsOn: A
  steps: [{script: x}]
- job: C
  dependsOn: B
  condition: failed()
  steps: [{script: x}]
`
	w := newWorld(t, text).settle().end("__default.A", Succeeded, "s.v", "1").isRunning("__default.B").lose("__default.B", 1).isRunning("__default.B")
	want := JobFacts{Attempt: 2, State: Queued, Lost: 1, Retried: "attempt 1 was lost: the node n1 was lost"}
	if diff := cmp.Diff(want, w.facts.Jobs["__default.B"]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if w.facts.Jobs["__default.A"].Attempt != 1 {
		t.Error("the job before it runs again")
	}
	for _, e := range Explain(w.plan, w.facts) {
		if e.Job == "B" && e.Reason != "is queued, since succeeded() is True; A is Succeeded; this is attempt 2, since attempt 1 was lost: the node n1 was lost" {
			t.Errorf("explained as %q", e.Reason)
		}
	}
	w.end("__default.B", Succeeded).job("__default.C", Skipped).result(Succeeded)
}

func TestCanceledJobsAreNotRetried(t *testing.T) {
	t.Parallel()
	const text = "jobs:\n- job: A\n  steps: [{script: x}]\n- job: B\n  steps: [{script: x}]\n"
	newWorld(t, text).settle().end("__default.B", Succeeded).cancel().lose("__default.A", 5).job("__default.A", Failed)
}

func TestRetriesMustBeANumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "jobs:\n- job: A\n  variables: {times: often, Slipway.RetryLostJob: $(times)}\n  steps: [{script: x}]\n").settle()
	w.job("__default.A", Failed).reason("__default.A", `variable Slipway.RetryLostJob is "often": write how often a job whose pod is lost is started again, 0 to 10`)
}
