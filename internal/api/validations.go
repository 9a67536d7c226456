package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

func (b buildRoutes) addValidationRoutes() {
	b.project("GET", "/slipway/validations", identity.Read, b.listValidations)
	b.project("PATCH", "/slipway/validations/{validation}", identity.Contribute, b.decideValidation)
	b.project("POST", "/distributedtask/hubs/{hub}/plans/{plan}/events", identity.Contribute, b.taskEvent)
}

// Validation is a step ManualValidation that waits for a person, or did.
type Validation struct {
	ID           int64      `json:"id"`
	Status       string     `json:"status"` // pending, resumed, rejected, timedOut, canceled
	Run          int64      `json:"run"`
	Title        string     `json:"title"`
	Instructions string     `json:"instructions,omitempty"`
	NotifyUsers  []string   `json:"notifyUsers,omitempty"`
	Approvers    []string   `json:"approvers,omitempty"`
	OnTimeout    string     `json:"onTimeout"` // reject or resume
	DecidedBy    string     `json:"decidedBy,omitempty"`
	Comment      string     `json:"comment,omitempty"`
	CreatedOn    *time.Time `json:"createdOn,omitempty"`
	ExpiresOn    *time.Time `json:"expiresOn,omitempty"`
	CompletedOn  *time.Time `json:"completedOn,omitempty"`
}

func validation(v pipelines.Validation) Validation {
	out := Validation{ID: v.ID, Status: string(v.State), Run: int64(v.Run), Title: v.Title, Instructions: v.Instructions, NotifyUsers: v.Notify,
		Approvers: v.Approvers, OnTimeout: "reject", DecidedBy: v.Actor.Name, Comment: v.Comment,
		CreatedOn: when(v.Created), ExpiresOn: when(v.Expires), CompletedOn: when(v.Completed)}
	if v.Resume {
		out.OnTimeout = "resume"
	}
	return out
}

// listValidations lists what waits in the project, or all of ?run=.
func (b buildRoutes) listValidations(w http.ResponseWriter, r request) error {
	found, err := b.pipelines.PendingValidations(r.Context(), r.project.ID)
	if text := r.URL.Query().Get("run"); text != "" && err == nil {
		id, numberErr := strconv.ParseInt(text, 10, 64)
		if numberErr != nil {
			return slipway.Invalid("run %q is not a number", text)
		}
		run, getErr := b.pipelines.Get(r.Context(), slipway.RunID(id))
		if getErr != nil {
			return getErr
		}
		if run.Project != r.project.ID {
			return slipway.NotFound("there is no run %d", id)
		}
		found, err = b.pipelines.Validations(r.Context(), run.ID)
	}
	if err != nil {
		return err
	}
	var out []Validation
	for _, one := range found {
		out = append(out, validation(one))
	}
	return list(w, out)
}

// decideValidation resumes or rejects a run.
func (b buildRoutes) decideValidation(w http.ResponseWriter, r request) error {
	id, err := r.number("validation")
	if err != nil {
		return err
	}
	var body struct {
		Status  string `json:"status"` // resumed or rejected
		Comment string `json:"comment"`
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	if body.Status != "resumed" && body.Status != "rejected" {
		return slipway.Invalid("status %q: write resumed or rejected", body.Status)
	}
	known, err := b.pipelines.Validation(r.Context(), id)
	if err == nil && known.Project != r.project.ID {
		err = slipway.NotFound("there is no validation %d", id)
	}
	if err != nil {
		return err
	}
	by := pipelines.Decider{Actor: r.caller.Actor}
	if by.Kind == slipway.ActorUser {
		user, err := b.identity.User(r.Context(), slipway.UserID(by.ID))
		if err != nil {
			return err
		}
		by.Email = user.Email
	}
	decided, err := b.pipelines.Validate(r.Context(), by, id, body.Status == "resumed", body.Comment)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, validation(decided))
	return nil
}

// taskEvent hears of the end of a step that waits for it, with the token that the step has sent: Azure DevOps' TaskCompleted.
func (b buildRoutes) taskEvent(w http.ResponseWriter, r request) error {
	var body struct {
		Name   string `json:"name"`
		TaskID string `json:"taskId"` // System.TaskInstanceId
		JobID  string `json:"jobId"`
		Result string `json:"result"`
	}
	if err := httpx.ReadJSON(w, r.Request, 256<<10, &body); err != nil {
		return err
	}
	if body.Name != "TaskCompleted" {
		return slipway.Unsupported("event %q is not there yet: send TaskCompleted", body.Name)
	}
	id, err := strconv.ParseInt(body.JobID, 10, 64)
	if err != nil {
		return slipway.Invalid("jobId %q is no job: send System.JobId", body.JobID)
	}
	step, err := strconv.Atoi(body.TaskID)
	if err != nil {
		return slipway.Invalid("taskId %q is no step: send System.TaskInstanceId", body.TaskID)
	}
	if r.caller.Token != identity.TokenJob || r.caller.Binding.Job != slipway.JobID(id) || fmt.Sprint(int64(r.caller.Binding.Run)) != chi.URLParam(r.Request, "plan") {
		return slipway.Forbidden("send the token that the job itself has sent, System.AccessToken")
	}
	result, ok := map[string]schedule.Result{"succeeded": schedule.Succeeded, "succeededwithissues": schedule.SucceededWithIssues, "failed": schedule.Failed}[strings.ToLower(body.Result)]
	if !ok {
		return slipway.Invalid("result %q: write succeeded or failed", body.Result)
	}
	if err := b.pipelines.TaskCompleted(r.Context(), slipway.JobID(id), step, result); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
