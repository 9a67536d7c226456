package api_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/api"
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

func TestBuilderRoutes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := pipelinestest.Open(t, "Shop", "")
	kept, err := builds.New(ctx, dbtest.SQLite(t), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	for i, project := range []slipway.ProjectID{w.Project.ID, "another"} {
		buildstest.Finished(t, kept, project, slipway.RunID(i+3), 1, progress.Report{Tags: []string{"a:1"}, Summary: progress.Summary{Seconds: 2}})
	}
	var scope images.Scope
	routes := api.New(w.Identity, w.Logger, "http://slipway")
	routes.AddBuilds(kept, fakeBuilder(t, `{"records":[{"id":"r1","kind":"regular","size":7,"uses":1}]}`), func(w http.ResponseWriter, _ *http.Request, s images.Scope) error {
		scope = s
		return nil
	})
	server := httptest.NewServer(routes.Handler())
	t.Cleanup(server.Close)
	job, err := w.Identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Project: w.Project.ID, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, Binding: identity.Binding{Run: 3, Job: 1}})
	if err != nil {
		t.Fatal(err)
	}
	admin := w.Token(t)
	for _, c := range []struct {
		request, token, body string
		status               int
		want                 string
	}{
		{"GET /_apis/slipway/builder/usage", admin, "", http.StatusOK, `"id":"r1"`},
		{"GET /_apis/slipway/builder/usage", job, "", http.StatusForbidden, ""},
		{"GET /_apis/slipway/builder/usage", "", "", http.StatusUnauthorized, ""},
		{"POST /_apis/slipway/builder/prune", job, "{}", http.StatusForbidden, ""},
		{"POST /_apis/slipway/builder/prune", admin, `{"olderThan":"soon"}`, http.StatusBadRequest, "48h"},
		{"POST /_apis/slipway/builder/prune", admin, `{"keep":-1}`, http.StatusBadRequest, "negative"},
		{"GET /Shop/_apis/slipway/imagebuilds", admin, "", http.StatusOK, `"tags":["a:1"]`},
		{"GET /Shop/_apis/slipway/imagebuilds?run=4", admin, "", http.StatusOK, `"count":0`},
		{"GET /Shop/_apis/slipway/imagebuilds?run=x", admin, "", http.StatusBadRequest, "no number"},
		{"POST /Shop/_apis/slipway/imagebuilds", "", "{}", http.StatusUnauthorized, ""},
		{"POST /Shop/_apis/slipway/imagebuilds", admin, `{"tags":["mine:1"]}`, http.StatusCreated, `"state":"running"`},
		{"GET /Shop/_apis/slipway/imagebuilds/3", admin, "", http.StatusOK, `"tags":["mine:1"]`},
		{"GET /Shop/_apis/slipway/imagebuilds/2", admin, "", http.StatusNotFound, "no image build 2 in this project"},
		{"GET /Shop/_apis/slipway/imagebuilds/x", admin, "", http.StatusBadRequest, "not a number"},
		{"PATCH /Shop/_apis/slipway/imagebuilds/3", admin, `{"at":0,"log":"a line\n","report":{"tags":["mine:1"],"summary":{"seconds":1,"steps":[{"name":"[1/1] RUN x","running":true}]}}}`, http.StatusOK, `"at":7`},
		{"PATCH /Shop/_apis/slipway/imagebuilds/3", job, `{"at":7,"log":"forged\n"}`, http.StatusForbidden, "another's"},
		{"PATCH /Shop/_apis/slipway/imagebuilds/3", admin, `{"at":99}`, http.StatusBadRequest, "leaves a gap"},
		{"GET /Shop/_apis/slipway/imagebuilds/3/log", admin, "", http.StatusOK, "a line\n"},
		{"GET /Shop/_apis/slipway/imagebuilds/3/log", "", "", http.StatusUnauthorized, ""},
		{"POST /Shop/_apis/slipway/imagebuilds/1/cancel", admin, "", http.StatusConflict, "does not run"},
		{"POST /Shop/_apis/slipway/imagebuilds/3/cancel", admin, "", http.StatusAccepted, `"canceledBy":"ada"`},
		{"PATCH /Shop/_apis/slipway/imagebuilds/3", admin, `{"at":7}`, http.StatusOK, `"canceledBy":"ada"`},
		{"PATCH /Shop/_apis/slipway/imagebuilds/3", admin, `{"at":7,"done":true,"canceled":true}`, http.StatusOK, ""},
		{"GET /Shop/_apis/slipway/imagebuilds", admin, "", http.StatusOK, `"state":"canceled"`},
		{"POST /Shop/_apis/slipway/builder", "", "", http.StatusUnauthorized, ""},
		{"POST /Shop/_apis/slipway/builder", admin, "", http.StatusOK, ""},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		r, err := http.NewRequest(method, server.URL+path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if c.token != "" {
			r.SetBasicAuth("x", c.token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(b), c.want) {
			t.Errorf("%s: %s, %v, want %d with %q:\n%s", c.request, resp.Status, err, c.status, c.want, b)
		}
	}
	if want := images.ProjectScope(w.Project.ID, false); scope != want {
		t.Errorf("a member's builds are of %+v, want %+v", scope, want)
	}
}
