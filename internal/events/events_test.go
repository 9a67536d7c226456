package events_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
)

func setup(t *testing.T, d *db.DB) *events.Log {
	t.Helper()
	l, err := events.Open(context.Background(), d, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func run(t *testing.T, l *events.Log) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func push(t *testing.T, d *db.DB, l *events.Log) events.Event {
	t.Helper()
	e := events.Event{
		Kind: "repos.pushed", Project: "p", Subject: slipway.Ref(slipway.RefRepository, "r"),
		Actor:      slipway.Actor{Kind: slipway.ActorUser, ID: "u", Name: "Ada"},
		References: []slipway.Reference{slipway.Ref(slipway.RefCommit, "c1"), slipway.Ref(slipway.RefCommit, "c1")},
	}
	err := d.Tx(context.Background(), func(tx *db.Tx) error {
		return l.Append(context.Background(), tx, &e, map[string]string{"ref": "refs/heads/main"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAppendedEventsReachTheirConsumers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		got := make(chan events.Event, 10)
		var tries atomic.Int32
		l.Subscribe("flaky", func(_ context.Context, e events.Event) error {
			if tries.Add(1) == 1 {
				return errors.New("not this time")
			}
			got <- e
			return nil
		}, "repos.pushed")
		l.Subscribe("other", func(context.Context, events.Event) error {
			t.Error("delivered a kind that was not asked for")
			return nil
		}, "boards.created")
		run(t, l)
		watched, stop := l.Watch(nil)
		defer stop()
		want := push(t, d, l)
		select {
		case e := <-got:
			if e.ID != want.ID || e.Subject != want.Subject || e.Actor != want.Actor || string(e.Payload) != string(want.Payload) {
				t.Errorf("got %+v, want %+v", e, want)
			}
			if diff := cmp.Diff([]slipway.Reference{slipway.Ref(slipway.RefCommit, "c1"), slipway.Ref(slipway.RefRepository, "r")}, e.References); diff != "" {
				t.Errorf("references (-want +got):\n%s", diff)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("never delivered")
		}
		if e := <-watched; e.ID != want.ID {
			t.Errorf("watched %d, want %d", e.ID, want.ID)
		}
		if n := tries.Load(); n != 2 {
			t.Errorf("tried %d times, want 2", n)
		}
	})
}

func TestRolledBackEventsDoNotExist(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		stop := errors.New("stop")
		err := d.Tx(context.Background(), func(tx *db.Tx) error {
			e := events.Event{Kind: "repos.pushed", Subject: slipway.Ref(slipway.RefRepository, "r")}
			if err := l.Append(context.Background(), tx, &e, nil); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		list, err := l.List(context.Background(), events.Filter{})
		if err != nil || len(list) != 0 {
			t.Errorf("list %v, %v, want none", list, err)
		}
	})
}

func TestListFindsByReference(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		e := push(t, d, l)
		for _, c := range []struct {
			ref  slipway.Reference
			want int
		}{{slipway.Ref(slipway.RefCommit, "c1"), 1}, {slipway.Ref(slipway.RefCommit, "c2"), 0}} {
			list, err := l.List(context.Background(), events.Filter{Project: "p", Reference: c.ref})
			if err != nil || len(list) != c.want {
				t.Errorf("%v: %d events, %v, want %d", c.ref, len(list), err, c.want)
			}
			if len(list) == 1 && list[0].ID != e.ID {
				t.Errorf("found %d, want %d", list[0].ID, e.ID)
			}
		}
	})
}

// BenchmarkDelivery is the time from the commit of an event to its consumer.
func BenchmarkDelivery(b *testing.B) {
	d, err := db.Open(context.Background(), "sqlite:"+b.TempDir()+"/slipway.db")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	l, err := events.Open(context.Background(), d, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	got := make(chan struct{}, 1)
	l.Subscribe("c", func(context.Context, events.Event) error { got <- struct{}{}; return nil }, "k.k")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	for b.Loop() {
		err := d.Tx(ctx, func(tx *db.Tx) error {
			return l.Append(ctx, tx, &events.Event{Kind: "k.k", Subject: slipway.Ref(slipway.RefRun, 1)}, nil)
		})
		if err != nil {
			b.Fatal(err)
		}
		<-got
	}
	cancel()
	<-done
}
