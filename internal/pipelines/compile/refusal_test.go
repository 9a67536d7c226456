package compile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refused checks the exact problems of a file, one a line.
func refused(t *testing.T, name, text, want string) {
	t.Helper()
	_, err := Compile(input(text))
	got := ""
	if err != nil {
		got = err.Error()
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", name, diff)
	}
}

// A value that cannot be read is one mistake, not a second one for being absent.
func TestBrokenScript(t *testing.T) {
	t.Parallel()
	refused(t, "half an expression", "steps:\n- script: ${{ parameters.a\n- bash: ${{ cancelled() }}\n- pwsh: [a]\n- script:\n", `
p.yml:2:11: ${{ has no closing }}
p.yml:3:13: unknown function "cancelled": write canceled
p.yml:4:9: pwsh of a pwsh step is text, not a list: write pwsh: | and the lines below it, indented deeper and without dashes
p.yml:5:3: the script step has no script
`)
	refused(t, "expressions in values of several lines and kinds", "jobs:\n- job: a\n  timeoutInMinutes: ${{ foo() }}\n  dependsOn: ${{ foo() }}\n  steps:\n  - script: |\n      a\n      ${{ foo() }}\n", `
p.yml:3:25: `+unknownFoo+`
p.yml:4:18: `+unknownFoo+`
p.yml:8:11: `+unknownFoo+`
`)
}

// A file that is no YAML is read on: what else is wrong is told too.
func TestMistakesBehindSyntax(t *testing.T) {
	t.Parallel()
	refused(t, "text with a colon, a directive without one, a key and a name that are none", "variables:\n  title: a: b\njobs:\n- job: a\n  steps:\n  - ${{ if eq(1, 1) }}\n    - script: x\n      diplayName: y\n- job: b\n  dependsOn: c\n  steps: [script: x]\n", `
p.yml:2:11: not valid YAML: a colon and a space make a key, and none may stand here: put text with ": " in quotes, and indent a key as those beside it
p.yml:6:5: not valid YAML: ${{ if eq(1, 1) }} stands for a key, so a colon follows its }}
p.yml:8:7: unknown key "diplayName" of a script step, did you mean "displayName"?
p.yml:10:14: job b depends on "c", which is no job here
`)
}

const unknownFoo = `unknown function "foo"; the functions are and, or, not, xor, iif, coalesce, eq, ne, gt, ge, lt, le, in, notIn, contains, startsWith, endsWith, containsValue, length, lower, upper, trim, replace, split, join, format, convertToJson, succeeded, failed, succeededOrFailed, always, canceled, counter`

func TestSlipsOfYAML(t *testing.T) {
	t.Parallel()
	refused(t, "a dash without a space", "steps:\n-script: a\n", `
p.yml:2:1: unknown key "-script" of a pipeline: a space follows the dash of an entry
`)
	refused(t, "a branch that is no list", "trigger: main\npr: main\nsteps:\n- script: a\n", `
p.yml:1:10: trigger is a map of keys, not "main": write none, or a list of branches
p.yml:2:5: pr is a map of keys, not "main": write none, or a list of branches
`)
}

func TestResourcesAreDeclaredOnce(t *testing.T) {
	t.Parallel()
	refused(t, "each kind", `
resources:
  repositories:
  - {repository: lib, type: git, name: a}
  - {repository: Lib, type: git, name: b}
  containers:
  - {container: c, image: a}
  - {container: C, image: b}
  pipelines:
  - {pipeline: p, source: a}
  - {pipeline: p, source: b}
steps:
- script: a
`, `
p.yml:4:5: repository Lib is declared a second time
p.yml:7:5: container C is declared a second time
p.yml:10:5: pipeline p is declared a second time
`)
}

