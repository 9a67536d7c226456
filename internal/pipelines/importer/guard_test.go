package importer_test

import (
	"strings"
	"testing"

	"slipway/internal/pipelines/importer"
)

// A job of GitLab runs where the workflow's own rules make a pipeline (docs.gitlab.com: "workflow:rules").
func TestGitLabWorkflowRules(t *testing.T) {
	t.Parallel()
	out, _ := imported(t, importer.GitLab, `
workflow:
  rules:
  - {if: $CI_COMMIT_BRANCH == "old", when: never}
  - if: $CI_COMMIT_BRANCH == "main"
  - if: $CI_PIPELINE_SOURCE == "merge_request_event"
build:
  script: [make]
tests:
  script: [make test]
  rules: [{if: $CI_COMMIT_BRANCH == "main"}]
`, nil)
	const whole = "and(not(eq(variables['CI_COMMIT_BRANCH'], 'old')), or(eq(variables['CI_COMMIT_BRANCH'], 'main'), eq(variables['CI_PIPELINE_SOURCE'], 'merge_request_event')))"
	has(t, out, "condition: and(succeeded(), "+whole+")", "condition: and(succeeded(), and("+whole+", eq(variables['CI_COMMIT_BRANCH'], 'main')))")
	notes(t, out)
}

// What cannot be compared lets no job run that it guards: neither as what must hold nor as what must not.
func TestGitLabPatternsWithoutCounterpart(t *testing.T) {
	t.Parallel()
	out, _ := imported(t, importer.GitLab, `
stable:
  script: [a]
  rules: [{if: '$CI_COMMIT_REF_NAME =~ /^[0-9]+-[0-9]+-stable$/'}]
numbers:
  script: [b]
  rules: [{if: '$CI_COMMIT_TAG =~ /^[0-9]+$/'}]
others:
  script: [c]
  rules: [{if: '$CI_COMMIT_TAG !~ /^[0-9]+$/'}]
unless:
  script: [d]
  rules: [{if: '$CI_COMMIT_TAG =~ /^[0-9]+$/', when: never}, {when: on_success}]
old:
  script: [e]
  only: ['/^[0-9]+$/']
except:
  script: [f]
  except: ['/^[0-9]+$/']
`, nil)
	has(t, out, "condition: and(succeeded(), endsWith(variables['CI_COMMIT_REF_NAME'], '-stable'))")
	if n := strings.Count(string(out.Pipeline), "condition: 'false'\n"); n != 5 {
		t.Errorf("%d jobs do not run, want 5:\n%s", n, out.Pipeline)
	}
	const never = "expressions have no regular expressions, and the pattern /^[0-9]+$/ begins and ends with no text"
	notes(t, out, "what ends with '-stable' holds", never, never, never, "the pattern /^[0-9]+$/ has no counterpart", "the pattern /^[0-9]+$/ has no counterpart")
}

// The cache of a folder whose path a variable holds is of that folder.
func TestGitLabCacheOfVariable(t *testing.T) {
	t.Parallel()
	out, _ := imported(t, importer.GitLab, `
variables: {TOP: /opt/top}
build:
  variables: {PIP: $CI_PROJECT_DIR/.cache/pip, NAME: inner}
  script: [make]
  cache: {paths: [$PIP, "${PIP}/http", $TOP/x, $NAME/y]}
`, nil)
	has(t, out, "path: $(Build.SourcesDirectory)/.cache/pip", "path: $(Build.SourcesDirectory)/.cache/pip/http", "path: /opt/top/x", "path: $(Build.SourcesDirectory)/$(NAME)/y")
}

// A runner that the workflow is told, and variables that it takes together, are not lost without a word.
func TestGitHubRunnersAndEnvThatAreNotKnown(t *testing.T) {
	t.Parallel()
	out, _ := imported(t, importer.GitHub, `
on:
  workflow_call:
    inputs: {os: {type: string, default: ubuntu-latest}, group: {type: string, default: g}}
env: "${{ secrets }}"
jobs:
  one:
    runs-on: ${{ inputs.os }}
    steps: [{run: make}]
  two:
    runs-on: {labels: ubuntu-latest, group: "${{ inputs.group }}"}
    steps: [{run: make}]
  three:
    runs-on: ubuntu-latest
    steps: [{run: make}]
`, nil)
	notes(t, out, "env: secrets is left out", "runs-on: inputs.os is not read", "runs-on: ubuntu-latest of the group inputs.group is not read")
}

// A commit is made by who started the run, whose name may have blanks, and by an address that every run has.
func TestGitHubCommitOfChanges(t *testing.T) {
	t.Parallel()
	out, _ := imported(t, importer.GitHub, `
on: push
jobs:
  format:
    runs-on: ubuntu-latest
    steps: [{uses: actions/checkout@v4}, {run: make format}, {uses: stefanzweifel/git-auto-commit-action@v5}]
`, nil)
	has(t, out, `git -c user.name="$(Build.RequestedFor)" -c user.email=$(Build.RequestedForId)@localhost commit -m "Apply automatic changes"`)
}
