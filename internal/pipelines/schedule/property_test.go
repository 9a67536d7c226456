package schedule

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// anyPlan is a random plan: any acyclic dependencies, conditions, legs and hooks.
func anyPlan(t *rapid.T) *plan.Plan {
	conditions := []string{"", "", "", "always()", "failed()", "succeededOrFailed()", "canceled()", "eq(variables.x, 'y')", "not(eq(variables.x, 'y'))"}
	condition := func(label string, dependsOn []string) string {
		if len(dependsOn) > 0 && rapid.IntRange(0, 5).Draw(t, "of a result") == 0 {
			return fmt.Sprintf("eq(dependencies.%s.result, 'Succeeded')", dependsOn[0])
		}
		return rapid.SampledFrom(conditions).Draw(t, label)
	}
	earlier := func(n int, name func(int) string, label string) []string {
		var list []string
		for i := range n {
			if rapid.IntRange(0, 2).Draw(t, label) == 0 {
				list = append(list, name(i))
			}
		}
		return list
	}
	p := &plan.Plan{Version: plan.Version}
	stages := rapid.IntRange(1, 4).Draw(t, "stages")
	for i := range stages {
		s := plan.Stage{Name: fmt.Sprintf("S%d", i), Manual: rapid.IntRange(0, 9).Draw(t, "manual") == 0}
		s.DependsOn = earlier(i, func(k int) string { return fmt.Sprintf("S%d", k) }, "stage dependency")
		s.Condition = condition("stage condition", s.DependsOn)
		for k := range rapid.IntRange(1, 4).Draw(t, "jobs") {
			j := plan.Job{Name: fmt.Sprintf("J%d", k), Kind: plan.JobAgent, ContinueOnError: rapid.Bool().Draw(t, "continue")}
			j.DependsOn = earlier(k, func(n int) string { return fmt.Sprintf("J%d", n) }, "job dependency")
			j.Condition = condition("job condition", j.DependsOn)
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				j.Strategy = &plan.Strategy{MaxParallel: rapid.IntRange(0, 2).Draw(t, "max")}
				for n := range rapid.IntRange(1, 4).Draw(t, "legs") {
					j.Strategy.Legs = append(j.Strategy.Legs, plan.Leg{Name: fmt.Sprintf("l%d", n)})
				}
			case 1:
				j.Kind = plan.JobDeployment
				j.Deployment = &plan.Deployment{Strategy: "runOnce", Environment: plan.EnvironmentReference{Name: "e"}}
				if rapid.Bool().Draw(t, "canary") {
					j.Deployment.Strategy = "canary"
					for _, share := range []int{10, 100} {
						j.Deployment.Hooks = append(j.Deployment.Hooks, plan.Hook{Name: plan.HookDeploy, Increment: share}, plan.Hook{Name: plan.HookRouteTraffic, Increment: share})
					}
					j.Deployment.Hooks = append(j.Deployment.Hooks, plan.Hook{Name: plan.HookSuccess}, plan.Hook{Name: plan.HookFailure})
					break
				}
				for _, h := range plan.HookOrder {
					if h == plan.HookDeploy || rapid.Bool().Draw(t, "hook") {
						j.Deployment.Hooks = append(j.Deployment.Hooks, plan.Hook{Name: h})
					}
				}
			}
			s.Jobs = append(s.Jobs, j)
		}
		p.Stages = append(p.Stages, s)
	}
	return p
}

// checkStart fails if a job starts before what it depends on is over, or too many legs run at once.
func checkStart(t fataler, p *plan.Plan, facts Facts, a Action) {
	s := p.Stage(a.Stage)
	j := s.Job(a.Job)
	if facts.Stages[a.Stage].State != Running {
		t.Fatalf("%s starts in a stage that is %q", a.Instance, facts.Stages[a.Stage].State)
	}
	for _, name := range s.DependsOn {
		if facts.Stages[name].State != Completed {
			t.Fatalf("%s starts before stage %s is over", a.Instance, name)
		}
	}
	for _, name := range j.DependsOn {
		state, result := facts.Job(s, s.Job(name))
		if state != Completed {
			t.Fatalf("%s starts before job %s is over", a.Instance, name)
		}
		if j.Condition == "" && !result.good() {
			t.Fatalf("%s starts after job %s is %s", a.Instance, name, result)
		}
	}
	if facts.Jobs[a.Instance].State != Pending {
		t.Fatalf("%s starts when it is %q", a.Instance, facts.Jobs[a.Instance].State)
	}
	if j.Strategy == nil || j.Strategy.MaxParallel == 0 {
		return
	}
	active := 1
	for _, in := range plan.Instances(s, j, nil) {
		if f := facts.Jobs[in.ID]; f.State == Queued || f.State == Running {
			active++
		}
	}
	if active > j.Strategy.MaxParallel {
		t.Fatalf("%d legs of %s run at once, at most %d may", active, a.Job, j.Strategy.MaxParallel)
	}
}

