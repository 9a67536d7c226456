package schedule

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// chain is three stages, each after the one before, with one job each; the condition is that of the last.
func chain(condition string) string {
	text := "stages:\n"
	for _, s := range []string{"A", "B", "C"} {
		text += "- stage: " + s + "\n"
		if s == "C" && condition != "" {
			text += "  condition: " + condition + "\n"
		}
		text += "  jobs:\n  - job: J\n    steps: [{script: x}]\n"
	}
	return text
}

func TestRule14DefaultConditionIsSucceeded(t *testing.T) {
	t.Parallel()
	newWorld(t, chain("")).settle().isRunning("A.J").end("A.J", Succeeded).isRunning("B.J").end("B.J", SucceededWithIssues).isRunning("C.J").
		end("C.J", Succeeded).result(SucceededWithIssues)
	newWorld(t, chain("")).settle().end("A.J", Failed).stage("B", Skipped).stage("C", Skipped).result(Failed).
		reason("B", "succeeded() is False; A is Failed").reason("C", "succeeded() is False; B is Skipped")
}

func TestRule14AnyConditionWithoutStatusRunsAfterFailure(t *testing.T) {
	t.Parallel()
	newWorld(t, chain("eq(variables['Build.SourceBranch'], 'refs/heads/main')")).settle().end("A.J", Failed).stage("B", Skipped).isRunning("C.J").
		end("C.J", Succeeded).result(Failed)
	newWorld(t, chain("eq(variables['Build.SourceBranch'], 'refs/heads/dev')")).settle().end("A.J", Succeeded).end("B.J", Succeeded).stage("C", Skipped).
		reason("C", "eq(variables['Build.SourceBranch'], 'refs/heads/dev') is False: variables['Build.SourceBranch'] is 'refs/heads/main'").result(Succeeded)
}

func TestRule15SkipsCascadeUnlessCured(t *testing.T) {
	t.Parallel()
	cure := "in(dependencies.B.result, 'Succeeded', 'SucceededWithIssues', 'Skipped')"
	newWorld(t, chain(cure)).settle().end("A.J", Failed).stage("B", Skipped).isRunning("C.J")
	newWorld(t, chain("failed()")).settle().end("A.J", Succeeded).end("B.J", Failed).isRunning("C.J")
	newWorld(t, chain("failed()")).settle().end("A.J", Succeeded).end("B.J", Succeeded).stage("C", Skipped)
	newWorld(t, chain("failed('B')")).settle().end("A.J", Succeeded).end("B.J", Failed).isRunning("C.J")
	newWorld(t, chain("succeeded('B')")).settle().end("A.J", Succeeded).end("B.J", Succeeded).isRunning("C.J")
	newWorld(t, chain("succeededOrFailed()")).settle().end("A.J", Succeeded).end("B.J", Failed).isRunning("C.J")
	newWorld(t, chain("canceled()")).settle().end("A.J", Succeeded).end("B.J", Failed).stage("C", Skipped)
}

const cancelable = `
jobs:
- job: Plain
  steps: [{script: x}]
- job: Always
  condition: always()
  steps: [{script: x}]
- job: Branch
  condition: eq(variables['Build.SourceBranch'], 'refs/heads/main')
  steps: [{script: x}]
- job: After
  dependsOn: Plain
  steps: [{script: x}]
- job: Cleanup
  dependsOn: Plain
  condition: canceled()
  steps: [{script: x}]
`

func TestRule16CancelEvaluatesConditionsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cancelable).settle().isRunning("__default.Always", "__default.Branch", "__default.Plain").cancel()
	if !w.facts.Jobs["__default.Plain"].CancelRequested {
		t.Error("Plain is not told to stop")
	}
	for _, id := range []string{"__default.Always", "__default.Branch"} {
		if w.facts.Jobs[id].CancelRequested {
			t.Errorf("%s is told to stop", id)
		}
	}
	w.end("__default.Plain", Canceled).job("__default.After", Canceled).reason("__default.After", "succeeded() is False; the run was canceled; Plain is Canceled")
	w.isRunning("__default.Always", "__default.Branch", "__default.Cleanup")
	w.end("__default.Cleanup", Succeeded).end("__default.Always", Succeeded).end("__default.Branch", Succeeded).result(Canceled)
}

