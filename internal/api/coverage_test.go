package api_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/pipelines/schedule"
)

func TestCodeCoverage(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorldOf(t, "steps:\n- bash: x\n")
	ctx := context.Background()
	publish := func(event int64, hits int64) slipway.RunID {
		runs, err := s.Pushed(ctx, pipelines.Push{Event: event, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true, Actor: slipway.System})
		if err != nil || len(runs) != 1 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		timeline, err := s.Timeline(ctx, runs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		id := timeline.Stages[0].Jobs[0].ID
		if _, err := s.Assign(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := s.PutCoverage(ctx, id, job.Coverage{Step: 1, Files: []coverage.File{{Path: "a.go", Lines: []coverage.Line{{Number: 3, Hits: 2, Branches: 2, Taken: 1}, {Number: 4, Hits: hits}}}}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		return runs[0].ID
	}
	publish(1, 1)
	run := publish(2, 0)
	path := fmt.Sprintf("/Shop/_apis/test/codecoverage?buildId=%d&api-version=7.1", run)
	var summary struct {
		CoverageData []struct{ CoverageStats []api.CoverageStatistics }
		DeltaBuild   struct{ ID string }
	}
	w.call(token, http.MethodGet, path, "", http.StatusOK, &summary)
	want := []api.CoverageStatistics{{Label: "Lines", Position: 4, Total: 2, Covered: 1, IsDeltaAvailable: true, Delta: -50}, {Label: "Branches", Position: 5, Total: 2, Covered: 1, IsDeltaAvailable: true}}
	if diff := cmp.Diff(want, summary.CoverageData[0].CoverageStats); diff != "" || summary.DeltaBuild.ID != "1" {
		t.Errorf("against %s (-want +got)\n%s", summary.DeltaBuild.ID, diff)
	}
	var builds struct {
		Value []struct{ Modules []api.CoverageModule }
	}
	w.call(token, http.MethodGet, path+"&flags=7", "", http.StatusOK, &builds)
	if m := builds.Value[0].Modules; len(m) != 1 || m[0].Name != "a.go" || m[0].Statistics.LinesNotCovered != 1 || m[0].Statistics.BranchesCovered != 1 {
		t.Errorf("%+v", m)
	}
	w.call(token, http.MethodGet, "/Shop/_apis/test/codecoverage?buildId=99", "", http.StatusNotFound, nil)
	w.call(token, http.MethodGet, "/Shop/_apis/test/codecoverage", "", http.StatusBadRequest, nil)
}
