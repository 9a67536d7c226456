package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/mask"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/task"
)

// ValidationState is how far a manual validation is.
type ValidationState string

// The states of a validation. TimedOut ones were resumed or rejected as they ask for; the step says which.
const (
	ValidationPending  ValidationState = "pending"
	ValidationResumed  ValidationState = "resumed"
	ValidationRejected ValidationState = "rejected"
	ValidationTimedOut ValidationState = "timedOut"
	ValidationCanceled ValidationState = "canceled"
)

// Validation is a step ManualValidation that waits for a person, or did.
type Validation struct {
	task.Validation // with its macros expanded and secrets masked

	ID        int64
	Project   slipway.ProjectID
	Run       slipway.RunID
	Job       slipway.JobID
	Step      int
	Title     string // of the step
	State     ValidationState
	Actor     slipway.Actor // who decided
	Comment   string
	Created   time.Time
	Expires   time.Time
	Completed time.Time
}

const validationColumns = `id, project, run, job, step, title, instructions, settings, state, actor, comment, created, expires, completed`

func scanValidation(row interface{ Scan(...any) error }, v *Validation) error {
	var settings, actor string
	var created, expires, completed int64
	err := row.Scan(&v.ID, (*string)(&v.Project), (*int64)(&v.Run), (*int64)(&v.Job), &v.Step, &v.Title, &v.Instructions, &settings, (*string)(&v.State),
		&actor, &v.Comment, &created, &expires, &completed)
	if err != nil {
		return err
	}
	v.Created, v.Expires, v.Completed = db.Time(created), db.Time(expires), db.Time(completed)
	instructions := v.Instructions
	err = decodeColumns(column{settings, &v.Validation}, column{actor, &v.Actor})
	v.Instructions = instructions
	return err
}

// startValidation asks.
func (s *Service) startValidation(e *stepEntry, w *serverWork, inputs map[string]string, expires time.Time) error {
	v, err := task.ValidationOf(inputs)
	if err != nil {
		return err
	}
	settings, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(w.mask.Mask(v.Instructions), "\x00", "")
	const insert = `
		INSERT INTO pipeline_validations (project, run, job, step, title, instructions, settings, state, actor, comment, created, expires, completed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', $9, $10, 0) RETURNING id`
	var id int64
	if err := e.tx.QueryRowContext(e.ctx, insert, string(w.run.Project), int64(w.run.ID), int64(w.job.ID), e.record.ID, e.record.DisplayName, text,
		w.mask.Mask(string(settings)), string(ValidationPending), e.record.Started, db.Micros(expires)).Scan(&id); err != nil {
		return fmt.Errorf("ask for validation of run %d: %w", w.run.ID, err)
	}
	what := "rejected"
	if v.Resume {
		what = "resumed"
	}
	lines := []string{fmt.Sprintf("Waits for somebody who resumes or rejects the run; if nobody does it is %s at %s.", what, expires.Format(time.DateTime+" MST"))}
	if len(v.Notify) > 0 {
		lines = append(lines, "It concerns "+strings.Join(v.Notify, ", ")+".")
	}
	if len(v.Approvers) > 0 {
		lines = append(lines, "Only "+strings.Join(v.Approvers, ", ")+" may decide.")
	}
	if text != "" {
		lines = append(lines, "Instructions:", text)
	}
	if err := e.put(lines...); err != nil {
		return err
	}
	return s.announce(e.ctx, e.tx, &w.run, EventValidationRequested, w.run.Actor, ValidationPayload{Run: w.run.ID, Number: w.run.Number, Validation: id,
		Title: cut(e.record.DisplayName, maxTestName), State: string(ValidationPending)})
}

// inputMistake is the sentence about an input that is wrong, "" for any other error.
func inputMistake(err error) string {
	var wrong *task.InputError
	var p *slipway.Problem
	switch {
	case errors.As(err, &wrong):
		return wrong.Message
	case errors.As(err, &p) && slices.Contains([]slipway.Code{slipway.CodeUnsupported, slipway.CodeNotFound, slipway.CodeForbidden}, p.Code):
		return p.Message
	}
	return ""
}

