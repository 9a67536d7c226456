package template

import (
	"strings"
	"testing"

	"slipway/internal/pipelines/yaml"
)

// Of what parameters without a value lead to, a draft says nothing: an object in text, as a key, and entries that it may or may not have.
func TestDraftSaysNothingOfPlaceholders(t *testing.T) {
	t.Parallel()
	got := expanded(`
-- p.yml --
parameters:
- {name: Matrix, type: object}
- {name: Key, type: object}
- {name: stages, type: stageList}
stages:
- ${{ each stage in parameters.stages }}:
  - ${{ each pair in stage }}:
      ${{ pair.key }}: ${{ pair.value }}
    displayName: Release
    jobs:
    - job: ${{ parameters.Nothing }}
      strategy: {matrix: "$[ ${{ parameters.Matrix }} ]"}
      variables: {"${{ parameters.Key }}": x}
      steps: []
`, func(in *Input) { in.Draft = true })
	if want := "p.yml:11:16: parameter \"Nothing\" is not declared in this file: declare it under parameters\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// A template that declares no parameters may read any: nothing is said of what they lead to, as of electrumsv's steps.
func TestDraftOfTemplateWithoutParameters(t *testing.T) {
	t.Parallel()
	got := expanded(`
-- p.yml --
steps:
- script: echo ${{ parameters.Version }} ${{ parameters['other name'] }}
  condition: ${{ coalesce(parameters.Condition, 'x') }}
- ${{ each one in parameters.list }}:
  - script: ${{ one }}
`, func(in *Input) { in.Draft = true })
	n, err := yaml.Read("want", []byte("steps: [{script: echo version other_name, condition: condition}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := yaml.Write(n)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got %s want %s", got, want)
	}
}

// What is a mistake with the values at hand may be none with those of a run; the key that it is under is there all the same.
func TestDraftKeepsWhatItCannotEvaluate(t *testing.T) {
	t.Parallel()
	got := expanded(`
-- p.yml --
parameters: [{name: least, type: object, default: {}}]
steps:
- script: echo ${{ le(parameters.least, 1) }}
- ${{ if le(parameters.least, 1) }}:
  - script: left out
`, func(in *Input) { in.Draft = true })
	n, err := yaml.Read("want", []byte("steps: [{script: echo unknown}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := yaml.Write(n)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got %s want %s", got, want)
	}
}

// The defaults of a template that say nothing (an empty map, list or text) are such placeholders too, in the old form and the
// new, and so is what they do not have: the file that includes it gives them.
func TestDraftOfTemplateWithEmptyDefaults(t *testing.T) {
	t.Parallel()
	got := expanded(`
-- p.yml --
parameters: {name: null, pool: "", matrix: {}, config: null, other: {}, os: null}
jobs:
- job: ${{ parameters.name }}
  condition: and(${{ parameters.matrix }}, succeeded())
  pool:
    ${{ if ne(parameters.pool, '') }}:
      ${{ parameters.pool }}
  workspace:
    ${{ if eq(variables['System.TeamProject'], parameters.other.public) }}:
      clean: all
    ${{ if eq(variables['System.TeamProject'], parameters.other.internal) }}:
      clean: outputs
  steps:
  - template: sign.yml
    parameters:
      kind: ${{ parameters.config.kind }}
      official: ${{ parameters.other.official }}
  - template: ${{ parameters.other.template }}
  - template: init-${{ parameters.os }}.yml
    parameters: {os: "${{ parameters.os }}"}
  - checkout: ${{ parameters.os }}
-- sign.yml --
parameters:
- {name: kind, type: string, values: [test, real]}
- {name: official, type: boolean}
- {name: connections, type: object, default: []}
steps:
- ${{ each one in parameters.connections }}:
  - script: ${{ one.name }}
`, func(in *Input) { in.Draft = true })
	if strings.Contains(got, "p.yml:") || strings.Contains(got, "sign.yml:") {
		t.Errorf("a template checked by itself is refused for what its caller gives: %s", got)
	}
	got = expanded(`
-- azure-pipelines.yml --
parameters: [{name: pool, type: string, default: ""}]
jobs:
- job: A
  pool: {"${{ if eq(parameters.pool, '') }}": "${{ variables.none }} x"}
`, func(in *Input) { in.Path, in.Draft = "azure-pipelines.yml", true })
	if want := "azure-pipelines.yml:4:47: under ${{ if eq(parameters.pool, '') }} in a map stands a map, not text\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// A run's project has a name: comparing it with what nobody gave does not hold, as in eng/pipeline/stages/check-generation-repeatable.yml
// of microsoft/go-images, which go-docker-nightly-pr-pipeline.yml includes without its parameters.
func TestDraftHasAProject(t *testing.T) {
	t.Parallel()
	got := expanded(`
-- azure-pipelines.yml --
jobs:
- template: job.yml
-- job.yml --
parameters: {extra: {}}
jobs:
- job: A
  pool:
    ${{ if eq(variables['System.TeamProject'], parameters.extra.public) }}: {name: Public}
    ${{ if eq(variables['System.TeamProject'], parameters.extra.internal) }}: {name: Internal}
  steps: [{script: x}]
`, func(in *Input) { in.Path, in.Draft = "azure-pipelines.yml", true })
	if want := "jobs:\n- job: A\n  pool: {}\n  steps:\n  - script: x\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// All parameters handed on by insert stay what they are, as in eng/pipeline/stages/pool-1.yml of microsoft/go.
func TestDraftHandsPlaceholdersOn(t *testing.T) {
	t.Parallel()
	got := expanded(`
-- p.yml --
parameters: [{name: inner, type: object}]
stages:
- template: one.yml
  parameters: {official: "${{ parameters.inner.official }}"}
-- one.yml --
parameters: [{name: official, type: boolean}]
stages:
- template: two.yml
  parameters:
    ${{ insert }}: ${{ parameters }}
-- two.yml --
parameters: [{name: official, type: boolean}]
stages:
- stage: A
`, func(in *Input) { in.Draft = true })
	if want := "stages:\n- stage: A\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}
