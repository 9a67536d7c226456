package web

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/registry"
	"slipway/internal/secret"
)

// An administrator makes, changes and deletes upstreams on the page, which never shows a password.
func TestUpstreamsPage(t *testing.T) {
	t.Parallel()
	w, ctx := pipelinestest.Open(t, "Shop", ""), context.Background()
	files, err := blob.OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	d := dbtest.SQLite(t)
	log, err := events.Open(ctx, d, clock.System{}, w.Logger)
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(ctx, d, log, files, clock.System{}, slog.New(slog.DiscardHandler), registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := registry.OpenCache(ctx, r, registry.CacheOptions{Box: box})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	session, _, err := w.Identity.SignIn(ctx, w.Administrator.Name, pipelinestest.Password)
	if err != nil {
		t.Fatal(err)
	}
	pages := New(w.Identity, w.Log, w.Logger, "http://slipway")
	pages.AddUpstreams(cache)
	server := httptest.NewServer(pages.Handler())
	defer server.Close()
	client := &http.Client{Transport: withSession{identity.SessionCookie(session, false)}}
	post := func(want int, form url.Values, texts ...string) {
		t.Helper()
		resp, err := client.PostForm(server.URL+"/_upstreams", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want || strings.Contains(string(b), "hunter2") {
			t.Fatalf("%v: %s, %v\n%s", form, resp.Status, err, b)
		}
		for _, text := range texts {
			if !strings.Contains(string(b), text) {
				t.Errorf("%v: the page has no %q", form, text)
			}
		}
	}
	form := func(more ...string) url.Values {
		f := url.Values{"name": {"docker.io"}, "stale": {"10"}, "keep": {"0"}, "enabled": {"1"}}
		for i := 0; i+1 < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	post(http.StatusOK, form("username", "ada", "password", "hunter2hunter2", "repositories", "library/*\r\nacme/**", "project", string(w.Project.ID)),
		`id="upstream-docker.io"`, `value="https://registry-1.docker.io"`, `value="ada"`, "library/*\nacme/**", "docker pull ", "/docker.io/library/golang:1.26", `checked`, "Forget the password")
	u, err := cache.Upstream(ctx, "docker.io")
	if err != nil || !u.HasPassword || len(u.Projects) != 1 || len(u.Repositories) != 2 || u.StaleMinutes != 10 || u.KeepDays != 0 || u.Disabled {
		t.Errorf("%+v, %v", u, err)
	}
	post(http.StatusOK, form("enabled", "", "nopassword", "1"), "off, 0 B kept")
	if u, err = cache.Upstream(ctx, "docker.io"); err != nil || u.HasPassword || !u.Disabled || len(u.Projects) != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	post(http.StatusBadRequest, form("name", "docker"), "write the registry&#39;s host")
	post(http.StatusBadRequest, form("stale", "soon"), "is not a number")
	post(http.StatusOK, url.Values{"name": {"docker.io"}, "do": {"purge"}})
	post(http.StatusOK, url.Values{"name": {"docker.io"}, "do": {"delete"}})
	if _, err := cache.Upstream(ctx, "docker.io"); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("the upstream is there: %v", err)
	}
}
