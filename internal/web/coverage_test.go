package web

import (
	"context"
	"fmt"
	"testing"

	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

func TestCoveragePages(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	publish := func(hits int64) string {
		run := s.push("steps:\n- bash: x\n")
		id := s.job(run, "__default.Job")
		if err := s.PutCoverage(ctx, id, job.Coverage{Step: 1, Files: []coverage.File{{Path: "a/<b>.go", Package: "example.com/a", Lines: []coverage.Line{
			{Number: 3, Hits: 2, Branches: 2, Taken: 1}, {Number: 4, Hits: hits}}}}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		return run.String()
	}
	first := publish(1)
	s.get("/_build/results?buildId="+first, "Coverage", "100.0 % (2 of 2)", "50.0 % (1 of 2)", "example.com/a", "/Shop/_build/coverage?buildId="+first)
	next := publish(0)
	s.get("/_build/results?buildId="+next, "50.0 % (1 of 2)", "-50.0", fmt.Sprintf(`/Shop/_build/results?buildId=%s">the run before`, first))
	s.get("/_build/coverage?buildId="+next, "a/&lt;b&gt;.go", "path=a%2F%3Cb%3E.go", "-50.0")
	s.get("/_build/coverage?buildId="+next+"&path=a%2F%3Cb%3E.go", `class="partly"`, `class="uncovered"`, "1 of 2 branches", "no such file at the run")
}
