// Package schedule decides what a run does next. It is a pure function of a plan and of the facts: what has happened so
// far. It has no clock, does no I/O and keeps nothing; the same facts give the same actions in the same order, so that
// a run can be replayed, and a server that was killed goes on from the stored facts.
//
// The shell around it does, whenever a fact has changed:
//
//	facts := load()
//	for actions := schedule.Next(plan, facts); len(actions) > 0; actions = schedule.Next(plan, facts) {
//		for each action: do it, and record its outcome in the facts, in one transaction
//	}
//
// A shell of large runs says what has changed since it last asked, and asks After. Admit decides which of the jobs of all runs get the
// machines there are; Explain says why something is as it is, and Replay decides again over what was recorded.
//
// Facts.Record does the recording for a shell that keeps facts in memory, and states what each action means for one that
// keeps them in tables. An action is given again until its outcome is in the facts, so doing one twice must be harmless.
//
//	stage:  pending -> [checks] -> running -> completed          pending -> completed (Skipped)
//	job:    pending -> queued -> running -> completed            pending -> completed (Skipped, Failed)
//
// Queued -> running -> completed are the agent's facts. A retry (see Retry) puts a completed stage back to pending with
// the next attempt.
package schedule
