package compile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/plan"
)

func TestRule25WarnsOfOutputsThatAreAlwaysNull(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
lockBehavior: sequential
stages:
- stage: A
  jobs:
  - job: One
    pool: {name: p, demands: docker}
    steps: [{bash: x, name: s}]
  - job: Legs
    strategy: {matrix: {a: {v: 1}}}
    steps: [{bash: x, name: s}]
  - job: Two
    variables:
      x: $[dependencies.One.outputs['s.x']]
    steps: [{script: x}]
  - job: Three
    dependsOn: [One, Legs]
    condition: and(succeeded(), eq(dependencies.Nowhere.result, 'Succeeded'))
    variables:
      good: $[dependencies.one.outputs['S.x']]
      leg: $[dependencies.Legs.outputs['a.s.x']]
      noleg: $[dependencies.Legs.outputs['s.x']]
      nostep: $[dependencies.One.outputs['t.x']]
    steps: [{script: x}]
- stage: B
  condition: eq(dependencies.A.outputs['One.s.x'], 'y')
  jobs:
  - job: J
    variables:
      good: $[stageDependencies.A.One.outputs['s.x']]
      asJob: $[dependencies.A.outputs['One.s.x']]
      nojob: $[stageDependencies.A.None.outputs['s.x']]
    steps: [{script: x}]
- stage: C
  condition: eq(dependencies.A.result, 'Succeeded')
  dependsOn: B
  jobs:
  - job: J
    steps: [{script: x}]
`)
	var got []string
	for _, w := range p.Warnings {
		got = append(got, w.At.String()+": "+w.Message)
	}
	want := strings.Split(strings.TrimSpace(`
p.yml:25:14: stage B also runs after a failure or a cancel, since its condition takes the place of succeeded(): write and(succeeded(), …), or and(always(), …) if that is meant
p.yml:1:1: lockBehavior has no effect: no stage deploys to an environment, and only environments have exclusive locks
p.yml:6:11: demands have no effect: an administrator has made no pool of that name, and every job gets a pod of the same image
p.yml:13:10: job Two reads job One without depending on it, so the value is always null: add One to dependsOn of job Two
p.yml:15:5: job Three reads job Nowhere, which is not in its stage, so the value is always null
p.yml:21:14: job Three reads output s.x of job Legs, which no step there can set: it has a.s.VARIABLE
p.yml:22:15: job Three reads output t.x of job One, which no step there can set: it has s.VARIABLE
p.yml:30:14: job J reads stage A as a job, so the value is always null: write stageDependencies.A.JOB.outputs['STEP.VARIABLE']
p.yml:31:14: job J reads job None of stage A, which is not there, so the value is always null
p.yml:33:3: stage C reads stage A without depending on it, so the value is always null: add A to dependsOn of stage C
`), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if w := compiled(t, typical).Warnings; len(w) > 0 {
		t.Errorf("%v", w)
	}
}

func TestRule34WarnsOfTriggersThatStartNothing(t *testing.T) {
	t.Parallel()
	const steps = "\nsteps: [{script: x}]\n"
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		for _, w := range compiled(t, text+steps).Warnings {
			got = append(got, w.At.String()+": "+w.Message)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
	}
	f("trigger: none")
	f("pr: none")
	f("trigger: none\npr: [main]")
	f("schedules:\n- cron: 0 0 * * *\n  branches: {include: [main]}")
	f("schedules:\n- cron: 0 0 * * *", "p.yml:2:3: the schedule names no branches and so runs on the default branch alone: write branches, include")
	f("schedules:\n- {cron: 0 0 * * *, branches: {exclude: [x]}, always: true, batch: true}",
		"p.yml:2:3: batch of the schedule has no effect beside always: true, which starts a run each time")
}

func TestWarnsOfPowerShellThatIsNotThere(t *testing.T) {
	t.Parallel()
	in := input(`
jobs:
- job: A
  steps: [{pwsh: x}, {powershell: x}, {task: PowerShell@2, inputs: {targetType: inline, script: x}}]
- job: B
  container: mcr.microsoft.com/powershell
  steps: [{powershell: x}, {pwsh: x}]
- job: C
  pool: {vmImage: with-pwsh}
  steps: [{pwsh: x}]
- job: D
  pool: {vmImage: $(image)}
  steps: [{pwsh: x}]
- job: E
  steps: [{task: PowerShell@1, inputs: {scriptName: x.ps1}}]
- job: F
  steps: [{task: AzurePowerShell@5, inputs: {azureSubscription: a, ScriptPath: x.ps1, azurePowerShellVersion: LatestVersion}}]
`)
	in.Images = func(image string) bool { return image == "with-pwsh" }
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range p.Warnings {
		got = append(got, w.At.String()+": "+w.Message)
	}
	const own = "the pool's image has no PowerShell, so the step will fail: give the job a container that has it, such as mcr.microsoft.com/powershell, or write bash"
	want := []string{
		"p.yml:3:12: " + own,
		"p.yml:3:23: jobs run on Linux, where PowerShell is pwsh: there is no Windows PowerShell",
		"p.yml:14:12: " + own,
		"p.yml:16:12: the pool's image has no PowerShell with the module Az, so the step will fail: give the job a container that has it, such as mcr.microsoft.com/azure-powershell",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWarnsOfAgentlessSteps(t *testing.T) {
	t.Parallel()
	p := compiled(t, "pool: server\nsteps:\n- task: ManualValidation@0\n  timeoutInMinutes: 1440\n  env: {a: b}\n- task: Delay@1\n  timeoutInMinutes: 60\n")
	want := []plan.Warning{
		{Message: "the job ends after 60 minutes, before the step's time is over: give the job timeoutInMinutes", At: slipway.Position{File: "p.yml", Line: 4, Column: 21}},
		{Message: "env has no effect in an agentless job: use variables", At: slipway.Position{File: "p.yml", Line: 5, Column: 8}},
	}
	if diff := cmp.Diff(want, p.Warnings); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if j := p.Stages[0].Jobs[0]; j.Kind != plan.JobServer || len(j.Steps) != 2 || j.Steps[0].ID != 1 {
		t.Errorf("job %+v", j)
	}
}
