package compile

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// withoutPlaces compares steps but not where they are written.
var withoutPlaces = cmpopts.IgnoreTypes(slipway.Position{})

// steps are those of a file of steps, without the implied checkout.
func steps(t *testing.T, text string) []plan.Step {
	t.Helper()
	list := compiled(t, "steps:\n- checkout: none\n"+text).Stages[0].Jobs[0].Steps
	return list
}

func TestSteps(t *testing.T) {
	t.Parallel()
	f := func(name, text string, want plan.Step) {
		t.Helper()
		want.ID = 1
		got := steps(t, text)
		if len(got) != 1 {
			t.Errorf("%s: %d steps", name, len(got))
			return
		}
		if diff := cmp.Diff(want, got[0], withoutPlaces); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	f("script", `
- script: |
    echo a
    echo b
  name: my-step
  displayName: Say $(x)
  condition: and(succeeded(), eq(variables.a, 1))
  env: {A: $(a), B: 1, C: }
  continueOnError: yes
  enabled: off
  timeoutInMinutes: 3
  retryCountOnTaskFailure: 2
  workingDirectory: src
  failOnStderr: $(strict)
`, plan.Step{Name: "my-step", DisplayName: "Say $(x)", Kind: plan.StepScript, Condition: "and(succeeded(), eq(variables.a, 1))", Disabled: true,
		ContinueOnError: true, TimeoutInMinutes: 3, Retries: 2, Env: map[string]string{"A": "$(a)", "B": "1", "C": ""},
		Script: &plan.Script{Shell: plan.ShellDefault, Text: "echo a\necho b\n", WorkingDirectory: "src", FailOnStderr: "$(strict)"}})
	f("bash", "- bash: x\n", plan.Step{DisplayName: "Bash", Kind: plan.StepScript, Script: &plan.Script{Shell: plan.ShellBash, Text: "x"}})
	f("Bash@3 inline", "- task: bash@3\n  inputs: {targetType: inline, script: x, FAILONSTDERR: True}\n",
		plan.Step{DisplayName: "Bash", Kind: plan.StepScript, Script: &plan.Script{Shell: plan.ShellBash, Text: "x", FailOnStderr: "true"}})
	f("Bash@3 of a file", "- task: Bash@3\n  inputs: {filePath: a.sh, arguments: -x}\n",
		plan.Step{DisplayName: "Bash", Kind: plan.StepScript, Script: &plan.Script{Shell: plan.ShellBash, FilePath: "a.sh", Arguments: "-x", FailOnStderr: "false"}})
	f("CmdLine@2", "- task: CmdLine@2\n  inputs: {script: x}\n",
		plan.Step{DisplayName: "CmdLine", Kind: plan.StepScript, Script: &plan.Script{Shell: plan.ShellDefault, Text: "x", FailOnStderr: "false"}})
	f("publish", "- publish: $(Build.ArtifactStagingDirectory)\n  artifact: drop\n",
		plan.Step{DisplayName: "Publish artifact drop", Kind: plan.StepPublish, Publish: &plan.Publish{Path: "$(Build.ArtifactStagingDirectory)", Artifact: "drop"}})
	f("PublishPipelineArtifact@1", "- task: PublishPipelineArtifact@1\n  inputs: {path: out, artifact: a}\n",
		plan.Step{DisplayName: "PublishPipelineArtifact", Kind: plan.StepPublish, Publish: &plan.Publish{Path: "out", Artifact: "a"}})
	f("PublishBuildArtifacts@1", "- task: PublishBuildArtifacts@1\n",
		plan.Step{DisplayName: "PublishBuildArtifacts", Kind: plan.StepPublish, Publish: &plan.Publish{Path: "$(Build.ArtifactStagingDirectory)", Artifact: "drop", Add: true}})
	f("download", "- download: current\n  artifact: drop\n  patterns: '**/*.js'\n",
		plan.Step{DisplayName: "Download artifact drop", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Artifact: "drop", Patterns: "**/*.js"}})
	f("DownloadPipelineArtifact@2", "- task: DownloadPipelineArtifact@2\n  inputs: {source: current, artifact: a, path: p}\n",
		plan.Step{DisplayName: "DownloadPipelineArtifact", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Artifact: "a", Patterns: "**", Path: "p"}})
	f("PublishPipelineArtifact@0", "- task: PublishPipelineArtifact@0\n  inputs: {targetPath: out}\n",
		plan.Step{DisplayName: "PublishPipelineArtifact", Kind: plan.StepPublish, Publish: &plan.Publish{Path: "out", Artifact: "drop"}})
	f("DownloadPipelineArtifact@1", "- task: DownloadPipelineArtifact@1\n  inputs: {artifactName: a}\n",
		plan.Step{DisplayName: "DownloadPipelineArtifact", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Artifact: "a", Patterns: "**", Path: "$(System.ArtifactsDirectory)"}})
	f("DownloadPipelineArtifact@0", "- task: DownloadPipelineArtifact@0\n  inputs: {targetPath: p}\n",
		plan.Step{DisplayName: "DownloadPipelineArtifact", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Artifact: "drop", Path: "p"}})
	f("DownloadBuildArtifacts@0", "- task: DownloadBuildArtifacts@0\n  inputs: {artifactName: a, cleanDestinationFolder: True}\n",
		plan.Step{DisplayName: "DownloadBuildArtifacts", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Artifact: "a", Patterns: "**",
			Path: "$(System.ArtifactsDirectory)", Folders: true, Clean: "true"}})
	f("DownloadBuildArtifacts@1 of all", "- task: DownloadBuildArtifacts@1\n  inputs: {downloadType: specific, artifactName: ignored, itemPattern: a/**, downloadPath: p}\n",
		plan.Step{DisplayName: "DownloadBuildArtifacts", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Patterns: "a/**", Path: "p", Folders: true, Clean: "false"}})
	f("DownloadPipelineArtifact@2 of a run by its number", "- task: DownloadPipelineArtifact@2\n  inputs: {source: specific, pipeline: q, runVersion: specific, runId: $(x), artifact: a, path: p}\n",
		plan.Step{DisplayName: "DownloadPipelineArtifact", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Run: "$(x)", Artifact: "a", Patterns: "**", Path: "p"}})
	f("DownloadPipelineArtifact@0 of a run by its number", "- task: DownloadPipelineArtifact@0\n  inputs: {pipelineId: 7, targetPath: p}\n",
		plan.Step{DisplayName: "DownloadPipelineArtifact", Kind: plan.StepDownload, Download: &plan.Download{Source: "current", Run: "7", Artifact: "drop", Path: "p"}})
	powershell := func(pwsh string) map[string]string {
		return map[string]string{"targetType": "inline", "script": "x", "pwsh": pwsh, "errorActionPreference": "continue", "ignoreLASTEXITCODE": "true", "workingDirectory": "w",
			"warningPreference": "default", "informationPreference": "default", "verbosePreference": "default", "debugPreference": "default",
			"progressPreference": "silentlyContinue", "failOnStderr": "$(strict)", "showWarnings": "false", "runScriptInSeparateScope": "false"}
	}
	const keys = "  errorActionPreference: continue\n  ignoreLASTEXITCODE: yes\n  failOnStderr: $(strict)\n  workingDirectory: w\n"
	given := []string{"errorActionPreference", "failOnStderr", "ignoreLASTEXITCODE", "pwsh", "script", "targetType", "workingDirectory"}
	f("pwsh", "- pwsh: x\n"+keys, plan.Step{DisplayName: "PowerShell", Kind: plan.StepTask, Task: &plan.Task{Name: "PowerShell", Major: 2, Given: given, Inputs: powershell("true")}})
	f("powershell", "- powershell: x\n"+keys, plan.Step{DisplayName: "PowerShell", Kind: plan.StepTask, Task: &plan.Task{Name: "PowerShell", Major: 2, Given: given, Inputs: powershell("false")}})
	f("checkout", "- checkout: self\n  fetchDepth: 0\n  clean: true\n  submodules: recursive\n  path: s/x\n  lfs: no\n  persistCredentials: true\n  fetchTags: false\n",
		plan.Step{DisplayName: "Checkout self", Kind: plan.StepCheckout, Checkout: &plan.Checkout{Repository: "self", FetchDepth: "0", Clean: "true",
			Submodules: "recursive", Path: "s/x", LFS: "false", PersistCredentials: "true", FetchTags: "false"}})
	f("a task", "- task: PublishTestResults@2\n  inputs: {testRunner: JUnit, mergeTestResults: true}\n",
		plan.Step{DisplayName: "PublishTestResults", Kind: plan.StepTask, Task: &plan.Task{Name: "PublishTestResults", Major: 2,
			Given: []string{"mergeTestResults", "testResultsFormat"},
			Inputs: map[string]string{"testResultsFormat": "JUnit", "testResultsFiles": "**/TEST-*.xml", "searchFolder": "$(System.DefaultWorkingDirectory)",
				"mergeTestResults": "true", "failTaskOnFailedTests": "false", "failTaskOnFailureToPublishResults": "false", "failTaskOnMissingResultsFile": "false",
				"publishRunAttachments": "true"}}})
}

