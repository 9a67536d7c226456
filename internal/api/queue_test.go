package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/pipelines/variable"
)

// choosing is a file with everything that a person may choose.
const choosing = `
trigger: none
parameters:
- {name: replicas, type: number, default: 2}
- {name: target, type: string, values: [dev, prod], default: dev}
- {name: extra, type: object, default: {}}
stages:
- stage: Build
  isSkippable: false
  jobs:
  - job: make
    steps:
    - bash: make ${{ parameters.replicas }} ${{ parameters.target }} ${{ variables.colour }} ${{ variables.key }}.
      displayName: Make ${{ parameters.target }}
- stage: Ship
  jobs:
  - job: go
    steps:
    - bash: ship
`

// pipelineWorld is the API over pipelines with the pipeline 1 of the file choosing.
func pipelineWorld(t *testing.T) (world, *pipelines.Service, string) {
	t.Helper()
	return pipelineWorldOf(t, choosing)
}

// pipelineWorldOf is pipelineWorld with another file.
func pipelineWorldOf(t *testing.T, text string) (world, *pipelines.Service, string) {
	t.Helper()
	p := pipelinestest.Open(t, "Shop", text)
	server := api.New(p.Identity, p.Logger, "http://localhost")
	server.AddPipelines(p.Pipelines)
	server.AddAudit(p.Log)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	w, token := world{t, listener.URL, p.Identity, p.Project}, p.Token(t)
	w.call(token, http.MethodPost, "/Shop/_apis/pipelines?api-version=7.1",
		`{"name":"shop","folder":"\\","configuration":{"type":"yaml","path":"/azure-pipelines.yml","repository":{"id":"r","type":"azureReposGit"}}}`, http.StatusOK, nil)
	return w, p.Pipelines, token
}

