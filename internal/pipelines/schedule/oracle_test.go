package schedule

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/plan"
)

// What follows says once more, from the language's documentation and without the scheduler's code, what may be decided, and what must be
// once the scheduler rests: the conditions of anyPlan, what the parts of a stage or run come to together, hooks and cancels.

type fataler interface{ Fatalf(string, ...any) }

func succeeds(r Result) bool { return r == Succeeded || r == SucceededWithIssues }

func fails(r Result) bool { return r == Failed || r == Abandoned }

// conditionHolds answers the conditions of anyPlan. stopped says that the run was canceled and what is asked for is not spared; results are
// those of what is depended on directly, by name.
func conditionHolds(condition string, dependencies []Result, results map[string]Result, canceled, stopped bool, x string) bool {
	if name, ok := strings.CutPrefix(condition, "eq(dependencies."); ok {
		return results[strings.TrimSuffix(name, ".result, 'Succeeded')")] == Succeeded
	}
	switch condition {
	case "always()":
		return true
	case "canceled()":
		return canceled
	case "failed()":
		return !stopped && slices.ContainsFunc(dependencies, fails)
	case "succeededOrFailed()":
		return !stopped && !slices.Contains(dependencies, Canceled)
	case "eq(variables.x, 'y')":
		return x == "y"
	case "not(eq(variables.x, 'y'))":
		return x != "y"
	}
	return !stopped && !slices.ContainsFunc(dependencies, func(r Result) bool { return !succeeds(r) })
}

// together is what several results are: a failure outweighs a cancel, that a success with issues, that a success, and all that a skip.
func together(results []Result) Result {
	for _, r := range []Result{Failed, Abandoned, Canceled, SucceededWithIssues, Succeeded} {
		if slices.Contains(results, r) {
			if r == Abandoned {
				return Failed
			}
			return r
		}
	}
	return Skipped
}

// instanceFacts are those of the parts of a job, of which only whole counts if it is over.
func instanceFacts(facts Facts, s *plan.Stage, j *plan.Job) (parts []JobFacts, whole bool) {
	f := facts.Jobs[s.Name+"."+j.Name]
	if j.Strategy == nil && j.Deployment == nil || f.State == Completed {
		return []JobFacts{f}, true
	}
	for _, in := range plan.Instances(s, j, f.Legs) {
		parts = append(parts, facts.Jobs[in.ID])
	}
	return parts, false
}

// jobOver is what a job came to as the rest of the run sees it.
func jobOver(facts Facts, s *plan.Stage, j *plan.Job) (result Result, over bool) {
	var results []Result
	parts, _ := instanceFacts(facts, s, j)
	for _, f := range parts {
		if f.State != Completed {
			return "", false
		}
		results = append(results, f.Result)
	}
	if result = together(results); result == Failed && j.ContinueOnError {
		result = SucceededWithIssues
	}
	return result, true
}

func (o *oracle) jobHolds(s *plan.Stage, j *plan.Job) bool {
	var dependencies []Result
	results := map[string]Result{}
	for _, name := range j.DependsOn {
		result, _ := jobOver(o.facts, s, s.Job(name))
		dependencies, results[name] = append(dependencies, result), result
	}
	return conditionHolds(j.Condition, dependencies, results, o.facts.Canceled, o.facts.Canceled && !o.facts.Stages[s.Name].AfterCancel, o.facts.Variables.Text("x"))
}

func (o *oracle) stageHolds(s *plan.Stage) bool {
	var dependencies []Result
	results := map[string]Result{}
	for _, name := range s.DependsOn {
		f := o.facts.Stages[name]
		if results[name] = f.Result; !f.Unwanted {
			dependencies = append(dependencies, f.Result)
		}
	}
	return conditionHolds(s.Condition, dependencies, results, o.facts.Canceled, o.facts.Canceled, o.facts.Variables.Text("x"))
}

// oracle judges what is decided over some facts.
type oracle struct {
	t     fataler
	plan  *plan.Plan
	facts Facts
}

