package localrun

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
)

// Choice narrows a run. Empty lists choose everything.
type Choice struct {
	// Stages and Jobs are names, without case. Those that are not chosen do not run, and nothing waits for them.
	Stages, Jobs []string
	// Steps are names or display names, without case, or numbers as `slipway plan` counts them, from 1. Checkouts run always, and jobs that have none of these steps
	// only when they are chosen.
	Steps []string
}

// apply leaves in the plan what is chosen.
func (c Choice) apply(p *plan.Plan) error {
	if len(c.Stages) > 0 && len(p.Stages) == 1 && p.Stages[0].Name == plan.DefaultStage {
		return slipway.Invalid("the pipeline has no stages: leave --stage out")
	}
	if len(c.Stages) > 0 {
		names := make([]string, len(p.Stages))
		for i := range p.Stages {
			names[i] = p.Stages[i].Name
		}
		if err := known("stage", c.Stages, names); err != nil {
			return err
		}
		p.Stages = slices.DeleteFunc(p.Stages, func(s plan.Stage) bool { return !among(c.Stages, s.Name) })
	}
	if len(c.Jobs) > 0 {
		var names []string
		for i := range p.Stages {
			for _, j := range p.Stages[i].Jobs {
				names = append(names, j.Name)
			}
		}
		if err := known("job", c.Jobs, names); err != nil {
			return err
		}
		for i := range p.Stages {
			s := &p.Stages[i]
			s.Jobs = slices.DeleteFunc(s.Jobs, func(j plan.Job) bool { return !among(c.Jobs, j.Name) })
		}
		p.Stages = slices.DeleteFunc(p.Stages, func(s plan.Stage) bool { return len(s.Jobs) == 0 })
	}
	if err := c.steps(p); err != nil {
		return err
	}
	c.forget(p)
	return nil
}

// forget removes dependencies on what is not chosen.
func (c Choice) forget(p *plan.Plan) {
	var stages []string
	for i := range p.Stages {
		stages = append(stages, p.Stages[i].Name)
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		s.DependsOn = slices.DeleteFunc(slices.Clone(s.DependsOn), func(name string) bool { return !among(stages, name) })
		var jobs []string
		for k := range s.Jobs {
			jobs = append(jobs, s.Jobs[k].Name)
		}
		for k := range s.Jobs {
			j := &s.Jobs[k]
			j.DependsOn = slices.DeleteFunc(slices.Clone(j.DependsOn), func(name string) bool { return !among(jobs, name) })
		}
	}
}

// steps disables those that are not chosen, and leaves out jobs without a chosen one, unless they are chosen themselves.
func (c Choice) steps(p *plan.Plan) error {
	if len(c.Steps) == 0 {
		return nil
	}
	found := map[string]bool{}
	var names []string
	for i := range p.Stages {
		s := &p.Stages[i]
		s.Jobs = slices.DeleteFunc(s.Jobs, func(j plan.Job) bool {
			chosen := false
			for _, st := range j.AllSteps() {
				names = append(names, st.DisplayName)
				if c.step(st, found) {
					chosen = true
				} else if st.Kind != plan.StepCheckout {
					st.Unchosen, st.Disabled = true, true
					st.Open = maps.Clone(st.Open)
					delete(st.Open, "enabled") // a variable does not choose it
				}
			}
			return !chosen && len(c.Jobs) == 0
		})
	}
	for _, want := range c.Steps {
		if !found[want] {
			instead := nearest.Suggest(want, names)
			if instead == "" && len(names) > 0 {
				instead = ": they have " + strings.Join(names[:min(len(names), 20)], ", ")
			}
			return slipway.Invalid("there is no step %q in the chosen jobs%s", want, instead)
		}
	}
	p.Stages = slices.DeleteFunc(p.Stages, func(s plan.Stage) bool { return len(s.Jobs) == 0 })
	return nil
}

// step says whether a step is chosen, and notes by which words.
func (c Choice) step(st *plan.Step, found map[string]bool) bool {
	chosen := false
	for _, want := range c.Steps {
		if strings.EqualFold(want, st.Name) || strings.EqualFold(want, st.DisplayName) || want == strconv.Itoa(st.ID) {
			found[want], chosen = true, true
		}
	}
	return chosen
}

func among(list []string, name string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, name) })
}

func known(what string, wanted, names []string) error {
	for _, name := range wanted {
		if !among(names, name) {
			instead := nearest.Suggest(name, names)
			if instead == "" && len(names) > 0 {
				instead = ": it has " + strings.Join(names[:min(len(names), 20)], ", ")
			}
			return slipway.Invalid("there is no %s %q in the pipeline%s", what, name, instead)
		}
	}
	return nil
}
