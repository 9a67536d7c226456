package insights_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
)

func (w *world) evaluate(t *testing.T, at time.Time) {
	t.Helper()
	w.clock.now = at
	if err := w.Evaluate(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) events(t *testing.T, kind events.Kind) []events.Event {
	t.Helper()
	list, err := w.log.List(context.Background(), events.Filter{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (w *world) rules(t *testing.T) {
	t.Helper()
	for range 2 { // the second time changes nothing
		if err := w.CreateDefaultRules(context.Background(), "p"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFailingDeploymentFiresOnceAndResolves(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.rules(t)
		w.announce(t, 5, noon.Add(-time.Hour), noon.Add(-time.Hour))
		w.hundred(t, of(5, "shop"), noon.Add(-2*time.Minute), "GET /") // 10 % fail
		w.evaluate(t, noon)
		w.evaluate(t, noon.Add(10*time.Second))
		fired := w.events(t, insights.EventAlertFired)
		if len(fired) != 1 {
			t.Fatalf("fired %d times, want once", len(fired))
		}
		var p insights.AlertPayload
		if err := fired[0].Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.RuleName != "Failed requests" || p.Deployment != 5 || p.EnvironmentName != "dev" || p.Value != 0.1 || p.Commit != "commit5" ||
			p.Evidence.Requests != 100 || p.Evidence.Failed != 10 || len(p.Evidence.Samples) != 5 || p.Evidence.Operations[0].Name != "GET /" ||
			p.Message != "10 of 100 requests failed (10.0 %, more than 5.0 %) in 5 min" {
			t.Errorf("payload %+v", p)
		}
		for kind, want := range map[slipway.ReferenceKind]string{slipway.RefDeployment: "5", slipway.RefEnvironment: "1", slipway.RefCommit: "commit5", slipway.RefRun: "105"} {
			if got, _ := fired[0].Reference(kind); got != want {
				t.Errorf("reference to %s %q, want %q", kind, got, want)
			}
		}
		if trace, ok := fired[0].Reference(slipway.RefTrace); !ok || trace == "" {
			t.Error("no reference to a trace")
		}
		// Six minutes later there is no failed request in the window; 30 s of that resolve it.
		w.evaluate(t, noon.Add(6*time.Minute))
		w.evaluate(t, noon.Add(6*time.Minute+20*time.Second))
		if n := len(w.events(t, insights.EventAlertResolved)); n != 0 {
			t.Fatalf("resolved after 20 s")
		}
		w.evaluate(t, noon.Add(6*time.Minute+30*time.Second))
		w.evaluate(t, noon.Add(6*time.Minute+40*time.Second))
		if n := len(w.events(t, insights.EventAlertResolved)); n != 1 {
			t.Errorf("resolved %d times, want once", n)
		}
		list, err := w.Alerts(context.Background(), insights.AlertFilter{Project: "p"})
		if err != nil || len(list) != 1 || list[0].Resolved.IsZero() || list[0].Evidence.Failed != 10 {
			t.Errorf("alerts %+v, %v", list, err)
		}
		if list, err := w.Alerts(context.Background(), insights.AlertFilter{Project: "p", Firing: true}); err != nil || len(list) != 0 {
			t.Errorf("firing %+v, %v", list, err)
		}
	})
}

func TestTooFewRequestsDoNotFire(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.rules(t)
	w.announce(t, 5, noon.Add(-time.Hour), noon.Add(-time.Hour))
	for i := range 19 {
		w.write(t, request(of(5, "shop"), noon.Add(-time.Duration(i+1)*time.Second), "GET /", 9000, false))
	}
	w.evaluate(t, noon)
	if n := len(w.events(t, insights.EventAlertFired)); n != 0 {
		t.Fatalf("%d alerts with 19 requests", n)
	}
	w.write(t, request(of(5, "shop"), noon.Add(-20*time.Second), "GET /", 9000, false))
	w.evaluate(t, noon)
	names := map[string]bool{}
	for _, e := range w.events(t, insights.EventAlertFired) {
		var p insights.AlertPayload
		if err := e.Decode(&p); err != nil {
			t.Fatal(err)
		}
		names[p.RuleName] = true
	}
	if diff := cmp.Diff(map[string]bool{"Failed requests": true, "Slow requests": true}, names); diff != "" {
		t.Errorf("with 20 requests (-want +got):\n%s", diff)
	}
}

func TestRestartsAndPodsThatNeverComeUpFire(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.rules(t)
	w.announce(t, 5, noon.Add(-time.Hour), noon.Add(-time.Hour))
	crash := of(5, "shop")
	for i := range 6 { // 75 s, a restart each time
		c := container(crash, noon.Add(time.Duration(i*15)*time.Second), false, int64(i))
		c.State, c.Reason = "waiting", "CrashLoopBackOff"
		w.write(t, c)
	}
	w.evaluate(t, noon.Add(45*time.Second)) // three restarts, but down for less than a minute
	kinds := func() map[insights.RuleKind]int {
		got := map[insights.RuleKind]int{}
		for _, e := range w.events(t, insights.EventAlertFired) {
			var p insights.AlertPayload
			if err := e.Decode(&p); err != nil {
				t.Fatal(err)
			}
			got[p.RuleKind]++
			if diff := cmp.Diff([]string{"shop-0: CrashLoopBackOff"}, p.Evidence.Reasons); diff != "" {
				t.Errorf("%s: reasons (-want +got):\n%s", p.RuleKind, diff)
			}
		}
		return got
	}
	if diff := cmp.Diff(map[insights.RuleKind]int{insights.Restarts: 1}, kinds()); diff != "" {
		t.Errorf("after 45 s (-want +got):\n%s", diff)
	}
	w.evaluate(t, noon.Add(75*time.Second))
	if diff := cmp.Diff(map[insights.RuleKind]int{insights.Restarts: 1, insights.PodsDown: 1}, kinds()); diff != "" {
		t.Errorf("after 75 s (-want +got):\n%s", diff)
	}
}

// A deployment that is going on is its rollout's to judge, its restarts too when it succeeds in the end; the one before it
// serves meanwhile and is watched on.
func TestARolloutOpensNoAlert(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.rules(t)
		w.announce(t, 5, noon.Add(-time.Hour), noon.Add(-time.Hour))
		w.announce(t, 6, noon, time.Time{})
		alerts := func() (got []string) { // the newest first
			for _, e := range w.events(t, insights.EventAlertFired) {
				var p insights.AlertPayload
				if err := e.Decode(&p); err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s of %d", p.RuleName, p.Deployment))
			}
			return got
		}
		for i := range 5 {
			w.write(t, container(of(6, "shop"), noon.Add(time.Duration(i*15)*time.Second), false, int64(i)))
		}
		w.evaluate(t, noon.Add(61*time.Second))
		if got := alerts(); len(got) > 0 {
			t.Errorf("while it is going on: %q", got)
		}
		w.hundred(t, of(5, "shop"), noon, "GET /") // 10 % fail
		w.evaluate(t, noon.Add(2*time.Minute))
		if diff := cmp.Diff([]string{"Failed requests of 5"}, alerts()); diff != "" {
			t.Errorf("the deployment before it fails (-want +got):\n%s", diff)
		}
		w.announce(t, 6, noon, noon.Add(2*time.Minute))
		w.write(t, container(of(6, "shop"), noon.Add(121*time.Second), true, 4))
		w.evaluate(t, noon.Add(122*time.Second))
		if got := alerts(); len(got) != 1 {
			t.Errorf("after it succeeded: %q", got)
		}
		w.write(t, container(of(6, "shop"), noon.Add(136*time.Second), true, 7))
		w.evaluate(t, noon.Add(137*time.Second))
		if diff := cmp.Diff([]string{"Restarts of 6", "Failed requests of 5"}, alerts()); diff != "" {
			t.Errorf("when it crashes later (-want +got):\n%s", diff)
		}
	})
}

// A stop of the node and its start is nobody's fault: containers start again, each of them, and are not up at once.
func TestANodesRestartFiresNothing(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.rules(t)
	w.announce(t, 5, noon.Add(-time.Hour), noon.Add(-time.Hour))
	names := []string{"web", "orders", "database"}
	write := func(at time.Time, ready bool, restarts int64, sandbox time.Time) {
		for _, name := range names {
			c := container(of(5, name), at, ready, restarts)
			c.Sandbox = sandbox
			w.write(t, c)
		}
	}
	for i := range 4 {
		write(noon.Add(time.Duration(i-20)*15*time.Second), true, 0, noon.Add(-time.Hour))
	}
	for i := range 3 { // four minutes later
		write(noon.Add(time.Duration(i)*15*time.Second), i == 2, 1, noon.Add(-5*time.Second))
		w.evaluate(t, noon.Add(time.Duration(i)*15*time.Second))
	}
	if list := w.events(t, insights.EventAlertFired); len(list) > 0 {
		t.Errorf("%d alerts fired, the first: %s", len(list), list[0].Payload)
	}
	write(noon.Add(45*time.Second), true, 2, noon.Add(-5*time.Second)) // and now each crashes
	w.evaluate(t, noon.Add(45*time.Second))
	if list := w.events(t, insights.EventAlertFired); len(list) != 1 {
		t.Errorf("%d alerts fired, want the one for three crashes", len(list))
	}
}

func TestTheNextDeploymentResolvesTheAlertsOfTheOneBefore(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.rules(t)
	w.announce(t, 5, noon.Add(-time.Hour), noon.Add(-time.Hour))
	w.hundred(t, of(5, "shop"), noon.Add(-2*time.Minute), "GET /")
	w.evaluate(t, noon)
	w.announce(t, 6, noon, noon)
	w.evaluate(t, noon.Add(10*time.Second))
	if n := len(w.events(t, insights.EventAlertResolved)); n != 1 {
		t.Errorf("resolved %d, want 1", n)
	}
}

func TestSilenceFiresWhenAskedFor(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	if _, err := w.CreateRule(context.Background(), insights.Rule{Project: "p", Name: "Quiet", Kind: insights.NoTelemetry, Window: time.Minute, Enabled: true}); err != nil {
		t.Fatal(err)
	}
	w.announce(t, 5, noon.Add(-time.Hour), noon.Add(-time.Hour))
	w.evaluate(t, noon)
	w.write(t, request(of(5, "shop"), noon.Add(-30*time.Second), "GET /", 1, true))
	w.evaluate(t, noon)
	if n := len(w.events(t, insights.EventAlertFired)); n != 0 {
		t.Fatal("fired too early")
	}
	w.evaluate(t, noon.Add(31*time.Second))
	if n := len(w.events(t, insights.EventAlertFired)); n != 1 {
		t.Errorf("fired %d times, want once", n)
	}
}

func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.rules(t)
		ctx := context.Background()
		good := insights.Rule{Project: "p", Name: "Mine", Kind: insights.SlowRequests, Threshold: 100, Window: time.Minute, Minimum: 1, Enabled: true}
		made, err := w.CreateRule(ctx, good)
		if err != nil || made.ID == 0 {
			t.Fatalf("%+v, %v", made, err)
		}
		f := func(change func(r *insights.Rule), want slipway.Code) {
			t.Helper()
			r := good
			change(&r)
			if _, err := w.CreateRule(ctx, r); slipway.CodeOf(err) != want {
				t.Errorf("%+v: %v, want %s", r, err, want)
			}
		}
		f(func(*insights.Rule) {}, slipway.CodeConflict)
		f(func(r *insights.Rule) { r.Name = " " }, slipway.CodeInvalid)
		f(func(r *insights.Rule) { r.Kind = "odd" }, slipway.CodeInvalid)
		f(func(r *insights.Rule) { r.Window = time.Second }, slipway.CodeInvalid)
		f(func(r *insights.Rule) { r.Threshold = -1 }, slipway.CodeInvalid)
		f(func(r *insights.Rule) { r.Kind, r.Threshold = insights.FailedRequests, 5 }, slipway.CodeInvalid)
		made.Threshold = 250
		if err := w.UpdateRule(ctx, made); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Rule(ctx, "p", made.ID); err != nil || cmp.Diff(made, got) != "" {
			t.Errorf("after the update %+v, %v", got, err)
		}
		other := made
		other.Project = "another"
		if err := w.UpdateRule(ctx, other); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("another project's rule: %v", err)
		}
		list, err := w.Rules(ctx, "p")
		if err != nil || len(list) != len(insights.DefaultRules())+1 {
			t.Errorf("%d rules, %v", len(list), err)
		}
	})
}

