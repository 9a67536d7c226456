package jobserver_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// A server that is killed while a run waits for a person asks again after its start, and the run goes on to its agents.
func TestManualValidationOutlivesTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push(`
jobs:
- job: build
  steps:
  - bash: echo "##vso[task.setvariable variable=version;isOutput=true]1.2"
    name: set
- job: ask
  dependsOn: build
  pool: server
  variables:
    version: $[ dependencies.build.outputs['set.version'] ]
  steps:
  - task: ManualValidation@0
    displayName: Ship $(version)?
    inputs:
      notifyUsers: ''
  - task: Delay@1
    inputs: {delayForMinutes: 0}
- job: ship
  dependsOn: ask
  steps:
  - bash: echo shipped
    displayName: ship
`))
	waits := func(t *pipelines.Timeline) bool { return t.Run.Waiting }
	w.until(id, "waiting", waits)
	w.kill()
	w.start()
	w.until(id, "waiting", waits)
	list, err := w.Validations(context.Background(), id)
	if err != nil || len(list) != 1 || list[0].Title != "Ship 1.2?" {
		t.Fatalf("%+v, %v", list, err)
	}
	by := pipelines.Decider{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}}
	if _, err := w.Validate(context.Background(), by, list[0].ID, true, ""); err != nil {
		t.Fatal(err)
	}
	tl := w.completed(id)
	if log := w.log(w.job(tl, "__default.ship"), "ship"); tl.Run.Result != schedule.Succeeded || !strings.Contains(log, "\nshipped\n") {
		t.Errorf("%s\n%s", tl.Run.Result, w.describe(tl))
	}
}
