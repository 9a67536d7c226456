package pipelines

import (
	"context"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/plan"
)

// The events of this package. The subject of all but those of secure files is the run; they refer to the pipeline, the repository
// and the commit. The subject of a secure file's is the project.
const (
	EventRunQueued    events.Kind = "pipelines.run_queued"    // RunPayload
	EventRunStarted   events.Kind = "pipelines.run_started"   // RunPayload
	EventRunCompleted events.Kind = "pipelines.run_completed" // RunPayload
	EventStageWaiting events.Kind = "pipelines.stage_waiting" // StagePayload: answer with ChecksCompleted
	EventJobStarted   events.Kind = "pipelines.job_started"   // JobPayload
	EventJobCompleted events.Kind = "pipelines.job_completed" // JobPayload

	EventSecureFileCreated   events.Kind = "pipelines.secure_file_created"  // SecureFilePayload
	EventSecureFileDeleted   events.Kind = "pipelines.secure_file_deleted"  // SecureFilePayload
	EventSecureFileFetched   events.Kind = "pipelines.secure_file_fetched"  // SecureFilePayload, by a job
	EventValidationRequested events.Kind = "pipelines.validation_requested" // ValidationPayload
	EventValidationDecided   events.Kind = "pipelines.validation_decided"   // ValidationPayload; the actor decided
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

// StagePayload is the payload of EventStageWaiting.
type StagePayload struct {
	Run          slipway.RunID `json:"run"`
	Stage        string        `json:"stage"`
	Title        string        `json:"title"`
	Attempt      int           `json:"attempt"`
	Environments []string      `json:"environments"`
	Groups       []string      `json:"groups,omitempty"`
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
