package template

import (
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
