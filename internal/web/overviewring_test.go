package web

import (
	"strings"
	"testing"
)

// TestRingAdvice goes round the loop step by step: what is next is what the first step that is not taken needs.
func TestRingAdvice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		states map[int]string
		want   string
	}{
		{"running", map[int]string{stepPipeline: "running"}, "builds the change now"},
		{"failed", map[int]string{stepPipeline: "failed"}, "The run failed"},
		{"waits for an approval, though an image is there", map[int]string{stepPipeline: "waiting", stepImage: "succeeded"}, "somebody's decision"},
		{"no image", map[int]string{stepPipeline: "succeeded"}, "build and push an image"},
		{"no deployment", map[int]string{stepPipeline: "succeeded", stepImage: "succeeded"}, "KubernetesManifest@1"},
		{"deploying", map[int]string{stepPipeline: "succeeded", stepDeployment: "succeeded", stepApplied: "running"}, "on its way"},
		{"a bad deployment", map[int]string{stepPipeline: "succeeded", stepDeployment: "succeeded", stepApplied: "failed"}, "The deployment failed"},
		{"silent", map[int]string{stepPipeline: "succeeded", stepDeployment: "succeeded", stepApplied: "succeeded"}, "sends no telemetry"},
		{"unhealthy", map[int]string{stepPipeline: "succeeded", stepDeployment: "succeeded", stepApplied: "succeeded", stepTelemetry: "succeeded", stepReview: "firing"}, "A health rule fires"},
		{"no work item", map[int]string{stepPipeline: "succeeded", stepDeployment: "succeeded", stepApplied: "succeeded", stepTelemetry: "succeeded", stepReview: "healthy"}, "work item hear of it"},
		{"round", map[int]string{stepPipeline: "succeeded", stepDeployment: "succeeded", stepApplied: "succeeded", stepTelemetry: "succeeded", stepReview: "healthy", stepItem: "succeeded"}, "all the way round"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			view := ringView{Steps: make([]ringStep, len(ringTitles))}
			for step, state := range c.states {
				view.Steps[step].State = state
			}
			if got := view.advice(View{}, "shop"); !strings.Contains(got.Say, c.want) {
				t.Errorf("%q, want %q", got.Say, c.want)
			}
		})
	}
}
