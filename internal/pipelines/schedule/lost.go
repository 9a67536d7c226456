package schedule

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Loss is an attempt of a job whose pod was lost, by no fault of the job, after it had begun.
type Loss struct {
	Instance string
	Reason   string
	// Variables are those that the attempt was started with.
	Variables variable.Set
	// Allowed is how many more attempts the settings of pipeline and pool give a job whose variables say nothing.
	Allowed int
}

// RetryLost decides whether a job whose attempt was lost is to be started again: next are the facts of its next attempt. Its other
// instances, and what has been recorded of the lost attempt, stay as they are. A deployment job is started again only if its own
// variables say so, since half of a deployment may have been done.
func RetryLost(p *plan.Plan, facts Facts, l Loss) (next JobFacts, again bool) {
	stage, name, _ := plan.SplitInstanceID(l.Instance)
	s, f := p.Stage(stage), facts.Jobs[l.Instance]
	if s == nil || s.Job(name) == nil || facts.Result != "" || f.State != Running && f.State != Queued || f.CancelRequested {
		return next, false
	}
	if facts.Canceled && !facts.Stages[stage].AfterCancel {
		return next, false
	}
	most, said, err := retriesOf(s.Job(name), l.Variables)
	switch {
	case err != nil:
		return next, false
	case !said && s.Job(name).Deployment != nil:
		return next, false
	case !said:
		most = min(l.Allowed, variable.MaxRetryLost)
	}
	if f.Lost >= most {
		return next, false
	}
	n := attempt(f.Attempt)
	return JobFacts{Attempt: n + 1, Lost: f.Lost + 1, Retried: fmt.Sprintf("attempt %d was lost: %s", n, l.Reason)}, true
}

// retriesOf is what a job's variables say about attempts that are lost; said is false when they say nothing. Of a deployment job its
// own variables count alone.
func retriesOf(j *plan.Job, set variable.Set) (most int, said bool, err error) {
	own := func(v plan.Variable) bool { return strings.EqualFold(v.Name, variable.SlipwayRetryLostJob) }
	v, ok := set.Get(variable.SlipwayRetryLostJob)
	if !ok || j.Deployment != nil && !slices.ContainsFunc(j.Variables, own) {
		return 0, false, nil
	}
	most, err = variable.ParseRetries(set.Expand(v.Text))
	return most, true, err
}
