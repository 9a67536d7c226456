package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// task is one try of a step while it runs.
type task struct {
	*runner
	step   *plan.Step
	of     *plan.Step        // the step whose part this is, which is step itself for one of the job's own
	body   func(*task) error // what the step does
	log    *stepLog
	record *job.StepRecord
	ctx    context.Context // its end stops the step
	vars   variable.Set    // as they were when the step began
	env    map[string]string
	target *target // the container in which it runs, nil for the job's own
	owner  *owner  // of what it starts there, nil for whoever that container works as

	result  schedule.Result // set by task.complete
	outputs []string        // variables that are outputs though task.setvariable does not say so
	tests   *publishedTests
}

// errStepTimeout is the end of a step that ran too long.
var errStepTimeout = errors.New("the step ran longer than its timeoutInMinutes")

// step decides whether a step runs, runs it, and records what became of it.
func (r *runner) step(st *plan.Step, body func(*task) error) {
	record := job.StepRecord{ID: st.ID, Name: st.Name, DisplayName: r.expand(st.DisplayName), State: schedule.Completed, Result: schedule.Skipped,
		PreJob: slices.Contains(r.preJobs, st.ID)}
	if r.hard.Err() != nil {
		record.Reason = context.Cause(r.hard).Error()
		r.reports.put(record)
		return
	}
	if st.Disabled {
		record.Reason = "the step is disabled"
		if st.Unchosen {
			record.Reason = "not chosen"
		}
		r.reports.put(record)
		return
	}
	holds, why, err := r.holds(st)
	if err == nil && !holds {
		record.Reason = r.mask.Mask(why)
		r.reports.put(record)
		return
	}
	record.State, record.Result, record.Started = schedule.Running, "", time.Now().UnixMicro()
	r.reports.put(record)
	record.Result = r.runStep(st, body, &record, err)
	record.State, record.Finished = schedule.Completed, time.Now().UnixMicro()
	r.reports.put(record)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch record.Result {
	case schedule.Failed:
		r.state.failed = true
	case schedule.SucceededWithIssues:
		r.state.issues = true
	}
	r.vars.Put(variable.AgentJobStatus, variable.Value{Text: string(r.jobStatus()), ReadOnly: true})
}

// jobStatus is what the job has come to so far. The caller holds r.mu.
func (r *runner) jobStatus() schedule.Result {
	switch {
	case r.soft.Err() != nil:
		return schedule.Canceled
	case r.state.failed:
		return schedule.Failed
	case r.state.issues:
		return schedule.SucceededWithIssues
	}
	return schedule.Succeeded
}

// runStep runs a step, again when somebody who looked at its failure says so.
func (r *runner) runStep(st *plan.Step, body func(*task) error, record *job.StepRecord, err error) schedule.Result {
	spool, openErr := r.reports.open(st.ID)
	if openErr != nil {
		record.Issues = append(record.Issues, job.Issue{Kind: job.IssueError, Message: openErr.Error()})
		return schedule.Failed
	}
	log := &stepLog{spool: spool, mask: r.mask}
	title := strings.Join(strings.Fields(record.DisplayName), " ") // a block of YAML has line breaks
	log.Printf("##[section]Starting: %s", title)
	defer log.Printf("##[section]Finishing: %s", title)
	var result schedule.Result
	for {
		var t *task
		t, result, err = r.tryAll(st, body, record, log, err)
		if err != nil {
			log.Printf("##[error]%s", sentence(err))
			record.Errors++
			if len(record.Issues) < job.MaxIssues {
				record.Issues = append(record.Issues, job.Issue{Kind: job.IssueError, Message: r.mask.Mask(cut(sentence(err), job.MaxIssueLength))})
			}
		}
		if !r.stopsAt(t, result) {
			break
		}
		decision := r.ask(t, err)
		result = decision.Result()
		if decision != job.DecisionRerun {
			break
		}
		record.Issues, record.Details, record.Errors, record.Warnings, record.Percent, err = nil, nil, 0, 0, 0, nil
		r.reports.put(*record)
	}
	if log.err != nil {
		record.Issues = append(record.Issues, job.Issue{Kind: job.IssueWarning, Message: log.err.Error()})
	}
	if result == schedule.Failed && st.ContinueOnError {
		return schedule.SucceededWithIssues
	}
	return result
}

