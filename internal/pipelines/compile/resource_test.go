package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
)

const withPipeline = `
resources:
  pipelines:
  - pipeline: Lib
    source: library ci
    branch: main
    tags: [signed]
    trigger:
      branches: [main]
      stages: [Build]
      tags: [signed]
`

func TestPipelineResources(t *testing.T) {
	t.Parallel()
	p := compiled(t, withPipeline+`
stages:
- stage: S
  jobs:
  - job: J
    steps:
    - download: Lib
      artifact: a
    - task: DownloadPipelineArtifact@2
      inputs: {source: specific, project: $(System.TeamProject), pipeline: library ci, runVersion: latest, preferTriggeringPipeline: true, artifact: b, path: p}
    - task: DownloadBuildArtifacts@0
      inputs: {buildType: specific, project: $(resources.pipeline.Lib.projectID), pipeline: $(resources.pipeline.Lib.pipelineName), buildVersionToDownload: specific,
        allowPartiallySucceededBuilds: true, buildId: $(resources.pipeline.lib.runID), artifactName: c, downloadPath: p}
    - task: DownloadPipelineArtifact@1
      inputs: {buildType: specific, project: $(System.TeamProjectId), pipeline: lib, buildVersionToDownload: latestFromBranch, branchName: $(resources.pipeline.Lib.sourceBranch)}
    - task: DownloadPipelineArtifact@0
      inputs: {pipelineId: $(resources.pipeline.Lib.runID), targetPath: p}
  - deployment: D
    environment: e
    strategy: {runOnce: {deploy: {steps: [{script: x}]}}}
`)
	want := plan.Pipeline{Alias: "Lib", Source: "library ci", Branch: "main", Tags: []string{"signed"}, At: p.Resources.Pipelines[0].At,
		Trigger: &plan.PipelineTrigger{Branches: plan.Filter{Include: []string{"main"}}, Stages: []string{"Build"}, Tags: []string{"signed"}}}
	if diff := cmp.Diff([]plan.Pipeline{want}, p.Resources.Pipelines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var got []plan.Download
	for _, steps := range [][]plan.Step{p.Stages[0].Jobs[0].Steps, p.Stages[0].Jobs[1].Deployment.Hooks[0].Steps} {
		for _, s := range steps {
			if s.Download != nil {
				got = append(got, *s.Download)
			}
		}
	}
	downloads := []plan.Download{{Source: "Lib", Artifact: "a"}, {Source: "Lib", Artifact: "b", Patterns: "**", Path: "p"},
		{Source: "Lib", Artifact: "c", Patterns: "**", Path: "p", Folders: true, Clean: "false"}, {Source: "Lib", Patterns: "**", Path: "$(System.ArtifactsDirectory)"},
		{Source: "Lib", Artifact: "drop", Path: "p"},
		{Source: "current", Implicit: true}, {Source: "Lib", Implicit: true}} // a deployment job fetches everything first
	if diff := cmp.Diff(downloads, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A push is judged by the file before it is expanded: what needs templates starts nothing and is no mistake there.
func TestTriggersOfPipelineResources(t *testing.T) {
	t.Parallel()
	tr, err := Triggers("p.yml", []byte(withPipeline+"  - pipeline: B\n    source: other\n  - ${{ if eq(1, 1) }}:\n    - pipeline: C\n      source: third\n      trigger: true\nsteps: []\n"))
	if err != nil || len(tr.Pipelines) != 1 || tr.Pipelines[0].Source != "library ci" || tr.Pipelines[0].Trigger.Stages[0] != "Build" {
		t.Errorf("%+v, %v", tr, err)
	}
}

// The file as pushes and events are judged by, before it is expanded.
func TestResourceTriggers(t *testing.T) {
	t.Parallel()
	tr, err := Triggers("p.yml", []byte(`
resources:
  containers:
  - {container: all, image: shop/a, trigger: true}
  - {container: some, image: shop/b, trigger: {tags: {include: [v*], exclude: [v0]}}}
  - {container: listed, image: shop/c, trigger: {tags: [v1]}}
  - {container: none, image: shop/d, trigger: none}
  - {container: off, image: shop/e, trigger: {enabled: false}}
  - {container: silent, image: shop/f}
  repositories:
  - {repository: lib, type: git, name: library, trigger: [main]}
  - {repository: no, type: git, name: other, trigger: none}
  - {repository: silent, type: git, name: third}
  webhooks:
  - webhook: hook
    connection: github
    filters: [{path: action, value: opened}]
  - webhook: "a b"
    connection: wrong
  - ${{ if eq(1, 1) }}:
    - {webhook: later, connection: x}
steps: []
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.ResourceTrigger{
		{Kind: plan.ResourceContainer, Alias: "all", Source: "shop/a"},
		{Kind: plan.ResourceContainer, Alias: "some", Source: "shop/b", Tags: plan.Filter{Include: []string{"v*"}, Exclude: []string{"v0"}}},
		{Kind: plan.ResourceContainer, Alias: "listed", Source: "shop/c", Tags: plan.Filter{Include: []string{"v1"}}},
		{Kind: plan.ResourceRepository, Alias: "lib", Source: "library", Push: plan.Push{Branches: plan.Filter{Include: []string{"main"}}}},
		{Kind: plan.ResourceWebhook, Alias: "hook", Source: "github", Filters: []plan.WebhookFilter{{Path: "action", Value: "opened"}}},
	}
	if diff := cmp.Diff(want, tr.Resources); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestResourceTriggersAreChecked(t *testing.T) {
	t.Parallel()
	warned(t, "an image of another registry", "resources: {containers: [{container: c, image: mcr.microsoft.com/a, trigger: true}]}\nsteps: [{script: x}]\n",
		"p.yml:1:69: trigger of container c starts no run: only images of this server's own registry start runs when they are pushed, by names without a host or with its host")
	// service-schema.json of azure-pipelines-vscode demands the alias alone.
	p := warned(t, "no type", "resources: {repositories: [{repository: l, name: tools/lib}]}\nsteps: [{script: x}]\n",
		"p.yml:1:29: repository l has no type: git, a repository of this server, is taken")
	if r := p.Resources.Repositories; len(r) != 1 || r[0].Type != "git" || r[0].Name != "tools/lib" || r[0].Foreign() {
		t.Errorf("repositories %+v", r)
	}
	refused(t, "no type at another host", "resources: {repositories: [{repository: l, name: a/b, endpoint: hub}]}\nsteps: [{script: x}]\n", "p.yml:1:28: a repository needs type")
	warned(t, "batch", "resources: {repositories: [{repository: l, type: git, name: l, trigger: {batch: true, branches: {include: [main]}}}]}\nsteps: [{script: x}]\n",
		"p.yml:1:64: batch has no effect in the trigger of a repository under resources: each push starts a run")
	refused(t, "a webhook of an extension", "resources: {webhooks: [{webhook: w, connection: c, type: npm}]}\nsteps: [{script: x}]\n",
		"p.yml:1:52: type of a webhook names an extension, and there are none here: leave it out, and let the other system call an incoming webhook")
	refused(t, "a path", "resources: {webhooks: [{webhook: w, connection: c, filters: [{path: 'a..b', value: c}]}]}\nsteps: [{script: x}]\n",
		`p.yml:1:63: path "a..b" is not understood: write names with dots between them and indices in brackets, as resource.items[0].title`)
	refused(t, "a name", "resources: {webhooks: [{webhook: a b, connection: c}]}\nsteps: [{script: x}]\n",
		`p.yml:1:25: webhook "a b": use letters, digits, dashes and underscores`)
}

// The body of a webhook's call is beside the parameters, and an empty object when nobody called.
func TestWebhookPayload(t *testing.T) {
	t.Parallel()
	const text = "resources: {webhooks: [{webhook: Hook, connection: c}]}\nsteps:\n- script: echo ${{ parameters.Hook.a.b }}${{ parameters.Hook['list'][1] }}\n- ${{ if eq(parameters.Hook.go, true) }}:\n  - script: go\n"
	in := input(text)
	in.Webhook, in.Payload = "hook", map[string]any{"a": map[string]any{"b": "one "}, "list": []any{"x", "two"}, "go": true}
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	if steps := p.Stages[0].Jobs[0].Steps; len(steps) != 3 || steps[1].Script.Text != "echo one two" {
		t.Errorf("steps %+v", steps)
	}
	if steps := compiled(t, text).Stages[0].Jobs[0].Steps; len(steps) != 2 || steps[1].Script.Text != "echo " {
		t.Errorf("steps of a run that nobody called %+v", steps)
	}
	if r := Check(input(text)); len(r.Problems) > 0 {
		t.Errorf("a check says %v", r.Problems)
	}
}

// The keys are those of "resources.containers.container" in Microsoft's YAML schema reference.
func TestContainersOfAzuresRegistry(t *testing.T) {
	t.Parallel()
	const file = `
resources:
  containers:
  - container: app
    type: ACR
    azureSubscription: sub
    resourceGroup: group
    registry: shop
    repository: shop/app
    trigger: {tags: [v1]}
jobs:
- job: A
  container: app
  steps: [{script: x}]
`
	p, err := Compile(Input{Path: "p.yml", Files: archive{"p.yml": file}, Registry: "registry.test"})
	if err != nil {
		t.Fatal(err)
	}
	if image := p.Stages[0].Jobs[0].Container.Image; image != "registry.test/shop/app" || len(p.Warnings) > 0 {
		t.Errorf("image %s, warnings %v", image, p.Warnings)
	}
	triggers, err := Triggers("p.yml", []byte(file))
	if err != nil || len(triggers.Resources) != 1 || triggers.Resources[0].Source != "shop/app" {
		t.Errorf("triggers %+v, %v", triggers.Resources, err)
	}
	container := func(keys string) string {
		return "resources: {containers: [{container: a, " + keys + "}]}\nsteps: [{script: x}]\n"
	}
	refused(t, "no project", container("type: ACR, repository: app"), "p.yml:1:52: type ACR means this server's registry, where an image is PROJECT/NAME: write repository: PROJECT/app")
	refused(t, "another type", container("type: GCR, image: b"), "p.yml:1:41: type GCR of a container: write ACR, which is this server's registry, or leave it out and give the whole image name")
	refused(t, "no type", container("image: b, registry: c"), "p.yml:1:51: registry of a container goes with type: ACR")
	refused(t, "both", container("type: ACR, repository: b/c, image: d"), "p.yml:1:69: a container of type ACR has repository, not image")
}

// A project may be named where it is the pipeline's own, and no other: a job's token opens one project.
func TestProjects(t *testing.T) {
	t.Parallel()
	file := func(resource, input string) string {
		return "resources: {pipelines: [{pipeline: p, source: q, project: " + resource + "}]}\nsteps:\n- task: DownloadPipelineArtifact@2\n  inputs: {source: specific, project: " +
			input + ", pipeline: q}\n"
	}
	compileIn := func(variables map[string]string, text string) (*plan.Plan, error) {
		return Compile(Input{Path: "p.yml", Files: archive{"p.yml": text}, Variables: variables})
	}
	own := map[string]string{"System.TeamProject": "Shop", "System.TeamProjectId": "6f1c"}
	for _, names := range [][2]string{{"shop", "6F1C"}, {"6f1c", "$(System.TeamProject)"}} {
		if p, err := compileIn(own, file(names[0], names[1])); err != nil || len(p.Warnings) > 0 {
			t.Errorf("%v: %v", names, err)
		}
	}
	p, err := compileIn(own, file("bank", "bank"))
	if err != nil || len(p.Resources.Pipelines) != 1 || p.Resources.Pipelines[0].Project != "bank" || p.Stages[0].Jobs[0].Steps[1].Download.Source != "p" {
		t.Errorf("%+v, %v", p, err)
	}
	// Another project's pipeline of that name is another one, and so is one by its number, or by what a variable says.
	for _, one := range [][2]string{{"till", "latest of q in till"}, {"$(there)", "latest of q in $(there)"}} {
		p, err = compileIn(own, file("bank", one[0]))
		if err != nil || len(p.Resources.Pipelines) != 2 || p.Resources.Pipelines[1].Project != one[0] || p.Stages[0].Jobs[0].Steps[1].Download.Source != one[1] {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

// A download task may name a pipeline, and a branch of it, that no resource declares.
func TestLatestRunOfAPipeline(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
resources: {pipelines: [{pipeline: lib, source: Library, branch: main}]}
jobs:
- job: A
  steps:
  - task: DownloadPipelineArtifact@2
    inputs: {source: specific, pipeline: Up, runVersion: latestFromBranch, runBranch: refs/heads/stable, path: a}
  - task: DownloadPipelineArtifact@2
    inputs: {source: specific, pipeline: up, path: b}
  - task: DownloadPipelineArtifact@2
    inputs: {source: specific, pipeline: Library, runVersion: latestFromBranch, runBranch: refs/heads/next, path: c}
  - task: DownloadPipelineArtifact@2
    inputs: {source: specific, pipeline: Library, path: d}
- deployment: D
  environment: e
  strategy: {runOnce: {deploy: {steps: [{script: x}]}}}
`)
	var got []string
	for _, r := range p.Resources.Pipelines {
		got = append(got, r.Alias+" | "+r.Source+" | "+r.Branch)
	}
	want := []string{"lib | Library | main", "latest of Up of refs/heads/stable | Up | refs/heads/stable", "latest of up | up | ",
		"latest of Library of refs/heads/next | Library | refs/heads/next"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	for _, s := range p.Stages[0].Jobs[0].Steps[1:] {
		got = append(got, s.Download.Source)
	}
	if diff := cmp.Diff([]string{"latest of Up of refs/heads/stable", "latest of up", "latest of Library of refs/heads/next", "lib"}, got); diff != "" {
		t.Error(diff)
	}
	if steps := p.Stages[0].Jobs[1].Deployment.Hooks[0].Steps; len(steps) != 3 { // those of the run, of lib, and the script
		t.Errorf("the deployment downloads more than what is declared: %+v", steps)
	}
}
