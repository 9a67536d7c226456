package schedule

import (
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Result is how something ended, in the words of the language: `dependencies.A.result` compares with them.
type Result string

// The results.
const (
	Succeeded           Result = "Succeeded"
	SucceededWithIssues Result = "SucceededWithIssues"
	Failed              Result = "Failed"
	Canceled            Result = "Canceled"
	Skipped             Result = "Skipped"
	// Abandoned is a job whose agent was lost.
	Abandoned Result = "Abandoned"
)

// State is how far a stage or job is.
type State string

// The states. The zero value is pending.
const (
	Pending   State = ""
	Checking  State = "checking" // of a stage: its checks have been asked for
	Queued    State = "queued"   // of a job: given to an agent
	Running   State = "running"
	Completed State = "completed"
)

// CheckState is what the approvals and other checks of a stage came to, all of them together.
type CheckState string

// The check states.
const (
	ChecksPending  CheckState = "pending"
	ChecksApproved CheckState = "approved"
	ChecksRejected CheckState = "rejected"
	ChecksTimedOut CheckState = "timedOut"
	// ChecksCanceled is a stage that a later run overtook at an exclusive lock.
	ChecksCanceled CheckState = "canceled"
)

// Facts are what has happened in a run.
type Facts struct {
	// Canceled says that a person or a rule has asked to cancel the run.
	Canceled bool `json:"canceled,omitempty"`
	// Variables of the run: predefined ones, those given when it was queued, and the root's, as ResolveRun made them
	// when the run was created.
	Variables variable.Set `json:"variables"`
	// Groups are the variable groups that the plan refers to (plan.Groups), by name as the plan writes it. One that is
	// not here does not exist or may not be used, and fails the job that needs it.
	Groups map[string]variable.Set `json:"groups,omitempty"`
	// Stages by name; one without an entry is pending.
	Stages map[string]StageFacts `json:"stages,omitempty"`
	// Jobs by instance ID (plan.Instance). An entry under the job's own ID (STAGE.JOB) of a job with legs or hooks is
	// about all of them: the job was skipped, failed before it started, or has Legs.
	Jobs map[string]JobFacts `json:"jobs,omitempty"`
	// Result is set once the run is over.
	Result Result `json:"result,omitempty"`
}

// StageFacts are what has happened to one stage in its latest attempt.
type StageFacts struct {
	// Attempt counts from 1; 0 is read as 1.
	Attempt int    `json:"attempt,omitempty"`
	State   State  `json:"state,omitempty"`
	Result  Result `json:"result,omitempty"`
	// Checks is set from the time the stage is Checking.
	Checks CheckState `json:"checks,omitempty"`
	// Started says that a person has started a manual stage (`trigger: manual`).
	Started bool `json:"started,omitempty"`
	// Unwanted says that the stage was left out when the run was queued.
	Unwanted bool `json:"unwanted,omitempty"`
	// AfterCancel says that the stage started although the run was canceled, since its condition asked for that: the
	// cancel does not stop its jobs.
	AfterCancel bool `json:"afterCancel,omitempty"`
	// Reason of a skip or of a failure without jobs, and before it what the checks said that were not approved.
	Reason string `json:"reason,omitempty"`
}

// JobFacts are what has happened to one instance in its latest attempt.
type JobFacts struct {
	// Attempt counts from 1; 0 is read as 1.
	Attempt int    `json:"attempt,omitempty"`
	State   State  `json:"state,omitempty"`
	Result  Result `json:"result,omitempty"`
	// CancelRequested says that the CancelJob action has been done; the job then ends by itself, or by its agent's end.
	CancelRequested bool `json:"cancelRequested,omitempty"`
	// Outputs are the job's output variables: STEP.VARIABLE to value.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Legs of a job whose matrix is an expression, or the machines of a deployment to machines, under the job's own ID.
	Legs []plan.Leg `json:"legs,omitempty"`
	// HasLegs stands for them in an Entry that leaves them out.
	HasLegs bool `json:"hasLegs,omitempty"`
	// Reason of a skip or of a failure before the start.
	Reason string `json:"reason,omitempty"`
	// Lost counts the attempts before this one, in a row, whose pods were lost, and Retried says why this one is there (RetryLost).
	Lost    int    `json:"lost,omitempty"`
	Retried string `json:"retried,omitempty"`
}
