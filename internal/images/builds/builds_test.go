package builds_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/images/builds"
	"slipway/internal/images/builds/buildstest"
	"slipway/internal/images/progress"
)

func TestBuilds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := builds.New(t.Context(), d, clock.System{})
		if err != nil {
			t.Fatal(err)
		}
		s.Pushed = func(_ context.Context, b builds.Build, tag string) (builds.Image, error) {
			if b.Project != "p" || tag != "host/app:1" {
				return builds.Image{}, slipway.NotFound("not here")
			}
			return builds.Image{Digest: "sha256:1", Bytes: 5, Layers: 2}, nil
		}
		report := func(cached bool, seconds float64) progress.Report {
			return progress.Report{Tags: []string{"host/app:1", "host/app:latest"}, Digest: "sha256:1", Bytes: 99, Layers: 99, Summary: progress.Summary{Seconds: seconds + 1, Steps: []progress.Step{
				{Name: "[internal] load build definition from Dockerfile", Seconds: 0.1},
				{Name: "[build 1/2] RUN go build", Cached: cached, Seconds: seconds},
				{Name: "[linux/arm64 stage-1 1/1] COPY --from=build /a /a", Seconds: 0.2},
			}}}
		}
		first, second := buildstest.Finished(t, s, "p", 1, 10, report(false, 40)), buildstest.Finished(t, s, "p", 2, 11, report(true, 0))
		if first.Saved != 0 || first.Cached != 0 || first.Total != 2 || second.Saved != 40 || second.Cached != 1 || first.Bytes != 5 || first.Layers != 2 {
			t.Errorf("first %+v, second %+v", first, second)
		}
		failed := progress.Report{Error: strings.Repeat("é", 2000), Summary: progress.Summary{Steps: make([]progress.Step, 3000)}}
		third := buildstest.Finished(t, s, "other", 3, 12, failed)
		if third.State != builds.Failed || len(third.Error) > 1000 || third.Error != strings.Repeat("é", 500) || len(third.Summary.Steps) != 500 {
			t.Errorf("a report beyond the limits: %s, %d bytes, %d steps", third.State, len(third.Error), len(third.Summary.Steps))
		}

		list, err := s.List(t.Context(), "p", 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]builds.Build{second, first}, list, cmp.Comparer(func(a, b builds.Build) bool {
			return a.ID == b.ID && a.Finished.UnixMicro() == b.Finished.UnixMicro() && cmp.Equal(a.Report, b.Report) && a.Saved == b.Saved
		})); diff != "" {
			t.Errorf("list (-want +got):\n%s", diff)
		}
		ofRun, err := s.OfRun(t.Context(), 2)
		if err != nil || len(ofRun) != 1 || ofRun[0].ID != second.ID {
			t.Errorf("of run 2: %v, %v", ofRun, err)
		}
		if _, err := s.Get(t.Context(), "other", first.ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("a build of another project: %v", err)
		}
		totals, err := s.Totals(t.Context())
		want := builds.Totals{Builds: 2, Steps: 4, Cached: 1, Seconds: 42, Saved: 40}
		if err != nil || totals["p"] != want {
			t.Errorf("totals are %+v (%v), want %+v", totals["p"], err, want)
		}
	})
}
