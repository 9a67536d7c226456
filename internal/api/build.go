package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"slipway"

	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

type buildRoutes struct {
	*Server
	pipelines *pipelines.Service
}

// AddPipelines serves pipelines and their runs, as Azure DevOps' pipelines and as its builds.
func (s *Server) AddPipelines(p *pipelines.Service) {
	b := buildRoutes{s, p}
	b.addPipelineRoutes()
	s.project("GET", "/build/builds", identity.Read, b.list)
	s.project("POST", "/build/builds", identity.Contribute, b.queueBuild)
	s.project("GET", "/build/builds/{build}", identity.Read, b.get)
	s.project("PATCH", "/build/builds/{build}", identity.Contribute, b.update)
	s.project("GET", "/build/builds/{build}/timeline", identity.Read, b.timeline)
	s.project("GET", "/slipway/jobs/{job}/steps/{step}/log", identity.Read, b.log)
}

// Build is a run as `GET build/builds` shows it.
type Build struct {
	ID            int64      `json:"id"`
	BuildNumber   string     `json:"buildNumber"`
	Status        string     `json:"status"`           // notStarted, inProgress, completed
	Result        string     `json:"result,omitempty"` // succeeded, partiallySucceeded, failed, canceled
	QueueTime     *time.Time `json:"queueTime,omitempty"`
	StartTime     *time.Time `json:"startTime,omitempty"`
	FinishTime    *time.Time `json:"finishTime,omitempty"`
	SourceBranch  string     `json:"sourceBranch"`
	SourceVersion string     `json:"sourceVersion"`
	Reason        string     `json:"reason"`
	Definition    struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	} `json:"definition"`
	Problems    []ValidationResult `json:"validationResults,omitempty"`
	TriggerInfo map[string]string  `json:"triggerInfo,omitempty"` // scheduleName, of a schedule's run
	Links       Links              `json:"_links"`
}

// ValidationResult is something wrong with a run's file.
type ValidationResult struct {
	Result  string `json:"result"` // error
	Message string `json:"message"`
}

// Links are what leads to a thing's page.
type Links struct {
	Web struct {
		Href string `json:"href"`
	} `json:"web"`
}

func (b buildRoutes) build(p identity.Project, r pipelines.Run) Build {
	out := Build{ID: int64(r.ID), BuildNumber: r.Number, Status: buildStatus(r.State), Result: buildResult(r.Result),
		QueueTime: when(r.Queued), StartTime: when(r.Started), FinishTime: when(r.Finished),
		SourceBranch: r.Ref, SourceVersion: string(r.Commit), Reason: r.Reason}
	out.Definition.ID, out.Definition.Name = int64(r.Pipeline), r.PipelineName
	for _, problem := range r.Problems {
		out.Problems = append(out.Problems, ValidationResult{"error", problem.String()})
	}
	if r.ScheduleName != "" {
		out.TriggerInfo = map[string]string{"scheduleName": r.ScheduleName}
	}
	out.Links.Web.Href = fmt.Sprintf("%s/%s/_build/results?buildId=%d", b.url, url.PathEscape(p.Name), r.ID)
	return out
}

func buildStatus(s pipelines.RunState) string {
	switch s {
	case pipelines.RunQueued:
		return "notStarted"
	case pipelines.RunRunning:
		return "inProgress"
	}
	return "completed"
}

func buildResult(r schedule.Result) string {
	switch r {
	case schedule.Succeeded:
		return "succeeded"
	case schedule.SucceededWithIssues:
		return "partiallySucceeded"
	case schedule.Failed:
		return "failed"
	case schedule.Canceled:
		return "canceled"
	}
	return string(r)
}

const defaultTop = 50

func (b buildRoutes) list(w http.ResponseWriter, r request) error {
	top := defaultTop
	if text := r.URL.Query().Get("$top"); text != "" {
		var err error
		if top, err = strconv.Atoi(text); err != nil || top < 1 {
			return slipway.Invalid("$top %q is not a positive number", text)
		}
	}
	filter := pipelines.RunFilter{Project: r.project.ID, Ref: r.URL.Query().Get("branchName"), Limit: top}
	if text := r.URL.Query().Get("definitions"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return slipway.Invalid("definitions %q is not the number of one pipeline", text)
		}
		filter.Pipeline = slipway.PipelineID(id)
	}
	runs, err := b.pipelines.List(r.Context(), filter)
	if err != nil {
		return err
	}
	var out []Build
	for _, run := range runs {
		out = append(out, b.build(r.project, run))
	}
	return list(w, out)
}

// run finds the run and makes sure that it is of the authorized project.
func (b buildRoutes) run(r request) (pipelines.Run, error) {
	id, err := r.number("build")
	if err != nil {
		return pipelines.Run{}, err
	}
	run, err := b.pipelines.Get(r.Context(), slipway.RunID(id))
	if err == nil && run.Project != r.project.ID {
		err = slipway.NotFound("there is no run %d", id)
	}
	return run, err
}

