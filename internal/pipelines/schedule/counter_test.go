package schedule

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Counters of stages and jobs count once, when the run is queued, however often the scheduler is asked and a job is retried.
func TestRule13CountersOfStagesAndJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
variables: {version: "1.2"}
stages:
- stage: A
  variables:
    patch: $[counter(variables.version, 10)]
  jobs:
  - job: J
    variables:
      full: $(version).$(patch)
      job: $[counter(format('{0}-job', variables.patch), 5)]
    steps: [{script: x}]
- stage: B
  jobs:
  - job: K
    variables: {other: "$[counter(variables.version, 10)]"}
    steps: [{script: x}]
`)
	var asked []string
	next := map[string]int{}
	var err error
	w.facts.Variables, err = ResolveRun(w.plan, w.facts.Variables, variable.Set{}, nil, func(prefix string, seed int) (int, error) {
		asked = append(asked, prefix)
		if _, ok := next[prefix]; !ok {
			next[prefix] = seed
		} else {
			next[prefix]++
		}
		return next[prefix], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.2", "10-job", "1.2"}, asked); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	w.settle().sees("A.J", "patch", "10").sees("A.J", "job", "5").end("A.J", Failed)
	reset, err := Retry(w.plan, w.facts, Again{Stage: "A"})
	if err != nil {
		t.Fatal(err)
	}
	w.facts = w.facts.Apply(reset)
	w.settle().sees("A.J", "patch", "10").end("A.J", Succeeded).sees("B.K", "other", "11")
	if got := w.starts["A.J"].Variables; slices.ContainsFunc(got.Names(), func(name string) bool { return name[0] == 0 }) {
		t.Errorf("the job sees what the run keeps: %q", got.Names())
	}
}

// Names and values are those of "Resources in YAML pipelines" and of pipeline.startTime in "Expressions".
func TestValuesOfTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
resources: {repositories: [{repository: Lib, type: git, name: shared/lib, ref: refs/tags/v1}], pipelines: [{pipeline: Up.stream, source: x}]}
variables:
  day: $[ format('{0:yyyyMMdd}', pipeline.startTime) ]
jobs:
- job: J
  condition: eq(resources.repositories['self'].version, 'c0ffee')
  variables:
    ref: $[ resources.repositories['lib'].ref ]
    name: $[ resources.repositories.lib.name ]
    commit: $[ resources.repositories['lib'].version ]
    unknown: $[ resources.repositories['lib'].url ]
    run: $[ resources.pipeline['up.stream'].runID ]
    why: $[ resources.triggeringAlias ]
    tag: $[ resources.container.app.tag ]
    none: $[ resources.pipeline['up.stream'].runName ]
  steps: [{script: x}]
`)
	known := variable.Of(map[string]string{
		variable.SystemPipelineStartTime: expression.Time(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)).String(),
		variable.BuildSourceVersion:      "c0ffee", plan.RepositoryVariable("Lib", "version"): "beef",
		"resources.pipeline.Up.stream.runID": "41", "resources.triggeringAlias": "Up.stream", plan.ContainerVariable("app", "tag"): "v7",
	})
	var err error
	if w.facts.Variables, err = ResolveRun(w.plan, known, variable.Set{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	w.settle().sees("__default.J", "day", "20260304").sees("__default.J", "ref", "refs/tags/v1").sees("__default.J", "name", "shared/lib").
		sees("__default.J", "commit", "beef").sees("__default.J", "unknown", "").
		sees("__default.J", "run", "41").sees("__default.J", "why", "Up.stream").sees("__default.J", "tag", "v7").sees("__default.J", "none", "")
}

const canary = `
jobs:
- deployment: D
  environment: e
  strategy:
    canary:
      increments: [10]
      preDeploy: {steps: [{script: x}]}
      deploy: {steps: [{script: x, name: s}]}
      routeTraffic: {steps: [{script: x}]}
      on:
        failure: {steps: [{script: x}]}
        success: {steps: [{script: x}]}
- job: After
  dependsOn: D
  variables: {seen: "$[ dependencies.D.outputs['deploy_10.s.x'] ]"}
  steps: [{script: x}]
`

// The order and the variables are those of "Canary deployment strategy" in Microsoft's "Deployment jobs".
func TestRule42Canary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, canary).settle().check("__default", ChecksApproved).isRunning("__default.D.preDeploy").end("__default.D.preDeploy", Succeeded)
	w.isRunning("__default.D.deploy_10").sees("__default.D.deploy_10", "strategy.name", "canary").sees("__default.D.deploy_10", "strategy.increment", "10").
		sees("__default.D.deploy_10", "strategy.action", "deploy").end("__default.D.deploy_10", Succeeded, "s.x", "7")
	w.isRunning("__default.D.routeTraffic_10").end("__default.D.routeTraffic_10", Succeeded)
	w.isRunning("__default.D.deploy_100").sees("__default.D.deploy_100", "strategy.action", "promote").end("__default.D.deploy_100", Succeeded)
	w.end("__default.D.routeTraffic_100", Succeeded).isRunning("__default.D.success").end("__default.D.success", Succeeded)
	w.job("__default.D.failure", Skipped).isRunning("__default.After").sees("__default.After", "seen", "7")
}