func TestRule16StagesAfterACancel(t *testing.T) {
	t.Parallel()
	newWorld(t, chain("always()")).settle().cancel().end("A.J", Canceled).stage("A", Canceled).stage("B", Canceled).isRunning("C.J").end("C.J", Succeeded).result(Canceled)
}

func TestRule17ContinueOnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
jobs:
- job: A
  continueOnError: true
  steps: [{script: x}]
- job: B
  dependsOn: A
  condition: and(succeeded(), eq(dependencies.A.result, 'SucceededWithIssues'))
  steps: [{script: x}]
`)
	w.settle().end("__default.A", Failed).isRunning("__default.B").end("__default.B", Succeeded).result(SucceededWithIssues)
}

func TestRule18JobsStartTogetherAndEmptyDependsOnStartsAtOnce(t *testing.T) {
	t.Parallel()
	newWorld(t, `
stages:
- stage: A
  jobs:
  - job: J
    steps: [{script: x}]
  - job: K
    steps: [{script: x}]
- stage: B
  dependsOn: []
  jobs:
  - job: J
    steps: [{script: x}]
`).settle().isRunning("A.J", "A.K", "B.J")
}

func TestRule20ManualStages(t *testing.T) {
	t.Parallel()
	text := strings.Replace(chain(""), "- stage: B\n", "- stage: B\n  trigger: manual\n", 1)
	w := newWorld(t, text).settle().end("A.J", Succeeded).isRunning()
	f := w.facts.Stages["B"]
	f.Started = true
	w.facts.Stages["B"] = f
	w.settle().isRunning("B.J")
	newWorld(t, text).settle().end("A.J", Succeeded).cancel().stage("B", Canceled).result(Canceled)
}

func TestStagesLeftOutWhenQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chain(""))
	w.facts.Stages = map[string]StageFacts{"B": {Unwanted: true}}
	w.settle().end("A.J", Succeeded).stage("B", Skipped).isRunning("C.J").end("C.J", Succeeded).result(Succeeded)
}

func TestRule21InnerVariablesWin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
variables:
- group: g
- name: a
  value: root
- name: b
  value: root
- name: twice
  value: one
- name: twice
  value: two
stages:
- stage: S
  variables:
    b: stage
    c: stage
  jobs:
  - job: J
    variables:
    - group: h
    - name: c
      value: job $(b)
    - name: e
      value: $[upper(variables.b)]
    - name: Build.SourceBranch
      value: mine
    steps: [{script: x}]
`)
	var err error
	w.facts.Groups = map[string]variable.Set{"g": variable.Of(map[string]string{"a": "group", "fromg": "G"}), "h": {}}
	secret := variable.Set{}
	secret.Put("password", variable.Value{Text: "s3cr3t", Secret: true})
	w.facts.Groups["h"] = secret
	w.facts.Variables, err = ResolveRun(w.plan, w.facts.Variables, variable.Of(map[string]string{"queued": "q", "twice": "queued"}), w.facts.Groups, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.settle().check("S", ChecksApproved)
	for name, want := range map[string]string{"a": "root", "b": "stage", "c": "job $(b)", "e": "STAGE", "fromg": "G", "queued": "q", "twice": "queued",
		"Build.SourceBranch": "mine", "System.StageName": "S", "System.PhaseName": "J", "System.JobName": "__default", "System.JobIdentifier": "S.J.__default", "System.JobAttempt": "1", "System.TotalJobsInPhase": "1"} {
		w.sees("S.J", name, want)
	}
	if v, _ := w.starts["S.J"].Variables.Get("password"); !v.Secret {
		t.Error("the group's secret is not secret")
	}
}

func TestMissingGroupFailsTheJob(t *testing.T) {
	t.Parallel()
	newWorld(t, "jobs:\n- job: J\n  variables:\n  - group: nowhere\n  steps: [{script: x}]\n").settle().check("__default", ChecksApproved).job("__default.J", Failed).
		reason("__default.J", `p.yml:4:5: there is no variable group "nowhere" that this pipeline may use`).result(Failed)
}