func TestRule41And43ImpliedSteps(t *testing.T) {
	t.Parallel()
	kinds := func(list []plan.Step) string {
		var out []string
		for _, s := range list {
			implied := s.Checkout != nil && s.Checkout.Implicit || s.Download != nil && s.Download.Implicit
			out = append(out, fmt.Sprintf("%d %s %v", s.ID, s.Kind, implied))
		}
		return strings.Join(out, ", ")
	}
	f := func(text, want string) {
		t.Helper()
		p := compiled(t, text)
		j := p.Stages[0].Jobs[0]
		list := j.Steps
		if j.Deployment != nil {
			for _, h := range j.Deployment.Hooks {
				list = append(list, h.Steps...)
			}
		}
		if got := kinds(list); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	deploy := "jobs:\n- deployment: D\n  environment: e\n  strategy:\n    runOnce:\n"
	f("steps:\n- script: x\n", "1 checkout true, 2 script false")
	f("steps:\n- checkout: none\n- script: x\n", "1 script false")
	f("steps:\n- script: x\n- checkout: self\n", "1 script false, 2 checkout false")
	f(deploy+"      deploy: {steps: [{script: x}]}\n", "1 download true, 2 script false")
	f(deploy+"      deploy: {steps: [{download: none}, {script: x}]}\n", "1 script false")
	f(deploy+"      deploy: {steps: [{download: current, artifact: a}, {checkout: self}]}\n", "1 download false, 2 checkout false")
	f(deploy+"      preDeploy: {steps: [{script: x}]}\n      deploy: {steps: [{script: x}]}\n", "1 script false, 1 download true, 2 script false")
}

func TestRule44EnvironmentsAndResources(t *testing.T) {
	t.Parallel()
	f := func(environment, name, resource string) {
		t.Helper()
		p := compiled(t, "jobs:\n- deployment: D\n  environment: "+environment+"\n  strategy: {runOnce: {deploy: {steps: [{script: x}]}}}\n")
		e := p.Stages[0].Jobs[0].Deployment.Environment
		if e.Name != name || e.Resource != resource {
			t.Errorf("%s: %q %q", environment, e.Name, e.Resource)
		}
	}
	f("prod", "prod", "")
	f("prod.web", "prod", "web")
	f("$(Env.Name).web", "$(Env.Name)", "web")
	f("{name: prod, resourceName: web, resourceType: Kubernetes}", "prod", "web")
	f("{name: prod.web}", "prod", "web")
}

func TestPoolsAndDefaults(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
pool: {vmImage: ubuntu-latest}
stages:
- stage: A
  pool: big
  jobs:
  - job: One
    steps: [{script: x}]
  - job: Two
    pool: {vmImage: Ubuntu-22.04, demands: [a, b]}
    timeoutInMinutes: 0
    cancelTimeoutInMinutes: 1
    workspace: {clean: all}
    steps: [{script: x}]
- stage: B
  jobs:
  - job:
    steps: [{script: x}]
`)
	one, two, three := p.Stages[0].Jobs[0], p.Stages[0].Jobs[1], p.Stages[1].Jobs[0]
	if one.Pool.Name != "big" || two.Pool.Image != "Ubuntu-22.04" || len(two.Pool.Demands) != 2 || three.Pool.Image != "ubuntu-latest" {
		t.Errorf("pools %+v %+v %+v", one.Pool, two.Pool, three.Pool)
	}
	// Rule 16: 60 and 5 minutes if nothing is said.
	if one.TimeoutInMinutes != 60 || one.CancelTimeoutInMinutes != 5 || two.TimeoutInMinutes != 0 || two.CancelTimeoutInMinutes != 1 || two.Workspace != "all" {
		t.Errorf("times %+v %+v", one, two)
	}
	if three.Name != "Job1" {
		t.Errorf("a job without a name is %q", three.Name)
	}
}

func TestContainersAndServices(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
resources:
  containers:
  - container: build
    image: golang:1.26
    env: {A: b}
  - container: db
    image: postgres:17
    ports: ["5432:5432"]
jobs:
- job: A
  container: build
  services: {database: db, cache: redis:8}
  steps: [{script: x}]
- job: B
  container: {image: debian, endpoint: reg}
  steps: [{pwsh: x}]
- job: C
  container: $[ variables['CONTAINER'] ]
  steps: [{script: x}]
`)
	a, b, c := p.Stages[0].Jobs[0], p.Stages[0].Jobs[1], p.Stages[0].Jobs[2]
	if a.Container.Image != "golang:1.26" || a.Container.Env["A"] != "b" {
		t.Errorf("%+v", a.Container)
	}
	if len(a.Services) != 2 || a.Services[0].Alias != "database" || a.Services[0].Image != "postgres:17" || a.Services[1].Image != "redis:8" {
		t.Errorf("%+v", a.Services)
	}
	if b.Container.Image != "debian" || b.Container.Endpoint != "reg" || b.Steps[1].Task == nil {
		t.Errorf("%+v", b)
	}
	// The variable may be an image or an alias.
	got := p.ContainerOf(*c.Container, strings.NewReplacer("$(CONTAINER)", "Build").Replace)
	if got.Image != "golang:1.26" || got.Env["A"] != "b" {
		t.Errorf("%+v", got)
	}
	if got := p.ContainerOf(*c.Container, strings.NewReplacer("$(CONTAINER)", "alpine").Replace); got.Image != "alpine" {
		t.Errorf("%+v", got)
	}
}

