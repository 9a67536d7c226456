package localrun_test

import (
	"strings"
	"testing"

	"slipway/internal/localrun"
	"slipway/internal/pipelines/importer"
)

// imported runs what an import makes of a file. What GitHub and GitLab would say was read from their references.
func imported(t *testing.T, source importer.Source, text string) (*world, *localrun.Report) {
	t.Helper()
	out, err := importer.Import(source, "ci.yml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, string(out.Pipeline))
	w.options.Parallel = 1
	return w, w.run(t.Context())
}

func TestAnImportedWorkflowDoesTheSame(t *testing.T) {
	t.Parallel()
	w, r := imported(t, importer.GitHub, `
on: {push: , workflow_dispatch: {inputs: {level: {type: choice, options: [low, high]}}}}
env: {COLOUR: blue, small: letters}
jobs:
  make:
    runs-on: ubuntu-latest
    outputs: {tag: '${{ steps.set.outputs.tag }}', both: '${{ steps.set.outputs.tag }}/${{ steps.set.outputs.text }}'}
    env: {SHAPE: 'round ${{ github.ref_name }}'}
    steps:
    - uses: actions/checkout@v4
    - id: set
      run: |
        echo "tag=v1" >> "$GITHUB_OUTPUT"
        {
          echo "text<<EOT"
          echo "two words"
          echo "EOT"
        } >> $GITHUB_OUTPUT
        printf 'LATER=a=b\n' >> $GITHUB_ENV
    - run: echo "$COLOUR $small $SHAPE $LATER ${{ env.small }} ${{ inputs.level }}"
    - run: echo "${{ steps.set.outputs.tag }} ${{ steps.set.outputs.text }} ${{ github.event_name == 'workflow_dispatch' && 'by hand' || 'pushed' }}"
    - run: |
        false
        echo not reached
      continue-on-error: true
    - run: echo only failure
      if: failure()
    - run: cd /tmp && echo "in $PWD, $STEP"
      env: {STEP: 'of ${{ github.job }}'}
      if: ${{ env.COLOUR == 'BLUE' && !cancelled() }}
    - uses: actions/upload-artifact@v4
      with: {name: files, path: ci-made/}
      if: false
  use:
    needs: make
    runs-on: ubuntu-latest
    strategy: {matrix: {n: [1, 2], include: [{n: 2, more: extra}]}}
    if: needs.make.outputs.tag == 'v1'
    steps:
    - run: echo "leg ${{ matrix.n }}${{ matrix.more }} of ${{ needs.make.outputs.both }}, $(ls | wc -l) files"
  never:
    needs: make
    if: needs.make.result == 'failure'
    runs-on: ubuntu-latest
    steps: [{run: exit 1}]
`)
	if !r.Succeeded() {
		t.Errorf("result %s", r.Result)
	}
	w.said("make | blue letters round main a=b letters low", "make | in /tmp, of make", "use._1 | leg 1 of v1/two words, 0 files", "use._2_extra | leg 2extra of v1/two words, 0 files")
	for _, line := range []string{"make | v1 two words by hand"} {
		if !strings.Contains(w.out.String(), line) {
			t.Errorf("the log does not say %q:\n%s", line, w.out.String())
		}
	}
	for _, line := range []string{"\nmake | not reached\n", "\nmake | only failure\n"} {
		if strings.Contains(w.out.String(), line) {
			t.Errorf("the log says %q:\n%s", line, w.out.String())
		}
	}
}

func TestAnImportedGitLabFileDoesTheSame(t *testing.T) {
	t.Parallel()
	w, r := imported(t, importer.GitLab, `
stages: [build, test, deploy]
default: {before_script: ['echo "before $CI_JOB_NAME"']}
variables: {COLOUR: blue, small: letters, DEEP: "very $COLOUR"}
build:
  stage: build
  variables: {OWN: "mine and $DEEP"}
  script:
  - echo "$COLOUR $small $OWN $CI_COMMIT_BRANCH"
  - test "$CI_COMMIT_SHORT_SHA" = "$(echo $CI_COMMIT_SHA | cut -c1-8)" && echo "short is right"
  - mkdir -p out/deep && echo content >out/deep/file && echo WORD=told >build.env
  artifacts: {paths: [out/], reports: {dotenv: build.env}}
skipped:
  stage: build
  script: exit 1
  rules: [{if: '$CI_COMMIT_BRANCH != "main"'}]
allowed:
  stage: build
  script: ["false", echo not reached]
  allow_failure: true
legs:
  stage: test
  script: echo "leg $SIZE $(cat out/deep/file) $WORD"
  parallel: {matrix: [{SIZE: [S, L]}]}
  after_script: [echo tidy, exit 1]
failure:
  stage: deploy
  script: echo not this
  when: on_failure
last:
  stage: deploy
  script: echo "last of $CI_PIPELINE_SOURCE"
`)
	if !r.Succeeded() {
		t.Errorf("result %s", r.Result)
	}
	w.said("build.build | before build", "build.build | blue letters mine and very blue main", "build.build | short is right", "test.legs.S | leg S content told",
		"test.legs.L | leg L content told", "test.legs.S | tidy", "deploy.last | last of web")
	for _, line := range []string{"not reached\n", "| not this\n"} {
		for said := range strings.Lines(w.out.String()) {
			if strings.HasSuffix(said, "| "+strings.TrimPrefix(line, "| ")) {
				t.Errorf("the log says %q", said)
			}
		}
	}
}
