package pipelines

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/agentless"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/task"
)

// Bounds of the calls of InvokeRESTAPI.
const (
	callTimeout = 20 * time.Second
	// callLease is how long a call counts as under way without its server saying anything.
	callLease = callTimeout + 10*time.Second
	// callGrace is what a call may still take when the server stops.
	callGrace = 5 * time.Second
	maxCalls  = 20      // at once
	maxAnswer = 1 << 20 // bytes of an answer
	// shownAnswer is how much of an answer the log shows, in bytes.
	shownAnswer = 16 << 10
)

// calls are those under way in this process.
type calls struct {
	client *http.Client
	group  sync.WaitGroup

	mu   sync.Mutex
	busy map[slipway.JobID]context.CancelFunc
}

func (c *calls) wait() { c.group.Wait() }

func (c *calls) free() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) < maxCalls
}

func (c *calls) has(id slipway.JobID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy[id] != nil
}

// cancel ends the job's call, if there is one.
func (c *calls) cancel(id slipway.JobID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if stop := c.busy[id]; stop != nil {
		stop()
	}
}

// startCall records that the call is about to be made; makeCall makes it once that is committed.
func (s *Service) startCall(e *stepEntry, w *serverWork, row *agentlessRow, inputs map[string]string, next *decided) error {
	c, err := task.CallOf(inputs)
	if err != nil {
		return err
	}
	if err := s.connectCall(e, w, &c); err != nil {
		return err
	}
	row.call, row.until = callMade, s.clock.Now().Add(callLease)
	next.call, next.until = &c, row.until
	lines := []string{c.Method + " " + c.URL}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		lines = append(lines, name+": "+c.Headers[name])
	}
	if c.Body != "" {
		lines = append(lines, "", c.Body)
	}
	return e.put(lines...)
}

// connectCall puts the service connection into a call that names one.
func (s *Service) connectCall(e *stepEntry, w *serverWork, c *task.Call) error {
	if c.Connection == "" {
		return nil
	}
	if err := w.run.refuseFork("service connections"); err != nil {
		return err
	}
	use := connectionUse{run: &w.run, job: w.job.ID, step: e.step.ID, actor: slipway.Actor{Kind: slipway.ActorJob, ID: w.job.ID.String(), Name: w.job.Instance}}
	named := plan.Connection{Name: c.Connection}
	if len(e.step.Connections) > 0 {
		named = e.step.Connections[0]
	}
	connection, err := s.openConnectionIn(e.ctx, e.tx, c.Connection, named, use)
	if err != nil {
		return err
	}
	user, password := connection.Credentials()
	e.mask.Add(password)
	if user != "" && password != "" {
		e.mask.Add(base64.StdEncoding.EncodeToString([]byte(user + ":" + password)))
	}
	return c.Connect(connection.URL, user, password)
}

// lostCall sees to a call whose server was killed before it had an answer. What may be repeated without harm is (RFC 9110,
// section 9.2.2); for the others nobody knows whether they arrived, unless the called one is to tell the end anyway.
func (s *Service) lostCall(e *stepEntry, w *serverWork, row *agentlessRow, inputs map[string]string, next *decided) error {
	c, err := task.CallOf(inputs)
	if err != nil {
		return err
	}
	again := c.Method != http.MethodPost && c.Method != http.MethodPatch
	switch {
	case !again && c.Callback:
		row.call, row.until = callWaiting, time.Time{}
		return e.put("The server stopped while it called. If the call arrived, the event TaskCompleted comes.")
	case !again:
		next.Kind = agentless.End
		return s.endServerStep(e, row, schedule.Failed, "The server stopped while it called, and nobody knows whether the call arrived: a "+c.Method+" is not repeated by itself.")
	}
	if err := e.put("The server stopped while it called: the call is repeated."); err != nil {
		return err
	}
	return s.startCall(e, w, row, inputs, next)
}

// makeCall makes a call that was recorded, in the background.
func (s *Service) makeCall(ctx context.Context, w *serverWork, d decided) {
	id := w.job.ID
	calling, stop := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	ending := context.AfterFunc(ctx, func() { time.AfterFunc(callGrace, stop) })
	s.calls.mu.Lock()
	s.calls.busy[id] = stop
	s.calls.mu.Unlock()
	s.calls.group.Go(func() {
		lines, err := s.call(calling, d.call)
		cut := errors.Is(calling.Err(), context.Canceled) // by a cancel, which is recorded already, or by the end of the server
		ending()
		stop()
		if !cut {
			if err := s.endCall(context.WithoutCancel(ctx), w, d, lines, err); err != nil {
				s.Logger.Warn("the answer to a call of an agentless job is lost", "run", w.run.ID, "job", id, "error", err)
			}
		}
		s.calls.mu.Lock()
		delete(s.calls.busy, id)
		s.calls.mu.Unlock()
		s.Wake()
	})
}

