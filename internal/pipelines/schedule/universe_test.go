package schedule

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// universe is several runs that share machines and one locked environment. It plays the shell: it lets in jobs as Admit says,
// ends or loses them, answers checks by a lock, starts stages by hand, cancels runs and retries stages, and is killed now and then.
type universe struct {
	t    *testing.T
	seed uint64
	rand *rand.Rand
	kill *rand.Rand // nil for never
	// people cancel and retry. What that comes to depends on when it happens, so things happen in the same order then, killed or
	// not; without people they happen in another order, which must come to the same.
	people bool
	runs   []*liveRun
	limits Limits
	lock   []string // RUN/STAGE of who wants the lock, the first one has it
	clock  int64
}

type liveRun struct {
	id      slipway.RunID
	project slipway.ProjectID
	plan    *plan.Plan
	facts   Facts
	memory  Memory
	retries int
	queued  map[string]WaitingJob // by instance
	starts  map[string]int
	entries []Entry
	begin   Facts // before the first entry
}

// newUniverse has the runs of so many plans from the seed on.
func newUniverse(t *testing.T, seed, runs uint64, kills bool) *universe {
	t.Helper()
	u := &universe{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 1)), people: seed/runs%2 == 0}
	if kills {
		u.kill = rand.New(rand.NewPCG(seed, 2))
	}
	u.limits = Limits{Jobs: 1 + u.rand.IntN(4), RunJobs: u.rand.IntN(3), ProjectJobs: u.rand.IntN(4)}
	plans := rapid.Custom(anyPlan)
	for i := range runs {
		r := &liveRun{id: slipway.RunID(i + 1), project: slipway.ProjectID(fmt.Sprint(i % 2)), plan: plans.Example(int(seed + i)), queued: map[string]WaitingJob{}, starts: map[string]int{}}
		r.facts = Facts{Variables: variable.Of(map[string]string{"x": []string{"y", "z"}[i%2]}), Stages: map[string]StageFacts{}, Jobs: map[string]JobFacts{}}
		for k := range r.plan.Stages {
			if name := r.plan.Stages[k].Name; u.dice("unwanted", r, name, 12) == 0 {
				r.facts.Stages[name] = StageFacts{Unwanted: true}
			}
		}
		r.begin = r.facts
		u.runs = append(u.runs, r)
		u.commit(r, Changed{All: true}, func(*Facts) {})
	}
	return u
}

// commit is one transaction: something happens to a run, and what follows is recorded. A kill before its end loses all of it, and
// what happened is told again to the next server, which knows the stored facts alone.
func (u *universe) commit(r *liveRun, changed Changed, happens func(f *Facts)) {
	for killed := u.kill != nil && u.kill.IntN(4) == 0; ; killed = false {
		facts := r.facts
		facts = facts.With(Delta{Canceled: facts.Canceled, Result: facts.Result}) // a copy
		happens(&facts)
		actions, entries := u.decide(r, &facts, changed)
		if !killed {
			r.facts, r.entries = facts, append(r.entries, entries...)
			u.do(r, actions)
			u.oneHasTheLock()
			return
		}
		if !u.people {
			u.rand.Uint64() // and so what happens next is something else
		}
		stored, err := json.Marshal(r.facts)
		if err != nil {
			u.t.Fatal(err)
		}
		r.facts, r.memory, changed = Facts{}, Memory{}, Changed{All: true}
		if err := json.Unmarshal(stored, &r.facts); err != nil {
			u.t.Fatal(err)
		}
	}
}

