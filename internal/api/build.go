package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	b.addCacheRoutes()
	b.addForkSettings()
	b.addGeneralSettings()
	b.addSecureFileRoutes()
	b.addVariableGroupRoutes()
	b.addTaskRoutes()
	b.addConnectionRoutes()
	b.addPoolRoutes()
	s.project("GET", "/build/builds", identity.Read, b.list)
	s.project("POST", "/build/builds", identity.Contribute, b.queueBuild)
	s.project("GET", "/build/builds/{build}", identity.Read, b.get)
	s.project("PATCH", "/build/builds/{build}", identity.Contribute, b.update)
	s.project("PATCH", "/build/builds/{build}/stages/{stage}", identity.Contribute, b.updateStage)
	s.project("GET", "/build/builds/{build}/timeline", identity.Read, b.timeline)
	s.project("POST", "/slipway/jobs/{job}/retry", identity.Contribute, b.retryJob)
	s.project("GET", "/build/builds/{build}/logs", identity.Read, b.logs)
	s.project("GET", "/build/builds/{build}/logs/{log}", identity.Read, b.log)
	s.project("GET", "/slipway/builds/{build}/logsearch", identity.Read, b.searchLogs)
	s.project("GET", "/build/builds/{build}/artifacts", identity.Read, b.artifacts)
	s.project("GET", "/slipway/builds/{build}/artifacts/{artifact}", identity.Read, b.tarArtifact)
	s.project("PUT", "/slipway/builds/{build}/artifacts/{artifact}", identity.Contribute, b.uploadArtifact)
	b.addTagRoutes()
	b.addTestRoutes()
	b.addValidationRoutes()
	b.addPauseRoutes()
	b.addAttachmentRoutes()
	b.addLimitRoutes()
	b.addRetentionRoutes()
	b.addWebhookRoutes()
	b.addExplainRoutes()
	s.project("GET", "/test/codecoverage", identity.Read, b.coverage)
}

// Build is a run as `GET build/builds` shows it.
type Build struct {
	ID            int64      `json:"id"`
	BuildNumber   string     `json:"buildNumber"`
	Status        string     `json:"status"`           // notStarted, inProgress, cancelling, completed
	Result        string     `json:"result,omitempty"` // succeeded, partiallySucceeded, failed, canceled
	QueueTime     *time.Time `json:"queueTime,omitempty"`
	StartTime     *time.Time `json:"startTime,omitempty"`
	FinishTime    *time.Time `json:"finishTime,omitempty"`
	SourceBranch  string     `json:"sourceBranch"`
	SourceVersion string     `json:"sourceVersion"`
	Reason        string     `json:"reason"`
	Tags          []string   `json:"tags"`
	Definition    struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	} `json:"definition"`
	KeepForever bool               `json:"keepForever"` // some lease has no end
	Retained    bool               `json:"retained"`    // some lease holds
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
		SourceBranch: r.Ref, SourceVersion: string(r.Commit), Reason: r.Reason, Tags: append([]string{}, r.Tags...)}
	out.Retained = r.RetainedUntil.After(time.Now())
	out.KeepForever = r.RetainedUntil.After(time.Now().AddDate(50, 0, 0))
	if r.Canceled && r.State != pipelines.RunCompleted {
		out.Status = "cancelling"
	}
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

// buildResult is Azure DevOps' word for the result of a whole run, whose words know no skipped: a run whose stages were all
// skipped has succeeded there (MicrosoftDocs/azure-devops-docs issue 12062, apache/devlake issue 8291). The timeline tells of the stages.
func buildResult(r schedule.Result) string {
	switch r {
	case schedule.Succeeded, schedule.Skipped:
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

const (
	defaultTop = 50
	maxRunPage = 200 // runs, as pipelines.RunFilter has it
)

func (b buildRoutes) list(w http.ResponseWriter, r request) error {
	filter, err := runFilter(r.URL.Query())
	if err != nil {
		return err
	}
	filter.Project = r.project.ID
	runs, err := b.pipelines.List(r.Context(), filter)
	if err != nil {
		return err
	}
	if len(runs) > 0 && len(runs) == min(filter.Limit, maxRunPage) {
		w.Header().Set("X-Ms-Continuationtoken", runs[len(runs)-1].ID.String())
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

// update cancels a run ({"status":"cancelling"}), runs its failed jobs again ({"retry":true}) or keeps it ({"keepForever":true}), as
// Azure DevOps does.
func (b buildRoutes) update(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	var body struct {
		Status      string `json:"status"`
		Retry       bool   `json:"retry"`
		KeepForever *bool  `json:"keepForever"`
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	switch {
	case body.Status == "cancelling":
		err = b.pipelines.Cancel(r.Context(), run.ID, r.caller.Actor)
	case body.KeepForever != nil:
		err = b.keepForever(r, &run, *body.KeepForever)
	case body.Retry || r.URL.Query().Get("retry") == "true":
		err = b.pipelines.RetryFailed(r.Context(), run.ID, r.caller.Actor)
	default:
		err = slipway.Invalid(`send {"status":"cancelling"} to cancel the run, {"retry":true} to run its failed jobs again or {"keepForever":true} to keep it`)
	}
	if err != nil {
		return err
	}
	return b.get(w, r)
}

// updateStage runs the failed jobs of a stage again ({"state":"retry"}), or all of them ({"forceRetryAllJobs":true} beside
// it), or starts one that waits for a person ({"state":"run"}). Clients send the state by its name or number.
func (b buildRoutes) updateStage(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	var body struct {
		State             any  `json:"state"`
		ForceRetryAllJobs bool `json:"forceRetryAllJobs"`
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	stage := chi.URLParam(r.Request, "stage")
	switch strings.ToLower(fmt.Sprint(body.State)) {
	case "retry", "1":
		err = b.pipelines.Retry(r.Context(), run.ID, schedule.Again{Stage: stage, All: body.ForceRetryAllJobs}, r.caller.Actor)
	case "run", "2":
		err = b.pipelines.StartStage(r.Context(), run.ID, stage)
	case "cancel", "0":
		err = slipway.Unsupported("a stage is not canceled by itself: cancel the run")
	default:
		err = slipway.Invalid(`send {"state":"retry"} to run the failed jobs of the stage again, or {"state":"run"} to start one that waits`)
	}
	if err != nil {
		return err
	}
	return b.get(w, r)
}

// retryJob runs a job of a stage that is over again, whatever it came to, and what depends on it.
func (b buildRoutes) retryJob(w http.ResponseWriter, r request) error {
	job, run, err := b.job(r)
	if err != nil {
		return err
	}
	if err := b.pipelines.Retry(r.Context(), run.ID, schedule.Again{Stage: job.Stage, Job: job.Name}, r.caller.Actor); err != nil {
		return err
	}
	if run, err = b.pipelines.Get(r.Context(), run.ID); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.build(r.project, run))
	return nil
}

// job finds the job and makes sure that it is of the authorized project.
func (b buildRoutes) job(r request) (pipelines.Job, pipelines.Run, error) {
	id, err := r.number("job")
	if err != nil {
		return pipelines.Job{}, pipelines.Run{}, err
	}
	job, err := b.pipelines.Job(r.Context(), slipway.JobID(id))
	if err != nil {
		return job, pipelines.Run{}, err
	}
	run, err := b.pipelines.Get(r.Context(), job.Run)
	if err == nil && run.Project != r.project.ID {
		err = slipway.NotFound("there is no job %d", id)
	}
	return job, run, err
}