func TestRule13CountersBelongToTheRun(t *testing.T) {
	t.Parallel()
	p := planOf(t, "variables:\n  prefix: x\n  n: $[counter(variables.prefix, 100)]\n  both: $[format('{0}.{1}', variables.prefix, variables.n)]\nsteps: [{script: x}]\n")
	set, err := ResolveRun(p, variable.Set{}, variable.Set{}, nil, func(prefix string, seed int) (int, error) {
		if prefix != "x" {
			t.Errorf("prefix %q", prefix)
		}
		return seed + 7, nil
	})
	if err != nil || set.Text("n") != "107" || set.Text("both") != "x.107" {
		t.Errorf("n %q both %q %v", set.Text("n"), set.Text("both"), err)
	}
}

const outputs = `
stages:
- stage: A
  jobs:
  - job: J
    steps: [{bash: x, name: s}]
  - job: M
    strategy:
      matrix: {one: {v: 1}, two: {v: 2}}
    steps: [{bash: x, name: s}]
  - deployment: D
    environment: env.res
    strategy: {runOnce: {deploy: {steps: [{bash: x, name: s}]}}}
  - job: K
    dependsOn: [J, M, D]
    variables:
      fromJ: $[dependencies.J.outputs['s.x']]
      fromLeg: $[dependencies.M.outputs['two.s.x']]
      fromD: $[dependencies.D.outputs['D.s.x']]
      fromHook: $[dependencies.D.outputs['Deploy.s.x']]
      fromR: $[dependencies.D.outputs['D_res.s.x']]
    steps: [{script: x}]
- stage: B
  condition: and(succeeded(), eq(dependencies.A.outputs['J.s.x'], 'j'), eq(dependencies.A.outputs['M.one.s.x'], 'm1'))
  jobs:
  - job: L
    variables:
      far: $[stageDependencies.A.J.outputs['s.x']]
      leg: $[stageDependencies.A.M.outputs['one.s.x']]
      dep: $[stageDependencies.A.D.outputs['D.s.x']]
    steps: [{script: x}]
- stage: C
  dependsOn: B
  jobs:
  - job: N
    variables:
      ancestor: $[stageDependencies.A.J.outputs['s.x']]
    steps: [{script: x}]
`

func TestRule25OutputPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t, outputs).settle()
	w.check("A", ChecksApproved)
	w.end("A.J", Succeeded, "s.x", "j").end("A.M.one", Succeeded, "s.x", "m1").end("A.M.two", Succeeded, "s.x", "m2").end("A.D.deploy", Succeeded, "s.x", "d")
	w.sees("A.K", "fromJ", "j").sees("A.K", "fromLeg", "m2").sees("A.K", "fromD", "d").sees("A.K", "fromHook", "d").sees("A.K", "fromR", "d")
	w.end("A.K", Succeeded).isRunning("B.L")
	w.sees("B.L", "far", "j").sees("B.L", "leg", "m1").sees("B.L", "dep", "d")
	// An ancestor that is not in the stage's own dependsOn is null.
	w.end("B.L", Succeeded).sees("C.N", "ancestor", "")
}

func TestRule38Matrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
jobs:
- job: M
  displayName: Test
  strategy:
    maxParallel: 2
    matrix:
      a: {v: 1}
      b: {v: 2}
      c: {v: 3}
  variables:
    v: outer
  steps: [{script: x}]
- job: After
  dependsOn: M
  steps: [{script: x}]
`).settle().isRunning("__default.M.a", "__default.M.b").sees("__default.M.a", "v", "1").sees("__default.M.b", "System.JobPositionInPhase", "2").
		sees("__default.M.a", "System.JobDisplayName", "Test a").sees("__default.M.a", "System.JobName", "a").sees("__default.M.a", "System.PhaseName", "M").
		sees("__default.M.a", "System.JobIdentifier", "M.a")
	w.end("__default.M.a", Failed).isRunning("__default.M.b", "__default.M.c").end("__default.M.b", Succeeded).end("__default.M.c", Succeeded)
	w.job("__default.After", Skipped).result(Failed)
}

// The names are those that Azure's own jobs show by env, in public logs: SYSTEM_JOBIDENTIFIER=Job.__default and SYSTEM_JOBNAME=__default
// of a file of steps.
func TestJobIdentifierWithoutStages(t *testing.T) {
	t.Parallel()
	newWorld(t, "steps:\n- script: x\n").settle().isRunning("__default.Job").sees("__default.Job", "System.JobIdentifier", "Job.__default").
		sees("__default.Job", "System.JobName", "__default").sees("__default.Job", "System.PhaseName", "Job")
}

func TestRule38RuntimeMatrix(t *testing.T) {
	t.Parallel()
	text := `