// decide records what After decides until there is nothing more, which Next must then agree with.
func (u *universe) decide(r *liveRun, facts *Facts, changed Changed) (all []Action, entries []Entry) {
	for range 500 {
		actions := After(r.plan, *facts, changed, &r.memory)
		entries = append(entries, entryOf(*facts, changed, actions))
		changed = Changed{}
		for _, a := range actions {
			(&oracle{u.t, r.plan, *facts}).judge(a)
			if a.Kind == ActionStartJob {
				checkStart(u.t, r.plan, *facts, a)
			}
			before := *facts
			*facts = facts.Record(a)
			(&oracle{u.t, r.plan, before}).recorded(a, *facts)
			if a.Instance != "" {
				changed.Jobs = append(changed.Jobs, a.Instance)
			} else if a.Stage != "" {
				changed.Stages = append(changed.Stages, a.Stage)
			}
		}
		all = append(all, actions...)
		if len(actions) == 0 {
			if rest := Next(r.plan, *facts); len(rest) > 0 {
				u.t.Fatalf("seed %d, run %d: After leaves undecided: %+v", u.seed, r.id, rest[0])
			}
			(&oracle{u.t, r.plan, *facts}).rests()
			return all, entries
		}
	}
	u.t.Fatalf("seed %d, run %d does not come to rest", u.seed, r.id)
	return nil, nil
}

// entryOf is what a shell keeps of a decision, as it is read again.
func entryOf(facts Facts, changed Changed, actions []Action) Entry {
	e := Entry{Facts: Delta{All: changed.All, Canceled: facts.Canceled, Result: facts.Result, Stages: map[string]StageFacts{}, Jobs: map[string]JobFacts{}}}
	for _, name := range changed.Stages {
		e.Facts.Stages[name] = facts.Stages[name]
	}
	for _, id := range changed.Jobs {
		e.Facts.Jobs[id] = facts.Jobs[id]
	}
	if changed.All {
		maps.Copy(e.Facts.Stages, facts.Stages)
		maps.Copy(e.Facts.Jobs, facts.Jobs)
	}
	for _, a := range actions {
		e.Actions = append(e.Actions, a.Recorded())
	}
	return e
}

// replays fails if anything of a run would be decided otherwise, or if a decision is missed that was not made.
func (u *universe) replays(r *liveRun) {
	n := 0
	for moment := range Replay(r.plan, r.begin, r.entries) {
		if moment.Difference != "" {
			u.t.Fatalf("seed %d, run %d, entry %d of %d differs: %s", u.seed, r.id, n, len(r.entries), moment.Difference)
		}
		n++
	}
	// One that did something else is told from it.
	first := slices.IndexFunc(r.entries, func(e Entry) bool { return len(e.Actions) > 0 })
	e := r.entries[first]
	other := append(slices.Clone(r.entries[:first]), Entry{Facts: e.Facts, Actions: e.Actions[1:]})
	if moments := slices.Collect(Replay(r.plan, r.begin, other)); moments[first].Difference == "" {
		u.t.Fatalf("seed %d, run %d: nobody misses %+v", u.seed, r.id, e.Actions[0])
	}
}

// do does what was decided outside of the run.
func (u *universe) do(r *liveRun, actions []Action) {
	for _, a := range actions {
		switch a.Kind {
		case ActionStartJob:
			u.clock++
			r.queued[a.Instance] = WaitingJob{ID: slipway.JobID(u.clock), Queued: at(u.clock)}
			if r.starts[fmt.Sprintf("%s#%d", a.Instance, a.Attempt)]++; r.starts[fmt.Sprintf("%s#%d", a.Instance, a.Attempt)] > 1 {
				u.t.Fatalf("seed %d, run %d: %s starts twice", u.seed, r.id, a.Instance)
			}
		case ActionStartChecks:
			if len(a.Environments) > 0 {
				u.lock = append(u.lock, key(r, a.Stage))
			}
		case ActionSkipStage, ActionCompleteStage:
			u.lock = slices.DeleteFunc(u.lock, func(k string) bool { return k == key(r, a.Stage) })
		}
	}
}

func key(r *liveRun, stage string) string { return fmt.Sprintf("%d/%s", r.id, stage) }