// tryAll runs a step's body, again after a failure as often as the step asks for. The task is that of the last try, nil without
// any: err says why it cannot begin.
func (r *runner) tryAll(st *plan.Step, body func(*task) error, record *job.StepRecord, log *stepLog, err error) (*task, schedule.Result, error) {
	for try := 0; ; try++ {
		var t *task
		if err == nil {
			t = r.newTask(st, record, log)
			t.body = body
			err = t.try()
		}
		log.Flush()
		result := r.judge(t, err)
		if result != schedule.Failed || try >= st.Retries || r.soft.Err() != nil || errors.Is(err, errStepTimeout) {
			return t, result, err
		}
		wait := retryWait(try)
		log.Printf("##[warning]%s The step is tried again in %v (%d of %d).", sentence(err), wait, try+1, st.Retries)
		if !pause(r.soft, wait) {
			return t, result, err
		}
		err = nil
	}
}

// retryWait is the time before a step is tried again: 1 second at first, then 4, 9 … as in microsoft/azure-pipelines-agent
// (RetryHelper.cs), which does not try again either what ran longer than its time.
func retryWait(try int) time.Duration { return time.Duration((try+1)*(try+1)) * time.Second }

// judge is the result of one try.
func (r *runner) judge(t *task, err error) schedule.Result {
	if errors.Is(err, errCanceled) || errors.Is(err, errTimeout) || errors.Is(err, errCancelLimit) || errors.Is(err, errStop) || errors.Is(err, errOver) {
		return schedule.Canceled
	}
	if err != nil {
		return schedule.Failed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.result != "" {
		return t.result
	}
	return schedule.Succeeded
}

// sentence is an error as people read it.
func sentence(err error) string {
	if err == nil {
		return "The step said that it failed."
	}
	var p *slipway.Problem
	if errors.As(err, &p) && p.Err == nil {
		return err.Error()
	}
	text := err.Error()
	if text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}

func (r *runner) newTask(st *plan.Step, record *job.StepRecord, log *stepLog) *task {
	where := r.targetOf(st)
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &task{runner: r, step: st, of: st, log: log, record: record, vars: r.vars.Clone(), target: where, tests: newPublishedTests()}
	t.env = t.vars.Environment()
	for name, value := range st.Env {
		t.env[name] = t.vars.Expand(value)
	}
	log.mu.Lock()
	log.command = t.obey
	log.mu.Unlock()
	return t
}

// try runs the step once. A step that begins after a cancellation is only stopped by the hard end.
func (t *task) try() error {
	ctx, stop := context.WithCancelCause(t.hard)
	defer stop(nil)
	if t.soft.Err() == nil {
		defer context.AfterFunc(t.soft, func() { stop(context.Cause(t.soft)) })()
	}
	if t.step.TimeoutInMinutes > 0 {
		limit := time.Duration(t.step.TimeoutInMinutes) * time.Minute
		timer := time.AfterFunc(limit, func() { stop(errStepTimeout) })
		defer timer.Stop()
	}
	t.ctx = ctx
	var err error
	if t.target != nil {
		err = t.target.greet(ctx)
	}
	if err == nil {
		err = t.body(t)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// do dispatches by the step's kind.
func (t *task) do() error {
	switch t.step.Kind {
	case plan.StepScript:
		return t.script(t.step.Script)
	case plan.StepCheckout:
		return t.checkout(t.step.Checkout)
	case plan.StepPublish:
		return t.publish(t.step.Publish)
	case plan.StepDownload:
		return t.download(t.step.Download)
	case plan.StepPackage:
		return t.getPackage(t.step.Package)
	case plan.StepReview:
		return t.reviewApp()
	case plan.StepTask:
		return t.task(t.step.Task)
	}
	return fmt.Errorf("a step of kind %q is not known to this agent", t.step.Kind)
}

// text expands the macros of an input of the step.
func (t *task) text(s string) string { return t.vars.Expand(s) }

// flag reads a boolean input: what is said, else the default.
func (t *task) flag(s string, byDefault bool) bool {
	switch strings.ToLower(strings.TrimSpace(t.text(s))) {
	case "true", "yes", "y", "on", "1":
		return true
	case "false", "no", "n", "off", "0":
		return false
	}
	return byDefault
}
