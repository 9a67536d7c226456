package environments_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/secret"
)

var (
	ada = slipway.Actor{Kind: slipway.ActorUser, ID: "ada", Name: "Ada"}
	bob = slipway.Actor{Kind: slipway.ActorUser, ID: "bob", Name: "Bob"}
)

// handClock is a clock that the test moves.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond)
	return c.now
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type world struct {
	*environments.Service
	log   *events.Log
	clock *handClock
	db    *db.DB
}

func setup(t *testing.T, d *db.DB) world {
	t.Helper()
	ctx := context.Background()
	clock := &handClock{now: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)}
	quiet := slog.New(slog.DiscardHandler)
	log, err := events.Open(ctx, d, clock, quiet)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := environments.Open(ctx, d, log, box, clock, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return world{Service: s, log: log, clock: clock, db: d}
}

func (w world) ensure(t *testing.T, name string) environments.Environment {
	t.Helper()
	e, err := w.Ensure(context.Background(), environments.NewEnvironment{Project: "p", ProjectName: "Shop", Name: name}, ada)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w world) checks(t *testing.T) []environments.ChecksPayload {
	t.Helper()
	list, err := w.log.List(context.Background(), events.Filter{Kind: environments.ChecksCompleted})
	if err != nil {
		t.Fatal(err)
	}
	var all []environments.ChecksPayload
	for _, e := range list {
		var p environments.ChecksPayload
		if err := e.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func (w world) request(t *testing.T, run slipway.RunID, names ...string) {
	t.Helper()
	err := w.RequestChecks(context.Background(), environments.CheckRequest{Project: "p", ProjectName: "Shop", Run: run, Stage: "Deploy",
		Attempt: 1, Environments: names, RequestedBy: bob, Commit: "c0ffee"})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEnvironmentsAreMadeOnFirstUse(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		first, second := w.ensure(t, "Dev"), w.ensure(t, "dev")
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("the second use differs (-first +second):\n%s", diff)
		}
		if first.Namespace != "shop-dev" || first.Cluster != "local" || first.CreatedBy != ada {
			t.Errorf("got %+v", first)
		}
		other, err := w.Create(context.Background(), environments.NewEnvironment{Project: "q", ProjectName: "shop", Name: "dev"}, ada)
		if err != nil {
			t.Fatal(err)
		}
		if other.Namespace == first.Namespace {
			t.Error("two environments share the namespace", first.Namespace)
		}
		if _, err := w.Create(context.Background(), environments.NewEnvironment{Project: "p", Name: "DEV"}, ada); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("second environment of one name: %v, want a conflict", err)
		}
		if _, err := w.Create(context.Background(), environments.NewEnvironment{Project: "p", Name: "a/b"}, ada); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("name with a slash: %v, want invalid", err)
		}
		found, err := w.ByNamespace(context.Background(), "local", "shop-dev")
		if err != nil || found.ID != first.ID {
			t.Errorf("by namespace: %+v, %v", found, err)
		}
		list, err := w.List(context.Background(), "p")
		if err != nil || len(list) != 1 {
			t.Errorf("list: %d environments, %v", len(list), err)
		}
	})
}

func TestVariablesKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := context.Background(), setup(t, d)
		e := w.ensure(t, "dev")
		for _, v := range []environments.Variable{
			{Name: "Replicas", Value: "1"}, {Name: "PASSWORD", Value: "hunter2", Secret: true}, {Name: "replicas", Value: "2"},
		} {
			if err := w.SetVariable(ctx, e.ID, v, ada); err != nil {
				t.Fatal(err)
			}
		}
		ignore := cmpopts.IgnoreFields(environments.Variable{}, "Changed")
		shown, err := w.Variables(ctx, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := []environments.Variable{{Name: "PASSWORD", Secret: true, ChangedBy: ada}, {Name: "replicas", Value: "2", ChangedBy: ada}}
		if diff := cmp.Diff(want, shown, ignore); diff != "" {
			t.Errorf("variables (-want +got):\n%s", diff)
		}
		values, err := w.Values(ctx, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		want[0].Value = "hunter2"
		if diff := cmp.Diff(want, values, ignore); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
		stored, err := db.One(ctx, d, db.Value[string], `SELECT value FROM environment_variables WHERE secret`)
		if err != nil || strings.Contains(stored, "hunter2") {
			t.Errorf("stored %q, %v: want it sealed", stored, err)
		}
		if err := w.DeleteVariable(ctx, e.ID, "password", ada); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteVariable(ctx, e.ID, "password", ada); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("second delete: %v, want not found", err)
		}
	})
}

