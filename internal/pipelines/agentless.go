package pipelines

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/agentless"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/mask"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/variable"
)

// Agentless jobs (pool: server) are rows that Run looks at when their time has come, when a cancel was asked for, and when
// somebody has decided. Package agentless decides; each decision is one transaction, so that a server which was killed goes on.

// maxServerTimeout is what timeoutInMinutes: 0 means for an agentless job, in minutes: 30 days.
const maxServerTimeout = 30 * 24 * 60

// ofAgent refuses what only an agent may do with its job: the callee of InvokeRESTAPI has a job's token, too.
func (j *Job) ofAgent() error {
	if j.pod == podServer {
		return slipway.Forbidden("job %d is run by the server, not by an agent", j.ID)
	}
	return nil
}

// callState is how far the call of an agentless job's step is; the words are stored.
type callState string

const (
	callNone    callState = ""
	callMade    callState = "calling"
	callWaiting callState = "waiting" // for the event that ends it
)

// agentlessRow is what is remembered of an agentless job beside its steps.
type agentlessRow struct {
	step  int
	late  bool
	call  callState
	until time.Time // of the call
	token []byte    // sealed
}

func insertAgentless(ctx context.Context, tx *db.Tx, id slipway.JobID) error {
	const insert = `INSERT INTO pipeline_agentless (job, due, step, late, call, call_until, token) VALUES ($1, 0, 0, FALSE, '', 0, $2) ON CONFLICT (job) DO NOTHING`
	if _, err := tx.ExecContext(ctx, insert, int64(id), []byte{}); err != nil {
		return fmt.Errorf("record agentless job %d: %w", id, err)
	}
	return nil
}

// lockAgentless reads the row; what is decided about one job is decided one after the other.
func lockAgentless(ctx context.Context, tx *db.Tx, id slipway.JobID) (agentlessRow, error) {
	// The update changes nothing; it locks the row on either engine.
	const query = `UPDATE pipeline_agentless SET step = step WHERE job = $1 RETURNING step, late, call, call_until, token`
	return db.One(ctx, tx, func(row interface{ Scan(...any) error }, r *agentlessRow) error {
		var until int64
		err := row.Scan(&r.step, &r.late, (*string)(&r.call), &until, &r.token)
		r.until = db.Time(until)
		return err
	}, query, int64(id))
}

// putAgentless writes the row but for its token; due is when to look again, zero for at once.
func putAgentless(ctx context.Context, tx *db.Tx, id slipway.JobID, r *agentlessRow, due time.Time) error {
	const update = `UPDATE pipeline_agentless SET due = $1, step = $2, late = $3, call = $4, call_until = $5 WHERE job = $6`
	if _, err := tx.ExecContext(ctx, update, db.Micros(due), r.step, r.late, string(r.call), db.Micros(r.until), int64(id)); err != nil {
		return fmt.Errorf("record agentless job %d: %w", id, err)
	}
	return nil
}

// goOnAgentless does what is due for agentless jobs. One job's trouble does not hold up the others.
func (s *Service) goOnAgentless(ctx context.Context) error {
	const query = `SELECT ` + jobColumns + ` FROM pipeline_jobs WHERE pod = 5
		AND (cancel_requested <> 0 OR id IN (SELECT job FROM pipeline_agentless WHERE due <= $1)) ORDER BY id LIMIT 1000`
	jobs, err := db.List(ctx, s.db, scanJob, query, db.Micros(s.clock.Now()))
	if err != nil {
		return fmt.Errorf("list agentless jobs: %w", err)
	}
	for i := range jobs {
		if err := s.goOn(ctx, &jobs[i]); err != nil && ctx.Err() == nil {
			s.Logger.Warn("an agentless job needs another look", "run", jobs[i].Run, "job", jobs[i].ID, "error", err)
		}
	}
	return nil
}

