package schedule

import (
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// ActionKind says what an action asks for.
type ActionKind string

// The kinds of actions: a closed set.
const (
	// ActionStartChecks asks for the checks of Environments and Groups before Stage may start. Recorded as state
	// Checking with checks pending, or with their outcome at once. Where there is nothing to check it is approved at once.
	ActionStartChecks ActionKind = "startChecks"
	// ActionStartStage records that Stage is running, and AfterCancel.
	ActionStartStage ActionKind = "startStage"
	// ActionSkipStage records that Stage is completed with Result (Skipped, or Failed after a rejected check) and Reason.
	ActionSkipStage ActionKind = "skipStage"
	// ActionCompleteStage records that Stage is completed with Result.
	ActionCompleteStage ActionKind = "completeStage"
	// ActionExpandJob records Legs of Job, whose matrix was an expression.
	ActionExpandJob ActionKind = "expandJob"
	// ActionChooseMachines asks which machines of Environment the deployment Job is for. Recorded as Legs, or as a failure of the
	// whole Job when there is none.
	ActionChooseMachines ActionKind = "chooseMachines"
	// ActionStartJob gives Instance, attempt Attempt, to an agent with Variables. Recorded as Queued.
	ActionStartJob ActionKind = "startJob"
	// ActionSkipJob records that Instance (or the whole Job) is completed with Result Skipped (or Canceled) and Reason.
	ActionSkipJob ActionKind = "skipJob"
	// ActionFailJob records that Instance (or the whole Job) is completed with Result Failed and Reason, without an agent.
	ActionFailJob ActionKind = "failJob"
	// ActionCancelJob tells the agent of Instance to stop within the job's cancelTimeoutInMinutes. Recorded as
	// CancelRequested.
	ActionCancelJob ActionKind = "cancelJob"
	// ActionCompleteRun records Result of the run.
	ActionCompleteRun ActionKind = "completeRun"
)

// Action is one decision. Only the fields that its kind names are set.
type Action struct {
	Kind ActionKind `json:"kind"`
	// Stage is set for all kinds but completeRun.
	Stage string `json:"stage,omitempty"`
	// Job is the job's name, and Instance the ID under which the outcome is recorded in Facts.Jobs.
	Job      string `json:"job,omitempty"`
	Instance string `json:"instance,omitempty"`
	Attempt  int    `json:"attempt,omitempty"`
	Result   Result `json:"result,omitempty"`
	// Reason says in a sentence why: which condition with which values, which dependency.
	Reason string `json:"reason,omitempty"`
	// Environments and Groups are what the checks of a stage are about. Names are expanded.
	Environments []plan.EnvironmentReference `json:"environments,omitempty"`
	Groups       []string                    `json:"groups,omitempty"`
	// Environment of a deployment's startJob or chooseMachines, names expanded; nil for other jobs.
	Environment *plan.EnvironmentReference `json:"environment,omitempty"`
	// Variables of a startJob: everything the job sees, resolved, but for those that the agent itself knows (paths,
	// machine). It may hold secrets.
	Variables variable.Set `json:"variables,omitzero"`
	Legs      []plan.Leg   `json:"legs,omitempty"`
	// AfterCancel of a startStage: the run is canceled and the stage starts nevertheless.
	AfterCancel bool `json:"afterCancel,omitempty"`
}