func TestChecks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := context.Background(), setup(t, d)
		w.request(t, 1, "dev")
		w.request(t, 1, "dev") // at least once delivery
		want := []environments.ChecksPayload{{Run: 1, Stage: "Deploy", Attempt: 1, Approved: true, State: environments.Approved}}
		if diff := cmp.Diff(want, w.checks(t)); diff != "" {
			t.Fatalf("without a check (-want +got):\n%s", diff)
		}
		production := w.ensure(t, "production")
		check := &environments.ApprovalCheck{Approvers: []environments.Approver{{User: "ada"}, {User: "bob"}}, RequesterMayNotApprove: true, TimeoutMinutes: 10}
		if err := w.SetApproval(ctx, production.ID, check, ada); err != nil {
			t.Fatal(err)
		}
		for run := slipway.RunID(2); run <= 5; run++ {
			w.request(t, run, "production", "dev")
		}
		if got := len(w.checks(t)); got != 1 {
			t.Fatalf("%d requests are settled before anybody approved, want 1", got)
		}
		pending, err := w.PendingApprovals(ctx, "p")
		if err != nil || len(pending) != 4 {
			t.Fatalf("%d pending approvals, %v; want 4", len(pending), err)
		}
		if _, err := w.Approve(ctx, environments.Caller{Actor: bob}, pending[3].ID, ""); slipway.CodeOf(err) != slipway.CodeForbidden {
			t.Errorf("by the requester: %v, want forbidden", err)
		}
		approved, err := w.Approve(ctx, environments.Caller{Actor: ada}, pending[3].ID, "go")
		if err != nil || approved.State != environments.Approved {
			t.Fatalf("approve: %+v, %v", approved, err)
		}
		if _, err := w.Approve(ctx, environments.Caller{Actor: ada}, pending[3].ID, ""); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("second time: %v, want a conflict", err)
		}
		if _, err := w.Reject(ctx, environments.Caller{Actor: ada}, pending[2].ID, "not on a Friday"); err != nil {
			t.Fatal(err)
		}
		if err := w.ReleaseChecks(ctx, 5, "Deploy", 1); err != nil {
			t.Fatal(err)
		}
		w.clock.pass(10 * time.Minute)
		if n, err := w.Expire(ctx); n != 1 || err != nil {
			t.Errorf("expire ended %d, %v; want 1", n, err)
		}
		want = []environments.ChecksPayload{
			{Run: 4, Stage: "Deploy", Attempt: 1, State: environments.TimedOut, Reason: "nobody approved the deployment to production within 10m0s"},
			{Run: 3, Stage: "Deploy", Attempt: 1, State: environments.Rejected, Reason: "Ada rejected the deployment to production: not on a Friday"},
			{Run: 2, Stage: "Deploy", Attempt: 1, Approved: true, State: environments.Approved},
			want[0],
		}
		if diff := cmp.Diff(want, w.checks(t)); diff != "" {
			t.Errorf("checks (-want +got):\n%s", diff)
		}
		got, err := w.GetApproval(ctx, pending[3].ID)
		if err != nil || len(got.Decisions) != 1 || got.Decisions[0].Comment != "go" || got.EnvironmentName != "production" {
			t.Errorf("approval: %+v, %v", got, err)
		}
	})
}

func TestTwoApproversAtOnceSettleOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := context.Background(), setup(t, d)
		e := w.ensure(t, "production")
		if err := w.SetApproval(ctx, e.ID, &environments.ApprovalCheck{Approvers: []environments.Approver{{Role: "contributor"}}}, ada); err != nil {
			t.Fatal(err)
		}
		w.request(t, 1, "production")
		pending, err := w.PendingApprovals(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		var mu sync.Mutex
		codes := map[slipway.Code]int{}
		for _, by := range []slipway.Actor{ada, bob} {
			wait.Go(func() {
				_, err := w.Approve(ctx, environments.Caller{Actor: by, Role: "contributor"}, pending[0].ID, "")
				mu.Lock()
				defer mu.Unlock()
				codes[slipway.CodeOf(err)]++
			})
		}
		wait.Wait()
		if diff := cmp.Diff(map[slipway.Code]int{"": 1, slipway.CodeConflict: 1}, codes); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		if got := len(w.checks(t)); got != 1 {
			t.Errorf("%d events, want 1", got)
		}
	})
}
