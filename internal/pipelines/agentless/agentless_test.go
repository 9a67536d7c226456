package agentless

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

// said is a decision as a table writes it.
type said struct {
	Kind   Kind
	Step   int
	Result schedule.Result
	Reason string
	Until  time.Time
	Late   bool
}

func TestNext(t *testing.T) {
	t.Parallel()
	running := func(minutes float64) StepFacts { return StepFacts{State: schedule.Running, Started: at(minutes)} }
	due := func(s StepFacts, minutes float64) StepFacts { s.Due = at(minutes); return s }
	asks := func(s StepFacts) StepFacts { s.Asks = true; return s }
	late := func(s StepFacts) StepFacts { s.Late = true; return s }
	over := func(minutes float64, r schedule.Result) StepFacts {
		return StepFacts{State: schedule.Completed, Started: at(minutes), Result: r}
	}
	skipped := StepFacts{State: schedule.Completed, Result: schedule.Skipped}
	const limit = "the job ran longer than its limit of 60 minutes"
	plain, always := plan.Step{}, plan.Step{Condition: "always()"}
	for name, c := range map[string]struct {
		steps    []plan.Step
		now      float64
		canceled float64 // 0: not
		facts    []StepFacts
		want     said
	}{
		"the first step begins":             {steps: []plan.Step{plain, plain}, want: said{Kind: Start, Step: 1}},
		"a disabled step":                   {steps: []plan.Step{{Disabled: true}}, want: said{Kind: Skip, Step: 1, Result: schedule.Skipped, Reason: "the step is disabled"}},
		"a condition of variables":          {steps: []plan.Step{{Condition: "eq(variables.go, 'no')"}}, want: said{Kind: Skip, Step: 1, Result: schedule.Skipped, Reason: "eq(variables.go, 'no') is False: variables.go is 'yes'"}},
		"a condition that is broken":        {steps: []plan.Step{{Condition: "eq('1.2.3', upper())"}}, want: said{Kind: End, Step: 1, Result: schedule.Failed, Reason: "condition eq('1.2.3', upper()): upper takes 1 argument, not 0"}},
		"after a failure":                   {steps: []plan.Step{plain, plain}, facts: []StepFacts{over(0, schedule.Failed)}, want: said{Kind: Skip, Step: 2, Result: schedule.Skipped, Reason: "succeeded() is False"}},
		"failed() after a failure":          {steps: []plan.Step{plain, {Condition: "failed()"}}, facts: []StepFacts{over(0, schedule.Failed)}, want: said{Kind: Start, Step: 2}},
		"the status of the job":             {steps: []plan.Step{plain, {Condition: "eq(variables['Agent.JobStatus'], 'SucceededWithIssues')"}}, facts: []StepFacts{over(0, schedule.SucceededWithIssues)}, want: said{Kind: Start, Step: 2}},
		"a delay goes on":                   {steps: []plan.Step{plain}, now: 1, facts: []StepFacts{due(running(0), 5)}, want: said{Kind: Wait, Step: 1, Until: at(5)}},
		"a delay is over":                   {steps: []plan.Step{plain}, now: 5, facts: []StepFacts{due(running(0), 5)}, want: said{Kind: End, Step: 1, Result: schedule.Succeeded, Until: at(5)}},
		"a delay that ended while down":     {steps: []plan.Step{plain}, now: 90, facts: []StepFacts{due(running(0), 5)}, want: said{Kind: End, Step: 1, Result: schedule.Succeeded, Until: at(5)}},
		"a delay beyond the job's limit":    {steps: []plan.Step{plain}, now: 61, facts: []StepFacts{due(running(0), 90)}, want: said{Kind: End, Step: 1, Result: schedule.Canceled, Reason: limit, Until: at(60)}},
		"a question waits for its limit":    {steps: []plan.Step{{TimeoutInMinutes: 10}}, now: 2, facts: []StepFacts{asks(running(1))}, want: said{Kind: Wait, Step: 1, Until: at(11)}},
		"a question is out of time":         {steps: []plan.Step{{TimeoutInMinutes: 10}}, now: 11, facts: []StepFacts{asks(running(1))}, want: said{Kind: Expire, Step: 1, Until: at(11)}},
		"a question waits for the job":      {steps: []plan.Step{plain}, now: 2, facts: []StepFacts{asks(running(1))}, want: said{Kind: Wait, Step: 1, Until: at(60)}},
		"a question at the job's limit":     {steps: []plan.Step{plain}, now: 60, facts: []StepFacts{asks(running(1))}, want: said{Kind: Expire, Step: 1, Until: at(60)}},
		"a call is out of time":             {steps: []plan.Step{{TimeoutInMinutes: 1}}, now: 3, facts: []StepFacts{running(1)}, want: said{Kind: End, Step: 1, Result: schedule.Failed, Reason: "the step ran longer than its timeoutInMinutes", Until: at(2)}},
		"a cancel ends the step at once":    {steps: []plan.Step{plain}, now: 2, canceled: 2, facts: []StepFacts{due(running(2), 5)}, want: said{Kind: End, Step: 1, Result: schedule.Canceled, Reason: ReasonCanceled, Until: at(2)}},
		"a cancel ends a question":          {steps: []plan.Step{plain}, now: 2, canceled: 2, facts: []StepFacts{asks(running(0))}, want: said{Kind: End, Step: 1, Result: schedule.Canceled, Reason: ReasonCanceled, Until: at(2)}},
		"a cancel after the delay was over": {steps: []plan.Step{plain}, now: 20, canceled: 10, facts: []StepFacts{due(running(0), 5)}, want: said{Kind: End, Step: 1, Result: schedule.Succeeded, Until: at(5)}},
		"always() after a cancel":           {steps: []plan.Step{plain, always}, now: 2, canceled: 2, facts: []StepFacts{over(1, schedule.Canceled)}, want: said{Kind: Start, Step: 2, Late: true}},
		"the rest after a cancel":           {steps: []plan.Step{plain, plain}, now: 2, canceled: 2, facts: []StepFacts{over(1, schedule.Canceled)}, want: said{Kind: Skip, Step: 2, Result: schedule.Skipped, Reason: "succeeded() is False"}},
		"a late step goes on":               {steps: []plan.Step{plain, always}, now: 4, canceled: 2, facts: []StepFacts{over(1, schedule.Canceled), late(due(running(2), 30))}, want: said{Kind: Wait, Step: 2, Until: at(7)}},
		"a late step has five minutes":      {steps: []plan.Step{plain, always}, now: 7, canceled: 2, facts: []StepFacts{over(1, schedule.Canceled), late(due(running(2), 30))}, want: said{Kind: End, Step: 2, Result: schedule.Canceled, Reason: "the time after the cancel is over", Until: at(7)}},
		"nothing begins after that":         {steps: []plan.Step{plain, always}, now: 7, canceled: 2, facts: []StepFacts{over(1, schedule.Canceled)}, want: said{Kind: Skip, Step: 2, Result: schedule.Skipped, Reason: ReasonCanceled}},
		"all went well":                     {steps: []plan.Step{plain, plain}, now: 2, facts: []StepFacts{over(0, schedule.Succeeded), skipped}, want: said{Kind: Finish, Result: schedule.Succeeded}},
		"one went wrong":                    {steps: []plan.Step{plain, always}, now: 2, facts: []StepFacts{over(0, schedule.Failed), over(1, schedule.SucceededWithIssues)}, want: said{Kind: Finish, Result: schedule.Failed}},
		"one had issues":                    {steps: []plan.Step{plain, plain}, now: 2, facts: []StepFacts{over(0, schedule.SucceededWithIssues), over(1, schedule.Succeeded)}, want: said{Kind: Finish, Result: schedule.SucceededWithIssues}},
		"canceled":                          {steps: []plan.Step{plain, always}, now: 2, canceled: 2, facts: []StepFacts{over(1, schedule.Canceled), over(2, schedule.Succeeded)}, want: said{Kind: Finish, Result: schedule.Canceled, Reason: ReasonCanceled}},
		"the limit cut something off":       {steps: []plan.Step{plain, plain}, now: 60, facts: []StepFacts{over(1, schedule.Succeeded), skipped}, want: said{Kind: Finish, Result: schedule.Failed, Reason: limit}},
		"resumed by the limit":              {steps: []plan.Step{plain, {Disabled: true}}, now: 60, facts: []StepFacts{over(1, schedule.Succeeded), skipped}, want: said{Kind: Finish, Result: schedule.Succeeded}},
	} {
		f := Facts{Now: at(c.now), Started: noon, Timeout: time.Hour, CancelTimeout: 5 * time.Minute, Steps: map[int]StepFacts{},
			Variables: variable.Of(map[string]string{"go": "yes"})}
		if c.canceled > 0 {
			f.Canceled = at(c.canceled)
		}
		for i := range c.steps {
			c.steps[i].ID = i + 1
		}
		for i, s := range c.facts {
			f.Steps[i+1] = s
		}
		d := Next(c.steps, f)
		got := said{Kind: d.Kind, Result: d.Result, Reason: d.Reason, Until: d.Until, Late: d.Late}
		if d.Step != nil {
			got.Step = d.Step.ID
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}
