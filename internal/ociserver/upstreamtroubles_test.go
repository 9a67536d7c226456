package ociserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

func TestUpstreamTroubles(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	image := w.other.push("shop/web:v1")
	w.other.push("shop/api:v1")
	w.pull(upstreamHost+"/shop/web:v1", image)
	here, missing := "/v2/"+upstreamHost+"/shop/web/manifests/v1", "/v2/"+upstreamHost+"/shop/api/manifests/v1"
	w.clock.pass(time.Hour)
	w.proxy.takeAsked()
	w.proxy.breakWith(answer(http.StatusTooManyRequests, "Retry-After", "120"))
	if status, _, header := w.get(here); status != 200 || !strings.Contains(header.Get("Warning"), "111 slipway") {
		t.Errorf("a stale tag of an upstream that limits: %d, %v", status, header)
	}
	w.wantAsked("an upstream that limits", "HEAD manifests")
	status, body, header := w.get(missing)
	if status != 429 || header.Get("Retry-After") != "120" || !strings.Contains(body, "TOOMANYREQUESTS") {
		t.Errorf("what is not here: %d %s %v", status, body, header)
	}
	w.get(here)
	w.wantAsked("it is left alone until it may be asked")
	if u, err := w.cache.Upstream(context.Background(), upstreamHost); err != nil || !strings.Contains(u.LastError, "shop/api: it limits") || u.LastErrorTime.IsZero() {
		t.Errorf("the last error: %+v, %v", u, err)
	}
	w.clock.pass(121 * time.Second)
	w.proxy.breakWith(nil)
	if status, _, header := w.get(here); status != 200 || header.Get("Warning") != "" {
		t.Errorf("after the time it asked for: %d, %v", status, header)
	}

	w.clock.pass(time.Hour)
	w.proxy.breakWith(hangUp)
	if status, _, header := w.get(here); status != 200 || header.Get("Warning") == "" {
		t.Errorf("a stale tag of an upstream that is down: %d, %v", status, header)
	}
	if status, body, _ := w.get(missing); status != 503 || !strings.Contains(body, "hub.example cannot be asked for shop/api") {
		t.Errorf("what is not here of an upstream that is down: %d %s", status, body)
	}
	if status, body, header := w.get("/v2/" + upstreamHost + "/shop/web/tags/list"); status != 200 || !strings.Contains(body, `["v1"]`) || header.Get("Warning") == "" {
		t.Errorf("tags of an upstream that is down: %d %s", status, body)
	}
	w.pull(upstreamHost+"/shop/web:v1", image)

	w.clock.pass(time.Hour)
	w.proxy.breakWith(nil)
	d, _ := image.Digest()
	if r := w.other.do(w.other.admin, http.MethodDelete, "/v2/shop/web/manifests/v1", ""); r.StatusCode != http.StatusAccepted {
		t.Fatal(r.Status)
	}
	if status, body, _ := w.get(here); status != 404 {
		t.Errorf("a tag that the upstream has no longer: %d %s", status, body)
	}
	w.pull(upstreamHost+"/shop/web@"+d.String(), image)
}

// A registry that keeps its blobs elsewhere sends its clients there, without what signs them in.
func TestUpstreamRedirects(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	var leaked string
	storage := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		leaked += r.Header.Get("Authorization")
		_, _ = rw.Write([]byte("content"))
	}))
	defer storage.Close()
	d := registry.DigestOf("sha256", []byte("content"))
	hops := 0
	w.proxy.breakWith(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		to := storage.URL
		if hops > 0 {
			hops--
			to = w.proxy.URL + r.URL.Path
		}
		http.Redirect(rw, r, to, http.StatusTemporaryRedirect)
		return true
	})
	path := "/v2/" + upstreamHost + "/shop/web/blobs/" + string(d)
	hops = 20
	if status, body, _ := w.get(path); status != 503 || !strings.Contains(body, "cannot be asked") {
		t.Errorf("a registry that redirects for ever: %d %s", status, body)
	}
	hops = 0
	if status, body, _ := w.get(path); status != 200 || body != "content" || leaked != "" {
		t.Errorf("%d %s, and the storage saw %q", status, body, leaked)
	}
}

func TestUpstreamAccess(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	image := w.other.push("shop/web:v1")
	w.pull(upstreamHost+"/shop/web:v1", image)
	path := "/v2/" + upstreamHost + "/shop/web/manifests/v1"
	other := w.newProject("Other")
	user, err := w.identity.CreateUser(context.Background(), slipway.System, identity.NewUser{Name: "ada", Password: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	ada := w.token(identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(user.ID), Name: "ada"}})
	job := func(p identity.Project) string {
		return w.token(identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, Project: p.ID})
	}
	node := w.token(identity.TokenRequest{Kind: identity.TokenNode, Actor: slipway.Actor{Kind: slipway.ActorNode, ID: "n"}})
	f := func(who, token, method, path string, want int) {
		t.Helper()
		if r := w.do(token, method, path, ""); r.StatusCode != want {
			t.Errorf("%s, %s %s: %s, want %d", who, method, path, r.Status, want)
		}
	}
	f("nobody", "", "GET", path, 401)
	f("a user of no project", ada, "GET", path, 200)
	f("a job", job(other), "GET", path, 200)
	f("a node", node, "GET", path, 200)
	f("a push", w.admin, "POST", "/v2/"+upstreamHost+"/shop/web/blobs/uploads/", 403)
	f("a user removes", ada, "DELETE", path, 403)
	w.set(upstreamHost, func(s *registry.UpstreamSettings) { s.Projects = []slipway.ProjectID{w.project.ID} })
	f("a user of no project", ada, "GET", path, 403)
	f("a job of another project", job(other), "GET", path, 403)
	f("a job of the project", job(w.project), "GET", path, 200)
	f("a node", node, "GET", path, 200)
	w.set(upstreamHost, func(s *registry.UpstreamSettings) { s.Repositories = []string{"library/*", "shop/w*"} })
	f("an allowed repository", w.admin, "GET", path, 200)
	f("another", w.admin, "GET", "/v2/"+upstreamHost+"/shop/api/manifests/v1", 403)
	f("an administrator removes", w.admin, "DELETE", path, 202)
	w.set(upstreamHost, func(s *registry.UpstreamSettings) { s.Disabled = true })
	f("an upstream that is off", w.admin, "GET", path, 404)
	f("an upstream that is not there", w.admin, "GET", "/v2/other.example/shop/web/manifests/v1", 404)
}
