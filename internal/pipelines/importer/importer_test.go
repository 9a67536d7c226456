package importer_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/importer"
	"slipway/internal/pipelines/plan"
)

// repository is files by path.
type repository map[string]string

func (r repository) ReadFile(path string) ([]byte, error) {
	text, ok := r[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

// imported is the pipeline of a file, which the compiler takes, as text and plan.
func imported(t *testing.T, source importer.Source, text string, others repository) (importer.Output, *plan.Plan) {
	t.Helper()
	name := map[importer.Source]string{importer.GitHub: ".github/workflows/ci.yml", importer.GitLab: ".gitlab-ci.yml"}[source]
	out, err := importer.Import(source, name, []byte(text), others)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(compile.Input{Path: "azure-pipelines.yml", Files: repository{"azure-pipelines.yml": string(out.Pipeline)}})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Pipeline)
	}
	return out, p
}

// has checks lines of the pipeline, without the spaces before them.
func has(t *testing.T, out importer.Output, lines ...string) {
	t.Helper()
	all := map[string]bool{}
	for line := range strings.Lines(string(out.Pipeline)) {
		all[strings.TrimSpace(line)] = true
		all[strings.TrimPrefix(strings.TrimSpace(line), "- ")] = true
	}
	for _, line := range lines {
		if !all[line] {
			t.Errorf("the pipeline has no line %q:\n%s", line, out.Pipeline)
		}
	}
}

// notes checks that each text stands in a note, and that there are as many notes as texts.
func notes(t *testing.T, out importer.Output, texts ...string) {
	t.Helper()
	var all []string
	for _, n := range out.Notes {
		all = append(all, n.At.String()+": "+n.String())
	}
	if len(all) != len(texts) {
		t.Errorf("%d notes, want %d:\n%s", len(all), len(texts), strings.Join(all, "\n"))
	}
	for _, text := range texts {
		if !strings.Contains(strings.Join(all, "\n"), text) {
			t.Errorf("no note says %q:\n%s", text, strings.Join(all, "\n"))
		}
	}
}