func TestEverythingWrongInOnePass(t *testing.T) {
	t.Parallel()
	refused(t, "many mistakes", `
triger: none
variables:
  a: [1]
stages:
- stage: Bad Name
  dispalyName: x
  jobs:
  - job: A
    timeoutInMinutes: soon
    pool: {vmImage: windows-latest}
    steps:
    - script: |
    - bsah: echo
    - script: x
      conditon: always()
    - script: x
      condition: eq(variables.a == 1)
    - task: Dokcer@2
    - task: Docker@2
      inputs:
        comand: build
        repository: x
- stage: B
  dependsOn: [C, B]
  jobs: []
`, `
p.yml:1:1: unknown key "triger" of a pipeline, did you mean "trigger"?
p.yml:3:6: the value of variable "a" is text, not a list
p.yml:5:10: "Bad Name" is no name for a stage: names are letters, digits and underscores and do not start with a digit
p.yml:6:3: unknown key "dispalyName" of a stage, did you mean "displayName"?
p.yml:9:23: timeoutInMinutes of a job is a whole number from 0 to 525600, not "soon"
p.yml:10:21: vmImage windows-latest: jobs run in Linux containers, there is no Windows; write ubuntu-latest
p.yml:12:7: the script step has no script
p.yml:13:7: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task, did you mean "bash"?
p.yml:15:7: unknown key "conditon" of a script step, did you mean "condition"?
p.yml:17:33: the language has no operator ==: write eq(a, b)
p.yml:18:13: unknown task Dokcer@2, did you mean "Docker"?
p.yml:24:15: stage B depends on "C", which is no stage here
p.yml:24:18: stage B depends on itself
`)
}