// goOn does what is due for one job.
func (s *Service) goOn(ctx context.Context, j *Job) error {
	if j.State == schedule.Queued && !j.CancelRequested.IsZero() {
		return s.finish(ctx, j, job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"})
	}
	w, err := s.serverWork(ctx, j)
	if err != nil {
		return err
	}
	if j.State == schedule.Queued {
		if err := s.beginAgentless(ctx, w); err != nil {
			return err
		}
	}
	for range maxRounds {
		next, err := s.decide(ctx, w)
		switch {
		case err != nil:
			return err
		case next.call != nil:
			s.makeCall(ctx, w, next)
			return nil
		case next.Kind == agentless.Wait:
			return nil
		case next.Kind == agentless.Finish:
			return s.endAgentless(ctx, w, next.Decision)
		}
	}
	return fmt.Errorf("agentless job %d does not come to rest", j.ID)
}

// serverWork is what does not change of an agentless job.
type serverWork struct {
	run            Run
	job            Job
	instance       plan.Instance
	steps          []plan.Step
	vars           variable.Set // with the job's token, if a step asks for it
	mask           mask.Masker
	timeout, grace time.Duration
}

func (s *Service) serverWork(ctx context.Context, j *Job) (*serverWork, error) {
	w := &serverWork{job: *j}
	var err error
	if w.run, err = s.Get(ctx, j.Run); err != nil {
		return nil, err
	}
	p, err := s.plan(ctx, s.db, j.Run)
	if err != nil {
		return nil, err
	}
	if w.instance, err = s.instanceOf(ctx, p, j); err != nil {
		return nil, err
	}
	w.steps = w.instance.Steps()
	minutes := w.instance.Job.TimeoutInMinutes
	if minutes <= 0 || minutes > maxServerTimeout {
		minutes = maxServerTimeout
	}
	w.timeout, w.grace = time.Duration(minutes)*time.Minute, time.Duration(max(w.instance.Job.CancelTimeoutInMinutes, 1))*time.Minute
	if w.vars, err = s.jobVariables(ctx, &w.run, j); err != nil {
		return nil, err
	}
	// A plan is what runs once: here the run; its timeline, too.
	w.vars.Put(variable.SystemPlanID, variable.Value{Text: j.Run.String(), ReadOnly: true})
	w.vars.Put(variable.SystemTimelineID, variable.Value{Text: j.Run.String(), ReadOnly: true})
	if s.PublicURL != "" {
		w.vars.Put(variable.SystemCollectionURI, variable.Value{Text: s.PublicURL + "/", ReadOnly: true})
	}
	if usesToken(w.steps) {
		token, err := s.agentlessToken(ctx, w)
		if err != nil {
			return nil, err
		}
		w.vars.Put(variable.SystemAccessToken, variable.Value{Text: token, Secret: true, ReadOnly: true})
	}
	for _, secret := range w.vars.Secrets() {
		w.mask.Add(secret)
	}
	return w, nil
}

func usesToken(steps []plan.Step) bool {
	for i := range steps {
		if steps[i].Task == nil {
			continue
		}
		for _, text := range steps[i].Task.Inputs {
			for _, name := range variable.Macros(text) {
				if strings.EqualFold(name, variable.SystemAccessToken) {
					return true
				}
			}
		}
	}
	return false
}

// agentlessToken is the job's token, kept sealed until the job is over, so that each step and each server has the same.
func (s *Service) agentlessToken(ctx context.Context, w *serverWork) (string, error) {
	place := fmt.Sprintf("pipelines/agentless/%d", w.job.ID)
	sealed, err := db.One(ctx, s.db, db.Value[[]byte], `SELECT token FROM pipeline_agentless WHERE job = $1`, int64(w.job.ID))
	if err != nil {
		return "", fmt.Errorf("read token of job %d: %w", w.job.ID, err)
	}
	if len(sealed) > 0 {
		token, err := s.Secrets.Open(sealed, place)
		return string(token), err
	}
	token, err := s.jobToken(ctx, &w.run, &w.instance, w.job.ID, w.timeout+w.grace)
	if err != nil {
		return "", err
	}
	if sealed, err = s.Secrets.Seal([]byte(token), place); err != nil {
		return "", err
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_agentless SET token = $1 WHERE job = $2`, sealed, int64(w.job.ID)); err != nil {
		return "", fmt.Errorf("keep token of job %d: %w", w.job.ID, err)
	}
	return token, nil
}

// beginAgentless records that the job runs.
func (s *Service) beginAgentless(ctx context.Context, w *serverWork) error {
	return s.change(ctx, w.run.ID, func(tx *db.Tx, sit *situation) error {
		current, err := sit.job(ctx, tx, w.job.Instance)
		if err != nil {
			return err
		}
		if current == nil || current.ID != w.job.ID || current.State != schedule.Queued {
			return slipway.Conflict("job %d is not queued", w.job.ID)
		}
		current.State, current.Started = schedule.Running, s.clock.Now()
		sit.jobChanged(current)
		if err := updateJob(ctx, tx, current); err != nil {
			return err
		}
		w.job = *current
		for i := range w.steps {
			st := &w.steps[i]
			record := job.StepRecord{ID: st.ID, Name: st.Name, DisplayName: w.mask.Mask(w.vars.Expand(st.DisplayName))}
			if err := putStep(ctx, tx, w.job.ID, &record); err != nil {
				return err
			}
		}
		return s.announceJob(ctx, tx, &sit.run, current, EventJobStarted)
	})
}

// endAgentless ends the job and its token.
func (s *Service) endAgentless(ctx context.Context, w *serverWork, d agentless.Decision) error {
	if token, ok := w.vars.Get(variable.SystemAccessToken); ok {
		if err := s.Tokens.RevokeSecret(ctx, token.Text); err != nil {
			return err
		}
	}
	return s.finish(ctx, &w.job, job.Completion{Result: d.Result, Reason: d.Reason})
}

// decided is a decision that has been recorded, with the call that it began.
type decided struct {
	agentless.Decision
	call  *task.Call
	until time.Time // of the call
}

// decide records the next decision about a job.
func (s *Service) decide(ctx context.Context, w *serverWork) (next decided, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		row, err := lockAgentless(ctx, tx, w.job.ID)
		if err != nil {
			return fmt.Errorf("read agentless job %d: %w", w.job.ID, err)
		}
		if w.job, err = getJob(ctx, tx, w.job.ID); err != nil {
			return err
		}
		if w.job.State == schedule.Completed {
			next = decided{Decision: agentless.Decision{Kind: agentless.Wait}}
			return nil
		}
		steps, err := stepsOf(ctx, tx, w.job.ID)
		if err != nil {
			return err
		}
		next = decided{Decision: agentless.Next(w.steps, s.agentlessFacts(w, &row, steps))}
		return s.recordDecision(ctx, tx, w, &row, steps, &next)
	})
	return next, err
}

// agentlessFacts are the rows as the rule sees them.
func (s *Service) agentlessFacts(w *serverWork, row *agentlessRow, steps []Step) agentless.Facts {
	f := agentless.Facts{Now: s.clock.Now(), Started: w.job.Started, Timeout: w.timeout, CancelTimeout: w.grace, Canceled: w.job.CancelRequested,
		Steps: map[int]agentless.StepFacts{}, Variables: w.vars}
	for i := range steps {
		known := agentless.StepFacts{State: steps[i].State, Result: steps[i].Result, Started: db.Time(steps[i].Started), Late: row.late && steps[i].ID == row.step}
		for k := range w.steps {
			if st := &w.steps[k]; st.ID == steps[i].ID && known.State == schedule.Running {
				known.Asks = st.Task.Name == "ManualValidation"
				if minutes, err := task.Delay(w.inputs(st)); err == nil && st.Task.Name == "Delay" {
					known.Due = known.Started.Add(time.Duration(minutes) * time.Minute)
				}
			}
		}
		f.Steps[steps[i].ID] = known
	}
	return f
}

// inputs are those of a step, macros expanded.
func (w *serverWork) inputs(st *plan.Step) map[string]string {
	vars := w.vars.Clone()
	vars.PutText(variable.SystemTaskInstanceID, fmt.Sprint(st.ID))
	return vars.ExpandAll(st.Task.Inputs)
}

func (s *Service) recordDecision(ctx context.Context, tx *db.Tx, w *serverWork, row *agentlessRow, steps []Step, next *decided) error {
	e := &stepEntry{Service: s, ctx: ctx, tx: tx, job: &w.job, mask: &w.mask}
	if next.Step != nil {
		e.step = next.Step
		for i := range steps {
			if steps[i].ID == next.Step.ID {
				e.record = steps[i].StepRecord
			}
		}
	}
	tx.AfterCommit(func() { s.changed(w.run.ID) })
	switch next.Kind {
	case agentless.Skip:
		e.record.State, e.record.Result, e.record.Reason = schedule.Completed, schedule.Skipped, w.mask.Mask(next.Reason)
		return putStep(ctx, tx, w.job.ID, &e.record)
	case agentless.Start:
		return s.startServerStep(e, w, row, steps, next)
	case agentless.Expire:
		return s.expire(e, row)
	case agentless.End:
		tx.AfterCommit(func() { s.calls.cancel(w.job.ID) })
		return s.endServerStep(e, row, next.Result, next.Reason)
	case agentless.Wait:
		return s.wait(e, w, row, next)
	}
	return nil
}

// startServerStep begins a step. One whose inputs are wrong fails at once.
func (s *Service) startServerStep(e *stepEntry, w *serverWork, row *agentlessRow, steps []Step, next *decided) error {
	now, st := s.clock.Now(), next.Step
	if st.Task.Name == "InvokeRESTAPI" && !s.calls.free() {
		next.Kind = agentless.Wait
		return putAgentless(e.ctx, e.tx, w.job.ID, row, now.Add(time.Second))
	}
	e.record.State, e.record.Started = schedule.Running, db.Micros(now)
	*row = agentlessRow{step: st.ID, late: next.Late}
	if err := e.put("##[section]Starting: " + e.record.DisplayName); err != nil {
		return err
	}
	inputs := w.inputs(st)
	var err error
	switch st.Task.Name {
	case "Delay":
		err = e.startDelay(inputs)
	case "ManualValidation":
		for i := range steps {
			if steps[i].ID == st.ID {
				steps[i].StepRecord = e.record
			}
		}
		expires := agentless.Next(w.steps, s.agentlessFacts(w, row, steps)).Until
		err = s.startValidation(e, w, inputs, expires)
	case "InvokeRESTAPI":
		err = s.startCall(e, w, row, inputs, next)
	default:
		err = slipway.Unsupported("this server does not run the task %s@%d", st.Task.Name, st.Task.Major)
	}
	if wrong := inputMistake(err); wrong != "" {
		return s.endServerStep(e, row, schedule.Failed, wrong)
	}
	if err != nil {
		return err
	}
	return putAgentless(e.ctx, e.tx, w.job.ID, row, row.until)
}

func (e *stepEntry) startDelay(inputs map[string]string) error {
	minutes, err := task.Delay(inputs)
	if err != nil {
		return err
	}
	until := db.Time(e.record.Started).Add(time.Duration(minutes) * time.Minute)
	return e.put(fmt.Sprintf("Waits for %d minutes, until %s.", minutes, until.Format(time.DateTime+" MST")))
}

// wait notes when to look again, and sees to a call whose server has gone.
func (s *Service) wait(e *stepEntry, w *serverWork, row *agentlessRow, next *decided) error {
	due := next.Until
	if row.call == callMade {
		if now := s.clock.Now(); !now.Before(row.until) && !s.calls.has(w.job.ID) {
			if err := s.lostCall(e, w, row, w.inputs(e.step), next); err != nil || next.Kind == agentless.End {
				return err
			}
		}
		if row.call == callMade && due.After(row.until) {
			due = row.until
		}
	}
	return putAgentless(e.ctx, e.tx, w.job.ID, row, due)
}

// endServerStep completes a step, and clears what was remembered of it.
func (s *Service) endServerStep(e *stepEntry, row *agentlessRow, result schedule.Result, reason string) error {
	if err := s.closeValidation(e, result); err != nil {
		return err
	}
	if err := e.end(result, reason); err != nil {
		return err
	}
	*row = agentlessRow{}
	e.tx.AfterCommit(s.Wake)
	return putAgentless(e.ctx, e.tx, e.job.ID, row, time.Time{})
}

// stepEntry writes the record and the log of one step in a transaction.
type stepEntry struct {
	*Service
	ctx    context.Context
	tx     *db.Tx
	job    *Job
	step   *plan.Step
	record job.StepRecord
	mask   *mask.Masker
}

// put stores the record and adds lines to the log.
func (e *stepEntry) put(lines ...string) error {
	if err := putStep(e.ctx, e.tx, e.job.ID, &e.record); err != nil {
		return err
	}
	if len(lines) == 0 {
		return nil
	}
	size, err := lockLog(e.ctx, e.tx, e.job.ID, e.record.ID)
	if err != nil {
		return err
	}
	var b []byte
	for _, text := range lines {
		for line := range strings.SplitSeq(text, "\n") {
			b = e.clock.Now().AppendFormat(b, "2006-01-02T15:04:05.0000000Z ")
			b = append(b, strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSuffix(e.mask.Mask(line), "\r"), "\x00", ""), "\uFFFD")...)
			b = append(b, '\n')
		}
	}
	_, err = extendLog(e.ctx, e.tx, e.job.ID, e.record.ID, size, newLogPiece(b))
	return err
}

// end completes the step. What went wrong becomes an issue; continueOnError turns a failure into issues.
func (e *stepEntry) end(result schedule.Result, reason string) error {
	var lines []string
	reason = e.mask.Mask(reason)
	if result == schedule.Failed {
		lines = append(lines, "##[error]"+reason)
		e.record.Errors++
		e.record.Issues = append(e.record.Issues, job.Issue{Kind: job.IssueError, Message: reason})
		if e.step.ContinueOnError {
			result = schedule.SucceededWithIssues
		}
	} else if reason != "" {
		lines = append(lines, reason)
	}
	now := e.clock.Now()
	e.record.State, e.record.Result, e.record.Finished = schedule.Completed, result, db.Micros(now)
	if e.record.Started == 0 { // its condition could not be evaluated
		e.record.Started = e.record.Finished
	}
	return e.put(append(lines, "##[section]Finishing: "+e.record.DisplayName)...)
}