// admit lets jobs run, never more than the limits allow.
func (u *universe) admit() {
	var busy Busy
	var lanes []Lane
	for _, r := range u.runs {
		lane := Lane{Project: r.project, Run: r.id}
		for id, f := range r.facts.Jobs {
			if f.State == Running {
				busy.Add(r.project, r.id, "", 1)
			} else if w, ok := r.queued[id]; ok && f.State == Queued && !f.CancelRequested {
				lane.Jobs = append(lane.Jobs, w)
			}
		}
		slices.SortFunc(lane.Jobs, func(a, b WaitingJob) int { return a.Queued.Compare(b.Queued) })
		lanes = append(lanes, lane)
	}
	for _, id := range Admit(lanes, busy, u.limits) {
		for _, r := range u.runs {
			for instance, w := range r.queued {
				if w.ID != id || r.facts.Jobs[instance].State != Queued {
					continue
				}
				u.commit(r, Changed{Jobs: []string{instance}}, func(f *Facts) {
					j := f.Jobs[instance]
					j.State = Running
					f.Jobs[instance] = j
				})
				u.keepsToLimits(instance)
			}
		}
	}
}

// keepsToLimits counts the jobs that run, by itself.
func (u *universe) keepsToLimits(latest string) {
	total, projects, runs := 0, map[slipway.ProjectID]int{}, map[slipway.RunID]int{}
	for _, r := range u.runs {
		for _, f := range r.facts.Jobs {
			if f.State == Running {
				total++
				projects[r.project]++
				runs[r.id]++
			}
		}
		if l := u.limits; total > l.Jobs || l.ProjectJobs > 0 && projects[r.project] > l.ProjectJobs || l.RunJobs > 0 && runs[r.id] > l.RunJobs {
			u.t.Fatalf("seed %d: %s starts though the limits are %+v: %d run, %v, %v", u.seed, latest, l, total, projects, runs)
		}
	}
}

// oneHasTheLock fails if two stages deploy at once to the environment, which is locked.
func (u *universe) oneHasTheLock() {
	deploying := 0
	for _, r := range u.runs {
		for i := range r.plan.Stages {
			if s := &r.plan.Stages[i]; s.Deploys() && r.facts.Stages[s.Name].State == Running {
				deploying++
			}
		}
	}
	if deploying > 1 {
		u.t.Fatalf("seed %d: %d stages deploy to a locked environment", u.seed, deploying)
	}
}

// dice is a number below n that is always the same for the same thing, in whatever order things happen.
func (u *universe) dice(what string, r *liveRun, of string, n uint32) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d %d %s", what, u.seed, r.id, of)
	return h.Sum32() % n
}

// outcome is how a job ends.
func (u *universe) outcome(r *liveRun, instance string) Result {
	outcomes := []Result{Succeeded, Succeeded, Succeeded, SucceededWithIssues, Failed, Canceled, Abandoned}
	return outcomes[u.dice(fmt.Sprint("ends ", r.retries), r, instance, uint32(len(outcomes)))]
}

// losses is how often the pod of a job is lost before it ends.
func (u *universe) losses(r *liveRun, instance string) int {
	return []int{0, 0, 0, 0, 1, 2, 5}[u.dice("lost", r, instance, 7)]
}

// over is a job that ends, or that is lost: of those that are lost two more attempts are made.
func (u *universe) over(r *liveRun, instance string, f *Facts) {
	j := f.Jobs[instance]
	if j.CancelRequested {
		j.State, j.Result = Completed, Canceled
		f.Jobs[instance] = j
		return
	}
	j.State, j.Result = Completed, u.outcome(r, instance)
	if j.Lost < u.losses(r, instance) {
		next, again := RetryLost(r.plan, *f, Loss{Instance: instance, Reason: "its node was lost", Allowed: 2})
		if j.Result = Failed; again {
			checkRetry(u.t, r.plan, *f, instance, next)
			j = next
		}
	}
	f.Jobs[instance] = j
}

// step lets one thing happen; false when nothing can.
func (u *universe) step() bool {
	u.admit()
	type event struct {
		run      *liveRun
		instance string
	}
	var running []event
	for _, r := range u.runs {
		for _, id := range slices.Sorted(maps.Keys(r.facts.Jobs)) {
			if f := r.facts.Jobs[id]; f.State == Running || f.State == Queued && f.CancelRequested {
				running = append(running, event{r, id})
			}
		}
	}
	if u.people && u.rand.IntN(20) == 0 && u.cancel() {
		return true
	}
	if len(running) > 0 {
		e := running[u.rand.IntN(len(running))]
		u.commit(e.run, Changed{Jobs: []string{e.instance}}, func(f *Facts) {
			u.over(e.run, e.instance, f)
		})
		return true
	}
	return u.pass() || u.byHand() || u.people && u.retry()
}