// judge fails if an action is none that may be done now.
func (o *oracle) judge(a Action) {
	if a.Kind == ActionCompleteRun {
		o.judgeEnd(a)
		return
	}
	s := o.plan.Stage(a.Stage)
	f := o.facts.Stages[s.Name]
	bad := func(why string) { o.t.Fatalf("%s %s%s %s: %s", a.Kind, a.Stage, a.Instance, a.Result, why) }
	switch a.Kind {
	case ActionStartChecks:
		switch {
		case f.State != Pending || f.Unwanted || s.Manual && !f.Started:
			bad("the stage may not begin")
		case !o.stageHolds(s):
			bad("its condition does not hold")
		case s.Deploys() != (len(a.Environments) > 0):
			bad("the environments that are asked are not those of its deployments")
		}
	case ActionStartStage:
		if f.State != Checking || f.Checks != ChecksApproved {
			bad("its checks are not approved")
		}
		if a.AfterCancel != o.facts.Canceled || o.facts.Canceled && !o.stageHolds(s) {
			bad("it starts in a run that was canceled")
		}
	case ActionSkipStage:
		o.judgeSkippedStage(s, f, a.Result, bad)
	case ActionCompleteStage:
		o.judgeStageEnd(s, f, a.Result, bad)
	default:
		o.judgeJob(s, a, bad)
	}
}

// recorded fails if what was decided is not in the facts that follow.
func (o *oracle) recorded(a Action, after Facts) {
	stage, job := after.Stages[a.Stage], after.Jobs[a.Instance]
	ok := true
	switch a.Kind {
	case ActionStartChecks:
		ok = stage.State == Checking && stage.Checks != ""
	case ActionStartStage:
		ok = stage.State == Running && stage.AfterCancel == a.AfterCancel
	case ActionSkipStage, ActionCompleteStage:
		ok = stage.State == Completed && stage.Result == a.Result && stage.Reason == a.Reason
	case ActionStartJob:
		ok = job.State == Queued && job.Attempt == a.Attempt
	case ActionSkipJob:
		ok = job.State == Completed && job.Result == a.Result && job.Reason == a.Reason
	case ActionCancelJob:
		ok = job.CancelRequested
	case ActionCompleteRun:
		ok = after.Result == a.Result
	}
	if !ok {
		o.t.Fatalf("%+v is recorded as %+v %+v", a, stage, job)
	}
}

func (o *oracle) judgeEnd(a Action) {
	var results []Result
	for i := range o.plan.Stages {
		f := o.facts.Stages[o.plan.Stages[i].Name]
		if f.State != Completed {
			o.t.Fatalf("the run ends before stage %s is over", o.plan.Stages[i].Name)
		}
		results = append(results, f.Result)
	}
	want := together(results)
	if o.facts.Canceled {
		want = Canceled
	}
	if a.Result != want {
		o.t.Fatalf("the run ends as %s, want %s of stages that are %v", a.Result, want, results)
	}
}

func (o *oracle) judgeSkippedStage(s *plan.Stage, f StageFacts, result Result, bad func(string)) {
	want := Skipped
	switch {
	case f.State == Pending && f.Unwanted:
	case f.State == Pending && o.stageHolds(s) && !(s.Manual && !f.Started && o.facts.Canceled):
		bad("its condition holds")
	case f.State == Checking && f.Checks == ChecksRejected && !(o.facts.Canceled && !o.stageHolds(s)):
		want = Failed
	case f.State == Checking && f.Checks == ChecksCanceled:
		want = Canceled
	case f.State == Checking && f.Checks != ChecksTimedOut && !(o.facts.Canceled && !o.stageHolds(s)):
		bad("its checks say nothing against it")
	case f.State != Pending && f.State != Checking:
		bad("it has begun")
	}
	if o.facts.Canceled && !f.Unwanted && (f.State == Pending || !o.stageHolds(s)) {
		want = Canceled
	}
	if result != want {
		bad("want " + string(want))
	}
}

func (o *oracle) judgeStageEnd(s *plan.Stage, f StageFacts, result Result, bad func(string)) {
	var results []Result
	for i := range s.Jobs {
		r, over := jobOver(o.facts, s, &s.Jobs[i])
		if !over {
			bad("job " + s.Jobs[i].Name + " is not over")
		}
		results = append(results, r)
	}
	want := together(results)
	if o.facts.Canceled && slices.Contains(results, Canceled) {
		want = Canceled // what was stopped weighs more than what had failed before
	}
	if f.State != Running || result != want {
		bad("want " + string(want))
	}
}

