package loop

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/pipelines"
	"slipway/internal/secret"
)

// The namespaces of a pull request's review apps go when it is closed, and those of others stay.
func TestReviewAppsGoWithTheirPullRequest(t *testing.T) {
	t.Parallel()
	ctx, d, logger, c := t.Context(), dbtest.SQLite(t), slog.New(slog.DiscardHandler), clock.System{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var deleted []string
	owners := map[string]slipway.EnvironmentID{}
	fakeKubernetes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name := filepath.Base(r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch owner, ok := owners[name]; {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		case r.Method == http.MethodDelete:
			deleted = append(deleted, name)
			delete(owners, name)
			fallthrough
		default:
			fmt.Fprintf(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":%q,"uid":"u","labels":{"slipway.dev/environment":"%d"}}}`, name, owner)
		}
	}))
	t.Cleanup(fakeKubernetes.Close)
	log, err := events.Open(ctx, d, c, logger)
	must(err)
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	must(err)
	l := &Loop{}
	l.Environments, err = environments.Open(ctx, d, log, box, c, logger)
	must(err)
	l.Clusters, err = clusters.Open(ctx, d, log, box, c, nil, logger)
	must(err)
	must(l.Clusters.Add(environments.DefaultCluster, &rest.Config{Host: fakeKubernetes.URL}, clusters.PullCredentials{}))
	l.Pipelines, err = pipelines.Open(ctx, pipelines.Deps{DB: d, Log: log, Clock: c, Secrets: box, Logger: logger})
	must(err)
	base, err := l.Environments.Create(ctx, environments.NewEnvironment{Project: "p", ProjectName: "Shop", Name: "staging"}, slipway.System)
	must(err)
	for pull := slipway.PullRequestID(7); pull < 10; pull++ {
		e, err := l.Environments.EnsureReview(ctx, base, "Shop", pull, true, slipway.System)
		must(err)
		if pull != 9 { // of which nothing was deployed
			owners[e.Namespace] = e.ID
		}
	}
	for _, pull := range []string{"7", "7", "9"} { // told twice
		must(l.closeReviews(ctx, events.Event{Subject: slipway.Reference{ID: pull}}))
	}
	if want := []string{base.Namespace + "-pr-7"}; !slices.Equal(want, deleted) {
		t.Errorf("deleted %v, want %v", deleted, want)
	}
	left, err := l.Environments.Reviews(ctx, 0, base.ID)
	must(err)
	if len(left) != 1 || left[0].PullRequest != 8 {
		t.Errorf("left are %+v", left)
	}
	gone, err := l.Environments.ByName(ctx, "p", "staging-pr-7")
	must(err)
	if _, err := l.target(ctx, environments.Deployment{Environment: gone.ID}); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("a deployment to it comes to %v", err)
	}
}
