package trigger

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/plan"
)

// Completion is how far a run of another pipeline is.
type Completion struct {
	Ref  string
	Tags []string
	// Succeeded says that the run is over and succeeded, with or without issues.
	Succeeded bool
	// Stages are those that succeeded, with or without issues, though the run may still be under way.
	Stages []string
}

// MatchCompletion says whether a run of another pipeline starts one, and why or why not. With stages it is enough that all
// of them succeeded; with tags the run must have all of them.
func MatchCompletion(t plan.PipelineTrigger, c Completion) (starts bool, reason string) {
	has := func(list []string, name string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
	}
	if !MatchRef(t.Branches, "refs/heads/", c.Ref) {
		return false, c.Ref + " is not among the branches that trigger"
	}
	for _, tag := range t.Tags {
		if !has(c.Tags, tag) {
			return false, "the run has no tag " + tag
		}
	}
	for _, stage := range t.Stages {
		if !has(c.Stages, stage) {
			return false, "stage " + stage + " has not succeeded"
		}
	}
	if len(t.Stages) == 0 && !c.Succeeded {
		return false, "the run has not succeeded"
	}
	return true, "the run triggers"
}
