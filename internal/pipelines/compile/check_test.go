package compile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// checked is everything that a check says, one a line, warnings with a word before them.
func checked(text string) string {
	r := Check(input(text))
	var lines []string
	for _, p := range r.Problems {
		lines = append(lines, p.Error())
	}
	for _, w := range r.Warnings {
		lines = append(lines, w.At.String()+": warning: "+w.Message)
	}
	return strings.Join(lines, "\n")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	f := func(name, text, want string) {
		t.Helper()
		if diff := cmp.Diff(want, checked(text)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	f("a parameter that must be given", `
parameters:
- name: image
- name: size
  type: number
- name: more
  type: stepList
- name: each
  type: object
trigger: none
pool: {vmImage: "${{ parameters.image }}"}
steps:
- script: echo ${{ parameters.size }}
- ${{ parameters.more }}
- ${{ each e in parameters.each }}:
  - script: echo ${{ e }}
`, "")
	f("and what is wrong besides", "parameters:\n- name: image\nsteps:\n- script: x ${{ parameters.imgae }}\n  conditoin: ${{ parameters.image }}\n",
		"p.yml:4:17: parameter \"imgae\" is not declared in this file, did you mean \"image\"?\n"+
			`p.yml:5:3: unknown key "conditoin" of a script step, did you mean "condition"?`)
	f("a template of stages names a stage of its includer", `
parameters:
- name: after
  type: object
  default: []
stages:
- stage: A
  dependsOn: Elsewhere
  condition: eq(dependencies.Elsewhere.outputs['J.s.x'], 1)
  jobs:
  - job: J
    dependsOn: ${{ parameters.after }}
    steps: [{checkout: tools}, {script: x}]
`, "")
	f("but a slip is one", "stages:\n- stage: Build\n  jobs: [{job: J, steps: [{script: x}]}]\n- stage: B\n  dependsOn: Biuld\n  jobs: [{job: J, steps: [{script: x}]}]\n",
		`p.yml:5:14: stage B depends on "Biuld", which is no stage here, did you mean "Build"?`)
	f("a step of a misspelt kind", "steps:\n- displayName: a\n  scrpt: x\n  conditoin: y\n- foo: x\n",
		`p.yml:3:3: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task, did you mean "script"?
p.yml:4:3: unknown key "conditoin" of a script step, did you mean "condition"?
p.yml:5:3: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task`)
	f("a template of variables", "parameters:\n  a: ''\nvariables:\n- name: x\n  value: ${{ parameters.a }}\n", "")
	f("a template in another repository", `
resources:
  repositories:
  - {repository: shared, type: git, name: x}
stages:
- template: build.yml@shared
- stage: Deploy
  dependsOn: Build
  jobs: [{job: A, steps: [{script: x}]}]
- template: more.yml@sahred
`, `p.yml:9:13: no repository "sahred" is declared under resources.repositories, did you mean "shared"?
p.yml:5:13: warning: templates of repository shared are not checked, since it is not here`)
	f("an input that the task does not have", "steps:\n- task: CopyFiles@2\n  inputs: {targetFolder: x, retryCountOnTaskFailure: 3, contnets: a}\n",
		`p.yml:3:57: warning: task CopyFiles@2 has no input "contnets", so it has no effect, did you mean "Contents"?
p.yml:3:29: warning: task CopyFiles@2 has no input "retryCountOnTaskFailure", so it has no effect`)
}

func TestCheckGivesThePlanOfAFileThatIsFine(t *testing.T) {
	t.Parallel()
	r := Check(input("parameters: [{name: a}]\nsteps: [{script: 'echo ${{ parameters.a }}'}]\n"))
	if r.Plan == nil || len(r.Plan.Stages) != 1 || len(r.Sources) != 1 {
		t.Errorf("%+v", r)
	}
	if r := Check(input("steps: [{scrip: x}]\n")); r.Plan != nil {
		t.Error("a broken file has a plan")
	}
}

// A pipeline's file, by its name or its reader's word, names nothing that stands elsewhere.
func TestCheckOfAPipelineThatLooksLikeATemplate(t *testing.T) {
	t.Parallel()
	text := "stages:\n- stage: A\n  dependsOn: Elsewhere\n  jobs: [{job: J, steps: [{script: x}]}]\n"
	for _, in := range []Input{
		{Path: "ci/azure-pipelines.release.yml", Files: archive{"ci/azure-pipelines.release.yml": text}},
		{Path: "ci.yml", Files: archive{"ci.yml": text}, Pipeline: true},
	} {
		if r := Check(in); len(r.Problems) != 1 || r.Plan != nil {
			t.Errorf("%s: %v", in.Path, r.Problems)
		}
	}
	if r := Check(Input{Path: "ci.yml", Files: archive{"ci.yml": text}}); len(r.Problems) != 0 {
		t.Errorf("a template: %v", r.Problems)
	}
}

// A template that a pipeline extends declares repositories too; both lists count.
func TestResourcesOfAnExtendedTemplate(t *testing.T) {
	t.Parallel()
	in := input(`
-- p.yml --
resources: {repositories: [{repository: mine, type: git, name: x}], containers: [{container: c, image: i}]}
extends: {template: t.yml}
-- t.yml --
resources: {repositories: [{repository: shared, type: git, name: y}]}
extends: {template: s.yml@shared}
`)
	in.Repository = func(r plan.Repository) (Files, error) {
		return archive{"s.yml": "steps: [{template: u.yml@mine}]\n", "u.yml": "steps: [{script: '" + r.Name + "'}]\n"}, nil
	}
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Resources.Repositories) != 2 || len(p.Resources.Containers) != 1 || p.Stages[0].Jobs[0].Steps[1].Script.Text != "x" {
		t.Errorf("%+v %+v", p.Resources, p.Stages[0].Jobs[0].Steps)
	}
}

// Another repository that is there is read.
func TestCheckReadsOtherRepositories(t *testing.T) {
	t.Parallel()
	in := input("resources: {repositories: [{repository: shared, type: git, name: x}]}\nsteps:\n- template: s.yml@shared\n")
	in.Repository = func(r plan.Repository) (Files, error) {
		return archive{"s.yml": "steps:\n- bsah: x\n"}, nil
	}
	r := Check(in)
	if len(r.Problems) != 1 || r.Problems[0].Position.String() != "s.yml@shared:2:3" {
		t.Errorf("%v", r.Problems)
	}
}

// As of mlops-platform's ml-project-pipeline.yml, contoso-uni's deploy.yaml and azure-sdk-for-c's cmake-build.yml: a template that pipelines
// extend has variables beside its stages, a default of spaces is none, and who includes a template may have variables of any name.
func TestTemplatesThatPipelinesExtend(t *testing.T) {
	t.Parallel()
	const text = `
parameters:
- {name: environment, type: string, default: " ", values: [" ", dev]}
variables:
  region: north
stages:
- template: /pipelines/templates/ci.yml@platform
- stage: ${{ parameters.environment }}_Deploy
  dependsOn: Lint
  jobs:
  - job: A
    steps:
    - checkout: platform
    - script: cmake $(build.args)
`
	check := func(path string) (list []string) {
		r := Check(Input{Path: path, Files: archive{path: text}, Repository: func(plan.Repository) (Files, error) { return nil, nil }})
		for _, p := range r.Problems {
			list = append(list, p.Error())
		}
		for _, w := range r.Warnings {
			list = append(list, w.At.String()+": "+w.Message)
		}
		return list
	}
	want := []string{"pipelines/templates/ml.yml:7:13: templates of repository platform are not checked, since it is not here"}
	if diff := cmp.Diff(want, check("pipelines/templates/ml.yml")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Elsewhere it is a pipeline, whose repositories nobody else declares.
	want = []string{`pipelines/ml.yml:7:13: no repository "platform" is declared under resources.repositories`,
		`pipelines/ml.yml:8:10: " _Deploy" is no name for a stage: names are letters, digits and underscores and do not start with a digit`,
		`pipelines/ml.yml:9:14: stage  depends on "Lint", which is no stage here`,
		`pipelines/ml.yml:13:17: checkout is self, none or a repository declared under resources.repositories, not "platform"`,
		"pipelines/ml.yml:14:21: $(build.args) is no variable that Slipway sets, so it stays as it is written"}
	if diff := cmp.Diff(want, check("pipelines/ml.yml")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// As of azure-sdk-for-c's create-authenticated-npmrc.yml: an input that is not there yet is refused where a value is given to it, and an empty
// default of a template is none.
func TestTemplateWithAnInputThatMayBeLeftOut(t *testing.T) {
	t.Parallel()
	const text = "parameters: [{name: connection, type: string, default: %s}]\nsteps:\n- task: npmAuthenticate@0\n  inputs:\n    workingFile: .npmrc\n    azureDevOpsServiceConnection: ${{ parameters.connection }}\n"
	check := func(value string) yaml.Problems {
		return Check(Input{Path: "steps.yml", Files: archive{"steps.yml": strings.Replace(text, "%s", value, 1)}}).Problems
	}
	if got := check("''"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := check("azure"); len(got) != 1 || !strings.HasPrefix(got[0].Error(), "steps.yml:6:5: input azureDevOpsServiceConnection: azure of task npmAuthenticate@0 is not there yet") {
		t.Errorf("%v", got)
	}
}
