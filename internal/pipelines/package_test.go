package pipelines_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

const byPackage = `
trigger: none
resources:
  packages:
  - package: Core
    type: NuGet
    connection: feed
    name: Tool.Core
    version: 1.0.0
    trigger: true
steps:
- getPackage: core
`

// A new version of a package starts a run of that version; a run for another reason takes the one that the file names.
func TestRunForAPackage(t *testing.T) {
	t.Parallel()
	var versions, status atomic.Value
	versions.Store(`"1.0.0","1.1.0"`)
	status.Store(http.StatusOK)
	fakeNuGet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case status.Load() != http.StatusOK:
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/index.json":
			fmt.Fprintf(w, `{"resources":[{"@id":"http://%s/flat","@type":"PackageBaseAddress/3.0.0"}]}`, r.Host)
		case r.URL.Path == "/flat/tool.core/index.json":
			fmt.Fprintf(w, `{"versions":[%s]}`, versions.Load())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(fakeNuGet.Close)
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		versions.Store(`"1.0.0","1.1.0"`)
		now := &hand{}
		now.set("2026-03-01 12:00")
		w, ctx := setupAt(t, d, now), context.Background()
		w.deps.Networks = local
		w.restart()
		feed := pipelines.Connection{Project: "p", Name: "feed", Type: "externalnugetfeed", URL: fakeNuGet.URL + "/index.json", Parameters: map[string]string{"apitoken": "hunter2hunter2"}, AllPipelines: true}
		if _, err := w.CreateConnection(ctx, feed, ada.Actor); err != nil {
			t.Fatal(err)
		}
		w.source.text = byPackage
		w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commit}
		pipeline, err := w.CreateDefinition(ctx, pipelines.Definition{Project: "p", Name: "app", Repository: "r", Path: pipelines.DefaultPath})
		if err != nil {
			t.Fatal(err)
		}
		w.startOwed()
		poll := func(at string, want ...string) { // the runs that there are then, by their versions
			t.Helper()
			now.set(at)
			if err := w.PollPackages(ctx); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, run := range w.runs() {
				packages, err := w.Packages(ctx, run.ID)
				if err != nil || len(packages) != 1 {
					t.Fatalf("packages of run %d: %+v, %v; problems %+v", run.ID, packages, err, run.Problems)
				}
				got = append(got, fmt.Sprintf("%s %v", packages[0].Version, packages[0].Triggered))
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", at, diff)
			}
		}
		poll("2026-03-01 12:01") // what is there already starts nothing
		versions.Store(`"1.0.0","1.1.0","1.2.0-beta","1.2.0"`)
		poll("2026-03-01 12:05") // too early for another look
		poll("2026-03-01 12:12", "1.2.0 true")
		poll("2026-03-01 12:30", "1.2.0 true")
		status.Store(http.StatusBadGateway)
		poll("2026-03-01 12:45", "1.2.0 true") // fails, so that the next look is after 20 minutes
		status.Store(http.StatusOK)
		versions.Store(`"1.0.0","1.3.0"`)
		poll("2026-03-01 12:50", "1.2.0 true")
		poll("2026-03-01 12:56", "1.2.0 true", "1.3.0 true")
		run, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: pipeline.ID, Actor: ada.Actor})
		if err != nil {
			t.Fatal(err)
		}
		poll("2026-03-01 12:57", "1.0.0 false", "1.2.0 true", "1.3.0 true")
		a := w.do(run.ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		if got := a.Variables.Text("resources.package.Core.version"); got != "1.0.0" {
			t.Errorf("the job knows version %q", got)
		}

		w.source.text = strings.Replace(byPackage, "1.0.0", "9.0.0", 1)
		_, err = w.Queue(ctx, pipelines.QueueRequest{Pipeline: pipeline.ID, Actor: ada.Actor})
		if want := `package Core: package Tool.Core has no version "9.0.0"`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		w.source.text = strings.Replace(byPackage, "connection: feed", "connection: feeds", 1)
		_, err = w.Queue(ctx, pipelines.QueueRequest{Pipeline: pipeline.ID, Actor: ada.Actor})
		if want := `there is no service connection "feeds", did you mean "feed"?`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	})
}