// call makes the request and judges the answer. lines are for the log; the error says why the step fails.
func (s *Service) call(ctx context.Context, c *task.Call) (lines []string, err error) {
	r, err := http.NewRequestWithContext(ctx, c.Method, c.URL, strings.NewReader(c.Body))
	if err != nil {
		return nil, fmt.Errorf("the request cannot be made: %w", err)
	}
	if c.Body == "" {
		r.Body, r.ContentLength, r.GetBody = http.NoBody, 0, nil
	}
	for name, value := range c.Headers {
		r.Header.Set(name, value)
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "Slipway")
	}
	resp, err := s.calls.client.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the URL is in the log already
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("there was no answer within %v", callTimeout)
		}
		return nil, fmt.Errorf("the call failed: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	lines = append(lines, "Answer: "+resp.Status)
	if len(body) > 0 {
		lines = append(lines, strings.ToValidUTF8(string(body[:min(len(body), shownAnswer)]), "\uFFFD"))
	}
	switch {
	case err != nil:
		return lines, fmt.Errorf("the answer broke off: %w", err)
	case len(body) > maxAnswer:
		return lines, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return lines, fmt.Errorf("the answer is %s, which is no success", resp.Status)
	case c.Criteria == nil:
		return lines, nil
	}
	return lines, judge(c.Criteria, body)
}

// judge evaluates the success criteria over a JSON answer.
func judge(criteria *expression.Expression, body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var answer any
	if err := decoder.Decode(&answer); err != nil {
		return fmt.Errorf("the success criteria are about JSON, which the answer is not: %w", err)
	}
	root, err := expression.OfJSON(answer)
	if err != nil {
		return fmt.Errorf("the success criteria cannot be evaluated: %w", err)
	}
	v, why, err := criteria.Explain(expression.Environment{Names: map[string]expression.Value{"root": root}})
	if err != nil {
		return fmt.Errorf("the success criteria cannot be evaluated: %w", err)
	}
	if !v.Truth() {
		return fmt.Errorf("the success criteria do not hold: %s", why)
	}
	return nil
}

// endCall records the answer, unless the step has ended meanwhile.
func (s *Service) endCall(ctx context.Context, w *serverWork, d decided, lines []string, failure error) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		row, err := lockAgentless(ctx, tx, w.job.ID)
		if err != nil {
			return err
		}
		if row.step != d.Step.ID || row.call != callMade || !row.until.Equal(d.until) {
			return nil
		}
		p, err := s.plan(ctx, tx, w.run.ID)
		if err != nil {
			return err
		}
		j := w.job
		e, err := s.openEntry(ctx, tx, p, &j, d.Step.ID)
		if err != nil {
			return err
		}
		e.mask = &w.mask
		if err := e.put(lines...); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.changed(w.run.ID) })
		switch {
		case failure != nil:
			return s.endServerStep(e, &row, schedule.Failed, failure.Error())
		case !d.call.Callback:
			return s.endServerStep(e, &row, schedule.Succeeded, "")
		}
		row.call, row.until = callWaiting, time.Time{}
		if err := e.put("Waits for the event TaskCompleted."); err != nil {
			return err
		}
		return putAgentless(ctx, tx, w.job.ID, &row, time.Time{})
	})
}

// TaskCompleted ends a step InvokeRESTAPI with waitForCompletion: true, as the called one says. It may say so before its
// answer has come; saying it of a step that does not wait for it is a conflict.
func (s *Service) TaskCompleted(ctx context.Context, id slipway.JobID, step int, result schedule.Result) error {
	if result != schedule.Succeeded && result != schedule.SucceededWithIssues && result != schedule.Failed {
		return slipway.Invalid("result %q: write succeeded or failed", result)
	}
	known, err := s.Job(ctx, id)
	if err != nil {
		return err
	}
	p, err := s.plan(ctx, s.db, known.Run)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		row, err := lockAgentless(ctx, tx, id)
		if db.IsNoRows(err) {
			return slipway.Conflict("job %d waits for no event", id)
		}
		if err != nil {
			return err
		}
		j, err := getJob(ctx, tx, id)
		if err != nil {
			return err
		}
		if row.step != step || row.call == callNone || j.State == schedule.Completed {
			return slipway.Conflict("step %d of job %d waits for no event", step, id)
		}
		e, err := s.openEntry(ctx, tx, p, &j, step)
		if err != nil {
			return err
		}
		if !strings.EqualFold(e.step.Task.Inputs["waitForCompletion"], "true") && !strings.Contains(e.step.Task.Inputs["waitForCompletion"], "$(") {
			return slipway.Conflict("step %d of job %d waits for no event", step, id)
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		reason := "The event TaskCompleted says that it failed."
		if result != schedule.Failed {
			reason = "The event TaskCompleted says that it succeeded."
		}
		return s.endServerStep(e, &row, result, reason)
	})
}