// Conditions of GitHub, by the reference of its expressions, and what Azure Pipelines calls the same.
func TestConditionsOfGitHub(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		"success()":                                                          "",
		"always()":                                                           "always()",
		"failure()":                                                          "failed()",
		"!cancelled()":                                                       "not(canceled())",
		"${{ always() && true }}":                                            "always()",
		"github.ref == 'refs/heads/main'":                                    "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))",
		"'refs/heads/main' != github.ref":                                    "and(succeeded(), ne(variables['Build.SourceBranch'], 'refs/heads/main'))",
		"startsWith(github.ref, 'refs/tags/v')":                              "and(succeeded(), startsWith(variables['Build.SourceBranch'], 'refs/tags/v'))",
		"github.event_name == 'push'":                                        "and(succeeded(), in(variables['Build.Reason'], 'IndividualCI', 'BatchedCI'))",
		"github.event_name != 'pull_request'":                                "and(succeeded(), ne(variables['Build.Reason'], 'PullRequest'))",
		"github.event_name == 'issues'":                                      "false",
		"failure() && github.actor == 'it''s'":                               "and(failed(), eq(variables['Build.RequestedFor'], 'it''s'))",
		"runner.os == 'Linux'":                                               "",
		"runner.os == 'Windows'":                                             "false",
		"env.DEPLOY":                                                         "and(succeeded(), ne(variables['DEPLOY'], ''))",
		"env.DEPLOY == 'true' || vars.X != ''":                               "and(succeeded(), or(eq(variables['DEPLOY'], 'true'), ne(variables['X'], '')))",
		"steps.first.outputs.my-value > 3":                                   "and(succeeded(), lt(3, variables['first.my_value']))",
		"contains(fromJSON('[\"a\", \"b\"]'), env.A)":                        "and(succeeded(), or(eq(variables['A'], 'a'), eq(variables['A'], 'b')))",
		"(fromJSON('{\"a\": {\"B\": [1, \"x\"]}}')).a.b[1] == env.A":         "and(succeeded(), eq(variables['A'], 'x'))",
		"fromJson('{\"on\": true}').on":                                      "",
		"(fromJson('{}')).gone":                                              "false",
		"${{ env.A }} == 'b}}'":                                              "and(succeeded(), eq(variables['A'], 'b}}'))",
		"(github).ref == 'refs/heads/main'":                                  "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))",
		"inputs.dry && inputs.level == 'a'":                                  "and(succeeded(), eq('${{ parameters.dry }}', 'True'), eq('${{ parameters.level }}', 'a'))",
		"github.event.inputs.dry == 'true'":                                  "and(succeeded(), eq('${{ parameters.dry }}', 'True'))",
		"job.status == 'failure' && always()":                                "and(eq(variables['Agent.JobStatus'], 'Failed'), always())",
		"github.repository == 'acme/shop'":                                   "",
		"github.event.pull_request.head.repo.fork":                           "and(succeeded(), eq(variables['System.PullRequest.IsFork'], 'True'))",
		"!github.event.pull_request.head.repo.fork":                          "and(succeeded(), ne(variables['System.PullRequest.IsFork'], 'True'))",
		"github.event.pull_request.head.repo.full_name == github.repository": "and(succeeded(), ne(variables['System.PullRequest.IsFork'], 'True'))",
		"github.repository != github.event.pull_request.head.repo.full_name": "and(succeeded(), eq(variables['System.PullRequest.IsFork'], 'True'))",
		"steps.gone.outputs.x == 'a'":                                        "false",
		"steps.first.outcome == 'failure'":                                   "false",
		"contains(github.event.pull_request.labels.*.name, 'x')":             "false",
	} {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			_, p := imported(t, importer.GitHub, `
on:
  push:
  workflow_dispatch: {inputs: {dry: {type: boolean}, level: {type: choice, options: [a, b]}}}
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
    - {id: first, run: "echo my-value=4 >> $GITHUB_OUTPUT"}
    - run: echo
      if: "`+strings.ReplaceAll(condition, `"`, `\"`)+`"
`, nil)
			steps := p.Stages[0].Jobs[0].Steps
			want := strings.NewReplacer("${{ parameters.dry }}", "False", "${{ parameters.level }}", "a").Replace(want)
			if got := steps[len(steps)-1].Condition; got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}

func TestWorkflow(t *testing.T) {
	t.Parallel()
	out, p := imported(t, importer.GitHub, `
on:
  push: {branches: [main, 'release/**', '!release/old'], tags: ['v*'], paths-ignore: ['docs/**']}
  pull_request:
  schedule: [{cron: '0 3 * * 1'}]
  issues:
env: {COLOUR: blue, small: letters, TOKEN: '${{ secrets.API }}'}
jobs:
  build-it:
    name: Build ${{ matrix.go }}
    runs-on: ${{ matrix.os }}
    strategy:
      max-parallel: 2
      matrix:
        os: [ubuntu-latest, windows-latest]
        go: ['1.22', '1.23']
        exclude: [{os: ubuntu-latest, go: '1.22'}]
        include: [{os: ubuntu-latest, go: '1.23', race: -race}, {os: ubuntu-22.04, go: 'tip-${{ github.run_id }}'}]
    steps:
    - uses: actions/checkout@v4
      with: {fetch-depth: 0}
    - uses: actions/setup-go@v5
      with: {go-version: '${{ matrix.go }}'}
    - run: "go test ${{ matrix.race }} ./... # ${{ env.small }} ${{ github.event_name == 'push' && 'pushed' || 'not' }}"
      working-directory: src
      timeout-minutes: 2.5
    - uses: somebody/else@v1
  ship:
    needs: [build-it]
    if: needs.build-it.result == 'success' && github.ref == 'refs/heads/main'
    runs-on: ubuntu-latest
    environment: production
    services:
      db: {image: 'postgres:16', env: {POSTGRES_PASSWORD: x}, ports: ['5432:5432'], options: --health-cmd pg_isready --health-retries 5}
    steps:
    - run: |
        ./ship
        echo done
      shell: bash
  mac:
    runs-on: macos-latest
    steps: [{run: make}]
`, nil)
	has(t, out, "deployment: ship", "dependsOn: build_it", "condition: and(succeeded(), in(dependencies.build_it.result, 'Succeeded', 'SucceededWithIssues'), eq(variables['Build.SourceBranch'], 'refs/heads/main'))",
		"fetchDepth: 0", "task: GoTool@0", "version: $(matrix.go)", "workingDirectory: src", "timeoutInMinutes: 3", "TOKEN: $(API)", "group: imported", "maxParallel: 2",
		`value: $[ iif(in(variables['Build.Reason'], 'IndividualCI', 'BatchedCI'), 'pushed', 'not') ]`, "script: 'go test $(matrix.race) ./... # letters $(expression_1)'", "set -eo pipefail",
		"# Secrets that the variable group imported has to hold: API.")
	notes(t, out, "ci.yml:6:3: the event issues starts no run", "ci.yml:5:", "2 of 4 legs of job build-it are left out: they run on Windows", "uses: somebody/else@v1 is left out",
		"options of a container are left out", "job mac runs on macOS")
	var legs []string
	for _, l := range p.Stages[0].Jobs[0].Strategy.Legs {
		legs = append(legs, l.Variables["matrix.os"]+" "+l.Variables["matrix.go"]+" "+l.Variables["matrix.race"])
	}
	if diff := cmp.Diff([]string{"ubuntu-latest 1.23 -race", "ubuntu-22.04 tip-$(Build.BuildId) "}, legs); diff != "" {
		t.Errorf("legs (-want +got)\n%s", diff)
	}
	if out.Steps != 6 || out.Carried != 4 {
		t.Errorf("%d of %d steps", out.Carried, out.Steps)
	}
}