func TestRefusedLanguage(t *testing.T) {
	t.Parallel()
	f := func(name, text, want string) {
		t.Helper()
		refused(t, name, text, want)
	}
	job := func(s string) string { return "jobs:\n- job: A\n  steps: [{script: x}]\n" + s }
	f("an identity of Azure DevOps", "steps:\n- task: npmAuthenticate@0\n  inputs: {workingFile: .npmrc, azureDevOpsServiceConnection: x, feedUrl: 'https://x'}\n",
		"p.yml:3:33: input azureDevOpsServiceConnection: x of task npmAuthenticate@0 is not there yet: there are no feeds of packages here: name the registry in a file of the repository (.npmrc, NuGet.config, pip.conf), with its token in env, or give a service connection in customEndpoint")
	f("nothing", "trigger: none\n", "p.yml:1:1: the pipeline has nothing to do: it needs stages, jobs or steps")
	f("two shapes", "steps: [{script: x}]\njobs: [{job: A, steps: [{script: x}]}]\n", "p.yml:1:1: steps stands beside jobs of line 2: a pipeline has one of stages, jobs and steps; put steps into a job and jobs into a stage")
	f("macos", "pool: {vmImage: macOS-14}\nsteps: [{script: x}]\n", "p.yml:1:17: vmImage macOS-14: jobs run in Linux containers, there is no macOS; write ubuntu-latest")
	f("unknown image", "pool: {vmImage: solaris}\nsteps: [{script: x}]\n", "p.yml:1:17: there is no vmImage \"solaris\": write ubuntu-latest, or an image under container")
	f("image as a pool", "pool: ubuntu-latest\nsteps: [{script: x}]\n", "p.yml:1:7: pool: ubuntu-latest names a pool: write pool: {vmImage: ubuntu-latest}")
	f("pwsh", "steps:\n- pwsh: x\n  errorActionPreference: explode\n",
		"p.yml:3:3: input \"errorActionPreference\" of task PowerShell@2 may be default, stop, continue, silentlyContinue, not \"explode\"")
	const others = "an agentless job (pool: server) has no agent for this step: it takes the tasks ManualValidation@1, ManualValidation@0, Delay@1, InvokeRESTAPI@1, InvokeRESTAPI@0 alone, put others into a job with another pool"
	f("script without an agent", job("  pool: server\n"), "p.yml:3:11: "+others)
	f("checkout without an agent", "pool: server\nsteps: [{checkout: self}]\n", "p.yml:2:9: "+others)
	f("task of the server on an agent", "steps: [{task: Delay@1}]\n", "p.yml:1:9: task Delay@1 runs on the server: put it into a job of its own with pool: server")
	f("pool with the name server", "pool: {name: server}\nsteps: [{task: Delay@1}]\n", "p.yml:2:9: task Delay@1 runs on the server: put it into a job of its own with pool: server")
	f("agentless in a container", "pool: server\ncontainer: a\nsteps: [{task: Delay@1}]\n", "p.yml:2:1: an agentless job (pool: server) runs on no machine: leave out container")
	f("agentless for longer than a month", "pool: server\ntimeoutInMinutes: 43201\nsteps: [{task: Delay@1}]\n", "p.yml:2:1: an agentless job takes at most 43200 minutes, 30 days")
	f("agentless and again", "pool: server\nsteps:\n- task: Delay@1\n  retryCountOnTaskFailure: 1\n", "p.yml:4:28: tasks of agentless jobs are not tried again: leave out retryCountOnTaskFailure")
	server := func(task, inputs string) string {
		return "pool: server\nsteps:\n- task: " + task + "\n  inputs: {" + inputs + "}\n"
	}
	f("delay", server("Delay@1", "delayForMinutes: 1.5"), "p.yml:4:12: input delayForMinutes: \"1.5\" is no whole number of minutes from 0 to 86400")
	f("long delay", server("Delay@1", "delayForMinutes: 86401"), "p.yml:4:12: input delayForMinutes: \"86401\" is no whole number of minutes from 0 to 86400")
	f("groups", server("ManualValidation@1", "notifyUsers: '', approvers: '[Shop]\\Owners'"), "p.yml:4:29: input approvers: groups like \"[Shop]\\\\Owners\" are not there yet: name people")
	f("no connection", server("InvokeRESTAPI@1", "serviceConnection: ' '"), "p.yml:4:12: task InvokeRESTAPI@1 needs the input \"connectedServiceName\" (serviceConnection, genericService) when connectedServiceNameSelector is connectedServiceName")
	f("subscription", server("InvokeRESTAPI@1", "connectionType: connectedServiceNameARM"), "p.yml:4:12: input connectionType: connectedServiceNameARM of task InvokeRESTAPI@1 is not there yet: give a URL with serviceConnection, and its token in headers")
	f("another host", server("InvokeRESTAPI@1", "serviceConnection: 'https://a.test', urlSuffix: '.evil.test'"), "p.yml:4:49: input urlSuffix: \".evil.test\" would go on with the host's name: begin it with / or ?")
	f("headers", server("InvokeRESTAPI@1", "serviceConnection: 'https://a.test', headers: x"), "p.yml:4:49: input headers: it is no JSON object of names and texts: invalid character 'x' looking for beginning of value")
	f("criteria", server("InvokeRESTAPI@1", "serviceConnection: 'https://a.test', successCriteria: \"eq(answer.a, 1)\""),
		"p.yml:4:49: input successCriteria: unknown value \"answer\": here are root; text stands in single quotes")
	f("criteria of a callback", server("InvokeRESTAPI@1", "serviceConnection: 'https://a.test', waitForCompletion: true, successCriteria: \"eq(root.a, 1)\""),
		"p.yml:4:74: input successCriteria: it is about the answer, and with waitForCompletion: true the answer does not count: leave one of them out")
	f("another task of the server", "pool: server\nsteps: [{task: AzureFunction@1}]\n",
		"p.yml:2:16: task AzureFunction@1 is not there yet: call its REST API with InvokeRESTAPI@1 in a job with pool: server, or with curl in a script step")
	f("getPackage", "resources: {packages: [{package: core, type: npm, connection: c, name: o/core}]}\nsteps:\n- getPackage: cor\n", `p.yml:3:15: getPackage is a package declared under resources.packages, not "cor", did you mean "core"?`)
	f("package", "resources: {packages: [{package: a, type: NuGet, connection: c, name: o/a, tag: next}]}\nsteps:\n- script: x\n", "p.yml:1:76: tag goes with packages of npm, NuGet has none: write version")
	f("two steps in one", "steps:\n- script: x\n  bash: y\n", "p.yml:3:3: a step is one thing, this is both script and bash")
	f("retries", "steps:\n- script: x\n  retryCountOnTaskFailure: 11\n", "p.yml:3:28: retryCountOnTaskFailure of a script step is a whole number from 0 to 10, not \"11\"")
	f("canary", "jobs:\n- deployment: D\n  environment: e\n  strategy:\n    canary: {}\n", "p.yml:5:13: canary needs deploy with its steps")
	const machines, once = "jobs:\n- deployment: D\n  environment: {name: e, resourceType: virtualMachine}\n", "{deploy: {steps: [{script: x}]}}"
	f("rolling", "jobs:\n- deployment: D\n  environment: e\n  strategy:\n    rolling: "+once+"\n",
		"p.yml:5:5: rolling goes over the virtual machines of an environment: write environment: {name: …, resourceType: virtualMachine}; to deploy to Kubernetes write runOnce, since a Deployment rolls by itself, as its strategy.rollingUpdate says")
	f("maxParallel", machines+"  strategy:\n    rolling: {maxParallel: 0, deploy: {steps: [{script: x}]}}\n",
		"p.yml:5:15: maxParallel of rolling is a number of machines from 1, or a share of them from 1% to 100%, not \"0\"")
	f("share of machines", machines+"  strategy:\n    rolling: {maxParallel: 101%, deploy: {steps: [{script: x}]}}\n",
		"p.yml:5:15: maxParallel of rolling is a number of machines from 1, or a share of them from 1% to 100%, not \"101%\"")
	f("canary of machines", machines+"  strategy:\n    canary: "+once+"\n",
		"p.yml:5:5: canary deploys growing shares of a workload of Kubernetes: write rolling or runOnce to deploy to virtual machines")
	f("two strategies", machines+"  strategy:\n    runOnce: "+once+"\n    rolling: "+once+"\n",
		"p.yml:5:5: a deployment job has one strategy: runOnce, rolling or canary")
	f("hook's pool", machines+"  strategy:\n    runOnce: {deploy: {pool: server, steps: [{script: x}]}}\n",
		"p.yml:5:24: the hooks of a deployment to virtual machines run on these: leave pool out of deploy")
	f("tags of no machines", "jobs:\n- deployment: D\n  environment: {name: e, tags: web}\n  strategy: {runOnce: "+once+"}\n",
		"p.yml:3:26: tags of an environment choose virtual machines: write resourceType: virtualMachine beside them, or leave them out")
	f("number of a namespace", "jobs:\n- deployment: D\n  environment: {name: e, resourceId: 4}\n  strategy: {runOnce: "+once+"}\n",
		"p.yml:3:26: resourceId of an environment is the number of a virtual machine: write resourceType: virtualMachine beside it, or resourceName for a namespace of a cluster, which has no number here")
	f("number of a machine", "jobs:\n- deployment: D\n  environment: {name: e, resourceType: virtualMachine, resourceId: web-1}\n  strategy: {runOnce: "+once+"}\n",
		`p.yml:3:68: resourceId of an environment is a whole number, that of a virtual machine, not "web-1"`)
	f("no environment", "jobs:\n- deployment: D\n  strategy: {runOnce: {deploy: {steps: [{script: x}]}}}\n", "p.yml:2:3: deployment job D needs an environment")
	f("github enterprise", "resources:\n  repositories:\n  - repository: a\n    type: githubenterprise\n    name: x/y\nsteps: [{script: x}]\n",
		"p.yml:4:11: repository a needs endpoint: the service connection says where the GitHub Enterprise Server is")
	f("another host", "resources:\n  repositories:\n  - repository: a\n    type: gitlab\n    name: x/y\nsteps: [{script: x}]\n",
		"p.yml:4:11: type of a repository is git, github, githubenterprise or bitbucket, not \"gitlab\"")
	f("run of a pipeline", "steps:\n- task: DownloadPipelineArtifact@2\n  inputs:\n    source: $(x)\n    runVersion: specific\n",
		"p.yml:4:5: buildType must be known when the run is made: write current or specific, or a variable of the root that says so, not \"$(x)\"")
	pipeline := "resources:\n  pipelines:\n  - {pipeline: p, source: q}\nsteps:\n"
	f("no number of a run", pipeline+"- task: DownloadPipelineArtifact@2\n  inputs:\n    source: specific\n    pipeline: q\n    runVersion: specific\n",
		"p.yml:9:5: the number of the run is missing: give runId")
	f("no branch", pipeline+"- task: DownloadBuildArtifacts@0\n  inputs:\n    buildType: specific\n    pipeline: q\n    buildVersionToDownload: latestFromBranch\n    downloadType: specific\n    branchName: ''\n",
		"p.yml:9:5: the branch is missing: give runBranch")
	f("container volumes", job("  container: {image: x, volumes: [a]}\n"), "p.yml:4:34: volume a of a container: the path in the container must be an absolute one")
	f("checkout of nothing known", "steps:\n- checkout: slef\n", "p.yml:2:13: checkout is self, none or a repository declared under resources.repositories, not \"slef\", did you mean \"self\"?")
	f("checkout path", "steps:\n- checkout: self\n  path: ../x\n", "p.yml:3:9: path of checkout is below $(Pipeline.Workspace), not \"../x\"")
	f("AzureAppServiceManage", "steps:\n- task: AzureAppServiceManage@0\n", "p.yml:2:9: task AzureAppServiceManage@0 is not there yet: run az webapp start, stop, restart or deployment slot swap in a bash step of a job whose container has the Azure CLI (mcr.microsoft.com/azure-cli), with the credentials of a service principal in env")
	f("AzureFunctionApp", "steps:\n- task: AzureFunctionApp@2\n", "p.yml:2:9: task AzureFunctionApp@2 is not there yet: deploy an image to Kubernetes with KubernetesManifest@1, or run az functionapp deployment source config-zip in a bash step of a job whose container has the Azure CLI (mcr.microsoft.com/azure-cli), with the credentials of a service principal in env")
	f("batch", "steps:\n- task: AzureCLI@2\n  inputs: {azureSubscription: a, scriptType: batch, scriptPath: a.bat}\n", "p.yml:3:34: input scriptType: batch of task AzureCLI@2 is not there yet: jobs run on Linux, write a script of type bash or pscore")
	f("promote", "steps:\n- task: KubernetesManifest@1\n  inputs: {action: promote}\n",
		"p.yml:2:9: task KubernetesManifest@1 needs the input \"manifests\" when action is promote")
	f("missing input", "steps:\n- task: KubernetesManifest@1\n", "p.yml:2:9: task KubernetesManifest@1 needs the input \"manifests\" when action is deploy")
	f("lockBehavior", "lockBehavior: first\nsteps: [{script: x}]\n", "p.yml:1:15: lockBehavior of a pipeline is sequential or runLatest, not \"first\"")
	f("artifact name", "steps:\n- publish: x\n  artifact: a/b\n", `p.yml:3:13: artifact name "a/b" holds one of \ / " : < > | * ?`)
	f("runtime boolean", "steps:\n- script: x\n  continueOnError: $(c)x\n", `p.yml:3:20: continueOnError of a script step must be known when the run is made: write true, false or ${{ }}, not "$(c)x"`)
}

