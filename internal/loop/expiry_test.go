package loop

import (
	"sync"
	"testing"
	"time"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// movedClock is a clock that a test moves on.
type movedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movedClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A build of an older target is queued anew when its time is over, though nothing else happens; once, and not of a draft.
func TestExpiredBuildIsQueuedAnew(t *testing.T) {
	t.Parallel()
	c := &movedClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w := newReviewWorldAt(t, c)
	ctx := t.Context()
	w.commit("topic", "hats", "1\n")
	p, err := w.Repos.CreatePullRequest(ctx, repos.NewPullRequest{Repository: w.repo.ID, Source: "topic", Target: "main", Title: "Sell hats", Actor: w.ada})
	if err != nil {
		t.Fatal(err)
	}
	w.commit("main", "shoes", "1\n")
	// It is optional, so that main can be pushed to.
	_, err = w.Repos.CreatePolicy(ctx, w.ada, policy.Policy{Project: w.project, Kind: policy.Build, Enabled: true, Scope: policy.Scope{Match: policy.DefaultBranch},
		Settings: policy.Settings{BuildDefinitionID: int64(w.pipeline), QueueOnSourceUpdateOnly: true, ValidDuration: 120}})
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	wantRuns := func(when string, want int) []pipelines.Run {
		t.Helper()
		if err := w.considerExpired(ctx); err != nil {
			t.Fatal(err)
		}
		w.deliver()
		list, err := w.Pipelines.List(ctx, pipelines.RunFilter{Project: w.project, Ref: p.MergeRef()})
		if err != nil || len(list) != want {
			t.Fatalf("%s: %d runs, %v; want %d", when, len(list), err, want)
		}
		return list
	}
	w.end(wantRuns("at first", 1)[0].ID, schedule.Succeeded)
	w.deliver()
	c.pass(3 * time.Hour)
	wantRuns("while the target stands", 1)
	w.commit("main", "boots", "1\n")
	w.deliver()
	w.end(wantRuns("when the target has moved, hours later", 2)[0].ID, schedule.Succeeded)
	w.deliver()
	w.commit("main", "socks", "1\n")
	w.deliver()
	c.pass(2*time.Hour - time.Second)
	wantRuns("a second before it expires", 2)
	c.pass(time.Second)
	wantRuns("when it expires", 3)
	c.pass(time.Hour)
	wantRuns("while the new one is under way", 3)
	if left, err := w.Repos.Expired(ctx); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
