package agent

import (
	"strings"
	"testing"

	"slipway/internal/pipelines/plan"
	catalogue "slipway/internal/pipelines/task"
)

// spelled are tasks that the compiler makes into a keyword's step, so that the agent never sees them.
var spelled = []string{"bash@3", "cmdline@2", "publishpipelineartifact@0", "publishpipelineartifact@1", "publishbuildartifacts@1",
	"downloadpipelineartifact@0", "downloadpipelineartifact@1", "downloadpipelineartifact@2", "downloadbuildartifacts@0", "downloadbuildartifacts@1"}

// Every task that a file may use in a job with an agent is one that the agent runs, and the other way round.
func TestTasksAreRun(t *testing.T) {
	t.Parallel()
	missing := map[string]bool{}
	for name := range tasks {
		missing[name] = true
	}
	for _, name := range spelled {
		missing[name] = true
	}
	for _, d := range catalogue.Catalog(nil).Definitions() {
		if d.Server {
			continue
		}
		name := strings.ToLower(d.String())
		if !missing[name] {
			t.Errorf("%s is described and not run", d.String())
		}
		delete(missing, name)
	}
	for name := range missing {
		t.Errorf("%s is run and not described", name)
	}
}

// resolve is a task as the compiler writes it into a plan.
func resolve(t *testing.T, name string, given map[string]string) *plan.Task {
	t.Helper()
	d, err := catalogue.Catalog(nil).Find(name)
	if err != nil {
		t.Fatal(err)
	}
	inputs, mistakes := d.Resolve(given)
	for _, m := range mistakes {
		t.Fatalf("%s: %s", name, m.Message)
	}
	return &plan.Task{Name: d.Name, Major: d.Major, Inputs: inputs}
}
