package schedule

import (
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Settle gives a plan the numbers and booleans that are known once the variables of its run are, such as
// `timeoutInMinutes: $[ variables.limit ]`. It reports whether there were any. A value that is none is a mistake of the file.
func Settle(p *plan.Plan, vars variable.Set) (changed bool, err error) {
	s := settler{env: expression.Environment{Names: withVariables(runValues(p, vars), vars)}}
	for i := range p.Stages {
		for k := range p.Stages[i].Jobs {
			s.job(&p.Stages[i].Jobs[k])
		}
	}
	return s.changed, s.err
}

type settler struct {
	env     expression.Environment
	changed bool
	err     error // the first one
}

// The bounds are those of the language's table.
const (
	mostMinutes = 60 * 24 * 365
	mostRetries = 10
)

func (s *settler) job(j *plan.Job) {
	if len(j.Open) > 0 {
		what := "job " + j.Name
		s.number(j.Open, "timeoutInMinutes", what, mostMinutes, j.At, &j.TimeoutInMinutes)
		s.number(j.Open, "cancelTimeoutInMinutes", what, mostMinutes, j.At, &j.CancelTimeoutInMinutes)
		if j.Strategy != nil {
			s.number(j.Open, "maxParallel", what, maxLegs, j.At, &j.Strategy.MaxParallel)
			s.slices(j, what)
		}
		s.boolean(j.Open, "continueOnError", what, j.At, &j.ContinueOnError)
		j.Open = nil
	}
	s.steps(j.Steps)
	if j.Deployment != nil {
		for i := range j.Deployment.Hooks {
			s.steps(j.Deployment.Hooks[i].Steps)
		}
	}
}

func (s *settler) steps(list []plan.Step) {
	for i := range list {
		step := &list[i]
		if len(step.Open) == 0 {
			continue
		}
		what := "step " + strconv.Quote(step.DisplayName)
		s.number(step.Open, "timeoutInMinutes", what, mostMinutes, step.At, &step.TimeoutInMinutes)
		s.number(step.Open, "retryCountOnTaskFailure", what, mostRetries, step.At, &step.Retries)
		s.boolean(step.Open, "continueOnError", what, step.At, &step.ContinueOnError)
		enabled := !step.Disabled
		s.boolean(step.Open, "enabled", what, step.At, &enabled)
		step.Disabled = !enabled
		step.Open = nil
	}
}

// value is what an open value came to, as text.
func (s *settler) value(open map[string]string, key string, at slipway.Position) (text string, ok bool) {
	source, ok := open[key]
	if !ok || s.err != nil {
		return "", false
	}
	s.changed = true
	e, err := expression.Parse(source, variableScope)
	if err == nil {
		var v expression.Value
		v, err = e.Evaluate(s.env)
		text = strings.TrimSpace(v.String())
	}
	if err != nil {
		s.err = slipway.Invalid("%s: %v", key, err).At(at)
	}
	return text, err == nil
}

func (s *settler) number(open map[string]string, key, what string, most int, at slipway.Position, into *int) {
	text, ok := s.value(open, key, at)
	if !ok {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		s.err = slipway.Invalid("%s of %s is %q when the run is queued: it must be a whole number from 0 to %d", key, what, text, most).At(at)
		return
	}
	*into = n
}

// slices gives a job the legs of `parallel`.
func (s *settler) slices(j *plan.Job, what string) {
	if _, ok := j.Open["parallel"]; !ok {
		return
	}
	n := 0
	if s.number(j.Open, "parallel", what, maxLegs, j.At, &n); s.err != nil {
		return
	}
	if n == 0 {
		s.err = slipway.Invalid("parallel of %s is 0 when the run is queued: it must be a whole number from 1 to %d", what, maxLegs).At(j.At)
		return
	}
	j.Strategy.Legs = plan.Slices(n)
}

func (s *settler) boolean(open map[string]string, key, what string, at slipway.Position, into *bool) {
	text, ok := s.value(open, key, at)
	if !ok {
		return
	}
	b, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		s.err = slipway.Invalid("%s of %s is %q when the run is queued: it must be true or false", key, what, text).At(at)
		return
	}
	*into = b
}
