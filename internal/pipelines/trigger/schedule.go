package trigger

import "slipway/internal/pipelines/plan"

// Scheduled reports whether a schedule of the file of a branch is for that branch: both are full names. Without a filter a
// schedule is for the default branch.
func Scheduled(s plan.Schedule, branch, defaultBranch string) bool {
	if s.Branches.IsZero() {
		return branch == defaultBranch
	}
	return MatchRef(s.Branches, "refs/heads/", branch)
}

// ScheduledRuns is what is known of the runs that a schedule started on its branch.
type ScheduledRuns struct {
	Succeeded string // the commit of the latest that succeeded, with or without issues; "" without one
	UnderWay  bool   // one is not over
}

// Due decides whether a schedule that is due starts a run of the branch's commit, and why or why not. `always` starts it
// in any case; else something must have changed since the latest run that succeeded, and `batch` waits for one that is under
// way until the next time (the table in the documentation of schedules.cron).
func Due(always, batch bool, commit string, runs ScheduledRuns) (starts bool, reason string) {
	switch {
	case always:
		return true, "the schedule runs always"
	case batch && runs.UnderWay:
		return false, "the run before is under way"
	case runs.Succeeded == commit:
		return false, "nothing has changed since the last scheduled run that succeeded"
	}
	return true, "the branch has changed since the last scheduled run that succeeded"
}