// assigned gives the variables of the first job of a run, and the names and scripts of its steps, as its agent gets them.
func assigned(t *testing.T, s *pipelines.Service, run int64) (variable.Set, []string) {
	t.Helper()
	timeline, err := s.Timeline(context.Background(), slipway.RunID(run))
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Assign(context.Background(), timeline.Stages[0].Jobs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, step := range a.Steps {
		names = append(names, step.DisplayName)
		if step.Script != nil {
			names = append(names, step.Script.Text)
		}
	}
	return a.Variables, names
}

func TestQueueRun(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	const path = "/Shop/_apis/pipelines/1/runs?api-version=7.1"
	var run api.Run
	w.call(token, http.MethodPost, path, `{"resources":{"repositories":{"self":{"refName":"refs/heads/next","version":"11111"}}},
		"templateParameters":{"replicas":"3","target":"prod"},"stagesToSkip":["ship"],
		"variables":{"colour":{"value":"blue"},"key":{"value":"hunter2","isSecret":true},"system.debug":{"value":"true"}}}`, http.StatusOK, &run)
	self := run.Resources.Repositories["self"]
	if run.State != "inProgress" || self.RefName != "refs/heads/next" || self.Version != string(pipelinestest.Commit) || run.Pipeline.Name != "shop" ||
		!strings.HasSuffix(run.Links.Web.Href, fmt.Sprintf("/Shop/_build/results?buildId=%d", run.ID)) {
		t.Errorf("run %+v", run)
	}
	vars, steps := assigned(t, s, run.ID)
	key, _ := vars.Get("key")
	if vars.Text("colour") != "blue" || !key.Secret || key.Text != "hunter2" || vars.Text("System.Debug") != "true" || vars.Text("Build.Reason") != "Manual" {
		t.Errorf("variables %v", vars)
	}
	// A secret is not seen while templates expand.
	if diff := cmp.Diff("Make prod|make 3 prod blue .", strings.Join(steps[len(steps)-2:], "|")); diff != "" {
		t.Errorf("steps: %s", diff)
	}
	timeline, err := s.Timeline(context.Background(), slipway.RunID(run.ID))
	if err != nil || len(timeline.Stages) != 2 || !timeline.Stages[1].Unwanted {
		t.Errorf("the stage is not left out: %+v, %v", timeline.Stages, err)
	}
	var again api.Run
	w.call(token, http.MethodGet, fmt.Sprintf("/Shop/_apis/pipelines/1/runs/%d", run.ID), "", http.StatusOK, &again)
	if again.Name != run.Name || again.Name == "" {
		t.Errorf("got %+v", again)
	}
}

// A mistake says which field it is in.
func TestQueueRunMistakes(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	f := func(body string, status int, want ...string) {
		t.Helper()
		var answer struct {
			Message string `json:"message"`
		}
		w.call(token, http.MethodPost, "/Shop/_apis/pipelines/1/runs?api-version=7.1", body, status, &answer)
		for _, text := range want {
			if !strings.Contains(answer.Message, text) {
				t.Errorf("%s: %q has no %q", body, answer.Message, text)
			}
		}
	}
	const bad = http.StatusBadRequest
	f(`{"resources":{"repositories":{"self":{"refName":"refs/heads/none"}}}}`, http.StatusNotFound, "resources.repositories.self.refName: ")
	f(`{"resources":{"repositories":{"self":{"version":"222222"}}}}`, http.StatusNotFound, "resources.repositories.self.version: ")
	f(`{"resources":{"repositories":{"self":{"version":"main"}}}}`, bad, `resources.repositories.self.version: "main" is no commit`)
	f(`{"resources":{"repositories":{"tools":{"refName":"x"}}}}`, bad, "resources.repositories.tools: ")
	f(`{"resources":{"pipelines":{"x":{"version":"1"}}}}`, bad, "resources.pipelines: ")
	f(`{"templateParameters":{"replicas":"many"}}`, bad, `parameter "replicas" is a number`)
	f(`{"templateParameters":{"target":"moon","replica":1}}`, bad, `parameter "target" may be dev, prod`, `has no parameter "replica", did you mean "replicas"?`)
	f(`{"variables":{"build.reason":{"value":"x"}}}`, bad, "variables.build.reason: variable build.reason is set by Slipway")
	f(`{"variables":{"a b":{"value":"x"}}}`, bad, "variables.a b: ")
	f(`{"stagesToSkip":["shop"]}`, bad, `stagesToSkip: there is no stage "shop" to leave out, did you mean "Ship"?`)
	f(`{"stagesToSkip":["Build"]}`, bad, `stagesToSkip: stage "Build" may not be left out`)
	f(`{"yamlOverride":"steps: []"}`, bad, "yamlOverride: ")
	f(`{"templateParameter":{}}`, bad, "templateParameter")
	if runs, err := s.List(context.Background(), pipelines.RunFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("%d runs after mistakes, %v", len(runs), err)
	}
	w.call(w.user("eve", false), http.MethodPost, "/Shop/_apis/pipelines/1/runs", "{}", http.StatusNotFound, nil) // no member
	w.call(token, http.MethodPost, "/Shop/_apis/pipelines/7/runs", "{}", http.StatusNotFound, nil)
}

func TestPreviewRun(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	var run api.Run
	w.call(token, http.MethodPost, "/Shop/_apis/pipelines/1/runs", `{"previewRun":true,"templateParameters":{"target":"prod"}}`, http.StatusOK, &run)
	if !strings.Contains(run.FinalYAML, "displayName: Make prod") || strings.Contains(run.FinalYAML, "parameters.") || run.ID != 0 {
		t.Errorf("preview %+v", run)
	}
	w.call(token, http.MethodPost, "/Shop/_apis/pipelines/1/preview", `{"yamlOverride":"steps:\n- bash: ${{ upper('other') }}\n"}`, http.StatusOK, &run)
	if !strings.Contains(run.FinalYAML, "OTHER") || strings.Contains(run.FinalYAML, "Make") {
		t.Errorf("preview of another file: %s", run.FinalYAML)
	}
	var problem struct {
		Message string `json:"message"`
	}
	w.call(token, http.MethodPost, "/Shop/_apis/pipelines/1/runs", `{"previewRun":true,"yamlOverride":"steps:\n- scripd: x\npol: y\n"}`, http.StatusBadRequest, &problem)
	for _, text := range []string{"azure-pipelines.yml:2:3: ", "azure-pipelines.yml:3:1: "} { // all that is wrong, with its place
		if !strings.Contains(problem.Message, text) {
			t.Errorf("%q has no %q", problem.Message, text)
		}
	}
	if runs, err := s.List(context.Background(), pipelines.RunFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("a preview made %d runs, %v", len(runs), err)
	}
}

func TestQueueBuild(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	var build api.Build
	// As the command line of Azure DevOps sends it: more fields than say something.
	w.call(token, http.MethodPost, "/Shop/_apis/build/builds?api-version=7.1", `{"definition":{"id":1,"name":"shop"},"sourceBranch":"refs/heads/next","reason":"manual",
		"project":null,"demands":[],"parameters":"{\"colour\":\"red\",\"n\":3}","templateParameters":{"replicas":4}}`, http.StatusOK, &build)
	if build.SourceBranch != "refs/heads/next" || build.Definition.ID != 1 || build.Reason != "Manual" {
		t.Errorf("build %+v", build)
	}
	vars, steps := assigned(t, s, build.ID)
	if vars.Text("colour") != "red" || vars.Text("n") != "3" || !strings.Contains(strings.Join(steps, "|"), "make 4 dev red") {
		t.Errorf("variables %v, steps %v", vars, steps)
	}
	w.call(token, http.MethodPost, "/Shop/_apis/build/builds?definitionId=1", "", http.StatusOK, &build)
	f := func(body, want string, status int) {
		t.Helper()
		var answer struct {
			Message string `json:"message"`
		}
		w.call(token, http.MethodPost, "/Shop/_apis/build/builds", body, status, &answer)
		if !strings.HasPrefix(answer.Message, want) {
			t.Errorf("%s: %q, want %q", body, answer.Message, want)
		}
	}
	f(`{}`, "definition.id: ", http.StatusBadRequest)
	f(`{"definition":{"id":9}}`, "definition.id: ", http.StatusNotFound)
	f(`{"definition":{"id":1},"sourceBranch":"none"}`, "sourceBranch: ", http.StatusNotFound)
	f(`{"definition":{"id":1},"parameters":"colour=red"}`, "parameters: ", http.StatusBadRequest)
	f(`{"definition":{"id":1},"parameters":"{\"Build.Reason\":\"x\"}"}`, "parameters.Build.Reason: ", http.StatusBadRequest)
	f(`{"definition":{"id":1},"demands":["docker"]}`, "demands: ", http.StatusBadRequest)
	var found struct {
		Value []api.Definition `json:"value"`
	}
	w.call(token, http.MethodGet, "/Shop/_apis/build/definitions?name=SH*", "", http.StatusOK, &found)
	if len(found.Value) != 1 || found.Value[0].Name != "shop" {
		t.Errorf("definitions %+v", found)
	}
}
