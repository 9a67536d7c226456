package pipelines_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// hand is a clock that a test moves.
type hand struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hand) set(text string) {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = t
}

// forward lets time pass; the clock then gives the time in the place.
func (h *hand) forward(d time.Duration, place *time.Location) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d).In(place)
}

const nightly = "trigger: none\nschedules:\n- cron: 0 3 * * *\n  displayName: Nightly\n  branches: {include: [main, releases/*]}\nsteps:\n- bash: x\n"

// next lists the pipeline's schedules with their branches and times.
func (w *world) next() (list []string) {
	w.Helper()
	all, err := w.Schedules(context.Background(), 1)
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range all {
		list = append(list, s.DisplayName+" "+s.Ref+" "+s.Next.Format("01-02 15:04"))
	}
	return list
}

// passed wants some schedule to have started no run when it was last due, and why; "" for none that did not.
func (w *world) passed(want string) {
	w.Helper()
	all, err := w.Schedules(context.Background(), 1)
	if err != nil {
		w.Fatal(err)
	}
	got := ""
	for _, s := range all {
		if !s.Passed.IsZero() {
			got += s.Passed.Format("01-02 15:04 ") + s.PassedReason
		}
	}
	if got != want {
		w.Errorf("schedules started no run: %q, want %q", got, want)
	}
}

// Times are in UTC: where clocks are put forward or back, nothing is left out and nothing runs twice.
func TestSchedulesWhenClocksChange(t *testing.T) {
	t.Parallel()
	now := &hand{}
	now.set("2026-03-28 12:00") // in Europe clocks go forward at 01:00 on 29 March, and back at 01:00 on 25 October
	w := setupAt(t, dbtest.SQLite(t), now)
	w.source.text = "trigger: none\nschedules:\n- {cron: 30 1 * * *, displayName: Nightly, branches: {include: [main]}}\nsteps:\n- bash: x\n"
	w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commitOf(1)}
	w.pushPaths(1, "main")
	// Every quarter of an hour of the two nights, in the local time of a server in Europe, whose clock has no 02:30 on the one and two on the other.
	europe, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for i, night := range []struct{ from, next string }{{"2026-03-28 22:00", "03-30 01:30"}, {"2026-10-24 22:00", "10-26 01:30"}} {
		now.set(night.from)
		w.startOwed() // what is owed from before the night
		for _, r := range w.runs() {
			w.end(r.ID, schedule.Succeeded)
		}
		before := len(w.runs())
		w.source.tips["refs/heads/main"] = commitOf(int64(10 + i))
		for range 24 {
			now.forward(15*time.Minute, europe)
			w.startOwed()
		}
		if n := len(w.runs()) - before; n != 1 {
			t.Errorf("%d runs in the night from %s, want 1", n, night.from)
		}
		if got := w.next(); len(got) != 1 || got[0] != "Nightly refs/heads/main "+night.next {
			t.Errorf("after the night from %s: %v", night.from, got)
		}
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		w := setupAt(t, d, now)
		w.source.text = nightly
		w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commitOf(1)}
		w.pushPaths(1, "main")
		w.pushPaths(2, "feature") // its file has the schedule too, which is not for it
		if got := w.next(); len(got) != 1 || got[0] != "Nightly refs/heads/main 03-02 03:00" {
			t.Fatalf("schedules %v", got)
		}
		w.startOwed()
		if n := len(w.runs()); n != 0 {
			t.Fatalf("%d runs before the time", n)
		}
		now.set("2026-03-02 03:00")
		w.startOwed()
		w.startOwed()
		runs := w.runs()
		if len(runs) != 1 || runs[0].Reason != variable.ReasonSchedule || runs[0].ScheduleName != "Nightly" || runs[0].Commit != commitOf(1) || runs[0].Actor != slipway.System {
			t.Fatalf("runs %+v", runs)
		}
		if a := w.do(runs[0].ID, "__default.Job", job.Completion{Result: schedule.Failed}); a.Variables.Text("build.cronschedule.displayname") != "Nightly" || a.Variables.Text("Build.Reason") != "Schedule" ||
			a.Variables.Text("System.IsScheduled") != "True" || a.Variables.Text("Build.QueuedBy") != slipway.System.Name || a.Variables.Text("Build.RequestedFor") != slipway.System.Name {
			t.Errorf("variables %v", a.Variables)
		}
		// Nothing changed, but no run has succeeded yet. Four nights without a server are one run.
		now.set("2026-03-06 09:30")
		w.startOwed()
		w.startOwed()
		if runs = w.runs(); len(runs) != 2 {
			t.Fatalf("%d runs after nights without a server, want one more", len(runs))
		}
		if got := w.next(); got[0] != "Nightly refs/heads/main 03-07 03:00" {
			t.Errorf("schedules %v", got)
		}
		w.end(runs[1].ID, schedule.SucceededWithIssues)
		now.set("2026-03-07 03:00")
		w.startOwed()
		if n := len(w.runs()); n != 2 {
			t.Errorf("%d runs though nothing changed", n)
		}
		w.passed("03-07 03:00 nothing has changed since the last scheduled run that succeeded")
		w.source.tips["refs/heads/main"] = commitOf(3)
		w.pushPaths(3, "main")
		now.set("2026-03-08 03:00")
		w.startOwed()
		if runs := w.runs(); len(runs) != 3 || runs[2].Commit != commitOf(3) {
			t.Errorf("after a change: %+v", runs)
		}
		w.passed("")
	})
}

