package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// TimelineRecord is a stage, job or step as `GET build/builds/{id}/timeline` shows it.
type TimelineRecord struct {
	ID         string     `json:"id"`
	ParentID   string     `json:"parentId,omitempty"`
	Type       string     `json:"type"` // Stage, Job, Task
	Name       string     `json:"name"`
	Identifier string     `json:"identifier,omitempty"`
	State      string     `json:"state"`            // pending, inProgress, completed
	Result     string     `json:"result,omitempty"` // succeeded, succeededWithIssues, failed, canceled, skipped, abandoned
	Order      int        `json:"order"`
	Attempt    int        `json:"attempt,omitempty"`
	Percent    int        `json:"percentComplete,omitempty"`
	Errors     int        `json:"errorCount,omitempty"`
	Warnings   int        `json:"warningCount,omitempty"`
	Issues     []Issue    `json:"issues,omitempty"`
	StartTime  *time.Time `json:"startTime,omitempty"`
	FinishTime *time.Time `json:"finishTime,omitempty"`
	Reason     string     `json:"currentOperation,omitempty"`
	Log        *LogLink   `json:"log,omitempty"`
	Job        int64      `json:"slipwayJob,omitempty"` // the number of a job's attempt
	// PreviousAttempts are those of a job, oldest first.
	PreviousAttempts []PreviousAttempt `json:"previousAttempts,omitempty"`
	Retried          string            `json:"slipwayRetried,omitempty"` // why there is another attempt, when the one before was lost
}

// PreviousAttempt is an attempt of a job before the one that a record is about.
type PreviousAttempt struct {
	Attempt  int    `json:"attempt"`
	RecordID string `json:"recordId"`
	Job      int64  `json:"slipwayJob"`
	Result   string `json:"result,omitempty"`
	Reason   string `json:"slipwayReason,omitempty"`
}

// Issue is an error or warning of a step.
type Issue struct {
	Type    string            `json:"type"`
	Message string            `json:"message"`
	Data    map[string]string `json:"data,omitempty"`
}

// LogLink says where a step's log is. Size is in bytes.
type LogLink struct {
	ID   int64  `json:"id"`
	Type string `json:"type"` // Container
	URL  string `json:"url"`
	Size int64  `json:"size"`
}

// recordSpace makes the ids of timeline records, which clients want as GUIDs.
var recordSpace = uuid.MustParse("5c1d7a52-6f0e-4a5e-9d1f-0c6e3c1f2b77")

func recordID(format string, args ...any) string {
	return uuid.NewSHA1(recordSpace, fmt.Appendf(nil, format, args...)).String()
}

func recordState(s schedule.State) string {
	switch s {
	case schedule.Completed:
		return "completed"
	case schedule.Running:
		return "inProgress"
	}
	return "pending"
}

func recordResult(r schedule.Result) string {
	switch r {
	case schedule.Succeeded:
		return "succeeded"
	case schedule.SucceededWithIssues:
		return "succeededWithIssues"
	case schedule.Failed:
		return "failed"
	case schedule.Canceled:
		return "canceled"
	case schedule.Skipped:
		return "skipped"
	case schedule.Abandoned:
		return "abandoned"
	}
	return ""
}

func (b buildRoutes) timeline(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	t, err := b.pipelines.Timeline(r.Context(), run.ID)
	if err != nil {
		return err
	}
	records := []TimelineRecord{}
	for i := range t.Stages {
		stage := &t.Stages[i]
		id := recordID("run/%d/stage/%s", run.ID, stage.Name)
		records = append(records, TimelineRecord{ID: id, Type: "Stage", Name: stage.Title, Identifier: stage.Name, Order: i + 1,
			State: recordState(stage.State), Result: recordResult(stage.Result), Attempt: stage.Attempt,
			StartTime: when(stage.Started), FinishTime: when(stage.Finished), Reason: stage.Reason})
		for j := range stage.Jobs {
			records = append(records, b.jobRecords(r.project, run.ID, id, j, &stage.Jobs[j])...)
		}
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"id": recordID("run/%d", run.ID), "changeId": len(records), "records": records})
	return nil
}

// jobRecords are those of a job and its steps.
func (b buildRoutes) jobRecords(p identity.Project, run slipway.RunID, stage string, place int, j *pipelines.TimelineJob) []TimelineRecord {
	id := recordID("run/%d/job/%s/%d", run, j.Instance, j.Attempt)
	records := []TimelineRecord{{ID: id, ParentID: stage, Type: "Job", Name: j.Title, Identifier: j.Stage + "." + j.Name, Order: place + 1, Job: int64(j.ID),
		State: recordState(j.State), Result: recordResult(j.Result), Attempt: j.Attempt,
		StartTime: when(j.Started), FinishTime: when(j.Finished), Reason: cmp.Or(j.Reason, j.PodNote), Retried: j.Retried}}
	for _, e := range j.Earlier {
		records[0].PreviousAttempts = append(records[0].PreviousAttempts, PreviousAttempt{Attempt: e.Attempt, RecordID: recordID("run/%d/job/%s/%d", run, e.Instance, e.Attempt),
			Job: int64(e.ID), Result: recordResult(e.Result), Reason: e.Reason})
	}
	for _, step := range j.Steps {
		record := TimelineRecord{ID: recordID("job/%d/step/%d", j.ID, step.ID), ParentID: id, Type: "Task", Name: step.DisplayName, Order: step.ID,
			State: recordState(step.State), Result: recordResult(step.Result), Percent: step.Percent, Errors: step.Errors, Warnings: step.Warnings,
			StartTime: when(micros(step.Started)), FinishTime: when(micros(step.Finished)), Reason: step.Reason,
			Log: b.logLink(p, run, j.ID, step)}
		for _, issue := range step.Issues {
			one := Issue{Type: string(issue.Kind), Message: issue.Message}
			if issue.At != nil {
				one.Data = map[string]string{"sourcepath": issue.At.File, "linenumber": fmt.Sprint(issue.At.Line), "columnnumber": fmt.Sprint(issue.At.Column)}
			}
			record.Issues = append(record.Issues, one)
		}
		records = append(records, record)
		records = append(records, detailRecords(j.ID, record.ID, step.Details)...)
	}
	return records
}

// detailRecords are those of the parts that a step told of.
func detailRecords(id slipway.JobID, step string, details []job.Detail) []TimelineRecord {
	var records []TimelineRecord
	for _, d := range details {
		record := TimelineRecord{ID: recordID("job/%d/detail/%s", id, d.ID), ParentID: step, Type: d.Type, Name: d.Name, Order: d.Order, State: recordState(d.State),
			Result: recordResult(d.Result), Percent: d.Percent, StartTime: when(micros(d.Started)), FinishTime: when(micros(d.Finished)), Reason: d.Operation}
		if d.Parent != "" {
			record.ParentID = recordID("job/%d/detail/%s", id, d.Parent)
		}
		records = append(records, record)
	}
	return records
}

// micros is a moment as agents report it: microseconds since 1970, 0 while not known.
func micros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// logsOfJob is how many steps' logs a log's number has room for: it is the job's number times this, plus the step's.
const logsOfJob = 10_000

func (b buildRoutes) logLink(p identity.Project, run slipway.RunID, id slipway.JobID, step pipelines.Step) *LogLink {
	number := int64(id)*logsOfJob + int64(step.ID)
	return &LogLink{ID: number, Type: "Container", URL: fmt.Sprintf("%s/%s/_apis/build/builds/%d/logs/%d", b.url, url.PathEscape(p.Name), run, number), Size: step.LogSize}
}
