package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What public files hold that Azure Pipelines takes, and what people bring who know another language.
func TestWhatStrangersBring(t *testing.T) {
	t.Parallel()
	f := func(name, text, want string) {
		t.Helper()
		if diff := cmp.Diff(want, checked(text)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	// sonic-net/sonic-buildimage makes jobs by the name of the pipeline, which a check does not know.
	f("jobs by what a run knows", "trigger: none\nstages:\n- stage: Build\n  jobs:\n  - ${{ if endsWith(variables['Build.DefinitionName'], 'slave') }}:\n    - job: A\n      steps: [{script: x}]\n",
		"p.yml:4:3: warning: stage Build has no jobs: it must get some from what a run knows, its variables or the name of the pipeline")
	f("no jobs", "trigger: none\nstages:\n- stage: Build\n", "p.yml:3:3: stage Build has no jobs")
	// dotnet/roslyn-analyzers
	f("an empty pattern", "schedules:\n- cron: '0 8 * * 0'\n  branches: {include: [main], exclude: ['']}\nsteps: [{script: x}]\n",
		"p.yml:3:41: warning: exclude has an empty pattern, which matches nothing: leave it out")
	// Azure-Samples/modern-data-warehouse-dataops
	f("a macro in a trigger", "trigger: {paths: {include: [$(dir)/a]}}\nsteps: [{script: x}]\n",
		`p.yml:1:29: warning: a trigger is read before there are variables, so that "$(dir)/a" is taken as it is written: write the pattern out`)
	// Prowlarr/Prowlarr: azure-pipelines-task-lib reads whatever is not true as false.
	f("an expression as a boolean input", "steps:\n- task: PublishTestResults@2\n  inputs: {failTaskOnFailedTests: 'ne(1, 2)'}\n",
		`p.yml:3:12: warning: input "failTaskOnFailedTests" of task PublishTestResults@2 is "ne(1, 2)", which counts as false: write true or false`)
	f("GitHub Actions", "name: CI\non: [push]\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps: [{run: make}]\n",
		"p.yml:1:1: this is a workflow of GitHub Actions: slipway import github FILE makes a pipeline of it")
	f("GitLab CI", "stages: [build]\nbuild:\n  stage: build\n  script: [make]\n",
		"p.yml:1:1: this is a file of GitLab CI: slipway import gitlab FILE makes a pipeline of it")
	f("Concourse", "resources:\n- {name: repo, type: git, source: {uri: x}}\njobs:\n- name: a\n  plan: [{get: repo}]\n",
		"p.yml:1:1: this is a pipeline of Concourse, which is not read here: its tasks become steps of jobs")
	f("a task of Concourse", "platform: linux\nimage_resource: {type: docker-image}\nrun: {path: x}\n", "p.yml:1:1: this is a task of Concourse, which is not read here: what it runs becomes a script step")
	f("Drone", "kind: pipeline\nsteps: [{name: a, image: b, commands: [c]}]\n", "p.yml:1:1: this is a pipeline of Drone, which is not read here: its commands become script steps")
	f("CircleCI", "version: 2.1\njobs: {a: {steps: [checkout]}}\nworkflows: {b: {jobs: [a]}}\n", "p.yml:1:1: this is a configuration of CircleCI, which is not read here: the run steps of its jobs become script steps")
	f("Bitbucket", "pipelines: {default: [{step: {script: [x]}}]}\n", "p.yml:1:1: this is a file of Bitbucket Pipelines, which is not read here: its scripts become script steps")
	f("Travis", "language: go\nscript: make\n", "p.yml:1:1: this is a configuration of Travis CI, which is not read here: its commands become script steps")
	f("Docker Compose", "services: {web: {image: x}}\n", "p.yml:1:1: this is a file of Docker Compose: name it in a step with DockerCompose@0")
	f("a manifest", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n", "p.yml:1:1: this is a manifest of Kubernetes: name it in a step with KubernetesManifest@1")
	f("extends as a list", "extends:\n- template: a.yml\n", "p.yml:2:1: extends is a map with template and parameters, not a list: remove the dash")
	// tianocore/edk2: a step whose input is empty where its condition is false.
	f("an empty input of a step with a condition", "steps:\n- task: UsePythonVersion@0\n  inputs: {versionSpec: ''}\n  condition: ne('', '')\n",
		`p.yml:3:12: warning: task UsePythonVersion@0 needs the input "versionSpec", which is empty here: if the condition lets the step run, it fails`)
	f("an empty input", "steps:\n- task: UsePythonVersion@0\n  inputs: {versionSpec: ''}\n", `p.yml:3:12: task UsePythonVersion@0 needs the input "versionSpec"`)
	// microsoft/onnxruntime-extensions: StringUtil.ConvertToBoolean of azure-pipelines-agent takes other words for false.
	f("submodules: none", "steps:\n- checkout: self\n  submodules: none\n", `p.yml:3:15: warning: submodules of a checkout step is "none", which counts as false: write true or false`)
	// Azure/caf-terraform-landingzones-starter
	f("macros in options", "container: {image: i, options: '--user 0 -e DIR=\"/home/$(user)/x\" --name job-$(Build.BuildId)'}\nsteps: [{script: x}]\n",
		"p.yml:1:32: warning: these options of a container have no effect, since jobs are pods: --name")
	f("a macro in another option", "container: {image: i, options: '--memory $(size)'}\nsteps: [{script: x}]\n",
		"p.yml:1:32: option --memory $(size) of a container must be known when the run is made: write it without macros, which only -e and --env take")
	// GMLC-TDC/HELICS and yarnpkg/yarn
	f("images", "jobs:\n- job: a\n  pool: {vmImage: \"$[ variables['image'] ]\"}\n  steps: [{script: x}]\n- job: b\n  pool: {vmImage: Ubuntu 16.04}\n  steps: [{script: x}]\n", "")
	// rfennell/AzurePipelines, dotnet/HttpRepl
	f("keys at another place", "resources: {repositories: [{repository: r, type: git, name: n, branch: main, clean: true}]}\npool: {vmImage: ubuntu-latest, container: c}\nsteps: [{script: x}]\n",
		"p.yml:1:64: unknown key \"branch\" of a repository: write ref: refs/heads/BRANCH\np.yml:1:78: unknown key \"clean\" of a repository: write it in the checkout step\np.yml:2:32: unknown key \"container\" of a pool: write it in the job, beside pool")
	f("a slip in an expression", "steps:\n- script: x\n- ${{ if eq(paramters.a, 1) }}:\n  - script: y\n", `p.yml:3:13: unknown value "paramters", did you mean "parameters"?`)
	f("a slip with two candidates", "trigger: {branch: main}\nsteps: [{script: x}]\n", `p.yml:1:11: unknown key "branch" of trigger, did you mean "branches"?`)
	f("another template's braces", "trigger: none\npool: {{ pool }}\nsteps: [{script: x}]\n", "p.yml:2:8: a key must be text, not a map: {{ }} is a map in a map, an expression is written ${{ }}")
	f("a template that extends another", "parameters:\n- {name: kind, type: string, default: a}\nextends:\n  template: ${{ parameters.kind }}.yml@theirs\n",
		"p.yml:4:13: warning: templates of repository theirs are not checked, since it is not here")
}
