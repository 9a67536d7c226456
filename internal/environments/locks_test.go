package environments_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
)

func (w world) lock(t *testing.T, name string, timeout int) environments.Environment {
	t.Helper()
	e := w.ensure(t, name)
	if err := w.SetLock(context.Background(), e.ID, &environments.LockCheck{TimeoutMinutes: timeout}, ada); err != nil {
		t.Fatal(err)
	}
	return e
}

func (w world) want(t *testing.T, run slipway.RunID, behavior string, names ...string) {
	t.Helper()
	err := w.RequestChecks(context.Background(), environments.CheckRequest{Project: "p", ProjectName: "Shop", Run: run, Stage: "Deploy", Attempt: 1,
		Environments: names, RequestedBy: bob, Commit: "c0ffee", Pipeline: 1, LockBehavior: behavior})
	if err != nil {
		t.Fatal(err)
	}
}

func (w world) release(t *testing.T, run slipway.RunID) {
	t.Helper()
	for range 2 { // told twice
		if err := w.ReleaseChecks(context.Background(), run, "Deploy", 1); err != nil {
			t.Fatal(err)
		}
	}
}

// outcomes are what the pipeline was told, oldest first.
func (w world) outcomes(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, c := range w.checks(t) {
		list = append([]string{fmt.Sprintf("%d %s", c.Run, c.State)}, list...)
	}
	return list
}

func (w world) waits(t *testing.T, run slipway.RunID) string {
	t.Helper()
	waits, err := w.Waits(context.Background(), run)
	if err != nil {
		t.Fatal(err)
	}
	return waits["Deploy"]
}

func TestStagesTakeTheLockInTurn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		e := w.lock(t, "production", 0)
		for run := slipway.RunID(1); run <= 3; run++ {
			w.want(t, run, environments.Sequential, "production")
		}
		if diff := cmp.Diff([]string{"1 approved"}, w.outcomes(t)); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
		if got, want := w.waits(t, 3), "waits for run 1, stage Deploy, which has the exclusive lock of environment production; place 2 of those that wait"; got != want {
			t.Errorf("run 3 %s, want %s", got, want)
		}
		if got := w.waits(t, 1); got != "" {
			t.Errorf("who has the lock %s", got)
		}
		locks, err := w.Locks(context.Background(), e.ID)
		if err != nil || len(locks) != 3 || !locks[0].Held || locks[0].Run != 1 || locks[1].Held || locks[1].Run != 2 {
			t.Errorf("locks %+v, %v", locks, err)
		}
		w.release(t, 1)
		w = setup(t, d) // another server goes on from the rows
		w.release(t, 2)
		if diff := cmp.Diff([]string{"1 approved", "2 approved", "3 approved"}, w.outcomes(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestTheLatestRunTakesTheLock(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.lock(t, "production", 0)
		for run := slipway.RunID(1); run <= 3; run++ {
			w.want(t, run, "", "production")
		}
		w.release(t, 2) // its stage is over since it was canceled
		w.release(t, 1)
		if diff := cmp.Diff([]string{"1 approved", "2 cancelled", "3 approved"}, w.outcomes(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A lock comes after the approvals: who is not approved waits for nothing, and holds up nobody.
func TestApprovalsComeBeforeTheLock(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := context.Background(), setup(t, d)
		e := w.lock(t, "production", 10)
		if err := w.SetApproval(ctx, e.ID, &environments.ApprovalCheck{}, ada); err != nil {
			t.Fatal(err)
		}
		w.want(t, 1, environments.Sequential, "production")
		w.want(t, 2, environments.Sequential, "production")
		pending, err := w.PendingApprovals(ctx, "p")
		if err != nil || len(pending) != 2 {
			t.Fatalf("%d approvals, %v", len(pending), err)
		}
		if got, want := w.waits(t, 1), "waits for an approval of environment production"; got != want {
			t.Errorf("run 1 %s", got)
		}
		admin := environments.Caller{Actor: ada, Role: "administrator"}
		for _, a := range pending { // the newest first
			if _, err := w.Approve(ctx, admin, a.ID, ""); err != nil {
				t.Fatal(err)
			}
		}
		w.clock.pass(10 * time.Minute)
		if n, err := w.Expire(ctx); n != 1 || err != nil {
			t.Errorf("%d ended, %v; want the one that waits for the lock", n, err)
		}
		if diff := cmp.Diff([]string{"2 approved", "1 timed_out"}, w.outcomes(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestALockIsTakenAway(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := context.Background(), setup(t, d)
		e, other := w.lock(t, "production", 0), w.lock(t, "other", 0)
		w.want(t, 1, environments.Sequential, "production", "other")
		w.want(t, 2, environments.Sequential, "production")
		w.want(t, 3, environments.Sequential, "other", "production")
		if err := w.SetLock(ctx, e.ID, nil, ada); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"1 approved", "2 approved"}, w.outcomes(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if locks, err := w.Locks(ctx, other.ID); err != nil || len(locks) != 2 {
			t.Errorf("the other lock %+v, %v", locks, err)
		}
		if c, err := w.LockOf(ctx, e.ID); c != nil || err != nil {
			t.Errorf("the lock is still %+v, %v", c, err)
		}
		if err := w.SetLock(ctx, e.ID, &environments.LockCheck{TimeoutMinutes: -1}, ada); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("a negative timeout: %v", err)
		}
	})
}

// The end of a stage may be told of before its request, which then asks for nothing.
func TestAStageThatIsOverTakesNoLock(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.lock(t, "production", 0)
		w.release(t, 1)
		w.want(t, 1, "", "production")
		w.want(t, 2, "", "production")
		if diff := cmp.Diff([]string{"2 approved"}, w.outcomes(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// However many ask and end at once, one has the lock.
func TestOneStageHasTheLock(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		e := w.lock(t, "production", 0)
		var group sync.WaitGroup
		for run := slipway.RunID(1); run <= 8; run++ {
			group.Go(func() { w.want(t, run, environments.Sequential, "production") })
		}
		group.Wait()
		for n := 1; n <= 8; n++ {
			locks, err := w.Locks(context.Background(), e.ID)
			if err != nil || len(locks) != 9-n || !locks[0].Held || len(locks) > 1 && locks[1].Held {
				t.Fatalf("round %d: %+v, %v", n, locks, err)
			}
			group.Go(func() { w.release(t, locks[0].Run) })
			group.Go(func() { w.release(t, locks[0].Run) })
			group.Wait()
		}
		if n := len(w.outcomes(t)); n != 8 {
			t.Errorf("%d stages had the lock, want 8", n)
		}
	})
}
