package compile

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"slipway/internal/pipelines/plan"
)

// archive is a repository of the files of a txtar text.
type archive map[string]string

func (a archive) ReadFile(path string) ([]byte, error) {
	text, ok := a[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

// input compiles p.yml of a txtar text, or the text itself if it holds no files.
func input(text string) Input {
	a := archive{}
	if !strings.Contains(text, "-- p.yml --") {
		a["p.yml"] = strings.TrimPrefix(text, "\n")
	}
	for _, f := range txtar.Parse([]byte(text)).Files {
		a[f.Name] = string(f.Data)
	}
	return Input{Path: "p.yml", Files: a}
}

func compiled(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := Compile(input(text))
	if err != nil {
		t.Fatalf("compile:\n%v", err)
	}
	return p
}

const typical = `
trigger:
  branches:
    include: [main, releases/*]
  paths:
    exclude: [docs]
pr: none
name: $(Date:yyyyMMdd)$(Rev:.r)
resources:
- repo: self
variables:
- group: shared
- name: image
  value: app
- name: tag
  value: $[counter('x', 1)]
pool:
  vmImage: ubuntu-latest
stages:
- stage: Build
  displayName: Build and test
  jobs:
  - job: Build
    timeoutInMinutes: 20
    steps:
    - checkout: self
      fetchDepth: 0
    - script: |
        go test ./...
      displayName: Test
      name: test
    - task: PublishTestResults@2
      condition: succeededOrFailed()
      inputs:
        testResultsFiles: '**/junit.xml'
    - task: docker@2
      inputs:
        containerRegistry: registry
        repository: $(image)
        dockerfile: src/Dockerfile
        tags: |
          $(Build.BuildId)
          latest
    - publish: manifests
      artifact: manifests
  - job: Lint
    dependsOn: Build
    strategy:
      maxParallel: 1
      matrix:
        go: {lang: go}
        sh: {lang: sh}
    steps:
    - bash: lint $(lang)
- stage: Deploy
  condition: and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))
  jobs:
  - deployment: Web
    environment: production.web
    strategy:
      runOnce:
        preDeploy:
          steps:
          - script: echo ready
        deploy:
          steps:
          - task: KubernetesManifest@1
            inputs:
              manifests: $(Pipeline.Workspace)/manifests/*.yml
              containers: registry/app:$(Build.BuildId)
        on:
          failure:
            steps:
            - script: echo sorry
`

func TestCompileTypical(t *testing.T) {
	t.Parallel()
	p := compiled(t, typical)
	if diff := cmp.Diff(plan.Filter{Include: []string{"main", "releases/*"}}, p.Triggers.Push.Branches); diff != "" {
		t.Errorf("branches (-want +got)\n%s", diff)
	}
	if !p.Triggers.PullRequest.None || !p.Triggers.PullRequest.Stated {
		t.Errorf("pr %+v", p.Triggers.PullRequest)
	}
	if diff := cmp.Diff([]string{"shared"}, p.Groups()); diff != "" {
		t.Errorf("groups (-want +got)\n%s", diff)
	}
	if p.Variables[2].Expression != "counter('x', 1)" {
		t.Errorf("variables %+v", p.Variables)
	}
	// Rule 18: a stage depends on the one before.
	if diff := cmp.Diff([]string{"Build"}, p.Stage("Deploy").DependsOn); diff != "" {
		t.Errorf("dependsOn (-want +got)\n%s", diff)
	}
	var ids []string
	for i := range p.Stages {
		for j := range p.Stages[i].Jobs {
			for _, in := range plan.Instances(&p.Stages[i], &p.Stages[i].Jobs[j], nil) {
				ids = append(ids, in.ID)
			}
		}
	}
	if diff := cmp.Diff([]string{"Build.Build", "Build.Lint.go", "Build.Lint.sh", "Deploy.Web.preDeploy", "Deploy.Web.deploy", "Deploy.Web.failure"}, ids); diff != "" {
		t.Errorf("instances (-want +got)\n%s", diff)
	}
	build := p.Stage("Build").Job("Build")
	docker := build.Steps[3]
	if docker.Task.Inputs["Dockerfile"] != "src/Dockerfile" || docker.Task.Inputs["buildContext"] != "**" || docker.At.String() != "p.yml:35:7" {
		t.Errorf("docker %+v at %s", docker.Task, docker.At)
	}
	web := p.Stage("Deploy").Job("Web")
	if web.Deployment.Environment.Name != "production" || web.Deployment.Environment.Resource != "web" {
		t.Errorf("environment %+v", web.Deployment.Environment)
	}
	// Rule 43: the deploy hook downloads every artifact first. Rule 41: a deployment job does not fetch the repository.
	if s := web.Deployment.Hooks[1].Steps[0]; s.Kind != plan.StepDownload || !s.Download.Implicit {
		t.Errorf("first step of deploy %+v", s)
	}
	if s := p.Stage("Build").Job("Lint").Steps[0]; s.Kind != plan.StepCheckout || !s.Checkout.Implicit {
		t.Errorf("first step of Lint %+v", s)
	}
}

func TestPlanSurvivesItsEncoding(t *testing.T) {
	t.Parallel()
	p := compiled(t, typical)
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := plan.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, again); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	second, err := again.Encode()
	if err != nil || string(second) != string(data) {
		t.Errorf("encoding differs: %v", err)
	}
	var old map[string]any
	if err := json.Unmarshal(data, &old); err != nil {
		t.Fatal(err)
	}
	old["version"] = plan.Version + 1
	data, _ = json.Marshal(old)
	if _, err := plan.Decode(data); err == nil {
		t.Error("a plan of another version is read")
	}
}
