package schedule

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Next decides what is to be done now. No action means: wait for a fact, or, if Facts.Result is set, that the run is
// over. It never changes facts.
func Next(p *plan.Plan, facts Facts) []Action {
	return After(p, facts, Changed{All: true}, &Memory{})
}

// Changed says which facts have changed since all that was decided before was recorded.
type Changed struct {
	// All is everything: the first time, and after a cancel or a retry.
	All bool
	// Stages by name and Jobs by instance ID.
	Stages, Jobs []string
}

// Memory is what After remembers of a run from one call to the next, so that it need not be computed again. The zero value
// remembers nothing.
type Memory struct {
	names     map[string]map[string]expression.Value // by stage
	variables map[string]resolved                    // by stage
	outer     map[string]expression.Value            // of the whole run
	jobs      map[string]map[string]jobPlace         // by stage and the job's name
}

// jobPlace says where a job stands in its stage.
type jobPlace struct {
	at         int   // in Stage.Jobs
	dependents []int // the jobs that wait for it
}

func (m *Memory) reset() {
	*m = Memory{names: map[string]map[string]expression.Value{}, variables: map[string]resolved{}, jobs: map[string]map[string]jobPlace{}}
}

// places are the places of a stage's jobs.
func (m *Memory) places(s *plan.Stage) map[string]jobPlace {
	if places, ok := m.jobs[s.Name]; ok {
		return places
	}
	places := make(map[string]jobPlace, len(s.Jobs))
	for i := range s.Jobs {
		places[s.Jobs[i].Name] = jobPlace{at: i}
	}
	for i := range s.Jobs {
		for _, name := range s.Jobs[i].DependsOn {
			if place, ok := places[name]; ok {
				place.dependents = append(place.dependents, i)
				places[name] = place
			}
		}
	}
	m.jobs[s.Name] = places
	return places
}

// jobNamed finds a job of a stage, nil without one.
func (m *Memory) jobNamed(s *plan.Stage, name string) *plan.Job {
	place, ok := m.places(s)[name]
	if !ok {
		return nil
	}
	return &s.Jobs[place.at]
}

// After is Next for a shell that says what has changed: it looks at that and at what depends on it, so that a decision in a run of
// thousands of jobs costs little. memory belongs to the run, and to one call at a time.
func After(p *plan.Plan, facts Facts, changed Changed, memory *Memory) []Action {
	if facts.Result != "" {
		return nil
	}
	switch {
	case changed.All || memory.names == nil:
		memory.reset()
	case len(facts.Groups) > 0: // one may have been changed
		clear(memory.variables)
	}
	r := &run{plan: p, facts: facts, changed: changed, changedJobs: map[string][]string{}, Memory: memory}
	for _, id := range changed.Jobs {
		stage, job, _ := plan.SplitInstanceID(id)
		r.changedJobs[stage] = append(r.changedJobs[stage], job)
	}
	for i := range p.Stages {
		if s := &p.Stages[i]; r.concernsStage(s) {
			r.stage(s)
		}
	}
	if !changed.All && len(changed.Stages) == 0 {
		return r.actions
	}
	if result, ok := facts.runResult(p); ok {
		r.add(Action{Kind: ActionCompleteRun, Result: result})
	}
	return r.actions
}

// run is one call of After.
type run struct {
	*Memory
	plan        *plan.Plan
	facts       Facts
	changed     Changed
	changedJobs map[string][]string // by stage
	actions     []Action
}

// anyOf reports whether one of the names is in the list.
func anyOf(list, names []string) bool {
	for _, name := range names {
		if slices.Contains(list, name) {
			return true
		}
	}
	return false
}

// concernsStage reports whether what changed is about a stage.
func (r *run) concernsStage(s *plan.Stage) bool {
	return r.changed.All || len(r.changedJobs[s.Name]) > 0 || slices.Contains(r.changed.Stages, s.Name) || anyOf(r.changed.Stages, s.DependsOn)
}

// concernedJobs are the jobs of a stage that what changed is about, in the order of the plan.
func (r *run) concernedJobs(s *plan.Stage) []int {
	var list []int
	if r.changed.All || slices.Contains(r.changed.Stages, s.Name) {
		for i := range s.Jobs {
			list = append(list, i)
		}
		return list
	}
	places := r.places(s)
	for _, name := range r.changedJobs[s.Name] {
		if place, ok := places[name]; ok {
			list = append(append(list, place.at), place.dependents...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
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
		for _, i := range r.concernedJobs(s) {
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
		r.skipStage(s, Failed, cmp.Or(facts.Reason, "a check of the stage was rejected"))
	case ChecksTimedOut:
		r.skipStage(s, Skipped, cmp.Or(facts.Reason, "a check of the stage was not answered in time"))
	case ChecksCanceled:
		r.skipStage(s, Canceled, cmp.Or(facts.Reason, "a later run of the pipeline overtook the stage at an exclusive lock"))
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
		if vaults := j.VaultGroups(); len(vaults) > 0 {
			set, _ := r.stageVariables(s) // what is wrong with them fails the stage
			for _, name := range vaults {
				if name = strings.TrimSpace(set.Expand(name)); !strings.Contains(name, "$(") && !slices.Contains(groups, name) {
					groups = append(groups, name)
				}
			}
		}
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

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
