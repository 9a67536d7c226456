package pipelines

import (
	"context"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/plan"
)

// The events of this package. The subject of all but those of secure files, service connections, variable groups, tasks and pools is
// the run; they refer to the pipeline, the repository and the commit. The subject of a secure file's, a service connection's and a variable
// group's is the project, that of a task's the task.
const (
	EventRunQueued    events.Kind = "pipelines.run_queued"    // RunPayload
	EventRunStarted   events.Kind = "pipelines.run_started"   // RunPayload
	EventRunCompleted events.Kind = "pipelines.run_completed" // RunPayload
	EventStageWaiting events.Kind = "pipelines.stage_waiting" // StagePayload: answer with ChecksCompleted
	EventStageOver    events.Kind = "pipelines.stage_over"    // StagePayload, of a stage that had asked for checks
	EventJobStarted   events.Kind = "pipelines.job_started"   // JobPayload
	EventJobCompleted events.Kind = "pipelines.job_completed" // JobPayload

	EventJobPaused      events.Kind = "pipelines.job_paused"      // PausePayload, by a job
	EventPauseDecided   events.Kind = "pipelines.pause_decided"   // PausePayload; the actor decided
	EventTerminalOpened events.Kind = "pipelines.terminal_opened" // TerminalPayload; the actor has it
	EventTerminalClosed events.Kind = "pipelines.terminal_closed" // TerminalPayload

	EventIdentityTokenIssued events.Kind = "pipelines.identity_token_issued" // IdentityPayload, to a job

	EventRunRetained      events.Kind = "pipelines.run_retained"      // RetentionPayload
	EventRunReleased      events.Kind = "pipelines.run_released"      // RetentionPayload
	EventRunDeleted       events.Kind = "pipelines.run_deleted"       // RetentionPayload
	EventRetentionChanged events.Kind = "pipelines.retention_changed" // retention.Settings; the subject is the project

	EventArtifactUploaded events.Kind = "pipelines.artifact_uploaded" // ArtifactPayload

	EventSecureFileCreated   events.Kind = "pipelines.secure_file_created"  // SecureFilePayload
	EventSecureFileDeleted   events.Kind = "pipelines.secure_file_deleted"  // SecureFilePayload
	EventSecureFileFetched   events.Kind = "pipelines.secure_file_fetched"  // SecureFilePayload, by a job
	EventTaskUploaded        events.Kind = "pipelines.task_uploaded"        // TaskPayload
	EventTaskDeleted         events.Kind = "pipelines.task_deleted"         // TaskPayload
	EventConnectionCreated   events.Kind = "pipelines.connection_created"   // ConnectionPayload
	EventConnectionChanged   events.Kind = "pipelines.connection_changed"   // ConnectionPayload
	EventConnectionDeleted   events.Kind = "pipelines.connection_deleted"   // ConnectionPayload
	EventConnectionUsed      events.Kind = "pipelines.connection_used"      // ConnectionPayload, by a job
	EventPoolChanged         events.Kind = "pipelines.pool_changed"         // PoolPayload; the subject is the user
	EventPoolDeleted         events.Kind = "pipelines.pool_deleted"         // PoolPayload; the subject is the user
	EventMachineRegistered   events.Kind = "pipelines.machine_registered"   // MachinePayload; the subject is the user who made the token, or the project
	EventMachineChanged      events.Kind = "pipelines.machine_changed"      // MachinePayload; the subject is the user, or the project
	EventMachineRemoved      events.Kind = "pipelines.machine_removed"      // MachinePayload; the subject is the user, or the project
	EventValidationRequested events.Kind = "pipelines.validation_requested" // ValidationPayload
	EventValidationDecided   events.Kind = "pipelines.validation_decided"   // ValidationPayload; the actor decided

	EventVariableGroupChanged events.Kind = "pipelines.variable_group_changed" // VariableGroupPayload
	EventVariableGroupDeleted events.Kind = "pipelines.variable_group_deleted" // VariableGroupPayload
)

// RunPayload is the payload of a run's events.
type RunPayload struct {
	Run      slipway.RunID      `json:"run"`
	Pipeline slipway.PipelineID `json:"pipeline"`
	Name     string             `json:"name"` // of the pipeline
	Number   string             `json:"number"`
	Ref      string             `json:"ref"`
	Commit   slipway.CommitID   `json:"commit"`
	Result   string             `json:"result,omitempty"`
}

