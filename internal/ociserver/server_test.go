package ociserver_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/ociserver"
	"slipway/internal/registry"
)

// world is a registry behind its door, with an administrator and the project "shop".
type world struct {
	testing.TB
	db       *db.DB
	log      *events.Log
	identity *identity.Service
	registry *registry.Service
	door     *ociserver.Server
	url      string // http://127.0.0.1:PORT
	host     string // 127.0.0.1:PORT
	admin    string // the administrator's token
	project  identity.Project
}

func setup(t testing.TB, d *db.DB, o registry.Options) *world {
	t.Helper()
	return setupAt(t, d, o, clock.System{})
}

// setupAt is setup with a clock of the registry's own.
func setupAt(t testing.TB, d *db.DB, o registry.Options, c clock.Clock) *world {
	t.Helper()
	files, err := blob.OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return setupOn(t, d, files, o, c)
}

// setupOn is setupAt with objects in a store of the test's.
func setupOn(t testing.TB, d *db.DB, blobs blob.Resumable, o registry.Options, c clock.Clock) *world {
	t.Helper()
	ctx, logger := context.Background(), slog.New(slog.DiscardHandler)
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := identity.Open(ctx, d, log, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(ctx, d, log, blobs, c, logger, o)
	if err != nil {
		t.Fatal(err)
	}
	door := ociserver.New(r, ids, logger)
	server := httptest.NewServer(httpx.Middleware(logger, door))
	t.Cleanup(server.Close)
	w := &world{TB: t, db: d, log: log, identity: ids, registry: r, door: door, url: server.URL, host: strings.TrimPrefix(server.URL, "http://")}
	user, err := ids.CreateUser(ctx, slipway.System, identity.NewUser{Name: "admin", Password: "correct horse", Administrator: true})
	if err != nil {
		t.Fatal(err)
	}
	admin := slipway.Actor{Kind: slipway.ActorUser, ID: string(user.ID), Name: user.Name}
	w.admin = w.token(identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: admin})
	w.project = w.newProject("Shop")
	return w
}

func (w *world) token(r identity.TokenRequest) string {
	w.Helper()
	r.Life = time.Hour
	token, err := w.identity.IssueToken(context.Background(), r)
	if err != nil {
		w.Fatal(err)
	}
	return token
}

func (w *world) newProject(name string) identity.Project {
	w.Helper()
	p, err := w.identity.CreateProject(context.Background(), slipway.System, name, "")
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// do sends a request with token as the password, and returns the answer, whose body is closed.
func (w *world) do(token, method, path, body string, header ...string) *http.Response {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if token != "" {
		r.SetBasicAuth("any", token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

func sqlite(t *testing.T) *world {
	t.Helper()
	return setup(t, dbtest.SQLite(t), registry.Options{})
}
