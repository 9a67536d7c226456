package web

import "testing"

// What is one name is typed on one line; only what has parts is YAML. The branch's file is read as soon as another branch is written.
func TestRunFormOfOtherTypes(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.push(`
parameters:
- {name: where, type: environment, default: dev}
- {name: on, type: pool, default: ubuntu-latest}
- {name: mine, type: pool, default: {vmImage: ubuntu-latest}}
stages:
- stage: Build
  trigger: manual
  jobs: [{job: make, pool: {vmImage: "${{ parameters.on }}"}, steps: [{bash: "echo ${{ parameters.where }} ${{ parameters.mine.vmImage }}"}]}]
`)
	s.get("/_build/queue?definitionId=1", `<input name="parameter.where" value="dev"`, `<input name="parameter.on" value="ubuntu-latest"`,
		`<textarea name="parameter.mine"`, `data-submit`)
	s.get("/_build/results?buildId=1", "Waits until somebody starts it")
}
