package schedule

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slipway"
)

// at is a time of so many seconds.
func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

// lane has jobs of the given numbers, which also are their times in seconds.
func lane(project slipway.ProjectID, run slipway.RunID, pool string, jobs ...int64) Lane {
	l := Lane{Project: project, Run: run, Pool: pool}
	for _, n := range jobs {
		l.Jobs = append(l.Jobs, WaitingJob{ID: slipway.JobID(n), Queued: at(n)})
	}
	if len(l.Jobs) > 0 {
		l.Queued = l.Jobs[0].Queued
	}
	return l
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	busy := func(list ...Lane) (b Busy) {
		for _, l := range list {
			b.Add(l.Project, l.Run, l.Pool, 1)
		}
		return b
	}
	for name, c := range map[string]struct {
		lanes  []Lane
		busy   Busy
		limits Limits
		want   []slipway.JobID
	}{
		"no limit":      {[]Lane{lane("a", 1, "", 2, 3), lane("a", 2, "", 1)}, Busy{}, Limits{}, []slipway.JobID{1, 2, 3}},
		"by queue time": {[]Lane{lane("a", 1, "", 1, 4), lane("a", 2, "", 2, 3)}, Busy{}, Limits{Jobs: 3}, []slipway.JobID{1, 2, 3}},
		"a project with one job is not kept waiting by one with many": {[]Lane{lane("a", 1, "", 1, 2, 3, 4), lane("b", 2, "", 9)}, Busy{}, Limits{Jobs: 2},
			[]slipway.JobID{1, 9}},
		"who runs least is next": {[]Lane{lane("a", 1, "", 1), lane("b", 2, "", 9)}, busy(lane("a", 1, "")), Limits{Jobs: 2}, []slipway.JobID{9}},
		"all places are taken":   {[]Lane{lane("a", 1, "", 1)}, busy(lane("b", 2, "")), Limits{Jobs: 1}, nil},
		"a pool is full, another is not": {[]Lane{lane("a", 1, "gpu", 1, 2), lane("a", 1, "cpu", 3, 4)}, busy(lane("b", 2, "gpu")), Limits{Pools: map[string]int{"gpu": 2}},
			[]slipway.JobID{1, 3, 4}},
		"a run of few jobs at once lets others pass": {[]Lane{lane("a", 1, "", 1, 2), lane("a", 2, "", 3)}, Busy{}, Limits{RunJobs: 1}, []slipway.JobID{1, 3}},
		"of a project":             {[]Lane{lane("a", 1, "", 1, 2), lane("b", 2, "", 3)}, Busy{}, Limits{ProjectJobs: 1}, []slipway.JobID{1, 3}},
		"a project's own limit":    {[]Lane{lane("a", 1, "", 1, 2), lane("b", 2, "", 3, 4)}, Busy{}, Limits{Projects: map[slipway.ProjectID]ProjectLimits{"a": {Jobs: 1}}}, []slipway.JobID{1, 3, 4}},
		"the lower of both limits": {[]Lane{lane("a", 1, "", 1, 2, 3)}, Busy{}, Limits{ProjectJobs: 1, Projects: map[slipway.ProjectID]ProjectLimits{"a": {Jobs: 2}}}, []slipway.JobID{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Admit(c.lanes, c.busy, c.limits)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	full := Limits{Jobs: 1}.Full(busy(lane("a", 1, "")), lane("b", 2, "gpu"))
	if full != "this installation runs 1 jobs at once" {
		t.Errorf("says %q", full)
	}
}

// Whatever waits: no limit is passed, nothing that may start is left, nobody overtakes within a lane, and a project that got
// none runs no fewer jobs than one that did.
func TestAdmitKeepsToItsRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 4)
		l := Limits{Jobs: limit.Draw(t, "jobs"), ProjectJobs: limit.Draw(t, "project"), RunJobs: limit.Draw(t, "run"), Pools: map[string]int{"x": limit.Draw(t, "pool")}}
		var busy Busy
		var lanes []Lane
		waiting := map[slipway.JobID]Lane{}
		for i := range rapid.IntRange(0, 8).Draw(t, "lanes") {
			one := Lane{Project: rapid.SampledFrom([]slipway.ProjectID{"a", "b", "c"}).Draw(t, "of"), Pool: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "in")}
			one.Run = slipway.RunID(10 + i)
			for k := range rapid.IntRange(0, 4).Draw(t, "waiting") {
				one.Jobs = append(one.Jobs, WaitingJob{ID: slipway.JobID(100*i + k + 1), Queued: at(int64(rapid.IntRange(0, 3).Draw(t, "step") + 4*k))})
				waiting[one.Jobs[k].ID] = one
			}
			for n := rapid.IntRange(0, 2).Draw(t, "running"); n > 0 && l.Full(busy, one) == ""; n-- {
				busy.Add(one.Project, one.Run, one.Pool, 1)
			}
			lanes = append(lanes, one)
		}
		before := maps.Clone(busy.Projects)
		admitted := Admit(lanes, busy, l)
		started := map[slipway.ProjectID]bool{}
		for _, id := range admitted {
			one := waiting[id]
			if full := l.Full(busy, one); full != "" {
				t.Fatalf("job %d starts although %s", id, full)
			}
			busy.Add(one.Project, one.Run, one.Pool, 1)
			started[one.Project] = true
			delete(waiting, id)
		}
		for _, one := range lanes {
			left := false
			for _, j := range one.Jobs {
				_, waits := waiting[j.ID]
				if !waits && left {
					t.Fatalf("job %d overtakes another of its lane", j.ID)
				}
				left = left || waits
			}
			if left && l.Full(busy, one) == "" {
				t.Fatalf("a job of run %d is left though there is room", one.Run)
			}
			// Whom only the installation's limit keeps waiting has at least as many that run as any project that was let in had.
			if left && !started[one.Project] && l.Full(Busy{Total: 0, Projects: before, Runs: busy.Runs, Pools: busy.Pools}, one) == "" {
				for other := range started {
					if before[other] > before[one.Project] {
						t.Fatalf("project %s had %d and got more, %s had %d and got none", other, before[other], one.Project, before[one.Project])
					}
				}
			}
		}
		if slices.Contains(admitted, 0) {
			t.Fatal("a job without a number")
		}
	})
}