func TestReusableWorkflowsAndActions(t *testing.T) {
	t.Parallel()
	out, p := imported(t, importer.GitHub, `
on: push
jobs:
  first:
    runs-on: ubuntu-latest
    outputs: {tag: '${{ steps.t.outputs.tag }}', both: '${{ steps.t.outputs.tag }}-x'}
    steps:
    - {id: t, run: "echo tag=1 >> $GITHUB_OUTPUT"}
  called:
    needs: first
    if: github.ref == 'refs/heads/main'
    uses: ./.github/workflows/deploy.yml
    with: {target: 'prod-${{ needs.first.outputs.tag }}'}
    secrets: inherit
  last:
    needs: [called, first]
    runs-on: ubuntu-latest
    steps:
    - uses: ./.github/actions/hello
      id: hi
      with: {who: '${{ needs.called.outputs.url }}'}
    - run: echo ${{ steps.hi.outputs.answer }} ${{ needs.first.outputs.both }}
  elsewhere:
    uses: acme/workflows/.github/workflows/x.yml@v1
`, repository{
		".github/workflows/deploy.yml": `
on:
  workflow_call:
    inputs: {target: {type: string, required: true}, colour: {type: string, default: blue}}
    outputs: {url: {value: '${{ jobs.go.outputs.url }}'}}
jobs:
  go:
    runs-on: ubuntu-latest
    outputs: {url: '${{ steps.s.outputs.url }}'}
    steps:
    - {id: s, run: "echo url=${{ inputs.target }}/${{ inputs.colour }} >> $GITHUB_OUTPUT"}
`,
		".github/actions/hello/action.yml": `
inputs: {who: {default: you}}
outputs: {answer: {value: '${{ steps.inner.outputs.said }}'}}
runs:
  using: composite
  steps:
  - {id: inner, shell: bash, run: "echo said=${{ inputs.who }} >> $GITHUB_OUTPUT"}
`})
	has(t, out, "job: called_go", "dependsOn: first", `name: needs.first.outputs.tag`, "value: $[ dependencies.first.outputs['t.tag'] ]",
		`script: echo "##vso[task.setvariable variable=url;isOutput=true]prod-$(needs.first.outputs.tag)/blue"`, "script: echo $(inner.said) $(needs.first.outputs.both)",
		"value: $[ dependencies.called_go.outputs['s.url'] ]", `bash: echo "##vso[task.setvariable variable=both;isOutput=true]$(t.tag)-x"`)
	notes(t, out, "job elsewhere calls acme/workflows/.github/workflows/x.yml@v1, a workflow of another repository")
	if c := p.Stages[0].Job("called_go").Condition; c != "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))" {
		t.Errorf("condition %s", c)
	}
}

