package jsonschema

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"slipway/internal/pipelines/compile"
)

// compiled is the generated schema in another implementation's hands.
func compiled(t *testing.T) *validator.Schema {
	t.Helper()
	text, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("pipeline.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("pipeline.json")
	if err != nil {
		t.Fatalf("it is no JSON schema: %v", err)
	}
	return s
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

type oneFile []byte

func (f oneFile) ReadFile(path string) ([]byte, error) {
	if path != "p.yml" {
		return nil, fs.ErrNotExist
	}
	return f, nil
}

// agree checks that the schema and the compiler accept, or refuse, the same text.
func agree(t *testing.T, s *validator.Schema, text string, want bool) {
	t.Helper()
	err := s.Validate(decoded(t, []byte(text)))
	report := compile.Check(compile.Input{Path: "p.yml", Files: oneFile(text)})
	if (err == nil) != want {
		t.Errorf("schema: accepted is %v for\n%s\n%v", err == nil, text, err)
	}
	if (len(report.Problems) == 0) != want {
		t.Errorf("compiler: accepted is %v for\n%s\n%v", len(report.Problems) == 0, text, report.Problems)
	}
}

const job = "jobs:\n- job: A\n  steps: [{script: x}]\n"

func TestAccepted(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for _, text := range []string{
		"steps:\n- script: x\n",
		"trigger: none\npr: [main]\nschedules: [{cron: '0 3 * * *', branches: {include: [main]}, always: true}]\nsteps: [{bash: x, env: {A: 1}}]\n",
		"trigger: {batch: true, branches: {include: [main], exclude: a}, paths: {exclude: [docs]}, tags: {include: ['v*']}}\nsteps: [{script: x}]\n",
		"name: $(Date:yyyyMMdd)$(Rev:.r)\nresources:\n- repo: self\npool: {vmImage: ubuntu-latest, demands: docker}\nsteps: [{script: x, timeoutInMinutes: 5, continueOnError: yes, enabled: 'True'}]\n",
		"steps: [{pwsh: x, errorActionPreference: Continue, ignoreLASTEXITCODE: true}, {powershell: x, errorActionPreference: $(e)}]\n",
		"steps: [{task: qetza.replacetokens.replacetokens-task.replacetokens@6, inputs: {sources: a}}]\n",
		"displayName: one\nstrategy: {matrix: {a: {x: 1}}, maxParallel: 2}\nsteps: [{script: x}]\n",
		"steps: [{task: Docker@2.198.0, inputs: {repository: a}}]\n",
		"strategy: {parallel: 3}\nsteps: [{script: x, retryCountOnTaskFailure: '3'}]\n",
		"variables: {a: 1, b: text, c: '$[counter()]'}\nsteps: [{script: x}]\n",
		"variables:\n- group: g\n- {name: a, value: 1, readonly: true}\n- ${{ if true }}:\n  - name: b\n    value: c\nsteps: [{script: x}]\n",
		"parameters:\n- {name: a, type: string, default: x, values: [x, y]}\n- {name: b, type: stepList, default: []}\nsteps:\n- ${{ parameters.b }}\n- script: x\n  ${{ if eq(parameters.a, 'x') }}:\n    displayName: y\n",
		"steps:\n- ${{ if false }}:\n  - script: x\n- ${{ else }}:\n  - bash: y\n",
		"steps:\n- checkout: self\n  fetchDepth: $(depth)\n  clean: $(clean)\n  submodules: recursive\n- publish: a\n  artifact: b\n- download: none\n- upload: x\n",
		"stages:\n- stage: A\n  jobs:\n  - job: B\n    pool: mine\n    steps: [{script: x}]\n- stage: C\n  dependsOn: [A]\n  condition: always()\n  trigger: manual\n  jobs:\n  - deployment: D\n    environment: {name: e, resourceType: kubernetes}\n    strategy: {runOnce: {preDeploy: {steps: [{script: x}]}, deploy: {pool: p, steps: [{script: x}]}, on: {failure: {steps: [{script: x}]}}}}\n",
		job + "  container: {image: x, env: {A: b}, ports: [80]}\n  services: {db: postgres, c: {image: y}}\n  workspace: {clean: All}\n  dependsOn: []\n",
		"steps:\n- task: docker@2\n  inputs: {COMMAND: Build, dockerfile: x, addPipelineData: false, tags: 'a,b'}\n",
		"steps:\n- task: Docker@2\n  inputs: {containerRepository: r, command: $(c)}\n",
		"steps:\n- task: Docker@2\n  inputs:\n    ${{ if true }}:\n      repository: r\n",
		"steps:\n- task: CopyFiles@2\n  inputs: {targetFolder: x, OverWrite: true}\n",
		"queue: x\nsteps: [{script: x, target: host}, {bash: y, target: {commands: Restricted, settableVariables: none}}, {bash: y, target: {settableVariables: [a]}}]\n",
		"phases:\n- phase: A\n  queue: {name: x, parallel: 2, matrix: {a: {b: 1}}, timeoutInMinutes: 3}\n  steps: [{script: x}]\n- phase: B\n  dependsOn: A\n  queue: y\n  steps: [{bash: x}]\n",
		"pool: {name: a, image: b, os: linux, type: linux, isCustom: true, hostArchitecture: amd64, timeoutInMinutes: 5}\nsteps: [{script: x}]\n",
		job + "  timeoutInMinutes: $[ variables.a ]\n  continueOnError: $(b)\n  strategy: {maxParallel: '$[ variables.a ]', matrix: {a: {b: c}}}\n",
		"resources: {repositories: [{repository: self, trigger: none}]}\nsteps: [{checkout: self, clean: neither, submodules: none}, {checkout: self, submodules: $(modules)}]\n",
		"pool: {vmImageName: ubuntu-latest}\nsteps: [{script: x}]\n",
		"jobs: [{deployment: A, environment: e, strategy: {canary: {increments: [10, 20], deploy: {steps: [{script: x}]}}}}]\n",
		"resources:\n  builds: [{build: a, type: Jenkins, connection: b, source: c, trigger: true}]\n  packages: [{package: a, type: npm, connection: b, name: c/d}]\n  webhooks: [{webhook: a, connection: b, filters: [{path: a, value: b}]}]\nsteps: [{script: x}]\n",
		job + "  container: {image: x, options: --user 0, mapDockerSocket: false, mountReadOnly: {work: true}}\n",
		"resources:\n  repositories: [{repository: a, type: git, name: b, ref: c}]\n  containers: [{container: c, image: d}]\n  pipelines: [{pipeline: p, source: q, trigger: {branches: [main]}}]\nsteps: [{script: x}]\n",
	} {
		agree(t, s, text, true)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for _, text := range []string{
		"trigger: none\n",
		"triger: none\nsteps: [{script: x}]\n",
		"displayName: one\n" + job,
		"trigger: {branch: {include: [a]}}\nsteps: [{script: x}]\n",
		"schedules: [{branches: {include: [main]}}]\nsteps: [{script: x}]\n",
		"schedules: {cron: x}\nsteps: [{script: x}]\n",
		"variables: [{value: 1}]\nsteps: [{script: x}]\n",
		"variables: {a: [1]}\nsteps: [{script: x}]\n",
		"variables: x\nsteps: [{script: x}]\n",
		"parameters: [{name: a, type: integer}]\nsteps: [{script: x}]\n",
		"parameters: [{name: a, type: String, default: x}]\nsteps: [{script: x}]\n",
		"steps: [{task: Docker@2.x}]\n",
		"steps: [{task: Docker@2.198.0, inputs: {comand: build}}]\n",
		"parameters: [{nmae: a}]\nsteps: [{script: x}]\n",
		"steps: {script: x}\n",
		"steps: [script]\n",
		"steps: [{displayName: x}]\n",
		"steps: [{script: x, bash: y}]\n",
		"steps: [{script: x, conditon: y}]\n",
		"steps: [{script: x, inputs: {a: b}}]\n",
		"steps: [{script: x, target: {commands: some}}]\n",
		"steps: [{script: x, target: {containr: host}}]\n",
		"steps: [{script: x, continueOnError: perhaps}]\n",
		"steps: [{script: x, timeoutInMinutes: soon}]\n",
		"steps: [{script: x, enabled: perhaps}]\n",
		"steps: [{script: x, retryCountOnTaskFailure: 11}]\n",
		"steps: [{script: x, env: [a]}]\n",
		"steps: [{checkout: self, submodules: [all]}]\n",
		"steps: [{task: Docker}]\n",
		"steps: [{task: Dokcer@2}]\n",
		"steps: [{task: AzureFunctionApp@2}]\n",
		"steps: [{task: KubernetesManifest@1}]\n",
		"steps: [{task: CopyFiles@2, inputs: {Contents: a}}]\n",
		"steps: [{task: Docker@2, inputs: {comand: build}}]\n",
		"steps: [{task: Docker@2, inputs: {command: biuld}}]\n",
		"steps: [{task: Docker@2, inputs: {command: start}}]\n",
		"steps: [{task: Docker@2, inputs: {command: push}}]\n",
		"steps: [{task: Docker@2, inputs: {repository: a, command: fly}}]\n",
		"steps: [{task: Docker@2, inputs: {repository: a, container: b}}]\n",
		"stages: [{stage: A, steps: [{script: x}]}]\n",
		"stages: [{stage: A, trigger: never, jobs: [{job: B, steps: [{script: x}]}]}]\n",
		"jobs: [{job: A, step: [{script: x}]}]\n",
		"jobs: [{job: A, environment: e, steps: [{script: x}]}]\n",
		"jobs: [{deployment: A, enviroment: e, strategy: {runOnce: {deploy: {steps: [{script: x}]}}}}]\n",
		"jobs: [{deployment: A, strategy: {runOnce: {deploy: {steps: [{script: x}]}}}}]\n",
		"jobs: [{deployment: A, environment: e, strategy: {rolling: {maxParallel: 2}}}]\n",
		"jobs: [{deployment: A, environment: e, strategy: {canary: {increments: [10]}}}]\n",
		"jobs: [{deployment: A, environment: e, strategy: {runOnce: {preDeploy: {steps: [{script: x}]}}}}]\n",
		job + "  workspace: {clean: some}\n",
		job + "  container: {image: x, volumes: {a: b}}\n",
		job + "  strategy: {matrix: {a: x}}\n",
		job + "  strategy: {parallel: 0}\n",
		"pool: {vmimage: x}\nsteps: [{script: x}]\n",
		"pool: {isCustom: 7}\nsteps: [{script: x}]\n",
		"phases: [{phase: A, stepps: [{script: x}]}]\n",
		"phases: [{phase: A, queue: {parallel: none}, steps: [{script: x}]}]\n",
		"resources: {repositories: [{repository: a, type: svn, name: x}]}\nsteps: [{script: x}]\n",
		"resources: {webhooks: [{webhook: a}]}\nsteps: [{script: x}]\n",
		"resources: {packages: [{package: a, type: cargo, connection: b, name: c}]}\nsteps: [{script: x}]\n",
		"extends: {tempalte: a}\n",
	} {
		agree(t, s, text, false)
	}
}

// The samples' own pipelines are right by the schema.
func TestSamples(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	found := 0
	err := filepath.WalkDir("../../../samples", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "azure-pipelines.yml" {
			return err
		}
		found++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := s.Validate(decoded(t, text)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d samples, error %v", found, err)
	}
}

// Editors show the description of every key.
func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	text, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), `"description": ""`); n > 0 {
		t.Errorf("%d keys have no description", n)
	}
}
