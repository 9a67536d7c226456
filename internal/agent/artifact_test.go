package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
)

// The names are what NormalizeJobIdentifier in PipelineArtifactPluginV1.cs of azure-pipelines-agent makes of Azure's own identifiers.
func TestPublishWithoutAName(t *testing.T) {
	t.Parallel()
	for identifier, want := range map[string]string{
		"Job.__default":              "Job",
		"Build.unit_tests.__default": "Build.unittests",
		"Build.Test.linux_x64":       "Build.Test.linuxx64",
	} {
		w, s := newArtifactBench(t, "out/a", "")
		w.vars.PutText("System.JobIdentifier", identifier)
		if err := w.publish(&plan.Publish{Path: "out"}); err != nil {
			t.Errorf("%s: %v", identifier, err)
		}
		if diff := cmp.Diff(map[string][]string{want: {"a"}}, s.sent); diff != "" {
			t.Errorf("%s: %s", identifier, diff)
		}
	}
}