// expire ends a validation that nobody decided about in time.
func (s *Service) expire(e *stepEntry, row *agentlessRow) error {
	v, err := pendingValidation(e.ctx, e.tx, e.job.ID, e.record.ID)
	if err != nil {
		return err
	}
	v.State, v.Completed = ValidationTimedOut, s.clock.Now()
	run, err := getRun(e.ctx, e.tx, v.Run)
	if err != nil {
		return err
	}
	if err := s.storeValidation(e.ctx, e.tx, &run, &v, slipway.System); err != nil {
		return err
	}
	if v.Resume {
		return s.endServerStep(e, row, schedule.Succeeded, "Nobody decided in time: the run is resumed.")
	}
	return s.endServerStep(e, row, schedule.Failed, "Nobody decided in time: the run is rejected.")
}

// closeValidation ends the validation of a step that was canceled.
func (s *Service) closeValidation(e *stepEntry, result schedule.Result) error {
	if result != schedule.Canceled {
		return nil
	}
	const update = `UPDATE pipeline_validations SET state = $1, completed = $2 WHERE job = $3 AND step = $4 AND state = 'pending'`
	if _, err := e.tx.ExecContext(e.ctx, update, string(ValidationCanceled), db.Micros(s.clock.Now()), int64(e.job.ID), e.record.ID); err != nil {
		return fmt.Errorf("end validation of job %d: %w", e.job.ID, err)
	}
	return nil
}

func pendingValidation(ctx context.Context, q db.Querier, id slipway.JobID, step int) (Validation, error) {
	const query = `SELECT ` + validationColumns + ` FROM pipeline_validations WHERE job = $1 AND step = $2 AND state = 'pending'`
	v, err := db.One(ctx, q, scanValidation, query, int64(id), step)
	if err != nil {
		return v, fmt.Errorf("read validation of job %d, step %d: %w", id, step, err)
	}
	return v, nil
}

// storeValidation writes how a pending validation ended, with its event.
func (s *Service) storeValidation(ctx context.Context, tx *db.Tx, run *Run, v *Validation, by slipway.Actor) error {
	actor, err := json.Marshal(v.Actor)
	if err != nil {
		return err
	}
	const update = `UPDATE pipeline_validations SET state = $1, actor = $2, comment = $3, completed = $4 WHERE id = $5 AND state = 'pending'`
	result, err := tx.ExecContext(ctx, update, string(v.State), string(actor), v.Comment, db.Micros(v.Completed), v.ID)
	if err != nil {
		return fmt.Errorf("decide validation %d: %w", v.ID, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return slipway.Conflict("validation %d is no longer pending", v.ID)
	}
	return s.announce(ctx, tx, run, EventValidationDecided, by, ValidationPayload{Run: run.ID, Number: run.Number, Validation: v.ID,
		Title: cut(v.Title, maxTestName), State: string(v.State), Comment: v.Comment})
}

// Decider is who decides about a validation: somebody who may queue runs in its project.
type Decider struct {
	slipway.Actor
	Email string // "" if not known
}

// mayDecide refuses those who are not among the approvers, and the one who asked for the run if that is not allowed.
func (v *Validation) mayDecide(by Decider, requester slipway.Actor) error {
	named := func(name string) bool {
		return strings.EqualFold(name, by.Name) || by.Email != "" && strings.EqualFold(name, by.Email)
	}
	switch {
	case by.Kind != slipway.ActorUser:
		return slipway.Forbidden("a person has to decide about %q", v.Title)
	case len(v.Approvers) > 0 && !slices.ContainsFunc(v.Approvers, named):
		return slipway.Forbidden("only %s may decide about %q", strings.Join(v.Approvers, ", "), v.Title)
	case v.NotOwn && requester.Kind == slipway.ActorUser && requester.ID == by.ID:
		return slipway.Forbidden("you asked for this run, and %q wants somebody else to decide", v.Title)
	}
	return nil
}

// maxDecisionComment bounds what somebody says with a decision, in bytes.
const maxDecisionComment = 4000

// Validate resumes or rejects a run that waits at a step ManualValidation. One that is decided or out of time is a conflict.
func (s *Service) Validate(ctx context.Context, by Decider, id int64, resume bool, comment string) (Validation, error) {
	if comment = cut(strings.TrimSpace(comment), maxDecisionComment+1); len(comment) > maxDecisionComment {
		return Validation{}, slipway.Limit("the comment has more than %d bytes", maxDecisionComment)
	}
	known, err := s.Validation(ctx, id)
	if err != nil {
		return known, err
	}
	p, err := s.plan(ctx, s.db, known.Run)
	if err != nil {
		return known, err
	}
	v := known
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		row, err := lockAgentless(ctx, tx, v.Job)
		if err != nil {
			return fmt.Errorf("read agentless job %d: %w", v.Job, err)
		}
		if v, err = getValidation(ctx, tx, id); err != nil {
			return err
		}
		run, err := getRun(ctx, tx, v.Run)
		if err != nil {
			return err
		}
		now := s.clock.Now()
		if v.State != ValidationPending || !now.Before(v.Expires) {
			return slipway.Conflict("validation %d is no longer pending", id)
		}
		if run.Canceled {
			return slipway.Conflict("run %s is canceled", run.Number)
		}
		if err := v.mayDecide(by, run.Actor); err != nil {
			return err
		}
		v.State, v.Actor, v.Comment, v.Completed = ValidationRejected, by.Actor, comment, now
		if resume {
			v.State = ValidationResumed
		}
		if err := s.storeValidation(ctx, tx, &run, &v, by.Actor); err != nil {
			return err
		}
		return s.endValidated(ctx, tx, p, &row, &v)
	})
	return v, err
}

