package agent

import (
	"strings"
	"testing"

	catalogue "slipway/internal/pipelines/task"
)

// spelled are tasks that the compiler makes into a keyword's step, so that the agent never sees them.
var spelled = []string{"bash@3", "cmdline@2", "publishpipelineartifact@1", "publishbuildartifacts@1", "downloadpipelineartifact@2"}

// Every task that a file may use is one that the agent runs, and the other way round.
func TestTasksAreRun(t *testing.T) {
	t.Parallel()
	missing := map[string]bool{}
	for name := range tasks {
		missing[name] = true
	}
	for _, name := range spelled {
		missing[name] = true
	}
	for _, d := range catalogue.Definitions() {
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
