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
	f("a slip in an expression", "steps:\n- script: x\n- ${{ if eq(paramters.a, 1) }}:\n  - script: y\n", `p.yml:3:13: unknown value "paramters", did you mean "parameters"?`)
	f("a slip with two candidates", "trigger: {branch: main}\nsteps: [{script: x}]\n", `p.yml:1:11: unknown key "branch" of trigger, did you mean "branches"?`)
	f("another template's braces", "trigger: none\npool: {{ pool }}\nsteps: [{script: x}]\n", "p.yml:2:8: a key must be text, not a map: {{ }} is a map in a map, an expression is written ${{ }}")
	f("a template that extends another", "parameters:\n- {name: kind, type: string, default: a}\nextends:\n  template: ${{ parameters.kind }}.yml@theirs\n",
		"p.yml:4:13: warning: templates of repository theirs are not checked, since it is not here")
}