func TestRule4RuntimeExpressionsHaveTheirPlaces(t *testing.T) {
	t.Parallel()
	refused(t, "in a variable", "variables:\n  a: $[ succeeded() ]\nsteps: [{script: x}]\n",
		"p.yml:2:9: succeeded() is only known when a stage, job or step is about to start: use it in a condition")
	refused(t, "dependencies at the root", "variables:\n  a: $[dependencies.A.result]\nsteps: [{script: x}]\n",
		`p.yml:2:8: dependencies are not known here: read them in a variable of a job, $[ dependencies.… ], and that variable here`)
	refused(t, "counter outside of a variable", "steps:\n- script: x\n  condition: counter('a')\n",
		"p.yml:3:14: counter() stands only in a variable, as $[counter(...)]")
	p := compiled(t, "steps:\n- script: echo $[variables.x]\n  env: {A: '$[variables.y]'}\n")
	s := p.Stages[0].Jobs[0].Steps[1]
	if s.Script.Text != "echo $[variables.x]" || s.Env["A"] != "$[variables.y]" {
		t.Errorf("in script and env it does not stay as written: %+v %v", s.Script, s.Env)
	}
}

func TestRule5MacrosAreNotExpandedInConditions(t *testing.T) {
	t.Parallel()
	refused(t, "a macro", "steps:\n- script: x\n  condition: eq($(a), 'b')\n",
		"p.yml:3:17: a macro $(name) is not expanded in an expression: write variables['name']")
	if p := compiled(t, "steps:\n- script: x\n  condition: $[eq(variables['a.b'], 'c')]\n"); p.Stages[0].Jobs[0].Steps[1].Condition != "eq(variables['a.b'], 'c')" {
		t.Errorf("condition %q", p.Stages[0].Jobs[0].Steps[1].Condition)
	}
}