func TestRule42CanaryThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, canary).settle().check("__default", ChecksApproved).end("__default.D.preDeploy", Succeeded).end("__default.D.deploy_10", Failed)
	w.isRunning("__default.D.failure").sees("__default.D.failure", "strategy.action", "reject").end("__default.D.failure", Succeeded)
	w.job("__default.D.deploy_100", Skipped).job("__default.D.success", Skipped).job("__default.After", Skipped).result(Failed)
}

func TestSettle(t *testing.T) {
	t.Parallel()
	p := planOf(t, `
jobs:
- job: A
  timeoutInMinutes: $[ variables.limit ]
  continueOnError: $[ eq(variables.limit, '7') ]
  strategy: {maxParallel: $(width), matrix: {a: {v: 1}}}
  steps: [{script: x, timeoutInMinutes: $(limit), continueOnError: "$[ eq(variables.limit, '7') ]", enabled: "$[ eq(variables.limit, '8') ]"}]
- job: B
  strategy: {parallel: $(width)}
  steps: [{script: x}]
- deployment: D
  environment: e
  strategy: {canary: {increments: [10], deploy: {steps: [{script: x, name: s, retryCountOnTaskFailure: $(width)}]}}}
`)
	changed, err := Settle(p, variable.Of(map[string]string{"limit": "7", "width": "2"}))
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	j := p.Stages[0].Jobs[0]
	if j.TimeoutInMinutes != 7 || !j.ContinueOnError || j.Strategy.MaxParallel != 2 || j.Steps[1].TimeoutInMinutes != 7 || j.Open != nil || j.Steps[1].Open != nil {
		t.Errorf("%+v", j)
	}
	if st := j.Steps[1]; !st.ContinueOnError || !st.Disabled {
		t.Errorf("step %+v", st)
	}
	if legs := plan.Instances(&p.Stages[0], &p.Stages[0].Jobs[1], nil); len(legs) != 2 || legs[1].ID != "__default.B.Job2" || legs[1].Total != 2 {
		t.Errorf("legs %+v", legs)
	}
	for _, h := range p.Stages[0].Jobs[2].Deployment.Hooks {
		if last := h.Steps[len(h.Steps)-1]; last.Retries != 2 || last.Open != nil {
			t.Errorf("%s: %+v", h.Part(), last)
		}
	}
	if changed, err := Settle(p, variable.Set{}); err != nil || changed {
		t.Errorf("a second time: %v, %v", changed, err)
	}
	for text, want := range map[string]string{
		"timeoutInMinutes: $(a)":                    `timeoutInMinutes of job A is "soon" when the run is queued: it must be a whole number from 0 to 525600`,
		"strategy: {parallel: $(zero)}":             `parallel of job A is 0 when the run is queued: it must be a whole number from 1 to 256`,
		"continueOnError: $(a)":                     `continueOnError of job A is "soon" when the run is queued: it must be true or false`,
		"timeoutInMinutes: $[ gt(1, variables.a) ]": "timeoutInMinutes: gt: cannot compare a number with string 'soon'",
	} {
		p := planOf(t, "jobs:\n- job: A\n  "+text+"\n  steps: [{script: x}]\n")
		if _, err := Settle(p, variable.Of(map[string]string{"a": "soon", "zero": "0"})); err == nil || err.Error() != "p.yml:2:3: "+want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