// endValidated completes the step of a validation that somebody decided about.
func (s *Service) endValidated(ctx context.Context, tx *db.Tx, p *plan.Plan, row *agentlessRow, v *Validation) error {
	j, err := getJob(ctx, tx, v.Job)
	if err != nil {
		return err
	}
	e, err := s.openEntry(ctx, tx, p, &j, v.Step)
	if err != nil {
		return err
	}
	said := ""
	if v.Comment != "" {
		said = ": " + v.Comment
	}
	tx.AfterCommit(func() { s.changed(v.Run) })
	if v.State == ValidationResumed {
		return s.endServerStep(e, row, schedule.Succeeded, v.Actor.Name+" resumed the run"+said)
	}
	return s.endServerStep(e, row, schedule.Failed, v.Actor.Name+" rejected the run"+said)
}

// openEntry opens the record of a step that runs. Secrets are not known to it: what is written comes from outside.
func (s *Service) openEntry(ctx context.Context, tx *db.Tx, p *plan.Plan, j *Job, step int) (*stepEntry, error) {
	jobs, err := jobsOf(ctx, tx, j.Run)
	if err != nil {
		return nil, err
	}
	var legs []plan.Leg
	for _, one := range jobs {
		if one.Instance == plan.InstanceID(j.Stage, j.Name, "") {
			legs = one.Legs
		}
	}
	i, err := j.instance(p, legs)
	if err != nil {
		return nil, err
	}
	e := &stepEntry{Service: s, ctx: ctx, tx: tx, job: j, mask: &mask.Masker{}}
	for k := range i.Steps() {
		if st := &i.Steps()[k]; st.ID == step {
			e.step = st
		}
	}
	steps, err := stepsOf(ctx, tx, j.ID)
	if err != nil {
		return nil, err
	}
	for k := range steps {
		if steps[k].ID == step {
			e.record = steps[k].StepRecord
		}
	}
	if e.step == nil || e.record.State != schedule.Running {
		return nil, slipway.Conflict("step %d of job %d does not run", step, j.ID)
	}
	return e, nil
}

func getValidation(ctx context.Context, q db.Querier, id int64) (Validation, error) {
	v, err := db.One(ctx, q, scanValidation, `SELECT `+validationColumns+` FROM pipeline_validations WHERE id = $1`, id)
	if db.IsNoRows(err) {
		return v, slipway.NotFound("there is no validation %d", id)
	}
	if err != nil {
		return v, fmt.Errorf("get validation %d: %w", id, err)
	}
	return v, nil
}

// Validation returns one validation.
func (s *Service) Validation(ctx context.Context, id int64) (Validation, error) {
	return getValidation(ctx, s.db, id)
}

// PendingValidations lists what waits for a person in a project, oldest first, at most 1000.
func (s *Service) PendingValidations(ctx context.Context, project slipway.ProjectID) ([]Validation, error) {
	list, err := db.List(ctx, s.db, scanValidation, `SELECT `+validationColumns+` FROM pipeline_validations WHERE state = 'pending' AND project = $1 ORDER BY id LIMIT 1000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list validations: %w", err)
	}
	return list, nil
}

// Validations lists those of a run, oldest first, at most 1000.
func (s *Service) Validations(ctx context.Context, run slipway.RunID) ([]Validation, error) {
	list, err := db.List(ctx, s.db, scanValidation, `SELECT `+validationColumns+` FROM pipeline_validations WHERE run = $1 ORDER BY id LIMIT 1000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list validations of run %d: %w", run, err)
	}
	return list, nil
}
