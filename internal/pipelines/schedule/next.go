package schedule

import (
	"maps"
	"slices"
	"strconv"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Next decides what is to be done now. No action means: wait for a fact, or, if Facts.Result is set, that the run is
// over. It never changes facts.
func Next(p *plan.Plan, facts Facts) []Action {
	if facts.Result != "" {
		return nil
	}
	r := &run{plan: p, facts: facts, names: map[string]map[string]expression.Value{}, variables: map[string]resolved{}}
	for i := range p.Stages {
		r.stage(&p.Stages[i])
	}
	if result, ok := facts.runResult(p); ok {
		r.add(Action{Kind: ActionCompleteRun, Result: result})
	}
	return r.actions
}

// run is one call of Next.
type run struct {
	plan      *plan.Plan
	facts     Facts
	actions   []Action
	names     map[string]map[string]expression.Value // by stage
	variables map[string]resolved                    // by stage
	outer     map[string]expression.Value            // of the whole run
}

type resolved struct {
	set variable.Set
	err error
}

func (r *run) add(a Action) { r.actions = append(r.actions, a) }

func (r *run) stage(s *plan.Stage) {
	facts := r.facts.Stages[s.Name]
	switch facts.State {
	case Pending:
		r.pendingStage(s, facts)
	case Checking:
		r.checkedStage(s, facts)
	case Running:
		for i := range s.Jobs {
			r.job(s, &s.Jobs[i])
		}
		if result, ok := r.facts.stageResult(s); ok {
			r.add(Action{Kind: ActionCompleteStage, Stage: s.Name, Attempt: attempt(facts.Attempt), Result: result})
		}
	}
}

func (r *run) skipStage(s *plan.Stage, result Result, reason string) {
	r.add(Action{Kind: ActionSkipStage, Stage: s.Name, Attempt: attempt(r.facts.Stages[s.Name].Attempt), Result: result, Reason: reason})
}

// skipResult is the result of what does not start: canceled if a cancel is why.
func (r *run) skipResult() Result {
	if r.facts.Canceled {
		return Canceled
	}
	return Skipped
}

func (r *run) pendingStage(s *plan.Stage, facts StageFacts) {
	if facts.Unwanted {
		r.skipStage(s, Skipped, "the stage was left out when the run was queued")
		return
	}
	if _, ready := r.stageDependencies(s); !ready {
		return
	}
	holds, why, err := r.stageCondition(s)
	switch {
	case err != nil:
		r.skipStage(s, Failed, err.Error())
	case !holds:
		r.skipStage(s, r.skipResult(), why)
	case s.Manual && !facts.Started:
		if r.facts.Canceled {
			r.skipStage(s, Canceled, "the run was canceled before anybody started the stage")
		}
	default:
		environments, groups := r.checksOf(s)
		r.add(Action{Kind: ActionStartChecks, Stage: s.Name, Attempt: attempt(facts.Attempt), Reason: why, Environments: environments, Groups: groups})
	}
}

func (r *run) stageCondition(s *plan.Stage) (holds bool, why string, err error) {
	dependencies, _ := r.stageDependencies(s)
	set, err := r.stageVariables(s)
	if err != nil {
		return false, "", err
	}
	return decide(s.Condition, dependencies, r.facts.Canceled, false, withVariables(r.stageNames(s), set))
}

// checkedStage goes on with a stage whose checks have been asked for.
func (r *run) checkedStage(s *plan.Stage, facts StageFacts) {
	if r.facts.Canceled {
		if holds, why, err := r.stageCondition(s); err != nil || !holds {
			r.skipStage(s, Canceled, why)
			return
		}
	}
	switch facts.Checks {
	case ChecksApproved:
		r.add(Action{Kind: ActionStartStage, Stage: s.Name, Attempt: attempt(facts.Attempt), AfterCancel: r.facts.Canceled})
	case ChecksRejected:
		r.skipStage(s, Failed, "a check of the stage was rejected")
	case ChecksTimedOut:
		r.skipStage(s, Skipped, "a check of the stage was not answered in time")
	}
}

// checksOf are the environments and variable groups of a stage, each once, in the order of the plan.
func (r *run) checksOf(s *plan.Stage) (environments []plan.EnvironmentReference, groups []string) {
	addGroups := func(vars []plan.Variable) {
		for _, v := range vars {
			if v.Group != "" && !slices.Contains(groups, v.Group) {
				groups = append(groups, v.Group)
			}
		}
	}
	addGroups(r.plan.Variables)
	addGroups(s.Variables)
	for i := range s.Jobs {
		j := &s.Jobs[i]
		addGroups(j.Variables)
		if j.Deployment == nil {
			continue
		}
		e := r.environment(s, j)
		if !slices.ContainsFunc(environments, func(o plan.EnvironmentReference) bool { return o.Name == e.Name && o.Resource == e.Resource }) {
			environments = append(environments, e)
		}
	}
	return environments, groups
}

func attempt(n int) int { return max(n, 1) }

func itoa(n int) string { return strconv.Itoa(n) }

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
