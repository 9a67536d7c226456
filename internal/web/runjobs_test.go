package web

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// A run of many jobs is shown in pages, what failed and runs first, and each stage leads to its own.
func TestJobsOfALargeRun(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	var file strings.Builder
	file.WriteString("stages:\n")
	for _, stage := range []string{"A", "B"} {
		fmt.Fprintf(&file, "- stage: %s\n  dependsOn: []\n  jobs:\n", stage)
		for i := range 75 {
			fmt.Fprintf(&file, "  - job: %s%d\n    displayName: job %s%03d\n    steps: [{bash: make}]\n", stage, i, stage, i)
		}
	}
	run := s.push(file.String())
	bad := s.job(run, "B.B70")
	if err := s.Complete(ctx, bad, job.Completion{Result: schedule.Failed}); err != nil {
		t.Fatal(err)
	}
	s.job(run, "B.B60")
	page := fmt.Sprintf("/_build/results?buildId=%d", run)
	shown := func(path string, texts ...string) []string {
		t.Helper()
		body := s.get(path, texts...)
		return regexp.MustCompile(`job [AB]\d{3}`).FindAllString(body, -1)
	}
	first := shown(page, "Jobs 1 to 100 of 150", fmt.Sprintf("%s&amp;from=101", page), fmt.Sprintf("%s&amp;stage=B", page))
	if len(first) != 100 || first[0] != "job B070" || first[1] != "job B060" || first[2] != "job A000" {
		t.Errorf("the first page has %d jobs, %q", len(first), first[:min(len(first), 4)])
	}
	second := shown(page+"&from=101", "Jobs 101 to 150 of 150", "sse-connect", fmt.Sprintf("live?buildId=%d&amp;from=101", run))
	all := slices.Concat(first, second)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) != 150 {
		t.Errorf("both pages together have %d jobs", len(all))
	}
	if of := shown(page+"&stage=B", "75 jobs of B", "All stages"); len(of) != 75 || of[0] != "job B070" || of[2] != "job B000" {
		t.Errorf("stage B has %d jobs, %q", len(of), of[:min(len(of), 4)])
	}
	if chosen := shown(fmt.Sprintf("%s&j=%d&s=1", page, bad)); len(chosen) == 0 || chosen[0] != "job B070" {
		t.Errorf("the chosen job is not first: %q", chosen[:min(len(chosen), 2)])
	}
	if none := shown(page+"&stage=C", "No jobs", "All stages"); len(none) != 0 {
		t.Errorf("a stage that is not there has %q", none)
	}
	for _, from := range []string{"0", "-5", "x", "99999999999999999999", "1000"} {
		shown(page + "&from=" + from)
	}
	small := s.push("steps:\n- bash: make\n")
	if body := s.get(fmt.Sprintf("/_build/results?buildId=%d", small)); strings.Contains(body, "stage=") || strings.Contains(body, "Jobs 1 to") {
		t.Error("a small run has pages")
	}
}

// What a run of thousands of jobs has decided is decided again only when somebody asks: that takes some seconds.
func TestWhyOfALargeRun(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	var file strings.Builder
	file.WriteString("jobs:\n")
	for i := range maxReplayed {
		fmt.Fprintf(&file, "- job: J%d\n  steps: [{bash: make}]\n", i)
	}
	run := s.push(file.String())
	page := fmt.Sprintf("/_build/explain?buildId=%d", run)
	if body := s.get(page, "What was decided when", "takes some seconds", "explain?buildId="+run.String()+"&amp;replay=true"); strings.Contains(body, "would be decided so today") {
		t.Error("it was decided again")
	}
	if body := s.get(page+"&replay=true", "would be decided so today"); strings.Contains(body, "takes some seconds") {
		t.Error("the page with the decisions leads to itself")
	}
}
