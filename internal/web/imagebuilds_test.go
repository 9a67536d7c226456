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

	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/builds"
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
	get("/Shop/_imagebuilds", "No job has built an image yet")
	report := images.Report{Tags: []string{"host/shop/app:1"}, Target: "final", Digest: "sha256:abc", Bytes: 2 << 20, Layers: 3,
		Summary: images.Summary{Seconds: 75, Steps: []images.Step{{Name: "[2/3] RUN go build <all>", Seconds: 60}, {Name: "[3/3] COPY . .", Seconds: 6}}}}
	built, err := kept.Record(ctx, w.Project.ID, 1, 1, report)
	if err != nil {
		t.Fatal(err)
	}
	report.Summary = images.Summary{Seconds: 1, Steps: []images.Step{{Name: "[2/3] RUN go build <all>", Cached: true}}}
	report.Error = "step failed"
	if _, err := kept.Record(ctx, w.Project.ID, 1, 1, report); err != nil {
		t.Fatal(err)
	}
	get("/Shop/_imagebuilds", "host/shop/app:1", "0 of 2 cached", "1 of 1 cached", "1 m 15 s", "1 m 0 s", "2.0 MiB in 3 layers", ">succeeded<", ">failed<")
	get(fmt.Sprintf("/Shop/_imagebuilds?build=%d", built.ID), "RUN go build &lt;all&gt;", "stage final", `value="100"`, `value="10"`, "sha256:abc")
	get("/_builder", "3.0 MiB", "cached &lt;mount&gt; /root/.cache<", ">cache mount<", ">RUN go build<", "Shop, reviews", "1 of 3 steps", "1 m 0 s")
}
