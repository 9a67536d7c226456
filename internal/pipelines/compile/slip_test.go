package compile

import "testing"

// A file whose shape is wrong is told all that is wrong in it as well.
func TestWhatStandsInTheWrongPlaceIsReadToo(t *testing.T) {
	t.Parallel()
	refused(t, "steps beside jobs", "steps:\n- script: a\n  dispalyName: x\njobs:\n- job: A\n  step:\n  - scrip: x\n  timeoutInMinute: 5\n", `
p.yml:1:1: steps stands beside jobs of line 4: a pipeline has one of stages, jobs and steps; put steps into a job and jobs into a stage
p.yml:3:3: unknown key "dispalyName" of a script step, did you mean "displayName"?
p.yml:6:3: unknown key "step" of a job, did you mean "steps"?
p.yml:7:5: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task, did you mean "script"?
p.yml:8:3: unknown key "timeoutInMinute" of a job, did you mean "timeoutInMinutes"?
`)
	refused(t, "steps of a stage", "stages:\n- stage: A\n  steps:\n  - script: x\n    conditon: y\n", `
p.yml:3:3: unknown key "steps" of a stage: write them in a job under jobs
p.yml:5:5: unknown key "conditon" of a script step, did you mean "condition"?
p.yml:5:15: unknown value "y": here are variables; text stands in single quotes
`)
	refused(t, "steps of a deployment job", "jobs:\n- deployment: A\n  environment: e\n  strategy: {runOnce: {deploy: {steps: [{script: x}]}}}\n  steps: [{script: x, evn: {A: b}}]\n", `
p.yml:5:3: unknown key "steps" of a deployment job: write them under strategy.runOnce.deploy.steps
p.yml:5:23: unknown key "evn" of a script step, did you mean "env"?
`)
	refused(t, "entries of other lists", `
stages:
- job: A
  pol: x
  steps: [{script: x}]
- script: x
  dispalyName: y
- stage: B
  jobs:
  - stage: C
    jobs:
    - script: x
  - task: Docker@2
    inputs: {comand: login}
  - job: D
    steps:
    - job: E
      steps: [{scrip: x}]
    - stage: F
      jobs: [{job: G, steps: [{script: x}]}]
`, `
p.yml:2:3: a job stands under the jobs of a stage: begin the entry with - stage: NAME, and put the job into its jobs
p.yml:3:3: unknown key "pol" of a job, did you mean "pool"?
p.yml:5:3: a step stands under the steps of a job, in the jobs of a stage
p.yml:6:3: unknown key "dispalyName" of a script step, did you mean "displayName"?
p.yml:9:5: a stage stands under stages: write stages in place of jobs
p.yml:11:7: a step stands under the steps of a job: begin the entry with - job: NAME, and put the step into its steps
p.yml:12:5: a step stands under the steps of a job: begin the entry with - job: NAME, and put the step into its steps
p.yml:12:11: task Docker@2 needs the input "repository" (containerRepository) when command is buildAndPush
p.yml:16:7: a job stands under jobs: write jobs in place of steps
p.yml:17:16: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task, did you mean "script"?
p.yml:18:7: a stage stands under stages: write stages in place of steps
`)
	refused(t, "maps for lists", "jobs:\n  build:\n    steps: [{script: x}]\n", "p.yml:2:3: jobs is a list, not a map: begin each entry with a dash and a space")
	refused(t, "a list for a hook", "jobs:\n- deployment: A\n  environment: e\n  strategy: {runOnce: {deploy: [{script: x}]}}\n",
		"p.yml:4:32: deploy is a map of keys, not a list: write steps: below it, and the steps below that")
}

