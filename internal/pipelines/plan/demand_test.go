package plan_test

import (
	"testing"

	"slipway/internal/pipelines/plan"
)

// The forms are those of "demands" in Azure Pipelines' YAML schema: exists, equals, and a minimum version.
func TestUnmet(t *testing.T) {
	t.Parallel()
	capabilities := map[string]string{"Agent.OS": "Linux", "gpu": "a100", "docker": "", "node": "v20.11.1"}
	for _, tt := range []struct {
		demands []string
		want    string
	}{
		{nil, ""},
		{[]string{"docker", "GPU", "agent.os -equals linux"}, ""},
		{[]string{"docker", "npm"}, "npm"},
		{[]string{"gpu -equals h100"}, "gpu -equals h100"},
		{[]string{"  gpu   -equals   A100 "}, ""},
		{[]string{"node -gtVersion 18.0"}, ""},
		{[]string{"node -gtVersion 20.11.1"}, ""},
		{[]string{"node -gtVersion 20.12"}, "node -gtVersion 20.12"},
		{[]string{"Agent.Version -gtVersion 2.142.1"}, ""},
		{[]string{"gpu -less h100"}, "gpu -less h100"},
	} {
		if got := plan.Unmet(tt.demands, capabilities); got != tt.want {
			t.Errorf("%q: unmet %q, want %q", tt.demands, got, tt.want)
		}
	}
}