// Runs that wait for the one under way are batch; those of pull requests are superseded by themselves.
func TestConcurrencyOfGitHub(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on, concurrency string
		batch           bool
		note            string // "" for none
	}{
		"none":                        {"push", "", false, ""},
		"pushes wait":                 {"push", "concurrency: 'ci-${{ github.ref }}'", true, ""},
		"pushes wait, in full":        {"push", "concurrency: {group: '${{ github.workflow }}-${{ github.ref }}', cancel-in-progress: false}", true, ""},
		"pushes cancel":               {"push", "concurrency: {group: '${{ github.ref }}', cancel-in-progress: true}", false, "a push does not cancel"},
		"pull requests cancel":        {"pull_request", "concurrency: {group: '${{ github.head_ref || github.run_id }}', cancel-in-progress: true}", false, ""},
		"pull requests wait":          {"pull_request", "concurrency: {group: '${{ github.ref }}'}", false, "autoCancel: false"},
		"only pull requests cancel":   {"[push, pull_request]", "concurrency: {group: '${{ github.ref }}', cancel-in-progress: \"${{ github.event_name == 'pull_request' }}\"}", true, ""},
		"one group of the repository": {"push", "concurrency: production", false, "not one for each branch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, p := imported(t, importer.GitHub, "on: "+c.on+"\n"+c.concurrency+"\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: make}]\n", nil)
			if p.Triggers.Push.Batch != c.batch {
				t.Errorf("batch is %v:\n%s", p.Triggers.Push.Batch, out.Pipeline)
			}
			var all []string
			for _, n := range out.Notes {
				all = append(all, n.String())
			}
			if text := strings.Join(all, "\n"); c.note == "" && text != "" || !strings.Contains(text, c.note) {
				t.Errorf("notes %q, want %q", text, c.note)
			}
		})
	}
}