// cancel cancels one of the runs that are not over.
func (u *universe) cancel() bool {
	r := u.runs[u.rand.IntN(len(u.runs))]
	if r.facts.Result != "" || r.facts.Canceled {
		return false
	}
	u.commit(r, Changed{All: true}, func(f *Facts) { f.Canceled = true })
	return true
}

// retry runs a stage of a run that is over again, or one of its jobs, once in each run.
func (u *universe) retry() bool {
	for _, r := range u.runs {
		if r.facts.Result == "" || r.retries > 0 {
			continue
		}
		r.retries++
		again := Again{Stage: r.plan.Stages[u.rand.IntN(len(r.plan.Stages))].Name, All: true}
		if u.rand.IntN(2) == 0 {
			again = Again{Stage: again.Stage, Job: r.plan.Stage(again.Stage).Jobs[0].Name}
		}
		u.commit(r, Changed{All: true}, func(f *Facts) {
			reset, err := Retry(r.plan, *f, again)
			if err != nil {
				u.t.Fatalf("seed %d, run %d: %v", u.seed, r.id, err)
			}
			checkReset(u.t, r.plan, *f, again, reset)
			*f = f.Apply(reset)
		})
		return true
	}
	return false
}

// pass answers the checks of the stage that has the lock.
func (u *universe) pass() bool {
	for _, r := range u.runs {
		for i := range r.plan.Stages {
			s := &r.plan.Stages[i]
			f := r.facts.Stages[s.Name]
			if len(u.lock) > 0 && u.lock[0] == key(r, s.Name) && f.Checks == ChecksPending {
				u.commit(r, Changed{Stages: []string{s.Name}}, func(f *Facts) {
					st := f.Stages[s.Name]
					st.Checks = []CheckState{ChecksApproved, ChecksApproved, ChecksApproved, ChecksApproved, ChecksRejected, ChecksTimedOut, ChecksCanceled}[u.dice("checks", r, s.Name, 7)]
					f.Stages[s.Name] = st
				})
				return true
			}
		}
	}
	return false
}

func (u *universe) byHand() bool {
	for _, r := range u.runs {
		for i := range r.plan.Stages {
			s := &r.plan.Stages[i]
			if f := r.facts.Stages[s.Name]; s.Manual && f.State == Pending && !f.Started {
				u.commit(r, Changed{Stages: []string{s.Name}}, func(f *Facts) {
					st := f.Stages[s.Name]
					st.Started = true
					f.Stages[s.Name] = st
				})
				return true
			}
		}
	}
	return false
}

// play lets everything happen, and gives the end of each run.
func (u *universe) play() []Facts {
	for n := 0; u.step(); n++ {
		if n > 5000 {
			u.t.Fatalf("seed %d does not end", u.seed)
		}
	}
	var ends []Facts
	for _, r := range u.runs {
		if r.facts.Result == "" {
			u.t.Fatalf("seed %d: run %d stands still: %+v %+v", u.seed, r.id, r.facts.Stages, r.facts.Jobs)
		}
		u.replays(r)
		ends = append(ends, r.facts)
	}
	return ends
}

// Ten thousand plans, five at a time on machines of few places and with one lock: no job starts twice or before what it depends on, no
// limit is passed, one stage has the lock, every run ends, and it ends the same if the server is killed again and again, while people cancel
// runs and retry stages; and deciding again over what was recorded gives the same decisions.
func TestTenThousandPlans(t *testing.T) {
	t.Parallel()
	const plans, together = 10_000, 5
	for seed := uint64(0); seed < plans; seed += together {
		want := newUniverse(t, seed, together, false).play()
		got := newUniverse(t, seed, together, true).play()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d ends otherwise when the server is killed (-without +with)\n%s", seed, diff)
		}
	}
}
