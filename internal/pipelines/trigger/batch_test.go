package trigger

import (
	"testing"

	"slipway/internal/pipelines/plan"
)

// The rule is that of "Batching CI runs" in Microsoft's documentation: what is pushed while a run is under way is built
// together afterwards.
func TestRule35Batch(t *testing.T) {
	t.Parallel()
	src := plan.Push{Batch: true, Paths: plan.Filter{Include: []string{"src"}}}
	push := func(section plan.Push, paths ...string) Waiting {
		return Waiting{section, Event{Ref: "refs/heads/main", Paths: paths}}
	}
	f := func(underWay bool, want Batch, waiting ...Waiting) {
		t.Helper()
		if got := NextBatch(underWay, waiting); got != want {
			t.Errorf("under way %v, %+v: %v, want %v", underWay, waiting, got, want)
		}
	}
	f(false, BatchWaits)
	f(true, BatchWaits, push(src, "src/a"))
	f(false, BatchStarts, push(src, "src/a"))
	f(false, BatchEnds, push(src, "docs/a"))
	f(false, BatchStarts, push(src, "src/a"), push(src, "docs/a")) // the paths of all count
	f(false, BatchEnds, push(src, "docs/a"), push(src, "docs/b"))
	f(false, BatchEnds, push(src, "src/a"), push(plan.Push{None: true}, "src/b")) // the newest file decides
	unknown := push(src)
	unknown.Event.PathsUnknown = true
	f(false, BatchStarts, unknown, push(src, "docs/a"))
}

func TestRule36Scheduled(t *testing.T) {
	t.Parallel()
	f := func(branches plan.Filter, branch string, want bool) {
		t.Helper()
		if got := Scheduled(plan.Schedule{Branches: branches}, "refs/heads/"+branch, "refs/heads/main"); got != want {
			t.Errorf("%+v on %s: %v", branches, branch, got)
		}
	}
	daily := plan.Filter{Include: []string{"main", "releases/*"}, Exclude: []string{"releases/ancient/*"}} // the example of the documentation
	f(daily, "main", true)
	f(daily, "releases/1", true)
	f(daily, "releases/ancient/1", false)
	f(daily, "feature", false)
	f(plan.Filter{Exclude: []string{"x"}}, "feature", true) // as if it included *
	f(plan.Filter{Exclude: []string{"x"}}, "x", false)
	f(plan.Filter{}, "main", true)
	f(plan.Filter{}, "feature", false)
}

// The rows are those of the table of always and batch in the documentation of schedules.cron.
func TestRule36AlwaysAndBatch(t *testing.T) {
	t.Parallel()
	f := func(always, batch, changed, underWay, want bool) {
		t.Helper()
		runs := ScheduledRuns{Succeeded: "1", UnderWay: underWay}
		commit := "1"
		if changed {
			commit = "2"
		}
		if got, why := Due(always, batch, commit, runs); got != want {
			t.Errorf("always %v batch %v changed %v under way %v: %v, %s", always, batch, changed, underWay, got, why)
		}
	}
	f(false, false, false, false, false)
	f(false, false, true, false, true)
	f(false, false, true, true, true)
	f(false, true, false, false, false)
	f(false, true, true, false, true)
	f(false, true, true, true, false)
	f(true, false, false, true, true)
	f(true, true, false, true, true)
	if starts, _ := Due(false, true, "1", ScheduledRuns{}); !starts {
		t.Error("the first time starts nothing")
	}
}
