package agent

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// allowance is a time limit that can stand still.
type allowance struct {
	over func() // called once when the time is used up

	mu    sync.Mutex
	timer *time.Timer
	since time.Time // when the timer was started; zero while it stands still
	left  time.Duration
}

func newAllowance(d time.Duration, over func()) *allowance {
	a := &allowance{over: over, left: d}
	a.resume()
	return a
}

// resume lets the time run.
func (a *allowance) resume() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		a.since, a.timer = time.Now(), time.AfterFunc(a.left, a.over)
	}
}

// stop makes the time stand still.
func (a *allowance) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		return
	}
	a.timer.Stop()
	a.left, a.since = max(a.left-time.Since(a.since), 0), time.Time{}
}

// stopsAt reports whether the job waits for a person since the step failed. A step that may fail is none to stop at, and one that
// could not begin has nothing to look at.
func (r *runner) stopsAt(t *task, result schedule.Result) bool {
	return t != nil && result == schedule.Failed && r.waitLeft > 0 && !t.step.ContinueOnError && r.soft.Err() == nil
}

// ask tells the server that a step failed and waits until somebody decides, as long as the job may wait. The job's own time
// stands still meanwhile.
func (r *runner) ask(t *task, cause error) job.Decision {
	r.limit.stop()
	defer r.limit.resume()
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.soft, r.waitLeft)
	defer cancel()
	r.pauses++
	p := job.Pause{Number: r.pauses, Step: t.step.ID, Title: t.record.DisplayName, Reason: r.mask.Mask(cut(sentence(cause), job.MaxIssueLength)),
		Started: began.UnixMicro(), Expires: began.Add(r.waitLeft).UnixMicro(), State: job.PauseWaiting}
	t.log.Printf("##[warning]The run stops at failures: job %d waits until %s for somebody who decides what it does.", r.work.Job,
		began.Add(r.waitLeft).UTC().Format(time.DateTime+" MST"))
	p, err := r.awaitDecision(ctx, t, p)
	r.waitLeft = max(r.waitLeft-time.Since(began), 0)
	switch {
	case err != nil:
		t.log.Printf("##[warning]The job waits no longer: %v", err)
	case p.State == job.PauseDecided:
		t.log.Printf("##[section]%s decided: %s.", p.By, words[p.Decision])
		if p.Decision == job.DecisionEnd {
			r.cancel(fmt.Errorf("%s ended the job at the step %q, which failed", p.By, t.record.DisplayName))
		}
		return p.Decision
	case p.State == job.PauseExpired:
		t.log.Printf("##[warning]Nobody decided in time: the step has failed.")
	}
	return job.DecisionContinue
}

// words say what a decision means.
var words = map[job.Decision]string{
	job.DecisionRerun:    "the step runs again, with the files as they are now",
	job.DecisionContinue: "the step has failed, and the job goes on",
	job.DecisionSucceed:  "the step counts as succeeded with issues",
	job.DecisionEnd:      "the job ends",
}

// awaitDecision is the pause as it ends. What the server says counts: a decision may come in the moment in which the time is over.
func (r *runner) awaitDecision(ctx context.Context, t *task, p job.Pause) (job.Pause, error) {
	path := "/pauses/" + strconv.Itoa(p.Number)
	now := p
	tell := func(ctx context.Context) error {
		return r.client.again(ctx, func() error { return r.client.call(ctx, "PUT", path, p, &now) })
	}
	err := tell(ctx)
	for err == nil && now.State == job.PauseWaiting {
		for _, id := range now.Terminals {
			r.terminals.open(t, id)
		}
		err = r.client.again(ctx, func() error { return r.client.call(ctx, "GET", path+"?seconds=25", nil, &now) })
	}
	if ctx.Err() == nil || r.hard.Err() != nil {
		return now, err
	}
	p.State = job.PauseExpired
	if r.soft.Err() != nil {
		p.State = job.PauseCanceled
	}
	err = tell(r.hard)
	return now, err
}