func TestRule38Strategies(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
jobs:
- job: M
  strategy:
    maxParallel: 2
    matrix:
      azure-ipam: {v: 1}
      24.04 GCC: {v: 2}
  steps: [{script: x}]
- job: P
  strategy: {parallel: 2}
  steps: [{script: x}]
- job: R
  dependsOn: M
  strategy: {matrix: "$[ dependencies.M.outputs['azure-ipam.s.x'] ]"}
  steps: [{script: x}]
`)
	want := []*plan.Strategy{
		{MaxParallel: 2, Legs: []plan.Leg{{Name: "azure-ipam", Variables: map[string]string{"v": "1"}}, {Name: "24_04_GCC", Title: "24.04 GCC", Variables: map[string]string{"v": "2"}}}},
		{Sliced: true, Legs: []plan.Leg{{Name: "Job1"}, {Name: "Job2"}}},
		{MatrixExpression: "dependencies.M.outputs['azure-ipam.s.x']"},
	}
	for i, w := range want {
		if diff := cmp.Diff(w, p.Stages[0].Jobs[i].Strategy); diff != "" {
			t.Errorf("%d (-want +got)\n%s", i, diff)
		}
	}
}

func TestVariablesKeepTheirForm(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
variables:
- name: a
  value: 1.10
  readonly: true
- group: g
- name: b
- name: c
  value: $[ variables.a ]
steps: [{script: x}]
`)
	want := []plan.Variable{{Name: "a", Value: "1.10", ReadOnly: true}, {Group: "g"}, {Name: "b"}, {Name: "c", Expression: "variables.a"}}
	if diff := cmp.Diff(want, p.Variables, withoutPlaces); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	p = compiled(t, "variables: {a: true, b: , c: 'x: y'}\nsteps: [{script: x}]\n")
	want = []plan.Variable{{Name: "a", Value: "true"}, {Name: "b"}, {Name: "c", Value: "x: y"}}
	if diff := cmp.Diff(want, p.Variables, withoutPlaces); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOtherRepositories(t *testing.T) {
	t.Parallel()
	in := input(`
-- p.yml --
resources:
  repositories:
  - repository: lib
    type: git
    name: lib
    project: shared
    ref: refs/tags/v1
steps:
- checkout: self
- checkout: LIB
- template: s.yml@lib
`)
	in.Repository = func(r plan.Repository) (Files, error) {
		if r.Name != "shared/lib" || r.Ref != "refs/tags/v1" {
			t.Errorf("repository %+v", r)
		}
		return archive{"s.yml": "steps:\n- script: from lib\n"}, nil
	}
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Stages[0].Jobs[0].Steps
	if len(s) != 3 || s[1].Checkout.Repository != "lib" || s[2].Script.Text != "from lib" || s[2].At.String() != "s.yml@lib:2:3" {
		t.Errorf("%+v", s)
	}
	if diff := cmp.Diff([]string{"p.yml", "s.yml@lib"}, p.Sources); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Expected is what "Repository declared using inline syntax" and "Checking out a specific ref" of Microsoft's multi-repo-checkout say.
func TestInlineRepositories(t *testing.T) {
	t.Parallel()
	in := input(`
-- p.yml --
parameters: [{name: tool, type: string, default: lint}]
resources: {repositories: [{repository: lib, type: git, name: lib}]}
steps:
- checkout: self
- checkout: lib
- checkout: git://MyProject/MyRepo
- checkout: git://MyProject/MyRepo@features/tools
- checkout: git://MyProject/MyRepo@refs/heads/features/tools
  path: tools
- checkout: Git://My Project/${{ parameters.tool }}@refs/tags/@scope/v1
- checkout: git://own@main
- checkout: git://own@main
`)
	in.Repository = func(plan.Repository) (Files, error) { return nil, nil }
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.Repository{
		{Alias: "lib", Type: "git", Name: "lib", Ref: "refs/heads/main"},
		{Alias: "git://MyProject/MyRepo", Type: "git", Name: "MyProject/MyRepo", Implied: true},
		{Alias: "git://MyProject/MyRepo@features/tools", Type: "git", Name: "MyProject/MyRepo", Ref: "features/tools", Implied: true},
		{Alias: "git://MyProject/MyRepo@refs/heads/features/tools", Type: "git", Name: "MyProject/MyRepo", Ref: "refs/heads/features/tools", Implied: true},
		{Alias: "Git://My Project/lint@refs/tags/@scope/v1", Type: "git", Name: "My Project/lint", Ref: "refs/tags/@scope/v1", Implied: true},
		{Alias: "git://own@main", Type: "git", Name: "own", Ref: "main", Implied: true},
	}
	if diff := cmp.Diff(want, p.Resources.Repositories, cmpopts.IgnoreFields(plan.Repository{}, "At")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var checkouts []string
	for _, st := range p.Stages[0].Jobs[0].Steps {
		checkouts = append(checkouts, st.Checkout.Repository)
	}
	if diff := cmp.Diff([]string{"self", "lib", want[1].Alias, want[2].Alias, want[3].Alias, want[4].Alias, "git://own@main", "git://own@main"}, checkouts); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s := p.Stages[0].Jobs[0].Steps[2]; s.DisplayName != "Checkout git://MyProject/MyRepo" || p.Resources.Repositories[1].At.String() != "p.yml:6:13" {
		t.Errorf("%q of %s", s.DisplayName, p.Resources.Repositories[1].At)
	}
}

func TestInlineRepositoriesAreChecked(t *testing.T) {
	t.Parallel()
	f := func(checkout, want string) {
		t.Helper()
		files := archive{"p.yml": "steps:\n- checkout: " + checkout + "\n"}
		_, err := Compile(Input{Path: "p.yml", Files: files, Repository: func(plan.Repository) (Files, error) { return nil, nil }})
		if err == nil || err.Error() != "p.yml:2:13: checkout of "+want {
			t.Errorf("checkout: %s\ngot  %v\nwant p.yml:2:13: checkout of %s", checkout, err, want)
		}
	}
	f("github://octo/tools@v1", `"github://octo/tools@v1": in place git:// alone is there, for repositories of this server: declare this one under resources.repositories with type: github and name: octo/tools, and give its alias`)
	f("bitbucket://", `"bitbucket://": in place git:// alone is there, for repositories of this server: declare this one under resources.repositories with type: bitbucket and name: OWNER/REPOSITORY, and give its alias`)
	f("https://example.com/a/b", `"https://example.com/a/b": it takes no URL: write git://PROJECT/REPOSITORY for a repository of this server, or declare the repository under resources.repositories and give its alias`)
	f("git://a/b@$(Build.SourceBranch)", `"git://a/b@$(Build.SourceBranch)": which repository and ref it is must be known before a run starts, when $( ) is not yet: write ${{ parameters.NAME }} or ${{ variables.NAME }}`)
	shape := ": write git://PROJECT/REPOSITORY, or git://REPOSITORY of the pipeline's own project, and @REF behind it for another ref than the default branch"
	for _, text := range []string{"git://", "git:///b", "git://a/", "git://a/b/c", "git://@main"} {
		f(text, `"`+text+`"`+shape)
	}
	f("git://a/b@", `"git://a/b@": there is no ref behind the @: write a branch or refs/tags/TAG, or leave the @ out for the default branch`)
	_, err := Compile(Input{Path: "p.yml", Files: archive{"p.yml": "steps:\n- checkout: git://a/b@Fix\n- checkout: git://A/B@fix\n"},
		Repository: func(plan.Repository) (Files, error) { return nil, nil }})
	const twice = `p.yml:3:13: checkout of "git://A/B@fix": another step checks out "git://a/b@Fix", which differs in case alone: declare one of them under resources.repositories and give its alias`
	if err == nil || err.Error() != twice {
		t.Errorf("got  %v\nwant %s", err, twice)
	}
	// A parameter without a value leaves open which repository it is.
	if r := Check(Input{Path: "p.yml", Files: archive{"p.yml": "parameters: [{name: r, type: string}]\nsteps:\n- checkout: git://a/b@${{ parameters.r }}\n"}}); len(r.Problems)+len(r.Warnings) > 0 {
		t.Errorf("problems %v, warnings %v", r.Problems, r.Warnings)
	}
}

func TestSameMeaningAfterExpansion(t *testing.T) {
	t.Parallel()
	text := `
-- p.yml --
parameters:
- name: legs
  type: object
  default: [a, b]
variables:
  v: ${{ length(parameters.legs) }}
jobs:
- ${{ each leg in parameters.legs }}:
  - template: j.yml
    parameters: {name: '${{ leg }}', cond: "eq(variables.v, '2')"}
-- j.yml --
parameters:
- name: name
- name: cond
jobs:
- job: J${{ parameters.name }}
  condition: ${{ parameters.cond }}
  steps:
  - script: |
      echo ${{ parameters.name }}
      echo "on: yes"
    env: {A: 'true', B: true, C: '', D: "a: b"}
`
	p := compiled(t, text)
	out, err := Expand(input(text))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Compile(Input{Path: "p.yml", Files: archive{"p.yml": string(out)}})
	if err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if diff := cmp.Diff(p, again, withoutPlaces, cmpopts.IgnoreFields(plan.Plan{}, "Sources", "Parameters")); diff != "" {
		t.Errorf("(-first +again)\n%s\n%s", diff, out)
	}
}

func TestRunTimeParametersAreKept(t *testing.T) {
	t.Parallel()
	in := input("parameters:\n- name: n\n  type: number\n  default: 1\n- name: flag\n  type: boolean\n  default: false\nsteps:\n- script: echo ${{ parameters.n }} ${{ parameters.flag }}\n")
	in.Parameters = map[string]any{"n": 5.0, "flag": "true"}
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	if string(p.Parameters[0].Value) != "5" || string(p.Parameters[0].Default) != "1" || string(p.Parameters[1].Value) != "true" {
		t.Errorf("%+v", p.Parameters)
	}
	if got := p.Stages[0].Jobs[0].Steps[1].Script.Text; got != "echo 5 True" {
		t.Errorf("script %q", got)
	}
}

func TestImagesThatAreMapped(t *testing.T) {
	t.Parallel()
	in := input("pool: {vmImage: windows-2022}\nsteps: [{script: x}]\n")
	in.Images = func(image string) bool { return image == "windows-2022" }
	if _, err := Compile(in); err != nil {
		t.Error(err)
	}
}

// BenchmarkCompile compiles a file of 20 stages that each include a template of jobs and steps.
func BenchmarkCompile(b *testing.B) {
	text := "-- p.yml --\nvariables: {a: b}\nstages:\n"
	for i := range 20 {
		text += fmt.Sprintf("- stage: S%d\n  jobs:\n  - template: j.yml\n    parameters: {n: %d, legs: [x, y, z]}\n", i, i)
	}
	text += "-- j.yml --\nparameters:\n- name: n\n  type: number\n- name: legs\n  type: object\njobs:\n- ${{ each leg in parameters.legs }}:\n" +
		"  - job: J_${{ leg }}\n    steps:\n" + strings.Repeat("    - script: echo ${{ parameters.n }} ${{ leg }} $(a)\n      condition: and(succeeded(), eq(variables.a, 'b'))\n", 5)
	in := input(text)
	for b.Loop() {
		if _, err := Compile(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompileLarge compiles a file of 20,000 lines that includes 150 templates twice each; 100 ms are the goal. cpu-ms is the
// processor's time, which other programs do not make longer.
func BenchmarkCompileLarge(b *testing.B) {
	var text strings.Builder
	text.WriteString("-- p.yml --\nvariables: {a: b}\nstages:\n")
	for i := range 20 {
		fmt.Fprintf(&text, "- stage: S%d\n  jobs:\n", i)
		for k := range 15 {
			n := 15*i + k
			fmt.Fprintf(&text, "  - job: J%d\n    condition: and(succeeded(), eq(variables.a, 'b'))\n    steps:\n    - template: t%d.yml\n      parameters: {n: %d}\n", k, n%150, n)
			for s := range 15 {
				fmt.Fprintf(&text, "    - script: make part%d\n      displayName: Part %d\n      env:\n        KEY: $(a)\n", s, s)
			}
		}
	}
	if lines := strings.Count(text.String(), "\n"); lines < 19_000 || lines > 21_000 {
		b.Fatalf("the file has %d lines", lines)
	}
	for i := range 150 {
		fmt.Fprintf(&text, "-- t%d.yml --\nparameters:\n- {name: n, type: number}\nsteps:\n- ${{ if gt(parameters.n, 10) }}:\n  - script: echo ${{ parameters.n }}\n- script: echo always\n", i)
	}
	in := input(text.String())
	b.SetBytes(int64(text.Len()))
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	start := used()
	for b.Loop() {
		if _, err := Compile(in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(used()-start)/1e6/float64(b.N), "cpu-ms/op")
}
