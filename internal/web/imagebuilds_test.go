package web

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/builds"
	"slipway/internal/images/builds/buildstest"
	"slipway/internal/images/progress"
	"slipway/internal/pipelines/pipelinestest"
)

// fakeBuilder answers what the cache holds and nothing else.
func fakeBuilder(t *testing.T, usage string) images.Dial {
	t.Helper()
	path := filepath.Join(t.TempDir(), "builder.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, len("SLIPWAY USAGE\n")))
			_, _ = io.WriteString(c, usage)
			c.Close()
		}
	}()
	return images.DialSocket(path)
}

func TestImageBuildPages(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := pipelinestest.Open(t, "Shop", "")
	kept, err := builds.New(ctx, dbtest.SQLite(t), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := w.Identity.SignIn(ctx, w.Administrator.Name, pipelinestest.Password)
	if err != nil {
		t.Fatal(err)
	}
	pages, things := New(w.Identity, w.Log, w.Logger, "http://slipway"), Things{Pipelines: w.Pipelines, Builds: kept}
	scope := images.ProjectScope(w.Project.ID, false).Name
	pages.AddBuilds(kept, fakeBuilder(t, fmt.Sprintf(`{"records":[{"id":"r1","kind":"exec.cachemount","scopes":[%q],"size":3145728,"description":"cached <mount> /root/.cache with id \"p-1: //root/.cache\"","uses":4},{"id":"r2","kind":"regular","size":1,"description":"mount / from exec /bin/sh -c go build"}]}`, scope)), things)
	server := httptest.NewServer(pages.Handler())
	t.Cleanup(server.Close)
	client := &http.Client{Transport: withSession{identity.SessionCookie(session, false)}}
	get := func(path string, texts ...string) {
		t.Helper()
		resp, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, b)
		}
		for _, text := range texts {
			if !strings.Contains(string(b), text) {
				t.Errorf("%s has no %q:\n%s", path, text, b)
			}
		}
	}
	get("/Shop/_imagebuilds", "Nobody has built an image yet")
	report := progress.Report{Tags: []string{"host/shop/app:1"}, Target: "final", Digest: "sha256:abc",
		Summary: progress.Summary{Seconds: 75, Steps: []progress.Step{{Name: "[2/3] RUN go build <all>", Seconds: 60}, {Name: "[3/3] COPY . .", Seconds: 6}}}}
	kept.Pushed = func(context.Context, builds.Build, string) (builds.Image, error) {
		return builds.Image{Digest: "sha256:abc", Bytes: 2 << 20, Layers: 3}, nil
	}
	built := buildstest.Finished(t, kept, w.Project.ID, 1, 1, report)
	report.Summary = progress.Summary{Seconds: 1, Steps: []progress.Step{{Name: "[2/3] RUN go build <all>", Cached: true}}}
	report.Error = "step failed"
	buildstest.Finished(t, kept, w.Project.ID, 1, 1, report)
	get("/Shop/_imagebuilds", "host/shop/app:1", "0 of 2 cached", "1 of 1 cached", "1 m 15 s", "1 m 0 s", "2.0 MiB in 3 layers", ">succeeded<", ">failed<")
	get(fmt.Sprintf("/Shop/_imagebuilds?build=%d", built.ID), "RUN go build &lt;all&gt;", "stage final", `value="100"`, `value="10"`, "sha256:abc")
	get("/_builder", "3.0 MiB", "cached &lt;mount&gt; /root/.cache<", ">cache mount<", ">RUN go build<", "Shop, reviews", "1 of 3 steps", "1 m 0 s")
	livePages(t, w, kept, client, server.URL, get)
}

// livePages looks at a build of a person while it runs, cancels it, and looks again.
func livePages(t *testing.T, w *pipelinestest.World, kept *builds.Service, client *http.Client, url string, get func(string, ...string)) {
	t.Helper()
	ctx := context.Background()
	ada := slipway.Actor{Kind: slipway.ActorUser, ID: string(w.Administrator.ID), Name: "ada <x>"}
	live, err := kept.Begin(ctx, w.Project.ID, ada, 0, 0, progress.Report{Tags: []string{"host/shop/mine:1"}})
	if err != nil {
		t.Fatal(err)
	}
	report := progress.Report{Tags: []string{"host/shop/mine:1"}, Summary: progress.Summary{Seconds: 3, Steps: []progress.Step{{Name: "[1/1] RUN long", Running: true}}}}
	told, err := kept.Update(ctx, w.Project.ID, live.ID, ada, progress.Update{Log: "#1 a line & more\n", Report: &report})
	if err != nil {
		t.Fatal(err)
	}
	page := fmt.Sprintf("/Shop/_imagebuilds?build=%d", live.ID)
	get("/Shop/_imagebuilds", `hx-trigger="every 2s"`, ">running<", ">ada &lt;x&gt;<")
	get("/Shop/_imagebuilds?part=rows", "host/shop/mine:1")
	get(page, `hx-trigger="every 1s"`, ">running<", "RUN long", "#1 a line &amp; more", ">Cancel<", "Started by")
	get(page+"&part=live", "#1 a line &amp; more")
	get(page+"&part=log", "#1 a line & more\n")
	resp, err := client.PostForm(url+"/Shop/_imagebuilds", map[string][]string{"build": {fmt.Sprint(live.ID)}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	get(page, ">Canceling<", w.Administrator.Name+" asked to cancel this build.")
	if _, err := kept.Update(ctx, w.Project.ID, live.ID, ada, progress.Update{At: told.At, Log: strings.Repeat("#1 filler\n", 10_000), Done: true, Canceled: true, Error: "the build was cancelled"}); err != nil {
		t.Fatal(err)
	}
	get(page, ">canceled<", "the build was cancelled", "This is the end of the log.")
	resp, err = client.Get(url + page)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || strings.Contains(string(b), "hx-trigger") || strings.Contains(string(b), "a line &amp; more") || len(b) > 200<<10 {
		t.Errorf("a finished build is still live, or its page has the whole log: %d bytes, %v", len(b), err)
	}
}
