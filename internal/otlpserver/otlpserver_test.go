package otlpserver_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/insights"
	"slipway/internal/insights/store"
	"slipway/internal/otlpserver"
)

// world is a door with real identity, records and store behind it.
type world struct {
	insights *insights.Service
	identity *identity.Service
	door     *otlpserver.Server
	url      string
	project  identity.Project
	workload string // a token bound to project, environment 3 and deployment 7
}

func setup(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	logger := slog.New(slog.DiscardHandler)
	d := dbtest.SQLite(t)
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	if w.identity, err = identity.Open(ctx, d, log, clock.System{}); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(ctx, store.Options{Folder: t.TempDir(), MemoryLimit: "512MB", BatchWait: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.insights, err = insights.Open(ctx, insights.Options{DB: d, Log: log, Clock: clock.System{}, Store: st, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	if w.project, err = w.identity.CreateProject(ctx, slipway.System, "shop", ""); err != nil {
		t.Fatal(err)
	}
	if w.workload, err = w.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenWorkload,
		Actor: slipway.Actor{Kind: slipway.ActorWorkload, ID: "7", Name: "deployment 7"}, Project: w.project.ID,
		Binding: identity.Binding{Environment: 3, Deployment: 7, Commit: "c0ffee"}}); err != nil {
		t.Fatal(err)
	}
	w.door = otlpserver.New(w.insights, w.identity, logger)
	mux := http.NewServeMux()
	w.door.Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}