func TestTheFirstTelemetryOfADeploymentIsToldOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.announce(t, 5, noon.Add(-time.Minute), time.Time{})
		r := of(5, "shop")
		w.write(t, container(r, noon, true, 0))
		w.write(t, &telemetry.Trace{Item: telemetry.Item{Resource: r, Time: noon}, Message: "started", Source: telemetry.SourceContainer})
		w.write(t, &telemetry.Metric{Item: telemetry.Item{Resource: r, Time: noon}, Name: "m"}) // waits for a trace
		if n := len(w.events(t, insights.EventTelemetrySeen)); n != 0 {
			t.Fatal("told before there was a trace")
		}
		first := request(r, noon, "GET /", 1, true)
		w.write(t, first)
		w.write(t, request(r, noon, "GET /", 1, true))
		seen := w.events(t, insights.EventTelemetrySeen)
		if len(seen) != 1 {
			t.Fatalf("told %d times, want once", len(seen))
		}
		var p insights.SeenPayload
		if err := seen[0].Decode(&p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(insights.SeenPayload{Deployment: 5, Environment: 1, Trace: first.OperationID, Pod: "ns/shop-0"}, p); diff != "" {
			t.Errorf("payload (-want +got):\n%s", diff)
		}
		if got, err := w.Deployment(context.Background(), 5); err != nil || !got.Seen.Equal(noon) {
			t.Errorf("deployment %+v, %v", got, err)
		}
		// One that sends no traces is told of after a while.
		w.announce(t, 6, noon, time.Time{})
		w.write(t, &telemetry.Metric{Item: telemetry.Item{Resource: of(6, "shop"), Time: noon}, Name: "m"})
		w.evaluate(t, noon.Add(10*time.Second))
		if n := len(w.events(t, insights.EventTelemetrySeen)); n != 1 {
			t.Fatal("told too early")
		}
		w.evaluate(t, noon.Add(30*time.Second))
		if n := len(w.events(t, insights.EventTelemetrySeen)); n != 2 {
			t.Errorf("told %d times, want twice", n)
		}
	})
}