func TestRule6NoMacrosWhereNamesAreRead(t *testing.T) {
	t.Parallel()
	refused(t, "macros", `
trigger: ['$[ variables.branch ]']
stages:
- stage: $(name)
  dependsOn: $(other)
  jobs: [{job: A, steps: [{script: x}]}]
`, `
p.yml:1:11: a trigger is read before there are variables: write the pattern out instead of "$[ variables.branch ]"
p.yml:3:10: "$(name)" is no name for a stage: names are letters, digits and underscores and do not start with a digit
p.yml:4:14: dependsOn is read before there are variables: write the name out instead of "$(other)"
`)
}

func TestRule18UnknownNamesAndCycles(t *testing.T) {
	t.Parallel()
	refused(t, "a circle", `
jobs:
- job: A
  dependsOn: C
  steps: [{script: x}]
- job: B
  dependsOn: [a]
  steps: [{script: x}]
- job: C
  dependsOn: B
  steps: [{script: x}]
`, "p.yml:2:8: jobs depend on each other in a circle: A on C on B on A")
	refused(t, "unknown", "jobs:\n- job: Build\n  steps: [{script: x}]\n- job: B\n  dependsOn: Biuld\n  steps: [{script: x}]\n",
		`p.yml:5:14: job B depends on "Biuld", which is no job here, did you mean "Build"?`)
}