// StagePayload is the payload of a stage's events; that of EventStageOver says no more than which stage.
type StagePayload struct {
	Run          slipway.RunID `json:"run"`
	Stage        string        `json:"stage"`
	Title        string        `json:"title"`
	Attempt      int           `json:"attempt"`
	Environments []string      `json:"environments"`
	Groups       []string      `json:"groups,omitempty"`
	// LockBehavior is how the stage waits for exclusive locks: runLatest or sequential.
	LockBehavior string `json:"lockBehavior,omitempty"`
}

// JobPayload is the payload of a job's events. Environment is set for deployment jobs.
type JobPayload struct {
	Run         slipway.RunID              `json:"run"`
	Pipeline    slipway.PipelineID         `json:"pipeline"`
	Stage       string                     `json:"stage"`
	Job         string                     `json:"job"`
	Instance    string                     `json:"instance"`
	JobID       slipway.JobID              `json:"jobID"`
	Attempt     int                        `json:"attempt"`
	Commit      slipway.CommitID           `json:"commit"`
	Result      string                     `json:"result,omitempty"`
	Reason      string                     `json:"reason,omitempty"`
	Environment *plan.EnvironmentReference `json:"environment,omitempty"`
}

// ValidationPayload is the payload of a manual validation's events.
type ValidationPayload struct {
	Run        slipway.RunID `json:"run"`
	Number     string        `json:"number"`
	Validation int64         `json:"validation"`
	Title      string        `json:"title"`
	State      string        `json:"state"`
	Comment    string        `json:"comment,omitempty"`
}

// PausePayload is the payload of the events of a job that waits at a step that failed.
type PausePayload struct {
	Run      slipway.RunID `json:"run"`
	Number   string        `json:"number"`
	Job      slipway.JobID `json:"jobID"`
	Pause    int64         `json:"pause"`
	Step     int           `json:"step"`
	Title    string        `json:"title"`
	Decision string        `json:"decision,omitempty"`
}

// TerminalPayload is the payload of a terminal's events.
type TerminalPayload struct {
	Run      slipway.RunID `json:"run"`
	Number   string        `json:"number"`
	Job      slipway.JobID `json:"jobID"`
	Terminal int64         `json:"terminal"`
	Step     int           `json:"step"`
	Title    string        `json:"title,omitempty"`
	Seconds  float64       `json:"seconds,omitempty"` // for which it was open
	Note     string        `json:"note,omitempty"`    // why it ended
}

// IdentityPayload is the payload of EventIdentityTokenIssued.
type IdentityPayload struct {
	Run      slipway.RunID `json:"run"`
	Job      slipway.JobID `json:"jobID"`
	Subject  string        `json:"subject"`
	Audience string        `json:"audience"`
}

// RetentionPayload is the payload of the events of a run that is retained, or no longer, or deleted.
type RetentionPayload struct {
	Run    slipway.RunID `json:"run"`
	Number string        `json:"number"`
	Owner  string        `json:"owner,omitempty"`  // of the lease
	Reason string        `json:"reason,omitempty"` // of a deletion
}

// announceProject appends an event whose subject is the project.
func (s *Service) announceProject(ctx context.Context, tx *db.Tx, project slipway.ProjectID, kind events.Kind, by slipway.Actor, payload any) error {
	return s.log.Append(ctx, tx, &events.Event{Kind: kind, Project: project, Actor: by, Subject: slipway.Ref(slipway.RefProject, project)}, payload)
}

// announce appends an event about the run.
func (s *Service) announce(ctx context.Context, tx *db.Tx, r *Run, kind events.Kind, by slipway.Actor, payload any) error {
	e := events.Event{
		Kind: kind, Project: r.Project, Actor: by, Subject: slipway.Ref(slipway.RefRun, r.ID),
		References: []slipway.Reference{
			slipway.Ref(slipway.RefCommit, r.Commit), slipway.Ref(slipway.RefPipeline, r.Pipeline), slipway.Ref(slipway.RefRepository, r.Repository),
		},
	}
	if id, ok := r.PullRequest(); ok {
		e.References = append(e.References, slipway.Ref(slipway.RefPullRequest, id))
	}
	return s.log.Append(ctx, tx, &e, payload)
}

func (r *Run) payload() RunPayload {
	return RunPayload{Run: r.ID, Pipeline: r.Pipeline, Name: r.PipelineName, Number: r.Number, Ref: r.Ref, Commit: r.Commit, Result: string(r.Result)}
}