jobs:
- job: A
  steps: [{bash: x, name: s}]
- job: M
  dependsOn: A
  strategy:
    matrix: $[dependencies.A.outputs['s.legs']]
  steps: [{script: x}]
`
	newWorld(t, text).settle().end("__default.A", Succeeded, "s.legs", `{"z": {"v": 1}, "y": {"v": "two", "t": true}}`).isRunning("__default.M.y", "__default.M.z").
		sees("__default.M.y", "v", "two").sees("__default.M.y", "t", "True").sees("__default.M.z", "System.JobPositionInPhase", "1").
		end("__default.M.y", Succeeded).end("__default.M.z", Succeeded).result(Succeeded)
	// The example of Microsoft's page "Specify jobs in your pipeline", Multi-job configuration.
	newWorld(t, text).settle().end("__default.A", Succeeded, "s.legs", `{'a':{'myvar':'A'}, 'b':{'myvar':'it''s', 't': True, 'n': 1.10}}`).isRunning("__default.M.a", "__default.M.b").
		sees("__default.M.a", "myvar", "A").sees("__default.M.b", "myvar", "it's").sees("__default.M.b", "t", "True").sees("__default.M.b", "n", "1.10")
	newWorld(t, text).settle().end("__default.A", Succeeded, "s.legs", "{'a': 1}").job("__default.M", Failed).reason("__default.M", "matrix: leg a is no JSON object of variables")
	newWorld(t, text).settle().end("__default.A", Succeeded).job("__default.M", Skipped)
	newWorld(t, text).settle().end("__default.A", Succeeded, "s.legs", "[1]").job("__default.M", Failed).
		reason("__default.M", "matrix: the expression gives no JSON object of legs")
	newWorld(t, text).settle().end("__default.A", Succeeded, "s.legs", `{"24.04 GCC": {}, "24_04_GCC": {}}`).
		isRunning("__default.M.24_04_GCC", "__default.M.24_04_GCC_2").sees("__default.M.24_04_GCC", "System.JobDisplayName", "M 24.04 GCC")
}

func TestParallel(t *testing.T) {
	t.Parallel()
	newWorld(t, "jobs:\n- job: P\n  strategy: {parallel: 3}\n  steps: [{script: x}]\n").settle().
		isRunning("__default.P.Job1", "__default.P.Job2", "__default.P.Job3").sees("__default.P.Job3", "System.JobPositionInPhase", "3").
		sees("__default.P.Job3", "System.TotalJobsInPhase", "3")
}

const deployment = `
variables:
  target: prod
jobs:
- deployment: D
  environment: $(target).web
  strategy:
    runOnce:
      preDeploy: {steps: [{script: x}]}
      deploy: {steps: [{script: x}]}
      routeTraffic: {steps: [{script: x}]}
      on:
        success: {steps: [{script: x}]}
        failure: {steps: [{script: x}]}
- job: After
  dependsOn: D
  steps: [{script: x}]
