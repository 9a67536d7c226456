package localrun

import "slipway/internal/pipelines/plan"

// withoutTargets are steps that run where the job does.
func withoutTargets(steps []plan.Step) []plan.Step {
	list := append([]plan.Step(nil), steps...)
	for i := range list {
		if t := list[i].Target; t != nil {
			own := *t
			own.Container = ""
			list[i].Target = &own
		}
	}
	return list
}
