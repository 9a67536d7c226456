package insights_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/insights"
	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// settable is a clock that tests move.
type settable struct{ now time.Time }

func (c *settable) Now() time.Time { return c.now }

type world struct {
	*insights.Service
	db    *db.DB
	log   *events.Log
	clock *settable
}

func setup(t testing.TB, d *db.DB) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{db: d, clock: &settable{noon}}
	logger := slog.New(slog.DiscardHandler)
	var err error
	if w.log, err = events.Open(ctx, d, clock.System{}, logger); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(ctx, store.Options{Folder: t.TempDir(), MemoryLimit: "512MB", BatchWait: 2 * time.Millisecond, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.Service, err = insights.Open(ctx, insights.Options{DB: d, Log: w.log, Clock: w.clock, Store: st, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) write(t testing.TB, rows ...telemetry.Row) {
	t.Helper()
	b := &telemetry.Batch{}
	for _, r := range rows {
		b.Add(r)
	}
	if err := w.Ingest(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func (w *world) announce(t testing.TB, id slipway.DeploymentID, started, completed time.Time) {
	t.Helper()
	err := w.Announce(context.Background(), insights.Deployment{ID: id, Project: "p", Environment: 1, EnvironmentName: "dev", Commit: slipway.CommitID(fmt.Sprintf("commit%d", id)),
		Run: slipway.RunID(100 + id), Started: started, Completed: completed, Succeeded: !completed.IsZero()})
	if err != nil {
		t.Fatal(err)
	}
}

func of(deployment slipway.DeploymentID, service string) *telemetry.Resource {
	return &telemetry.Resource{Project: "p", Environment: 1, Deployment: deployment, Service: service, Namespace: "ns", Pod: service + "-0"}
}

func request(r *telemetry.Resource, at time.Time, name string, ms int, success bool) *telemetry.Request {
	id := fmt.Sprintf("%016x", at.UnixNano())
	return &telemetry.Request{Item: telemetry.Item{Resource: r, Time: at, OperationID: "trace" + id}, ID: id, Name: name, ResultCode: "200",
		Duration: time.Duration(ms) * time.Millisecond, Success: success}
}

// hundred writes 100 requests of 1 ms to 100 ms, a second apart, every tenth failed.
func (w *world) hundred(t testing.TB, r *telemetry.Resource, from time.Time, name string) {
	t.Helper()
	rows := []telemetry.Row{}
	for i := range 100 {
		rows = append(rows, request(r, from.Add(time.Duration(i)*time.Second), name, i+1, i%10 != 0))
	}
	w.write(t, rows...)
}

// latency is that of hundred: 1 to 100 by the linear interpolation that quantile_cont and NumPy's percentile share
// (numpy.percentile(range(1, 101), [50, 95, 99]) is 50.5, 95.05, 99.01).
var latency = insights.Latency{Count: 100, Failed: 10, P50: 50500 * time.Microsecond, P95: 95050 * time.Microsecond, P99: 99010 * time.Microsecond}

var nearly = cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Microsecond })

func TestOperationsByLatency(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.hundred(t, of(1, "shop"), noon.Add(-10*time.Minute), "GET /")
	w.write(t, request(of(1, "shop"), noon.Add(-time.Minute), "POST /", 7, true), request(of(2, "cart"), noon.Add(-time.Minute), "GET /", 9, true))
	other := of(1, "shop")
	other.Project = "another"
	w.write(t, request(other, noon.Add(-time.Minute), "GET /", 5, false))
	f := insights.Filter{Project: "p", Service: "shop", From: noon.Add(-1000 * time.Second), To: noon}
	got, err := w.Operations(context.Background(), f, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []insights.OperationLatency{
		{Name: "GET /", Service: "shop", Latency: latency, Rate: 0.1},
		{Name: "POST /", Service: "shop", Latency: insights.Latency{Count: 1, P50: 7e6, P95: 7e6, P99: 7e6}, Rate: 0.001},
	}
	if diff := cmp.Diff(want, got, nearly); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	slow, err := w.Requests(context.Background(), f, "", insights.Slowest, 2)
	if err != nil || len(slow) != 2 || slow[0].Duration != 100*time.Millisecond || slow[1].Duration != 99*time.Millisecond || slow[0].OperationID == "" {
		t.Errorf("slowest %+v, %v", slow, err)
	}
	failed, err := w.Requests(context.Background(), f, "GET /", insights.Failed, 0)
	if err != nil || len(failed) != 10 || failed[0].Duration != 91*time.Millisecond {
		t.Errorf("failed %+v, %v", failed, err)
	}
}

func TestRequestSeriesHasNoHoles(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.hundred(t, of(1, "shop"), noon.Add(-10*time.Minute), "GET /")
	got, err := w.RequestSeries(context.Background(), insights.Filter{Project: "p", From: noon.Add(-11 * time.Minute), To: noon.Add(-7 * time.Minute)}, "", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	counts, failed := []int64{}, []int64{}
	for _, p := range got.Points {
		counts, failed = append(counts, p.Count), append(failed, p.Failed)
	}
	if diff := cmp.Diff([][]int64{{0, 60, 40, 0}, {0, 6, 4, 0}}, [][]int64{counts, failed}); diff != "" {
		t.Errorf("counts, failed (-want +got):\n%s", diff)
	}
	if want := noon.Add(-11 * time.Minute); !got.Points[0].Time.Equal(want) {
		t.Errorf("begins at %v, want %v", got.Points[0].Time, want)
	}
	for _, bad := range []time.Duration{time.Millisecond, 1500 * time.Millisecond} {
		if _, err := w.RequestSeries(context.Background(), insights.Filter{Project: "p"}, "", bad); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("bin %v: %v, want invalid", bad, err)
		}
	}
}

func TestSampledRequestsCountForAllTheyStandFor(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	r := request(of(1, "shop"), noon.Add(-time.Minute), "GET /", 5, false)
	r.Count = 20
	w.write(t, r)
	h, err := w.Health(context.Background(), insights.Filter{Project: "p"})
	if err != nil || h.Requests.Count != 20 || h.Requests.Failed != 20 {
		t.Errorf("health %+v, %v", h, err)
	}
}

func container(r *telemetry.Resource, at time.Time, ready bool, restarts int64) *telemetry.Container {
	c := *r
	c.Container = "main"
	return &telemetry.Container{Item: telemetry.Item{Resource: &c, Time: at}, CPU: 0.25, Memory: 64 << 20, CPULimit: 1, MemoryLimit: 128 << 20, Measured: true,
		Ready: ready, Restarts: restarts, State: "running"}
}

func TestHealthCountsPodsRestartsAndFailures(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	up, down, gone := of(1, "up"), of(1, "down"), of(1, "gone")
	for _, ago := range []time.Duration{45, 30, 15} {
		at := noon.Add(-ago * time.Second)
		w.write(t, container(up, at, true, 1), container(down, at, false, int64(60-ago)/15), container(gone, at.Add(-5*time.Minute), true, 0))
	}
	w.hundred(t, up, noon.Add(-10*time.Minute), "GET /")
	w.write(t, &telemetry.Exception{Item: telemetry.Item{Resource: up, Time: noon.Add(-time.Minute)}, Type: "E"})
	got, err := w.Health(context.Background(), insights.Filter{Project: "p", Deployment: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := insights.Health{PodsUp: 1, Pods: 2, Restarts: 2, Requests: latency, Exceptions: 1, LastSeen: noon.Add(-501 * time.Second)}
	if diff := cmp.Diff(want, got, nearly); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	pods, err := w.Pods(context.Background(), insights.Filter{Project: "p"})
	if err != nil || len(pods) != 3 {
		t.Fatalf("pods %+v, %v", pods, err)
	}
	ups := map[string]bool{}
	for _, p := range pods {
		ups[p.Name] = p.Up
	}
	if diff := cmp.Diff(map[string]bool{"up-0": true, "down-0": false, "gone-0": false}, ups); diff != "" {
		t.Errorf("up (-want +got):\n%s", diff)
	}
	series, err := w.ContainerSeries(context.Background(), insights.Filter{Project: "p", From: noon.Add(-time.Minute), To: noon}, time.Minute)
	if err != nil || len(series) != 1 || series[0].CPU != 0.5 || series[0].Memory != 128<<20 || series[0].Pods != 2 {
		t.Errorf("series %+v, %v", series, err)
	}
}

func TestLogsAreSearched(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	r := of(1, "shop")
	line := func(ago time.Duration, message string, s telemetry.Severity) *telemetry.Trace {
		return &telemetry.Trace{Item: telemetry.Item{Resource: r, Time: noon.Add(-ago), OperationID: "op"}, Message: message, Severity: s, Source: telemetry.SourceContainer}
	}
	w.write(t, line(3*time.Minute, "Order 12 placed", telemetry.SeverityInformation), line(2*time.Minute, "100% of ORDERS late", telemetry.SeverityWarning),
		line(time.Minute, "tick", telemetry.SeverityVerbose),
		&telemetry.Exception{Item: telemetry.Item{Resource: r, Time: noon.Add(-30 * time.Second)}, Type: "OrderError", Message: "gone", Stack: "at x", Severity: telemetry.SeverityError})
	f := func(q insights.LogQuery, want ...string) {
		t.Helper()
		q.Project = "p"
		got, err := w.Logs(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		messages := []string{}
		for _, l := range got {
			messages = append(messages, l.Message)
		}
		if diff := cmp.Diff(want, messages); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", q, diff)
		}
	}
	f(insights.LogQuery{}, "OrderError: gone", "tick", "100% of ORDERS late", "Order 12 placed")
	f(insights.LogQuery{Text: "order"}, "OrderError: gone", "100% of ORDERS late", "Order 12 placed")
	f(insights.LogQuery{Text: "0% of"}, "100% of ORDERS late")
	f(insights.LogQuery{Severity: telemetry.SeverityWarning}, "OrderError: gone", "100% of ORDERS late")
	f(insights.LogQuery{OperationID: "op", Limit: 1}, "tick")
	f(insights.LogQuery{Filter: insights.Filter{To: noon.Add(-2 * time.Minute)}}, "Order 12 placed")
	groups, err := w.Exceptions(context.Background(), insights.Filter{Project: "p"}, 0)
	if err != nil || len(groups) != 1 || groups[0].Type != "OrderError" || groups[0].Count != 1 {
		t.Errorf("exceptions %+v, %v", groups, err)
	}
	services, err := w.Services(context.Background(), insights.Filter{Project: "p"})
	if err != nil || len(services) != 1 || services[0] != "shop" {
		t.Errorf("services %v, %v", services, err)
	}
}

func TestUsageCountsUsersAndSessions(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	r := of(1, "shop")
	item := func(user, session string) telemetry.Item {
		return telemetry.Item{Resource: r, Time: noon.Add(-time.Minute), UserID: user, SessionID: session}
	}
	robot := item("robot", "r")
	robot.SyntheticSource = "Bot"
	w.write(t, &telemetry.PageView{Item: item("ada", "1"), Name: "home"}, &telemetry.PageView{Item: item("ada", "2"), Name: "home"},
		&telemetry.PageView{Item: item("bob", "3"), Name: "cart"}, &telemetry.Event{Item: item("cyd", "4"), Name: "bought"},
		&telemetry.Event{Item: item("", ""), Name: "bought"}, &telemetry.PageView{Item: robot, Name: "home"})
	got, err := w.Usage(context.Background(), insights.Filter{Project: "p", From: noon.Add(-2 * time.Minute), To: noon}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := insights.Usage{Users: 3, Sessions: 4, PageViews: 3, Events: 2, Bin: time.Minute,
		Series: []insights.UsagePoint{{Time: noon.Add(-2 * time.Minute)}, {Time: noon.Add(-time.Minute), Users: 3, Sessions: 4, PageViews: 3, Events: 2}},
		Pages:  []insights.UsageName{{Name: "home", Count: 2, Users: 1, Sessions: 2}, {Name: "cart", Count: 1, Users: 1, Sessions: 1}},
		Named:  []insights.UsageName{{Name: "bought", Count: 2, Users: 1, Sessions: 1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestCompareSetsADeploymentAgainstTheOneBefore(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.announce(t, 1, noon.Add(-3*time.Hour), noon.Add(-3*time.Hour))
	w.announce(t, 2, noon.Add(-31*time.Minute), noon.Add(-30*time.Minute))
	w.hundred(t, of(1, "shop"), noon.Add(-40*time.Minute), "GET /")
	w.write(t, request(of(1, "shop"), noon.Add(-2*time.Hour), "GET /", 1, true)) // before the window
	w.write(t, request(of(2, "shop"), noon.Add(-20*time.Minute), "GET /", 400, false))
	got, err := w.Compare(context.Background(), 2, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(latency, got.Before.Requests, nearly); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	if got.Now.Requests.Count != 1 || got.Now.Requests.FailedRate() != 1 || got.Before.Deployment.ID != 1 || got.Now.Deployment.Commit != "commit2" {
		t.Errorf("now %+v, before %+v", got.Now, got.Before)
	}
	if len(got.Operations) != 1 || got.Operations[0].Now.Count != 1 || got.Operations[0].Before.Count != 100 {
		t.Errorf("operations %+v", got.Operations)
	}
	if _, err := w.Compare(context.Background(), 1, time.Hour); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("the first deployment: %v, want not found", err)
	}
}

func TestOperationIsATree(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	r := of(1, "shop")
	item := func(at int, parent string) telemetry.Item {
		return telemetry.Item{Resource: r, Time: noon.Add(time.Duration(at) * time.Millisecond), OperationID: "op", ParentID: parent}
	}
	w.write(t,
		&telemetry.Dependency{Item: item(3, "a"), ID: "c", Name: "c"}, &telemetry.Dependency{Item: item(1, "a"), ID: "b", Name: "b"},
		&telemetry.Trace{Item: item(2, "b"), Message: "log in b"}, &telemetry.Request{Item: item(4, "c"), ID: "d", Name: "d"},
		&telemetry.Request{Item: item(0, "elsewhere"), ID: "a", Name: "a"},
		&telemetry.Dependency{Item: item(5, "y"), ID: "x", Name: "x"}, &telemetry.Dependency{Item: item(6, "x"), ID: "y", Name: "y"}) // a circle
	w.clock.now = noon.Add(time.Minute)
	rows, err := w.Operation(context.Background(), "p", "op", time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, r := range rows {
		got = append(got, fmt.Sprint(r.Depth, " ", r.Name))
	}
	if diff := cmp.Diff([]string{"0 a", "1 b", "2 log in b", "1 c", "2 d", "0 x", "1 y"}, got); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if _, err := w.Operation(context.Background(), "another", "op", time.Time{}, time.Time{}); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("another project: %v, want not found", err)
	}
	origins, err := w.TraceOrigins(context.Background(), "op")
	if err != nil || len(origins) != 1 || origins[0].Deployment != 1 || origins[0].Pod != "shop-0" {
		t.Errorf("origins %+v, %v", origins, err)
	}
}