`

func deploying(t *testing.T) *world {
	w := newWorld(t, deployment)
	var err error
	if w.facts.Variables, err = ResolveRun(w.plan, w.facts.Variables, variable.Set{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	w.settle().isRunning()
	e := w.checks[plan.DefaultStage].Environments
	if len(e) != 1 || e[0].Name != "prod" || e[0].Resource != "web" {
		t.Fatalf("checks of %+v", e)
	}
	return w.check(plan.DefaultStage, ChecksApproved)
}

func TestRule42Hooks(t *testing.T) {
	t.Parallel()
	w := deploying(t).isRunning("__default.D.preDeploy").end("__default.D.preDeploy", Succeeded).isRunning("__default.D.deploy")
	if e := w.starts["__default.D.deploy"].Environment; e == nil || e.Name != "prod" {
		t.Errorf("environment %+v", e)
	}
	w.sees("__default.D.deploy", "Environment.Name", "prod").sees("__default.D.deploy", "Environment.ResourceName", "web").sees("__default.D.deploy", "Strategy.Name", "runOnce")
	w.end("__default.D.deploy", Succeeded).isRunning("__default.D.routeTraffic").end("__default.D.routeTraffic", Succeeded).isRunning("__default.D.success").
		end("__default.D.success", Succeeded).job("__default.D.failure", Skipped).isRunning("__default.After").end("__default.After", Succeeded).result(Succeeded)

	w = deploying(t).end("__default.D.preDeploy", Succeeded).end("__default.D.deploy", Failed)
	w.job("__default.D.routeTraffic", Skipped).job("__default.D.success", Skipped).isRunning("__default.D.failure").end("__default.D.failure", Succeeded).
		job("__default.After", Skipped).result(Failed)

	w = deploying(t).cancel().end("__default.D.preDeploy", Canceled)
	for _, hook := range []string{"deploy", "routeTraffic", "success", "failure"} {
		w.job("__default.D."+hook, Canceled)
	}
	w.result(Canceled)
}

func TestRule45Checks(t *testing.T) {
	t.Parallel()
	text := `
stages:
- stage: A
  variables: [{group: g}]
  jobs:
  - deployment: D
    environment: prod
    strategy: {runOnce: {deploy: {steps: [{script: x}]}}}
  - deployment: E
    environment: prod
    strategy: {runOnce: {deploy: {steps: [{script: x}]}}}
  - job: J
    steps: [{script: x}]
- stage: B
  jobs:
  - job: J
    steps: [{script: x}]
`
	w := newWorld(t, text)
	w.facts.Groups = map[string]variable.Set{"g": {}}
	w.settle().isRunning()
	if c := w.checks["A"]; len(c.Environments) != 1 || c.Environments[0].Name != "prod" || !slices.Equal(c.Groups, []string{"g"}) {
		t.Errorf("checks %+v", c)
	}
	w.check("A", ChecksApproved).isRunning("A.D.deploy", "A.E.deploy", "A.J")

	again := func() *world {
		w := newWorld(t, text)
		w.facts.Groups = map[string]variable.Set{"g": {}}
		return w.settle()
	}
	again().check("A", ChecksRejected).stage("A", Failed).stage("B", Skipped).result(Failed)
	again().check("A", ChecksTimedOut).stage("A", Skipped).stage("B", Skipped)
	again().cancel().stage("A", Canceled).result(Canceled)
}

// An environment that a job of the same stage chooses would get round its approvals.
func TestRule45EnvironmentsAreKnownBeforeTheirChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
jobs:
- job: A
  steps: [{bash: x, name: s}]
- deployment: D
  dependsOn: A
  environment: $(target)
  variables:
    target: $[dependencies.A.outputs['s.env']]
  strategy: {runOnce: {deploy: {steps: [{script: x}]}}}
`).settle()
	w.check("__default", ChecksApproved).end("__default.A", Succeeded, "s.env", "production")
	w.job("__default.D.deploy", Failed).reason("__default.D.deploy", `the environment "$(target)" must be known when the stage starts, since its checks are asked for then`)
}

func TestRetryRunsWhatDidNotSucceed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
stages:
- stage: A
  jobs:
  - job: Good
    steps: [{script: x}]
  - job: Bad
    steps: [{script: x}]
  - job: Next
    dependsOn: Bad
    steps: [{script: x}]
- stage: B
  jobs:
  - job: J
    steps: [{script: x}]
