package api_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/test"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
)

// Azure DevOps' own Go client finds what the tests of a run came to.
func TestTestResultsClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx, project := t.Context(), "Shop"
	run := must[pipelines.Run](t)(s.Queue(ctx, pipelines.QueueRequest{Pipeline: 1, Parameters: map[string]any{"target": "prod"}}))
	id := must[*pipelines.Timeline](t)(s.Timeline(ctx, run.ID)).Stages[0].Jobs[0].ID
	must[job.Assignment](t)(s.Assign(ctx, id))
	for _, title := range []string{"unit", "system"} {
		if err := s.PutTests(ctx, id, job.TestRun{Step: 1, Title: title, Results: []job.TestResult{
			{Suite: "a.b", Name: "good", Outcome: job.TestPassed, Duration: 1500}, {Suite: "a.b", Name: "bad", Outcome: job.TestFailed, Duration: 2000, Message: "boom", Detail: "line 1"},
			{Name: "later", Outcome: job.TestSkipped}}}); err != nil {
			t.Fatal(err)
		}
	}
	c := must[test.Client](t)(test.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	runs := *must[*[]test.TestRun](t)(c.GetTestRuns(ctx, test.GetTestRunsArgs{Project: &project, BuildUri: to("vstfs:///Build/Build/" + run.ID.String())}))
	if len(runs) != 2 || *runs[0].Name != "unit" || *runs[0].TotalTests != 3 || *runs[0].PassedTests != 1 || *runs[0].UnanalyzedTests != 1 || *runs[0].NotApplicableTests != 1 || *runs[0].Build.Id != run.ID.String() {
		t.Fatalf("test runs %+v", runs)
	}
	second := runs[1].Id
	if one := must[*test.TestRun](t)(c.GetTestRunById(ctx, test.GetTestRunByIdArgs{Project: &project, RunId: second})); *one.Name != "system" {
		t.Errorf("test run %+v", one)
	}
	f := func(args test.GetTestResultsArgs, want ...string) {
		t.Helper()
		args.Project, args.RunId = &project, second
		var got []string
		for _, r := range *must[*[]test.TestCaseResult](t)(c.GetTestResults(ctx, args)) {
			got = append(got, *r.AutomatedTestName+" "+*r.Outcome)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	f(test.GetTestResultsArgs{}, "a.b.good Passed", "a.b.bad Failed", "later NotExecuted")
	f(test.GetTestResultsArgs{Skip: to(1), Top: to(1)}, "a.b.bad Failed")
	f(test.GetTestResultsArgs{Outcomes: &[]test.TestOutcome{test.TestOutcomeValues.Failed, test.TestOutcomeValues.NotExecuted}}, "a.b.bad Failed", "later NotExecuted")
	bad := (*must[*[]test.TestCaseResult](t)(c.GetTestResults(ctx, test.GetTestResultsArgs{Project: &project, RunId: second, Skip: to(1)})))[0]
	if *bad.Id != 2 || *bad.DurationInMs != 2 || *bad.ErrorMessage != "boom" || *bad.StackTrace != "line 1" {
		t.Errorf("the failed test %+v", bad)
	}

	const path = "/Shop/_apis/test/runs"
	for query, code := range map[string]int{"": http.StatusBadRequest, "?buildIds=x": http.StatusBadRequest, "?buildIds=99": http.StatusNotFound, "/99": http.StatusNotFound, "/x/results": http.StatusNotFound,
		"/1/results?outcomes=good": http.StatusBadRequest, "?buildIds=" + run.ID.String(): http.StatusOK} {
		w.call(token, http.MethodGet, path+query, "", code, nil)
	}
	w.call(w.user("eve", false), http.MethodGet, path+"/1", "", http.StatusNotFound, nil)
}