func TestSchedulesFollowTheFileOfTheBranch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		w, ctx := setupAt(t, d, now), context.Background()
		const two = "trigger: none\nschedules:\n- {cron: 0 4 * * *, displayName: Later, branches: {include: ['*']}, always: true}\n- {cron: 0 3 * * *, displayName: Nightly, branches: {include: [main]}}\nsteps:\n- bash: x\n"
		w.source.text = nightly
		w.source.files = map[slipway.CommitID]string{commitOf(2): two, commitOf(3): "steps:\n- bash: x\n", commitOf(4): "schedules: 7"}
		w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commitOf(1), "refs/heads/releases/1": commitOf(1), "refs/heads/feature": commitOf(2)}
		// A new pipeline reads all branches.
		p, err := w.CreateDefinition(ctx, pipelines.Definition{Project: "p", Name: "shop", Repository: "r", Path: pipelines.DefaultPath})
		if err != nil {
			t.Fatal(err)
		}
		w.startOwed()
		want := func(list ...string) {
			t.Helper()
			got := w.next()
			if len(got) != len(list) {
				t.Fatalf("schedules %v, want %v", got, list)
			}
			for _, one := range list {
				found := false
				for _, g := range got {
					found = found || g == one
				}
				if !found {
					t.Errorf("schedules %v, want %v", got, list)
				}
			}
		}
		want("Nightly refs/heads/main 03-02 03:00", "Nightly refs/heads/releases/1 03-02 03:00", "Later refs/heads/feature 03-02 04:00")
		w.pushPaths(2, "main")
		want("Nightly refs/heads/main 03-02 03:00", "Later refs/heads/main 03-02 04:00", "Nightly refs/heads/releases/1 03-02 03:00", "Later refs/heads/feature 03-02 04:00")
		w.pushPaths(1, "main") // delivered late
		w.pushPaths(4, "main") // broken: what was there stays
		want("Nightly refs/heads/main 03-02 03:00", "Later refs/heads/main 03-02 04:00", "Nightly refs/heads/releases/1 03-02 03:00", "Later refs/heads/feature 03-02 04:00")
		for i, branch := range []string{"releases/1", "feature"} {
			if _, err := w.Pushed(ctx, pipelines.Push{Event: int64(10 + i), Repository: "r", Ref: "refs/heads/" + branch}); err != nil { // deleted
				t.Fatal(err)
			}
		}
		want("Nightly refs/heads/main 03-02 03:00", "Later refs/heads/main 03-02 04:00")
		// A disabled pipeline lets the time pass.
		if err := w.SetDisabled(ctx, p.ID, true); err != nil {
			t.Fatal(err)
		}
		before := len(w.runs())
		now.set("2026-03-02 03:30")
		w.startOwed()
		want("Nightly refs/heads/main 03-03 03:00", "Later refs/heads/main 03-02 04:00")
		w.passed("03-02 03:00 the pipeline was disabled")
		if n := len(w.runs()); n != before {
			t.Errorf("%d runs of a disabled pipeline", n-before)
		}
		w.pushPaths(20, "main")
		w.source.files[commitOf(21)] = w.source.files[commitOf(3)]
		w.pushPaths(21, "main")
		want()
	})
}

// Two servers start a run that is due once.
func TestScheduleStartsOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		w := setupAt(t, d, now)
		other := setupAt(t, d, now)
		w.source.text, other.source.text = nightly, nightly
		w.pushPaths(1, "main")
		w.startOwed()
		now.set("2026-03-02 03:01")
		var group sync.WaitGroup
		for range 8 {
			group.Go(w.startOwed)
			group.Go(other.startOwed)
		}
		group.Wait()
		if n := len(w.runs()); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	})
}