// checkRetry fails if a job is started again after its pod was lost that must not be.
func checkRetry(t fataler, p *plan.Plan, facts Facts, id string, next JobFacts) {
	stage, name, _ := plan.SplitInstanceID(id)
	f := facts.Jobs[id]
	switch {
	case p.Stage(stage).Job(name).Deployment != nil:
		t.Fatalf("deployment %s starts again", id)
	case facts.Canceled && !facts.Stages[stage].AfterCancel || f.CancelRequested:
		t.Fatalf("%s starts again though it was canceled", id)
	case next.State != Pending || next.Attempt != attempt(f.Attempt)+1 || next.Lost != f.Lost+1 || next.Lost > 3:
		t.Fatalf("%s, which was %+v, starts again as %+v", id, f, next)
	}
}

// doSome records some of the decided actions, in any number: the rest must be decided again.
func doSome(t *rapid.T, p *plan.Plan, facts Facts, starts map[string]int) (Facts, bool) {
	actions := Next(p, facts)
	if diff := cmp.Diff(actions, Next(p, facts)); diff != "" {
		t.Fatalf("the same facts give other actions\n%s", diff)
	}
	data, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	var stored Facts
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(actions, Next(p, stored)); diff != "" {
		t.Fatalf("stored facts give other actions\n%s", diff)
	}
	if len(actions) == 0 {
		(&oracle{t, p, facts}).rests()
		return facts, false
	}
	for _, a := range actions[:rapid.IntRange(1, len(actions)).Draw(t, "actions done")] {
		(&oracle{t, p, facts}).judge(a)
		if a.Kind == ActionStartJob {
			checkStart(t, p, facts, a)
			starts[fmt.Sprintf("%s#%d", a.Instance, a.Attempt)]++
		}
		before := facts
		facts = facts.Record(a)
		(&oracle{t, p, before}).recorded(a, facts)
	}
	return facts, true
}

// outside is something that happens outside: a job ends or is lost, a check is answered, a stage is started by hand, the run is canceled.
func outside(t *rapid.T, p *plan.Plan, facts Facts, mayCancel bool) (Facts, bool) {
	var jobs, checking []string
	for id, f := range facts.Jobs {
		if f.State == Queued || f.State == Running {
			jobs = append(jobs, id)
		}
	}
	for name, f := range facts.Stages {
		if f.State == Checking && f.Checks == ChecksPending {
			checking = append(checking, name)
		}
	}
	slices.Sort(jobs)
	slices.Sort(checking)
	if mayCancel && !facts.Canceled && rapid.IntRange(0, 9).Draw(t, "cancel") == 0 {
		facts.Canceled = true
		return facts, true
	}
	switch {
	case len(jobs) > 0:
		id := rapid.SampledFrom(jobs).Draw(t, "job")
		if rapid.IntRange(0, 5).Draw(t, "lost") == 0 {
			if next, again := RetryLost(p, facts, Loss{Instance: id, Reason: "its node was lost", Allowed: rapid.IntRange(0, 3).Draw(t, "retries")}); again {
				checkRetry(t, p, facts, id, next)
				facts.Jobs[id] = next
				return facts, true
			}
		}
		f := facts.Jobs[id]
		f.State, f.Result = Completed, rapid.SampledFrom([]Result{Succeeded, Succeeded, SucceededWithIssues, Failed, Canceled, Abandoned}).Draw(t, "result")
		facts.Jobs[id] = f
	case len(checking) > 0:
		name := checking[0]
		f := facts.Stages[name]
		f.Checks = rapid.SampledFrom([]CheckState{ChecksApproved, ChecksApproved, ChecksRejected, ChecksTimedOut, ChecksCanceled}).Draw(t, "check")
		facts.Stages[name] = f
	default:
		return facts, false
	}
	return facts, true
}

// startByHand starts the manual stages that wait.
func startByHand(p *plan.Plan, facts Facts) (Facts, bool) {
	started := false
	for i := range p.Stages {
		s := &p.Stages[i]
		if f := facts.Stages[s.Name]; s.Manual && f.State == Pending && !f.Started {
			if facts.Stages == nil {
				facts.Stages = map[string]StageFacts{}
			}
			f.Started = true
			facts.Stages[s.Name] = f
			started = true
		}
	}
	return facts, started
}

// play runs a plan to its end.
func play(t *rapid.T, p *plan.Plan, facts Facts, mayCancel bool, starts map[string]int) Facts {
	for range 2000 {
		more := false
		if facts, more = doSome(t, p, facts, starts); more {
			continue
		}
		if facts.Result != "" {
			return facts
		}
		if facts, more = outside(t, p, facts, mayCancel); more {
			continue
		}
		if facts, more = startByHand(p, facts); !more {
			t.Fatalf("the run stands still: %+v %+v", facts.Stages, facts.Jobs)
		}
	}
	t.Fatal("the run does not end")
	return facts
}

func TestEveryRunEndsInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(t)
		starts := map[string]int{}
		facts := Facts{Variables: variable.Of(map[string]string{"x": rapid.SampledFrom([]string{"y", "z"}).Draw(t, "x")}), Stages: map[string]StageFacts{}}
		for i := range p.Stages {
			if rapid.IntRange(0, 9).Draw(t, "unwanted") == 0 {
				facts.Stages[p.Stages[i].Name] = StageFacts{Unwanted: true}
			}
		}
		facts = play(t, p, facts, true, starts)
		for attempt, n := range starts {
			if n != 1 {
				t.Fatalf("%s started %d times", attempt, n)
			}
		}
		for i := range p.Stages {
			s := &p.Stages[i]
			if facts.Stages[s.Name].State != Completed || facts.Stages[s.Name].Result == "" {
				t.Fatalf("stage %s is left as %+v", s.Name, facts.Stages[s.Name])
			}
			for id, f := range facts.Jobs {
				if f.State != Completed || f.Result == "" {
					t.Fatalf("job %s is left as %+v", id, f)
				}
			}
		}
		if facts.Canceled != (facts.Result == Canceled) && facts.Canceled {
			t.Fatalf("a canceled run is %s", facts.Result)
		}
		if len(Next(p, facts)) != 0 {
			t.Fatal("a run that is over goes on")
		}
	})
}

func TestEveryRetryEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(t)
		starts := map[string]int{}
		facts := play(t, p, Facts{}, true, starts)
		for range 3 {
			again, ok := anyRetry(t, p, facts)
			if !ok {
				return
			}
			reset, err := Retry(p, facts, again)
			if err != nil {
				t.Fatal(err)
			}
			checkReset(t, p, facts, again, reset)
			before := facts
			facts = play(t, p, facts.Apply(reset), false, starts)
			for attempt, n := range starts {
				if n != 1 {
					t.Fatalf("%s started %d times", attempt, n)
				}
			}
			for id, f := range before.Jobs {
				if _, again := reset.Jobs[id]; !again && f.State == Completed && cmp.Diff(f, facts.Jobs[id]) != "" {
					t.Fatalf("%s, which was not to run again, was %+v and is %+v", id, f, facts.Jobs[id])
				}
			}
		}
	})
}

// anyRetry is what somebody may ask for in a run that is over.
func anyRetry(t *rapid.T, p *plan.Plan, facts Facts) (again Again, ok bool) {
	var failed []string
	for i := range p.Stages {
		if f := facts.Stages[p.Stages[i].Name]; !succeeds(f.Result) {
			failed = append(failed, p.Stages[i].Name)
		}
	}
	switch how := rapid.IntRange(0, 3).Draw(t, "how"); {
	case how == 0:
		return Again{Stage: p.Stages[rapid.IntRange(0, len(p.Stages)-1).Draw(t, "stage")].Name, All: true}, true
	case how == 1:
		s := &p.Stages[rapid.IntRange(0, len(p.Stages)-1).Draw(t, "stage")]
		return Again{Stage: s.Name, Job: s.Jobs[rapid.IntRange(0, len(s.Jobs)-1).Draw(t, "job")].Name}, true
	case len(failed) == 0:
		return again, false
	}
	return Again{Stage: rapid.SampledFrom(failed).Draw(t, "retried")}, true
}

// checkReset fails if a retry leaves out what it is for, takes what succeeded with it, or forgets a stage that depends on it.
func checkReset(t fataler, p *plan.Plan, facts Facts, again Again, reset Reset) {
	later := map[string]bool{again.Stage: true}
	for i := range p.Stages { // stages stand behind those that they depend on
		s := &p.Stages[i]
		later[s.Name] = later[s.Name] || slices.ContainsFunc(s.DependsOn, func(name string) bool { return later[name] })
		if n, ok := reset.Stages[s.Name]; ok != later[s.Name] || ok && n != attempt(facts.Stages[s.Name].Attempt)+1 {
			t.Fatalf("%+v: stage %s is reset %v to attempt %d", again, s.Name, ok, n)
		}
	}
	for id, f := range facts.Jobs {
		stage, name, _ := plan.SplitInstanceID(id)
		n, ok := reset.Jobs[id]
		j := p.Stage(stage).Job(name)
		switch {
		case ok && n != attempt(f.Attempt)+1:
			t.Fatalf("%+v: job %s goes from attempt %d to %d", again, id, f.Attempt, n)
		case !later[stage] && ok:
			t.Fatalf("%+v: job %s of another stage is reset", again, id)
		case stage != again.Stage:
			if later[stage] && !ok {
				t.Fatalf("%+v: job %s, which depends on it, is left", again, id)
			}
		case again.All || name == again.Job:
			if !ok {
				t.Fatalf("%+v: job %s is left", again, id)
			}
		case again.Job == "" && !succeeds(f.Result) && !ok && f.State == Completed:
			t.Fatalf("%+v: job %s, which is %s, is left", again, id, f.Result)
		case again.Job == "" && succeeds(f.Result) && ok && j.Deployment == nil:
			t.Fatalf("%+v: job %s, which succeeded, is reset", again, id)
		}
	}
}