func (o *oracle) judgeJob(s *plan.Stage, a Action, bad func(string)) {
	j := s.Job(a.Job)
	f := o.facts.Jobs[a.Instance]
	switch a.Kind {
	case ActionStartJob:
		if !o.jobHolds(s, j) {
			bad("its condition does not hold")
		}
		if j.Deployment != nil && !o.hookIsNext(s, j, a.Instance) {
			bad("its hook is not the next one")
		}
	case ActionSkipJob:
		if f.State != Pending {
			bad("it has begun")
		}
		if o.jobHolds(s, j) && (j.Deployment == nil || a.Instance == s.Name+"."+j.Name || o.hookIsNext(s, j, a.Instance)) {
			bad("its condition holds")
		}
		if want := map[bool]Result{true: Canceled, false: Skipped}[o.facts.Canceled]; a.Result != want {
			bad("want " + string(want))
		}
	case ActionCancelJob:
		if !o.facts.Canceled || o.facts.Stages[s.Name].AfterCancel || o.jobHolds(s, j) || f.State != Queued && f.State != Running || f.CancelRequested {
			bad("nothing asks for its end")
		}
	default:
		bad("no plan of the test gives this")
	}
}

// hookIsNext says whether a hook of a deployment may start: those before it are over, and went as it wants.
func (o *oracle) hookIsNext(s *plan.Stage, j *plan.Job, instance string) bool {
	failed, well := false, true
	for _, in := range plan.Instances(s, j, nil) {
		own := in.Hook.Name != plan.HookFailure && in.Hook.Name != plan.HookSuccess
		f := o.facts.Jobs[in.ID]
		if in.ID == instance {
			return in.Hook.Name == plan.HookFailure && failed || in.Hook.Name != plan.HookFailure && well
		}
		if f.State != Completed {
			return false
		}
		if own && !succeeds(f.Result) {
			well, failed = false, failed || fails(f.Result)
		}
	}
	return false
}

// rests fails if something could go on that waits, once nothing more is decided.
func (o *oracle) rests() {
	if o.facts.Result != "" {
		return
	}
	open := false
	for i := range o.plan.Stages {
		s := &o.plan.Stages[i]
		f := o.facts.Stages[s.Name]
		open = open || f.State != Completed
		waits := slices.ContainsFunc(s.DependsOn, func(name string) bool { return o.facts.Stages[name].State != Completed })
		switch {
		case f.State == Pending && !waits && (f.Unwanted || !s.Manual || f.Started || o.facts.Canceled):
			o.t.Fatalf("stage %s waits for nothing", s.Name)
		case f.State == Checking && f.Checks != ChecksPending:
			o.t.Fatalf("stage %s, whose checks are %s, waits for nothing", s.Name, f.Checks)
		case f.State == Checking && o.facts.Canceled && !o.stageHolds(s):
			o.t.Fatalf("stage %s waits for checks in a run that was canceled", s.Name)
		case f.State == Running:
			o.restsIn(s)
		}
	}
	if !open {
		o.t.Fatalf("all stages are over and the run is not")
	}
}

func (o *oracle) restsIn(s *plan.Stage) {
	open := false
	for i := range s.Jobs {
		j := &s.Jobs[i]
		parts, _ := instanceFacts(o.facts, s, j)
		active, pending := 0, 0
		for _, f := range parts {
			switch f.State {
			case Pending:
				pending++
			case Queued, Running:
				active++
				if o.facts.Canceled && !o.facts.Stages[s.Name].AfterCancel && !o.jobHolds(s, j) && !f.CancelRequested {
					o.t.Fatalf("nobody told job %s.%s that the run was canceled", s.Name, j.Name)
				}
			}
		}
		open = open || active+pending > 0
		waits := slices.ContainsFunc(j.DependsOn, func(name string) bool { _, over := jobOver(o.facts, s, s.Job(name)); return !over })
		switch {
		case pending == 0 || waits:
		case j.Deployment != nil && active > 0: // hook by hook
		case j.Strategy != nil && j.Strategy.MaxParallel > 0 && active >= j.Strategy.MaxParallel:
		default:
			o.t.Fatalf("%d parts of job %s.%s wait for nothing", pending, s.Name, j.Name)
		}
	}
	if !open {
		o.t.Fatalf("all jobs of stage %s are over and it is not", s.Name)
	}
}
