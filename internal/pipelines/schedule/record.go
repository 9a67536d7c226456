package schedule

import "maps"

// Record is the facts after an action was done, for who keeps facts in memory, and the meaning of each action for who
// keeps them in tables. Checks are recorded as pending, or as approved if there is nothing to check.
func (f Facts) Record(a Action) Facts {
	f.Stages, f.Jobs = maps.Clone(f.Stages), maps.Clone(f.Jobs)
	if f.Stages == nil {
		f.Stages = map[string]StageFacts{}
	}
	if f.Jobs == nil {
		f.Jobs = map[string]JobFacts{}
	}
	stage, job := f.Stages[a.Stage], f.Jobs[a.Instance]
	switch a.Kind {
	case ActionStartChecks:
		stage.State, stage.Checks = Checking, ChecksPending
		if len(a.Environments) == 0 && len(a.Groups) == 0 {
			stage.Checks = ChecksApproved
		}
	case ActionStartStage:
		stage.State, stage.AfterCancel = Running, a.AfterCancel
	case ActionSkipStage, ActionCompleteStage:
		stage.State, stage.Result, stage.Reason = Completed, a.Result, a.Reason
	case ActionExpandJob:
		job.Legs = a.Legs
	case ActionChooseMachines: // the shell knows which there are
	case ActionStartJob:
		job.State = Queued
	case ActionSkipJob, ActionFailJob:
		job.State, job.Result, job.Reason = Completed, a.Result, a.Reason
	case ActionCancelJob:
		job.CancelRequested = true
	case ActionCompleteRun:
		f.Result = a.Result
		return f
	}
	stage.Attempt = max(stage.Attempt, 1)
	f.Stages[a.Stage] = stage
	if a.Instance != "" {
		job.Attempt = max(job.Attempt, a.Attempt)
		f.Jobs[a.Instance] = job
	}
	return f
}
