package trigger

import (
	"testing"

	"slipway/internal/pipelines/plan"
)

func TestCompletions(t *testing.T) {
	t.Parallel()
	done := Completion{Ref: "refs/heads/releases/1", Tags: []string{"Verified", "signed"}, Succeeded: true, Stages: []string{"Build", "Test"}}
	f := func(section plan.PipelineTrigger, c Completion, want bool) {
		t.Helper()
		if got, why := MatchCompletion(section, c); got != want {
			t.Errorf("%+v after %+v: %v, %s", section, c, got, why)
		}
	}
	failed := done
	failed.Succeeded = false
	f(plan.PipelineTrigger{}, done, true)
	f(plan.PipelineTrigger{}, failed, false)
	// The filters are those of the example in the documentation of pipeline triggers.
	f(plan.PipelineTrigger{Branches: plan.Filter{Include: []string{"releases/*"}, Exclude: []string{"releases/old*"}}}, done, true)
	f(plan.PipelineTrigger{Branches: plan.Filter{Include: []string{"releases/*"}, Exclude: []string{"releases/1"}}}, done, false)
	f(plan.PipelineTrigger{Branches: plan.Filter{Include: []string{"main"}}}, done, false)
	f(plan.PipelineTrigger{Tags: []string{"verified", "Signed"}}, done, true)
	f(plan.PipelineTrigger{Tags: []string{"verified", "shipped"}}, done, false)
	f(plan.PipelineTrigger{Stages: []string{"build"}}, failed, true)
	f(plan.PipelineTrigger{Stages: []string{"build", "Ship"}}, done, false)
}