`).settle().end("A.Good", Succeeded, "s.x", "kept").end("A.Bad", Failed).result(Failed)
	if _, err := Retry(w.plan, w.facts, Again{Stage: "nowhere"}); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("retry of an unknown stage: %v", err)
	}
	reset, err := Retry(w.plan, w.facts, Again{Stage: "A"})
	if err != nil {
		t.Fatal(err)
	}
	want := Reset{Stages: map[string]int{"A": 2, "B": 2}, Jobs: map[string]int{"A.Bad": 2, "A.Next": 2}}
	if diff := cmp.Diff(want, reset); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	w.facts = w.facts.Apply(reset)
	w.settle().isRunning("A.Bad").sees("A.Bad", "System.JobAttempt", "2").sees("A.Bad", "System.StageAttempt", "2")
	if a := w.starts["A.Bad"].Attempt; a != 2 {
		t.Errorf("attempt %d", a)
	}
	w.end("A.Bad", Succeeded).isRunning("A.Next").end("A.Next", Succeeded).isRunning("B.J").end("B.J", Succeeded).result(Succeeded)
	if _, err := Retry(w.plan, w.facts, Again{Stage: "A"}); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("retry of a stage that succeeded: %v", err)
	}
}

func TestRetryOfALegAndOfADeployment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
jobs:
- job: M
  strategy: {matrix: {a: {v: 1}, b: {v: 2}}}
  steps: [{script: x}]
- deployment: D
  environment: e
  strategy: {runOnce: {preDeploy: {steps: [{script: x}]}, deploy: {steps: [{script: x}]}}}
`).settle().check("__default", ChecksApproved).end("__default.M.a", Succeeded).end("__default.M.b", Failed).end("__default.D.preDeploy", Succeeded).
		end("__default.D.deploy", Failed).result(Failed)
	reset, err := Retry(w.plan, w.facts, Again{Stage: "__default"})
	if err != nil {
		t.Fatal(err)
	}
	want := Reset{Stages: map[string]int{"__default": 2}, Jobs: map[string]int{"__default.M.b": 2, "__default.D.preDeploy": 2, "__default.D.deploy": 2}}
	if diff := cmp.Diff(want, reset); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	w.facts = w.facts.Apply(reset)
	w.settle().check("__default", ChecksApproved).isRunning("__default.D.preDeploy", "__default.M.b")
}

func TestOneJobRunsAgainWithWhatDependsOnIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
stages:
- stage: A
  jobs:
  - job: One
    steps: [{script: x}]
  - job: Two
    dependsOn: One
    steps: [{script: x}]
  - job: Other
    steps: [{script: x}]
- stage: B
  jobs:
  - job: J
    steps: [{script: x}]
- stage: Apart
  dependsOn: []
  jobs:
  - job: J
    steps: [{script: x}]
`).settle().end("A.One", Succeeded).end("A.Other", Succeeded, "s.x", "kept").end("A.Two", Succeeded).end("Apart.J", Succeeded).end("B.J", Succeeded).result(Succeeded)
	f := func(again Again, want Reset) {
		t.Helper()
		reset, err := Retry(w.plan, w.facts, again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, reset); diff != "" {
			t.Errorf("%+v (-want +got)\n%s", again, diff)
		}
	}
	f(Again{Stage: "A", Job: "Two"}, Reset{Stages: map[string]int{"A": 2, "B": 2}, Jobs: map[string]int{"A.Two": 2, "B.J": 2}})
	f(Again{Stage: "A", Job: "One"}, Reset{Stages: map[string]int{"A": 2, "B": 2}, Jobs: map[string]int{"A.One": 2, "A.Two": 2, "B.J": 2}})
	f(Again{Stage: "A", All: true}, Reset{Stages: map[string]int{"A": 2, "B": 2}, Jobs: map[string]int{"A.One": 2, "A.Two": 2, "A.Other": 2, "B.J": 2}})
	if _, err := Retry(w.plan, w.facts, Again{Stage: "A", Job: "Three"}); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("an unknown job: %v", err)
	}
	reset, err := Retry(w.plan, w.facts, Again{Stage: "A", Job: "One"})
	if err != nil {
		t.Fatal(err)
	}
	w.facts = w.facts.Apply(reset)
	w.settle().isRunning("A.One").end("A.One", Failed).job("A.Two", Skipped).job("A.Other", Succeeded).stage("A", Failed).stage("B", Skipped).result(Failed)
}
