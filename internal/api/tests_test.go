package api_test

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
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
		if err := s.PutTests(ctx, id, job.TestRun{Step: 1, Title: title, Platform: "x64", Configuration: "Release", Results: []job.TestResult{
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
	if of := runs[0].BuildConfiguration; *of.Platform != "x64" || *of.Flavor != "Release" || *of.Number != run.Number || *of.Id != int(run.ID) || *of.BuildDefinitionId != 1 || *of.BranchName != run.Ref {
		t.Errorf("build configuration %+v", of)
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

// It finds the files of test results, too, plain and zipped.
func TestTestAttachmentsClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx, project := t.Context(), "Shop"
	run := must[pipelines.Run](t)(s.Queue(ctx, pipelines.QueueRequest{Pipeline: 1, Parameters: map[string]any{"target": "prod"}}))
	id := must[*pipelines.Timeline](t)(s.Timeline(ctx, run.ID)).Stages[0].Jobs[0].ID
	must[job.Assignment](t)(s.Assign(ctx, id))
	if err := s.PutTests(ctx, id, job.TestRun{Step: 1, Title: "unit", Results: []job.TestResult{{Name: "good", Outcome: job.TestPassed}}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"run.trx", "a b.log"} {
		if err := s.PutTestAttachment(ctx, id, 1, "unit", name, strings.NewReader("of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	c := must[test.Client](t)(test.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	got := map[string]string{}
	for _, a := range *must[*[]test.TestAttachment](t)(c.GetTestRunAttachments(ctx, test.GetTestRunAttachmentsArgs{Project: &project, RunId: to(1)})) {
		content := must[io.ReadCloser](t)(c.GetTestRunAttachmentContent(ctx, test.GetTestRunAttachmentContentArgs{Project: &project, RunId: to(1), AttachmentId: a.Id}))
		text := must[[]byte](t)(io.ReadAll(content))
		content.Close()
		if *a.Size != uint64(len(text)) || !strings.HasSuffix(*a.Url, "/Shop/_apis/test/Runs/1/Attachments/"+strconv.Itoa(*a.Id)) {
			t.Errorf("attachment %+v", a)
		}
		got[*a.FileName+" "+string(*a.AttachmentType)] = string(text)
		content = must[io.ReadCloser](t)(c.GetTestRunAttachmentZip(ctx, test.GetTestRunAttachmentZipArgs{Project: &project, RunId: to(1), AttachmentId: a.Id}))
		packed := must[[]byte](t)(io.ReadAll(content))
		content.Close()
		z := must[*zip.Reader](t)(zip.NewReader(bytes.NewReader(packed), int64(len(packed))))
		unpacked := must[[]byte](t)(fs.ReadFile(z, *a.FileName))
		if diff := cmp.Diff(string(text), string(unpacked)); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(map[string]string{"run.trx tmiTestRunSummary": "of run.trx", "a b.log generalAttachment": "of a b.log"}, got); diff != "" {
		t.Error(diff)
	}
	const path = "/Shop/_apis/test/runs"
	for query, code := range map[string]int{"/9/attachments": http.StatusNotFound, "/1/attachments/99": http.StatusNotFound, "/1/attachments/x": http.StatusNotFound, "/1/attachments/1": http.StatusOK} {
		w.call(token, http.MethodGet, path+query, "", code, nil)
	}
	eve := w.user("eve", false)
	w.call(eve, http.MethodGet, path+"/1/attachments", "", http.StatusNotFound, nil)
	w.call(eve, http.MethodGet, path+"/1/attachments/1", "", http.StatusNotFound, nil)
}