// Actions that fetch a program and run it are scripts that do the same; their inputs are those of the actions' action.yml.
func TestToolsOfGitHub(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  string
		lines []string
		notes []string
	}{
		"goreleaser":   {"uses: goreleaser/goreleaser-action@v6\n      with: {version: '~> v2', args: release --clean}", []string{"bash: go run github.com/goreleaser/goreleaser/v2@latest release --clean"}, nil},
		"goreleaser 1": {"uses: goreleaser/goreleaser-action@v4\n      with: {version: v1.26.2, args: check, workdir: app}", []string{"bash: go run github.com/goreleaser/goreleaser@v1.26.2 check", "workingDirectory: app"}, nil},
		"Task":         {"uses: go-task/setup-task@v1\n      with: {version: 3.40.0}", []string{"go install github.com/go-task/task/v3/cmd/task@v3.40.0", `echo "##vso[task.prependpath]$(go env GOPATH)/bin"`}, nil},
		"bake": {"uses: docker/bake-action@v6\n      with: {files: 'cwd://docker-bake.hcl', targets: 'app web', push: true, set: '*.platform=linux/amd64', source: ., sbom: true}",
			[]string{`docker buildx bake \`, `--file docker-bake.hcl \`, `--set "*.platform=linux/amd64" \`, `--push=true \`, `app \`, "web"}, []string{"input sbom is left out"}},
		"govulncheck":      {"uses: golang/govulncheck-action@v1\n      with: {go-version-input: '1.24', go-package: ./cmd/...}", []string{"version: '1.24'", "bash: go run golang.org/x/vuln/cmd/govulncheck@latest ./cmd/..."}, nil},
		"pre-commit":       {"uses: pre-commit/action@v3.0.1", []string{"python3 -m pre_commit run --show-diff-on-failure --color=always --all-files"}, nil},
		"bun":              {"uses: oven-sh/setup-bun@v2\n      with: {bun-version: 1.2.3}", []string{"script: npm install -g bun@1.2.3"}, nil},
		"cargo tools":      {"uses: taiki-e/install-action@v2\n      with: {tool: 'nextest,cargo-hack@0.6.1'}", []string{"cargo install --locked cargo-nextest", "cargo install --locked cargo-hack --version 0.6.1"}, nil},
		"a tool's version": {"uses: taiki-e/install-action@nextest", []string{"cargo install --locked cargo-nextest"}, nil},
		"cargo install":    {"uses: baptiste0928/cargo-install@v3\n      with: {crate: cargo-hack, version: ^0.6}", []string{"bash: cargo install cargo-hack --version '^0.6' --locked"}, nil},
		"pypi":             {"uses: pypa/gh-action-pypi-publish@release/v1\n      with: {password: '${{ secrets.PYPI }}', skip-existing: true}", []string{"python3 -m twine upload --skip-existing dist/*", "TWINE_PASSWORD: $(PYPI)"}, nil},
		"pypi, trusted":    {"uses: pypa/gh-action-pypi-publish@release/v1", []string{"python3 -m twine upload dist/*", "TWINE_PASSWORD: $(PYPI_TOKEN)"}, []string{"PyPI trusts no identity of this server"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, _ := imported(t, importer.GitHub, "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n    - "+c.step+"\n", nil)
			has(t, out, c.lines...)
			var all []string
			for _, n := range out.Notes {
				all = append(all, n.String())
			}
			for _, want := range c.notes {
				if !strings.Contains(strings.Join(all, "\n"), want) {
					t.Errorf("no note %q in %q", want, all)
				}
			}
		})
	}
}

// Rules of GitLab, by the reference of its syntax: the first that matches decides.
func TestRulesOfGitLab(t *testing.T) {
	t.Parallel()
	for rules, want := range map[string]string{
		`rules: [{if: '$CI_COMMIT_TAG'}]`:                             "and(succeeded(), ne(variables['CI_COMMIT_TAG'], ''))",
		`rules: [{if: '$A == null'}]`:                                 "and(succeeded(), eq(variables['A'], ''))",
		`rules: [{if: '$A == "x" && ($B != "y" || $C)'}]`:             "and(succeeded(), and(eq(variables['A'], 'x'), or(ne(variables['B'], 'y'), ne(variables['C'], ''))))",
		`rules: [{if: '$A == "x"', when: never}, {if: '$B == "y"'}]`:  "and(succeeded(), and(not(eq(variables['A'], 'x')), eq(variables['B'], 'y')))",
		`rules: [{if: '$A == "x"', when: never}, {when: on_success}]`: "and(succeeded(), not(eq(variables['A'], 'x')))",
		`rules: [{when: never}]`:                                      "false",
		`rules: [{if: '$A =~ /^release\/.*$/'}]`:                      "and(succeeded(), startsWith(variables['A'], 'release/'))",
		`rules: [{if: '$A !~ /^(main|dev)$/'}]`:                       "and(succeeded(), not(or(eq(variables['A'], 'main'), eq(variables['A'], 'dev'))))",
		`rules: [{if: '$A =~ /-rc/'}]`:                                "and(succeeded(), contains(variables['A'], '-rc'))",
		`rules: [{if: '$A =~ /^v\d+$/'}]`:                             "and(succeeded(), startsWith(variables['A'], 'v'))",
		`only: [main, tags]`:                                          "and(succeeded(), or(eq(variables['CI_COMMIT_REF_NAME'], 'main'), startsWith(variables['Build.SourceBranch'], 'refs/tags/')))",
		`except: [schedules]`:                                         "and(succeeded(), not(eq(variables['Build.Reason'], 'Schedule')))",
		`only: {refs: [/^v.*$/], variables: ['$A == "1"']}`:           "and(succeeded(), and(startsWith(variables['CI_COMMIT_REF_NAME'], 'v'), eq(variables['A'], '1')))",
		`rules: [{if: '$A ~ 1'}]`:                                     "false",
	} {
		t.Run(rules, func(t *testing.T) {
			t.Parallel()
			_, p := imported(t, importer.GitLab, "j:\n  script: echo\n  "+rules+"\n", nil)
			if got := p.Stages[0].Jobs[0].Condition; got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}

func TestGitLabFile(t *testing.T) {
	t.Parallel()
	out, p := imported(t, importer.GitLab, `
include: [{local: /ci/base.yml}, {template: Security/SAST.gitlab-ci.yml}]
stages: [build, test, deploy]
default: {image: 'golang:1.23', before_script: [echo before]}
variables: {COLOUR: blue, small: letters, IMAGE: "$CI_REGISTRY_IMAGE:$CI_COMMIT_REF_SLUG"}
.shared: &shared
  retry: 1
  tags: [big]
build:
  <<: *shared
  stage: build
  script: [!reference [.base, script], "echo $COLOUR $small $CI_COMMIT_SHORT_SHA"]
  artifacts: {paths: [dist/, report.xml], reports: {junit: report.xml, dotenv: build.env}, expire_in: 1 week}
  cache: {key: {files: [go.sum], prefix: go}, paths: [.cache/]}
unit:
  extends: .base
  stage: test
  services: [{name: 'postgres:16', alias: db, variables: {POSTGRES_PASSWORD: x}}, 'docker:dind']
  parallel: {matrix: [{OS: [a, b], ARCH: [x]}]}
  allow_failure: true
  timeout: 1h 30m
cleanup:
  stage: test
  image: alpine
  script: echo failed
  when: on_failure
web:
  stage: deploy
  script: ./deploy
  after_script: [./tidy]
  when: manual
  environment: {name: production/web, url: 'https://example.com'}
`, repository{"ci/base.yml": ".base:\n  script:\n  - echo base\n  - make\n"})
	has(t, out, "echo before", "echo base", "make", "echo $COLOUR $small $CI_COMMIT_SHORT_SHA", "small: $(small)", "container: golang:1.23", "retryCountOnTaskFailure: 1",
		`key: '"cache" | "go" | go.sum'`, "path: $(Build.SourcesDirectory)/.cache", "artifact: build", "testResultsFiles: report.xml", "trigger: manual", "environment: production-web",
		"timeoutInMinutes: 90", "continueOnError: true", "POSTGRES_PASSWORD: x", "db: unit_db", "condition: failed()", "value: $(CI_REGISTRY_IMAGE):$(CI_COMMIT_REF_SLUG)")
	var stages []string
	for _, s := range p.Stages {
		stages = append(stages, s.Name+" after "+strings.Join(s.DependsOn, " "))
	}
	if diff := cmp.Diff([]string{"build after ", "test after build", "test_on_failure after build", "web after build test test_on_failure"}, stages); diff != "" {
		t.Errorf("stages (-want +got)\n%s", diff)
	}
	notes(t, out, ".gitlab-ci.yml:2:34: include of template Security/SAST.gitlab-ci.yml is left out", "tags of a job choose no runner", "expire_in of artifacts is left out",
		"service docker:dind is left out", "url of an environment is left out")
	if out.Carried != out.Steps || out.Steps != 7 {
		t.Errorf("%d of %d steps", out.Carried, out.Steps)
	}
}

// GitLab's variables of the registry are this server's: its host, the images of the project, and the job's own token.
func TestGitLabRegistry(t *testing.T) {
	t.Parallel()
	out, p := imported(t, importer.GitLab, `
build:
  stage: test
  script:
  - echo "$CI_REGISTRY_PASSWORD" | docker login -u $CI_REGISTRY_USER --password-stdin $CI_REGISTRY
  - docker build --push -t $CI_REGISTRY_IMAGE/web:1 .
own:
  image: $CI_REGISTRY_IMAGE/tools
  script: make
plain: {script: make}
`, nil)
	has(t, out, `echo "##vso[task.setvariable variable=CI_REGISTRY]$SLIPWAY_REGISTRY_HOST"`, "CI_REGISTRY_PASSWORD: $(System.AccessToken)")
	notes(t, out, "image $CI_REGISTRY_IMAGE/tools is of a registry that is not known before the job runs")
	for _, j := range p.Stages[0].Jobs {
		made := slices.ContainsFunc(j.Steps, func(s plan.Step) bool { return s.DisplayName == "Registry" })
		if want := j.Name != "plain"; made != want {
			t.Errorf("job %s sets the variables: %t, want %t", j.Name, made, want)
		}
	}
}

// With needs each job is a stage, and waits for the jobs that it names alone, with those that they wait for.
func TestNeedsOfGitLab(t *testing.T) {
	t.Parallel()
	_, p := imported(t, importer.GitLab, `
stages: [a, b, c]
a1: {stage: a, script: echo, artifacts: {paths: [x.txt]}}
a2: {stage: a, script: echo}
b1: {stage: b, script: echo, needs: [a1]}
b2: {stage: b, script: echo, needs: []}
c1: {stage: c, script: echo, needs: [{job: b1, artifacts: false}]}
c2: {stage: c, script: echo}
`, nil)
	var stages []string
	for _, s := range p.Stages {
		downloads := ""
		for _, st := range s.Jobs[0].Steps {
			if st.Download != nil {
				downloads += " gets " + st.Download.Artifact
			}
		}
		stages = append(stages, s.Name+": "+strings.Join(s.DependsOn, " ")+downloads)
	}
	if diff := cmp.Diff([]string{"a1: ", "a2: ", "b1: a1 gets a1", "b2: ", "c1: b1 a1", "c2: a1 a2 b1 b2 gets a1"}, stages); diff != "" {
		t.Errorf("stages (-want +got)\n%s", diff)
	}
}

func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: b":                     "neither a workflow of GitHub Actions nor a file of GitLab CI",
		"a: {stage: x}\nscript: y": "the file has no jobs of GitLab CI",
		"on: push\njobs: []":       "it has no map of jobs",
		"on: push\njobs:\n  a: [":  "not valid YAML",
		"a: {script: [], needs: [b]}\nb: {script: [], needs: [a]}": "needs itself",
	} {
		source := importer.Detect("ci.yml", []byte(text))
		if strings.HasPrefix(text, "on: ") {
			source = importer.GitHub
		}
		if _, err := importer.Import(source, "ci.yml", []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	// Aliases that repeat one another end at the limit of values.
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", ") + "]\n"
	}
	if _, err := importer.Import(importer.GitLab, "ci.yml", []byte(bomb), nil); err == nil || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("a bomb: %v", err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add("on: push\njobs: {a: {runs-on: x, steps: [{run: 'echo ${{ github.ref }}', if: \"a == 'b' && !c.d\"}]}}")
	f.Add("a: {script: [echo], rules: [{if: '$A =~ /^x|y$/ && ($B || null == $C)'}], needs: [b]}\nb: {extends: a, parallel: {matrix: [{X: [1]}]}}")
	f.Add("on: [push]\nenv: {A: '${{ env.B }}${{ env.B }}', B: '${{ env.A }}'}\njobs: {a: {env: {c: '${{ env.A }}'}, steps: [{run: x}]}}")
	f.Fuzz(func(_ *testing.T, text string) {
		for _, source := range []importer.Source{importer.GitHub, importer.GitLab} {
			_, _ = importer.Import(source, "ci.yml", []byte(text), repository{}) // an answer or an error, and no panic
		}
	})
}

// A key of JSON text that only the run knows stops the step, and the note says why; one in brackets is the same.
func TestKeysOfJSONOfGitHub(t *testing.T) {
	t.Parallel()
	out, p := imported(t, importer.GitHub, `
on:
  workflow_dispatch: {inputs: {x: {type: string}}}
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
    - run: echo
      if: (fromJson(inputs.x)).y == 'a'
`, nil)
	notes(t, out, "a key of what fromjson() gives is not known before the run")
	if got := p.Stages[0].Jobs[0].Steps[0].Condition; got != "false" {
		t.Errorf("the step runs if %s", got)
	}
}
