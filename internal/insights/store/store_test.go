package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	o.MemoryLimit = "512MB"
	s, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func count(t testing.TB, s *store.Store, query string, args ...any) int64 {
	t.Helper()
	n, err := store.One(context.Background(), s, func(row interface{ Scan(...any) error }, n *int64) error { return row.Scan(n) }, query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func item(r *telemetry.Resource, at time.Time) telemetry.Item {
	return telemetry.Item{Resource: r, Time: at, OperationID: "4bf92f3577b34da6a3ce929d0e0e4736", Dimensions: `{"k":"v"}`}
}

// one row of every table, every field of its own set.
func everyRow() *telemetry.Batch {
	r := &telemetry.Resource{Project: "p", Environment: 1, EnvironmentName: "dev", Deployment: 7, Commit: "c", Run: 9, Image: "sha256:1", Service: "shop",
		Version: "1", Instance: "i", Namespace: "n", Pod: "pod", Container: "main", Node: "node", SDK: "otel:go"}
	b := &telemetry.Batch{}
	b.Add(&telemetry.Request{Item: item(r, noon), ID: "a", Name: "GET /", URL: "/", Source: "s", ResultCode: "200", Duration: 1500 * time.Microsecond, Success: true})
	b.Add(&telemetry.Dependency{Item: item(r, noon), ID: "b", Name: "SELECT", Target: "db", Type: "postgresql", Data: "SELECT 1", ResultCode: "0", Duration: time.Second, Success: true})
	b.Add(&telemetry.Exception{Item: item(r, noon), ProblemID: "E", Type: "E", Message: "m", Stack: "s", Severity: telemetry.SeverityError, HandledAt: "UserCode"})
	b.Add(&telemetry.Trace{Item: item(r, noon), Message: "hello", Severity: telemetry.SeverityWarning, Source: "stdout"})
	b.Add(&telemetry.Event{Item: item(r, noon), Name: "bought"})
	b.Add(&telemetry.Metric{Item: item(r, noon), Name: "m", Namespace: "n", Unit: "ms", Type: "gauge", Temporality: "delta", Value: 1.5, Count: 1, Min: 1, Max: 2, StdDev: 3})
	b.Add(&telemetry.PageView{Item: item(r, noon), ID: "v", Name: "home", URL: "/", Duration: time.Second})
	b.Add(&telemetry.Availability{Item: item(r, noon), ID: "w", Name: "ping", Location: "here", Message: "ok", Duration: time.Second, Success: true})
	b.Add(&telemetry.Container{Item: item(r, noon), CPU: 0.5, Memory: 1 << 20, CPULimit: 1, MemoryLimit: 2 << 20, Measured: true, Restarts: 2, Ready: true, State: "running", Reason: "r"})
	b.Add(&telemetry.KubernetesEvent{Item: item(r, noon), ObjectKind: "Pod", ObjectName: "pod", Type: "Warning", Reason: "BackOff", Message: "m", Component: "kubelet"})
	return b
}

func TestEveryTableTakesItsRow(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{BatchWait: time.Millisecond})
	if err := s.Write(context.Background(), everyRow()); err != nil {
		t.Fatal(err)
	}
	for k := range telemetry.Kind(telemetry.KindCount) {
		n := count(t, s, `SELECT count(*) FROM `+k.String()+`
			WHERE "timestamp" = $1 AND project = 'p' AND environment = 1 AND deployment = 7 AND run = 9 AND commitId = 'c' AND cloud_RoleName = 'shop'
			  AND pod = 'pod' AND node = 'node' AND sdkVersion = 'otel:go' AND itemCount = 1 AND (customDimensions->>'k') = 'v'`, noon)
		if n != 1 {
			t.Errorf("%s: %d rows, want 1", k, n)
		}
	}
	type own struct {
		name, code string
		duration   float64
		success    bool
	}
	got, err := store.One(context.Background(), s, func(row interface{ Scan(...any) error }, v *own) error {
		return row.Scan(&v.name, &v.code, &v.duration, &v.success)
	}, `SELECT name, resultCode, duration, success FROM requests`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(own{"GET /", "200", 1.5, true}, got, cmp.AllowUnexported(own{})); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestTextThatIsNotUTF8IsKeptReadable(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{BatchWait: time.Millisecond})
	b := &telemetry.Batch{}
	b.Add(&telemetry.Trace{Item: item(nil, noon), Message: "caf\xe9\x00!"})
	if err := s.Write(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, `SELECT count(*) FROM traces WHERE message = $1`, "caf\uFFFD!"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestManySendersShareFlushes(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{BatchWait: 20 * time.Millisecond})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			b := &telemetry.Batch{}
			for j := range 25 {
				b.Add(&telemetry.Event{Item: item(nil, noon), Name: fmt.Sprintf("%d-%d", i, j)})
			}
			if err := s.Write(context.Background(), b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, s, `SELECT count(DISTINCT name) FROM customEvents`); n != 1000 {
		t.Errorf("%d rows, want 1000", n)
	}
}

func TestAFullQueueRefusesWholeBatches(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, store.Options{Folder: folder, BatchWait: time.Hour, QueueRows: 10}) // gathers until it is closed
	gone, leave := context.WithCancel(context.Background())
	leave()
	first := &telemetry.Batch{}
	for range 8 {
		first.Add(&telemetry.Event{Item: item(nil, noon), Name: "kept"})
	}
	if err := s.Write(gone, first); !errors.Is(err, context.Canceled) {
		t.Fatalf("a sender that has gone: %v", err)
	}
	over := &telemetry.Batch{}
	over.Add(&telemetry.Request{Item: item(nil, noon), ID: "refused"})
	for range 3 {
		over.Add(&telemetry.Event{Item: item(nil, noon), Name: "refused"})
	}
	if err := s.Write(context.Background(), over); slipway.CodeOf(err) != slipway.CodeUnavailable {
		t.Errorf("over the bound: %v, want unavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Options{Folder: folder})
	if n := count(t, s, `SELECT count(*) FROM customEvents WHERE name = 'kept'`); n != 8 {
		t.Errorf("%d events, want the first 8", n)
	}
	if n := count(t, s, `SELECT (SELECT count(*) FROM requests) + (SELECT count(*) FROM customEvents)`); n != 8 {
		t.Errorf("%d rows, want none of the refused batch", n)
	}
}

func TestRetentionDeletesOldRows(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{BatchWait: time.Millisecond, Retention: 48 * time.Hour, Clock: clock.Fixed(noon)})
	b := &telemetry.Batch{}
	for _, age := range []time.Duration{0, 47 * time.Hour, 49 * time.Hour, 1000 * time.Hour} {
		b.Add(&telemetry.Event{Item: item(nil, noon.Add(-age)), Name: age.String()})
	}
	ctx := context.Background()
	if err := s.Write(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := s.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, `SELECT count(*) FROM customEvents WHERE name IN ('0s', '47h0m0s')`); n != 2 {
		t.Errorf("%d of 2 young rows are left", n)
	}
	if n := count(t, s, `SELECT count(*) FROM customEvents`); n != 2 {
		t.Errorf("%d rows are left, want 2", n)
	}
}

func TestQueriesCannotReachOutside(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{})
	scan := func(row interface{ Scan(...any) error }, v *string) error { return row.Scan(v) }
	for _, query := range []string{`SELECT content FROM read_text('/etc/hostname')`, `SET enable_external_access = true`, `INSTALL httpfs`} {
		if got, err := store.List(context.Background(), s, scan, query); err == nil {
			t.Errorf("%s: %q, want an error", query, got)
		}
	}
}

func TestALongQueryEnds(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{QueryTime: 50 * time.Millisecond})
	scan := func(row interface{ Scan(...any) error }, v *int64) error { return row.Scan(v) }
	_, err := store.List(context.Background(), s, scan, `SELECT count(*) FROM range(1000000000) a, range(1000) b WHERE hash(a.range, b.range) = 1`)
	if slipway.CodeOf(err) != slipway.CodeLimit {
		t.Errorf("got %v, want a limit", err)
	}
}

func TestRowsAreThereAfterReopening(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, store.Options{Folder: folder, BatchWait: time.Millisecond})
	if err := s.Write(context.Background(), everyRow()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(context.Background(), everyRow()); slipway.CodeOf(err) != slipway.CodeUnavailable {
		t.Errorf("write after close: %v", err)
	}
	s = open(t, store.Options{Folder: folder})
	if n := count(t, s, `SELECT count(*) FROM requests`); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}
