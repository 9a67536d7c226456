package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What people who are new to the language write: each mistake is told once, where it is, with what to write instead, and nothing is said of what only
// follows from it.
func TestWhatNewcomersWrite(t *testing.T) {
	t.Parallel()
	f := func(name, text, want string) {
		t.Helper()
		if diff := cmp.Diff(want, checked(text)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	const declared = "parameters:\n- {name: kind, type: string, default: a}\n"
	f("a dash without its space", "steps:\n-script: x\n- script: y\n", "p.yml:2:1: not valid YAML: a space follows the dash of an entry: write - KEY: VALUE")
	f("a key without its colon", "pool: x\nsteps\n- script: x\n", "p.yml:2:1: not valid YAML: a key without a colon: write KEY: VALUE, or indent the line as the text that it goes on with")
	f("an equals sign", "steps:\n- script: x\n  displayName = A\n  evn: {}\n", `p.yml:3:3: not valid YAML: a colon and a space stand between a key and its value: write KEY: VALUE in place of KEY = VALUE
p.yml:4:3: unknown key "evn" of a script step, did you mean "env"?`)
	f("text after a quote", "steps:\n- script: \"a\" && b\n", "p.yml:2:15: not valid YAML: a text that begins with {, [ or a quote ends with its closing one: put the whole text in quotes, and a ${{ }} begins with its dollar sign")
	// Chidieberetech/Azure-DevOps
	f("a script's text at the beginning of the line", "steps:\n- script: |\n    cat > x << EOF\nA summary of it\n=====\n\nMade by: me\nEOF\n- script: y\n",
		"p.yml:4:1: not valid YAML: the text below | or > of line 2 ends here, since this line is indented less: indent it as the text, if it is a part of it")
	// dddwa/ddd-backend: variables that an export of a pipeline of the old editor names after its parameters.
	f("a variable that is called as a parameter", "trigger: none\nsteps:\n- script: echo $(Parameters.Projects)\n", "")
	f("an alias", "steps:\n- &x\n  script: a\n- *x\n", `p.yml:2:3: anchor &x: Azure Pipelines has no anchors; use a template or write the value out
p.yml:4:3: alias *x: Azure Pipelines has no aliases; use a template or write the value out`)
	f("braces without the dollar sign as a value", "variables:\n  a: {{ b }}\nsteps: [{script: x}]\n", "p.yml:2:7: a key must be text, not a map: {{ }} is a map in a map, an expression is written ${{ }}")
	f("expressions in other brackets", declared+"variables: {v: x}\nsteps:\n- script: echo {{ parameters.kind }} of {{.Kind}}\n- bash: echo ${ parameters.kind } ${KIND}\n- bash: echo $(parameters.kind) $(variables.v)\n",
		`p.yml:5:16: warning: {{ parameters.kind }} is no expression, so it stays as it is written: write ${{ parameters.kind }}
p.yml:6:14: warning: ${ parameters.kind } is no expression, so it stays as it is written: write ${{ parameters.kind }}
p.yml:7:14: warning: $(parameters.kind) is no variable, so it stays as it is written: write ${{ parameters.kind }}
p.yml:7:33: warning: $(variables.v) is no variable, so it stays as it is written: write $(v)`)
	f("$[ without its end", "variables:\n  a: $[counter('x', 1)\nsteps: [{script: x}]\n",
		"p.yml:2:6: warning: $[ has no closing ] at the end of the value, so it stays as it is written: write $[ EXPRESSION ]")
	f("a group in a map", "variables:\n  group: g\nsteps: [{script: x}]\n",
		"p.yml:2:3: warning: this is a variable with the name group: a variable group stands in a list, - group: g, and so do the other variables then, - name: NAME with value: VALUE")
	f("a parameter in a condition", declared+"steps:\n- script: ${{ parameters.kind }}\n  condition: eq(parameters.kind, 'a')\n",
		"p.yml:5:17: parameters are read when the file is expanded, and this is evaluated in a run: write ${{ parameters.NAME }}, in single quotes if it is a text")
	f("if within a script", declared+"steps:\n- script: |\n    ${{ if eq(parameters.kind, 'a') }}:\n      x\n",
		"p.yml:5:9: if is no value: ${{ if }} chooses whole entries and keys, as a key with a colon behind its }}, and stands within no text: put it around the entry, or write iif(CONDITION, A, B)")
	f("if without a dash", declared+"steps:\n${{ if eq(parameters.kind, 'a') }}:\n- script: x\n",
		"p.yml:4:1: ${{ if eq(parameters.kind, 'a') }} stands among the keys of a map, and below it is a list: begin its line with a dash, indented as the other entries of the list that it belongs to")
	f("nothing below if", declared+"steps:\n- ${{ if eq(parameters.kind, 'b') }}:\n  script: x\n",
		"p.yml:4:3: warning: nothing stands below ${{ if eq(parameters.kind, 'b') }}, so that it changes nothing: indent what it is for deeper than its dollar sign")
	f("if without its end", declared+"steps:\n- ${{ if eq(parameters.kind, 'a') }:\n  - script: x\n", "p.yml:4:3: ${{ has no closing }}")
	f("a slip of a parameter", declared+"steps:\n- script: ${{ parameters.knid }}\n", `p.yml:4:15: parameter "knid" is not declared in this file, did you mean "kind"?`)
	f("parameters of a pipeline in a map", "parameters:\n  kind: a\ntrigger: none\nsteps: [{script: \"${{ parameters.kind }}\"}]\n",
		"p.yml:2:3: parameters of the root file are a list, each with name, type and default: write - name: kind, and below it type and default")
	f("types in the old map", "parameters:\n  kind:\n    type: string\n    default: a\nsteps:\n- script: x-${{ parameters.kind }}\n",
		`p.yml:2:3: warning: the default of parameter "kind" is all of this map, with type and default as its keys: write parameters that have types as a list, - name: kind with type and default below it`)
	// dotnet/docker-tools, pull request 2160
	f("a parameter without its dash", "parameters:\n  name: config\n  type: object\nsteps:\n- script: x\n",
		"p.yml:2:3: warning: these are parameters with the names name and type: begin the line with a dash if one parameter is meant, - name: config")
	f("inputs that are not indented", "steps:\n- task: Docker@2\n  inputs:\n  command: build\n  repository: r\n- task: Bash@3\n  inputs:\n  script: x\n  targetType: inline\n", `p.yml:4:3: "command" is an input of task Docker@2: inputs stand below inputs, indented deeper
p.yml:8:3: "script" is an input of task Bash@3: inputs stand below inputs, indented deeper`)
	f("a slip of an input that is needed", "steps:\n- task: Docker@2\n  inputs:\n    repositry: r\n", `p.yml:4:5: task Docker@2 has no input "repositry", did you mean "repository"?`)
	f("a branch without branches", "trigger: {include: [main]}\npr: {exclude: [x]}\nsteps: [{script: x}]\n", `p.yml:1:11: unknown key "include" of trigger: write it under branches, paths or tags
p.yml:2:6: unknown key "exclude" of pr: write it under branches, paths or tags`)
	f("stages and jobs of other stages as jobs", "trigger: none\nstages:\n- stage: A\n  jobs: [{job: J, steps: [{script: x}]}]\n- stage: B\n  dependsOn: J\n  jobs:\n  - {job: K, dependsOn: A, steps: [{script: x}]}\n  - {job: L, dependsOn: J, steps: [{script: x}]}\n",
		`p.yml:6:14: stage B depends on "J", which is no stage here: it is a job of stage A: write dependsOn: A at the stage that waits for it
p.yml:8:25: job K depends on "A", which is no job here: it is a stage, and a job depends on jobs of its own stage: write it under dependsOn of the stage
p.yml:9:25: job L depends on "J", which is no job here: it is a job of stage A: write dependsOn: A at the stage that waits for it`)
	// SetVariable of azure-pipelines-agent (ExecutionContext.cs) gives an output the name of its step before its own.
	f("an output without the name of its step", "trigger: none\nsteps:\n- bash: echo '##vso[task.setvariable variable=x;isOutput=true]1' '##vso[task.setvariable variable=y]2'\n  name: s\n- script: echo $(x) $(s.x) $(y)\n",
		"p.yml:5:16: warning: $(x) is no variable, so it stays as it is written: step s sets it as an output, so write $(s.x)")
	// Azure/azure-container-networking
	f("a variable that is given when the run is queued and becomes an output", "trigger: none\nsteps:\n- bash: echo \"##vso[task.setvariable variable=kind;isOutput=true]$(kind)\"\n  name: s\n- script: echo $(Kind)\n", "")
	f("a template without its colon", "trigger: none\nsteps:\n- template t.yml\n- include: t.yml\n", `p.yml:3:3: a script step is a map of keys, not "template t.yml": a colon follows a key: write template: t.yml
p.yml:4:3: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task: write template in place of include`)
	f("lists for texts and maps", "trigger: none\nsteps:\n- checkout: [self]\n- task: Docker@2\n  inputs: [{command: build}]\n", `p.yml:3:13: checkout of a checkout step is text, not a list
p.yml:5:11: inputs of a task step is a map of names and texts, not a list`)
	f("a parameter whose name is none of expressions", "parameters:\n- {name: my-kind, type: string, default: a}\n- {name: other kind, type: string, default: a}\nsteps: [{script: x}]\n", `p.yml:2:10: warning: parameter "my-kind" is declared and never read: remove it, or read it as ${{ parameters['my-kind'] }}
p.yml:3:10: warning: parameter "other kind" is declared and never read: remove it, or read it as ${{ parameters['other kind'] }}`)
	f("an output that is none", "trigger: none\njobs:\n- job: A\n  steps:\n  - bash: echo '##vso[task.setvariable variable=x]1' '##vso[task.setvariable variable=y;isOutput=true]1'\n    name: s\n- job: B\n  dependsOn: A\n  variables:\n    x: $[ dependencies.A.outputs['s.x'] ]\n    y: $[ dependencies.A.outputs['s.y'] ]\n  steps: [{script: x}]\n",
		"p.yml:10:8: warning: job B reads output x of step s, which sets it for its own job alone: write ##vso[task.setvariable variable=x;isOutput=true] there")
}

// Of what templates of other repositories set, and objects have that nobody gave, a check says nothing.
func TestCheckSaysNothingOfWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := func(name, text, want string) {
		t.Helper()
		if diff := cmp.Diff(want, checked(text)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	// CodeBuildDeploy-com/CodeBuildDeploy.Platform.Environment
	const theirs = "resources: {repositories: [{repository: theirs, type: git, name: t}]}\nvariables:\n- template: v.yml@theirs\nsteps:\n"
	const unread = "p.yml:3:13: warning: templates of repository theirs are not checked, since it is not here"
	f("variables of a template that is not here", theirs+"- script: ${{ variables['build.script'] }}\n- bash: x\n  enabled: ${{ variables.on }}\n- bash: ${{ split(variables.list, ',').x.y }}\n", unread)
	f("a variable that no template can set", theirs+"- script: ${{ variable.x }}\n", `p.yml:5:15: unknown value "variable", did you mean "variables"?`+"\n"+unread)
	// UKHO/devops-azdo-yaml-pipeline-templates and Planning-Inspectorate/common-pipeline-templates
	f("what an object has", "parameters:\n- {name: config, type: object}\njobs:\n- deployment: D\n  environment: ${{ parameters.config.Environment }}\n  strategy:\n    runOnce:\n      deploy:\n        steps:\n        - task: DownloadPipelineArtifact@2\n          inputs: {source: specific, project: p, pipeline: \"${{ parameters.config.pipeline }}\"}\n", "")
}