func TestRule23Forms(t *testing.T) {
	t.Parallel()
	refused(t, "one list, mixed up", "variables:\n- group: g\n  name: x\n- foo: bar\nsteps: [{script: x}]\n", `
p.yml:3:3: name cannot stand beside group
p.yml:4:3: an entry of a list of variables is written name: foo, and value below it; or write variables without the dashes
`)
}

func TestRule32Names(t *testing.T) {
	t.Parallel()
	refused(t, "duplicates", `
stages:
- stage: A
  jobs:
  - job: J
    steps:
    - script: x
      name: s
    - script: y
      name: S
  - job: j
    steps: [{script: x}]
- stage: A
  jobs: [{job: 1x, steps: [{script: x}]}]
`, `
p.yml:9:13: step name S stands here a second time, first on line 7
p.yml:10:10: job j stands here a second time, first on line 4
p.yml:12:10: stage A stands here a second time, first on line 2
p.yml:13:16: "1x" is no name for a job: names are letters, digits and underscores and do not start with a digit
`)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	legs := "jobs:\n"
	for i := range 20 {
		legs += "- job: J" + itoa(i) + "\n  strategy: {parallel: 256}\n  steps: [{script: x}]\n"
	}
	refused(t, "too many jobs", legs, "p.yml:2:1: the pipeline has 5120 jobs, every leg counted, more than the 5000 allowed")
	refused(t, "too many slices", "jobs:\n- job: A\n  strategy: {parallel: 257}\n  steps: [{script: x}]\n",
		`p.yml:3:24: parallel of strategy of a job is a whole number from 1 to 256, not "257"`)
}

func TestTriggersAlone(t *testing.T) {
	t.Parallel()
	got, err := Triggers("p.yml", []byte("trigger:\n  batch: true\n  branches: {include: [main], exclude: [x]}\n  tags: {include: [v*]}\nschedules:\n- cron: '0 3 * * *'\n  branches: {include: [main]}\n  always: true\nbroken: ${{ nothing }}\n"))
	if err != nil || !got.Push.Batch || len(got.Push.Tags.Include) != 1 || len(got.Schedules) != 1 || !got.Schedules[0].Always {
		t.Errorf("%+v %v", got, err)
	}
	_, err = Triggers("p.yml", []byte("trigger: {branches: [main]}\nschedules: [{cron: '0 3 * *'}]\n"))
	want := "p.yml:1:21: branches of trigger is a map of keys, not a list: write the list as include: [...] below it\np.yml:2:20: cron \"0 3 * *\" has 4 fields, it needs five: minute hour day month weekday"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestParametersAlone(t *testing.T) {
	t.Parallel()
	list, err := Parameters("p.yml", []byte("parameters:\n- name: image\n  displayName: Image\n  values: [a, b]\n  default: a\n- name: n\n  type: number\nsteps: []\n"))
	if err != nil || len(list) != 2 || list[0].Type != "string" || string(list[0].Default) != `"a"` || list[1].Default != nil {
		t.Errorf("%+v %v", list, err)
	}
}