// What is below a misspelt key is read as what the key most likely means, and what the key would have given is not missed.
func TestSlipsAreReadAsWhatTheyMean(t *testing.T) {
	t.Parallel()
	refused(t, "capitals", "Steps:\n- script: x\n  displayname: y\n", `
p.yml:1:1: unknown key "Steps" of a pipeline, did you mean "steps"?
p.yml:3:3: unknown key "displayname" of a script step, did you mean "displayName"?
`)
	refused(t, "an environment", "jobs:\n- deployment: A\n  enviroment: {nam: e}\n  strategy: {runonce: {deploy: {steps: [{script: x}]}}}\n", `
p.yml:3:3: unknown key "enviroment" of a deployment job, did you mean "environment"?
p.yml:3:16: unknown key "nam" of an environment, did you mean "name"?
p.yml:4:14: unknown key "runonce" of strategy of a deployment job, did you mean "runOnce"?
`)
	refused(t, "keys of steps that are asked again", "steps:\n- script: x\n  nmae: a\n- script: x\n  nmae: a\n  conditon: eq(variables.a, 'b')\n", `
p.yml:3:3: unknown key "nmae" of a script step, did you mean "name"?
p.yml:5:3: unknown key "nmae" of a script step, did you mean "name"?
p.yml:5:9: step name a stands here a second time, first on line 3
p.yml:6:3: unknown key "conditon" of a script step, did you mean "condition"?
`)
	refused(t, "keys of agentless steps", "pool: server\ntimeoutInMinutes: 5\nsteps:\n- task: Delay@1\n  inputs: {delayForMinutes: 1}\n  timeoutInMinute: 9\n  targt: host\n", `
p.yml:6:3: unknown key "timeoutInMinute" of a task step, did you mean "timeoutInMinutes"?
p.yml:7:3: unknown key "targt" of a task step, did you mean "target"?
`)
	refused(t, "a value that does not fit", "jobs:\n- job: A\n  stepps: x\n", `p.yml:3:3: unknown key "stepps" of a job, did you mean "steps"?`)
}

func TestKeysOfOtherPlaces(t *testing.T) {
	t.Parallel()
	refused(t, "of other languages and levels", `
jobs:
- name: A
  runs-on: ubuntu-latest
  needs: B
  steps:
  - run: x
  - uses: actions/checkout@v4
  - script: x
    if: always()
    pool: p
    cwd: a
- deployment: D
  name: x
  environment: e
  strategy: {runOnce: {steps: []}}
`, `
p.yml:2:3: unknown key "name" of a job: write job: NAME, or displayName
p.yml:3:3: unknown key "runs-on" of a job: write pool: {vmImage: ubuntu-latest}
p.yml:4:3: unknown key "needs" of a job: write dependsOn
p.yml:6:5: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task: write script in place of run
p.yml:7:5: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task: actions of GitHub do not run here: write a task, or a script that does the same
p.yml:9:5: unknown key "if" of a script step: write condition
p.yml:10:5: unknown key "pool" of a script step: write it in the job
p.yml:11:5: unknown key "cwd" of a script step: write workingDirectory
p.yml:13:3: unknown key "name" of a deployment job: write deployment: NAME, or displayName
p.yml:15:23: runOnce needs deploy with its steps
p.yml:15:24: unknown key "steps" of runOnce: write them under deploy
`)
	refused(t, "characters that look like others", "steps:\n- script: x\n  condition: eq(variables[‘a’], 'b')\n\u00a0\u00a0displayName: y\n", `
p.yml:3:27: text stands in straight single quotes: 'text', not ‘
p.yml:4:1: unknown key "\u00a0\u00a0displayName" of a pipeline: it has a no-break space in it, which looks like a space and is none: write spaces
`)
	refused(t, "a colon without a space", "steps:\n- script:x\n", `p.yml:2:3: a script step is a map of keys, not "script:x": a space follows the colon of a key`)
	refused(t, "two circles", "jobs:\n- {job: A, dependsOn: B, steps: [{script: x}]}\n- {job: B, dependsOn: A, steps: [{script: x}]}\n- {job: C, dependsOn: D, steps: [{script: x}]}\n- {job: D, dependsOn: [C, A], steps: [{script: x}]}\n", `
p.yml:2:9: jobs depend on each other in a circle: A on B on A
p.yml:4:9: jobs depend on each other in a circle: C on D on C
`)
	refused(t, "versions of tasks", "steps:\n- task: Bash\n- task: PublishTestResults@v2\n", `
p.yml:2:9: task "Bash" has no version: write NAME@MAJOR, as Bash@3
p.yml:3:9: task "PublishTestResults@v2": "v2" is no major version, a whole number, as in PublishTestResults@2
`)
}