func (b buildRoutes) get(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.build(r.project, run))
	return nil
}

// update cancels a run ({"status":"cancelling"}) or runs its failed jobs again ({"retry":true}), as Azure DevOps does.
func (b buildRoutes) update(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	var body struct {
		Status string `json:"status"`
		Retry  bool   `json:"retry"`
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	switch {
	case body.Status == "cancelling":
		err = b.pipelines.Cancel(r.Context(), run.ID, r.caller.Actor)
	case body.Retry || r.URL.Query().Get("retry") == "true":
		err = b.pipelines.RetryFailed(r.Context(), run.ID, r.caller.Actor)
	default:
		err = slipway.Invalid(`send {"status":"cancelling"} to cancel the run or {"retry":true} to run its failed jobs again`)
	}
	if err != nil {
		return err
	}
	return b.get(w, r)
}

// TimelineRecord is a stage, job or step as `GET build/builds/{id}/timeline` shows it.
type TimelineRecord struct {
	ID         string     `json:"id"`
	ParentID   string     `json:"parentId,omitempty"`
	Type       string     `json:"type"` // Stage, Job, Task
	Name       string     `json:"name"`
	Identifier string     `json:"identifier,omitempty"`
	State      string     `json:"state"`
	Result     string     `json:"result,omitempty"`
	Order      int        `json:"order"`
	Attempt    int        `json:"attempt,omitempty"`
	StartTime  *time.Time `json:"startTime,omitempty"`
	FinishTime *time.Time `json:"finishTime,omitempty"`
	Reason     string     `json:"currentOperation,omitempty"`
	Log        *LogLink   `json:"log,omitempty"`
}

// LogLink says where a step's log is.
type LogLink struct {
	URL  string `json:"url"`
	Size int64  `json:"size"`
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
	for i, stage := range t.Stages {
		id := fmt.Sprintf("stage-%d-%s", run.ID, stage.Name)
		records = append(records, TimelineRecord{ID: id, Type: "Stage", Name: stage.Title, Identifier: stage.Name, Order: i + 1,
			State: string(stage.State), Result: string(stage.Result), Attempt: stage.Attempt,
			StartTime: when(stage.Started), FinishTime: when(stage.Finished), Reason: stage.Reason})
		for j, job := range stage.Jobs {
			jobID := fmt.Sprintf("job-%d", job.ID)
			records = append(records, TimelineRecord{ID: jobID, ParentID: id, Type: "Job", Name: job.Title, Identifier: stage.Name + "." + job.Name, Order: j + 1,
				State: string(job.State), Result: string(job.Result), Attempt: job.Attempt,
				StartTime: when(job.Started), FinishTime: when(job.Finished), Reason: job.Reason})
			for _, step := range job.Steps {
				records = append(records, TimelineRecord{ID: fmt.Sprintf("step-%d-%d", job.ID, step.ID), ParentID: jobID, Type: "Task", Name: step.DisplayName, Order: step.ID,
					State: string(step.State), Result: string(step.Result), StartTime: when(micros(step.Started)), FinishTime: when(micros(step.Finished)),
					Log: &LogLink{URL: fmt.Sprintf("%s/%s/_apis/slipway/jobs/%d/steps/%d/log", b.url, url.PathEscape(r.project.Name), job.ID, step.ID), Size: step.LogSize}})
			}
		}
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"id": run.ID.String(), "records": records})
	return nil
}

// micros is a moment as agents report it: microseconds since 1970, 0 while not known.
func micros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// log answers with a step's log from ?offset= on as text; X-Log-Size and X-Log-Complete say whether there is more.
func (b buildRoutes) log(w http.ResponseWriter, r request) error {
	id, err := r.number("job")
	if err != nil {
		return err
	}
	step, err := strconv.Atoi(chi.URLParam(r.Request, "step"))
	if err != nil {
		return slipway.Invalid("step %q is not a number", chi.URLParam(r.Request, "step"))
	}
	job, err := b.pipelines.Job(r.Context(), slipway.JobID(id))
	if err != nil {
		return err
	}
	run, err := b.pipelines.Get(r.Context(), job.Run)
	if err != nil {
		return err
	}
	if run.Project != r.project.ID {
		return slipway.NotFound("there is no job %d", id)
	}
	offset, err := strconv.ParseInt("0"+r.URL.Query().Get("offset"), 10, 64)
	if err != nil {
		return slipway.Invalid("offset %q is not a number", r.URL.Query().Get("offset"))
	}
	l, err := b.pipelines.ReadLog(r.Context(), job.ID, step, offset, 0)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Log-Size", strconv.FormatInt(l.Size, 10))
	w.Header().Set("X-Log-Complete", strconv.FormatBool(l.Complete))
	_, err = w.Write(l.Data)
	return err
}
