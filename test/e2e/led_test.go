package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// led is the project whose runs people lead in a browser.
const led = "led"

// leadable is a pipeline with everything that a person may decide about a run, in jobs that do next to nothing.
const leadable = `
trigger: none
parameters:
  - {name: greeting, type: string, default: hello}
  - {name: region, type: string, default: west, values: [west, east]}
  - {name: count, type: number, default: 3}
  - {name: loud, type: boolean, default: false}
  - {name: settings, type: object, default: {depth: []}}
  - {name: extra, type: stepList, default: []}
stages:
  - stage: Build
    jobs:
      - job: says
        displayName: Says
        steps:
          - checkout: none
          - bash: echo "${{ parameters.greeting }} ${{ parameters.region }} ${{ parameters.count }} ${{ lower(parameters.loud) }} $(colour) ${{ length(parameters.settings.depth) }}"
            displayName: Say it
          - ${{ parameters.extra }}
      - job: flaky
        displayName: Fails at first
        steps:
          - checkout: none
          - bash: '[ $(System.JobAttempt) -gt 1 ]'
      - job: after
        displayName: After it
        dependsOn: flaky
        steps: [{checkout: none}, {bash: echo after}]
  - stage: Hand
    displayName: By hand
    dependsOn: Build
    trigger: manual
    jobs: [{job: hand, steps: [{checkout: none}, {bash: echo by hand}]}]
  - stage: Late
    dependsOn: Build
    jobs: [{job: late, steps: [{checkout: none}, {bash: echo late}]}]
  - stage: Guarded
    dependsOn: []
    condition: and(succeeded(), ne(variables.wait, ''))
    lockBehavior: runLatest
    jobs:
      - deployment: guarded
        environment: guarded
        strategy: {runOnce: {deploy: {steps: [{bash: sleep $(wait)}]}}}
`

// runsAreLed has a person lead runs in Chromium: parameters, stages that are left out, retried and started by hand, jobs that run again, an
// exclusive lock and cancels.
func runsAreLed(t *testing.T, i *installation) {
	i.createProject(t, led)
	work := i.clone(t, led)
	if err := os.WriteFile(filepath.Join(work, "azure-pipelines.yml"), []byte(leadable), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, work, nil, "git", "add", "-A")
	run(t, work, nil, "git", "commit", "-q", "-m", "lead me")
	run(t, work, nil, "git", "push", "-q", "origin", "main")
	i.form(t, "/"+led+"/_environments", map[string][]string{"name": {"guarded"}})
	var definitions listOf[struct{ ID int64 }]
	eventually(t, 30*time.Second, func() string {
		if i.api(t, http.MethodGet, "/"+led+"/_apis/build/definitions", nil, &definitions); len(definitions.Value) != 1 {
			return fmt.Sprintf("the push made %d pipelines", len(definitions.Value))
		}
		return ""
	})
	shots := filepath.Join(os.TempDir(), "slipway-screenshots-runs")
	t.Log(browse(t, i, "runs.mjs", shots, led, fmt.Sprint(definitions.Value[0].ID)))
	t.Log("screenshots are in " + shots)
}
