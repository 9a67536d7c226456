package builds_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/images"
	"slipway/internal/images/builds"
)

func TestBuilds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := builds.New(t.Context(), d, clock.System{})
		if err != nil {
			t.Fatal(err)
		}
		report := func(cached bool, seconds float64) images.Report {
			return images.Report{Tags: []string{"host/app:1", "host/app:latest"}, Digest: "sha256:1", Bytes: 5, Layers: 2, Summary: images.Summary{Seconds: seconds + 1, Steps: []images.Step{
				{Name: "[internal] load build definition from Dockerfile", Seconds: 0.1},
				{Name: "[build 1/2] RUN go build", Cached: cached, Seconds: seconds},
				{Name: "[linux/arm64 stage-1 1/1] COPY --from=build /a /a", Seconds: 0.2},
			}}}
		}
		first, err := s.Record(t.Context(), "p", 1, 10, report(false, 40))
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.Record(t.Context(), "p", 2, 11, report(true, 0))
		if err != nil {
			t.Fatal(err)
		}
		if first.Saved != 0 || first.Cached != 0 || first.Total != 2 || second.Saved != 40 || second.Cached != 1 {
			t.Errorf("first %+v, second %+v", first, second)
		}
		failed := images.Report{Error: strings.Repeat("é", 2000), Summary: images.Summary{Steps: make([]images.Step, 3000)}}
		third, err := s.Record(t.Context(), "other", 3, 12, failed)
		if err != nil || len(third.Error) > 1000 || third.Error != strings.Repeat("é", 500) || len(third.Summary.Steps) != 500 {
			t.Errorf("a report beyond the limits: %d bytes, %d steps, %v", len(third.Error), len(third.Summary.Steps), err)
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
