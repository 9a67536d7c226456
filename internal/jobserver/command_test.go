package jobserver_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// The commands and their properties are those of "Logging commands" in Microsoft's documentation, and of the extensions of commands in
// microsoft/azure-pipelines-agent (ResultsCommandExtension.cs, CodeCoverageCommandExtension.cs, TaskCommandExtension.cs).
func TestCommandsThatPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push(`
steps:
- bash: |
    echo '<testsuite><testcase classname="Cart" name="adds"/></testsuite>' > one.xml
    echo '<testsuite><testcase classname="Cart" name="pays"><failure message="broke"/></testcase></testsuite>' > two.xml
    echo "##vso[results.publish type=JUnit;resultFiles=$PWD/one.xml,$PWD/two.xml;runTitle=Shop]"
    echo "##vso[codecoverage.publish codecoveragetool=JaCoCo;summaryfile=$PWD/jacoco.xml]"
    echo "after them"
  displayName: publish
- bash: echo "##vso[results.publish type=JUnit;resultFiles=$PWD/two.xml;failTaskOnFailedTests=true]"
  displayName: failing
  continueOnError: true
- bash: echo "##vso[codecoverage.publish codecoveragetool=JaCoCo]"
  displayName: wrong
  continueOnError: true
- bash: |
    echo "##vso[task.setvariable variable=hidden;issecret=true]sesame-street"
    echo "##vso[task.logdetail id=A1;name=compile sesame-street;type=build;order=2;starttime=2026-03-04T05:06:07Z]"
    echo "##vso[task.logdetail id=b2;name=link;type=build;order=1;parentid=A1]"
    echo "##vso[task.logdetail id=a1;progress=40;state=InProgress]main.c"
    echo "##vso[task.logdetail id=b2;state=Completed;result=Failed]"
    echo "##vso[task.logdetail id=a1;finishtime=2026-03-04 05:06:09]"
    echo "##vso[task.logdetail id=c3;name=never]"
  displayName: details
`, "jacoco.xml", report(t, "jacoco.xml")))
	tl := w.completed(id)
	if tl.Run.Result != schedule.SucceededWithIssues {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	j := w.job(tl, "__default.Job")
	for step, want := range map[string]string{
		"publish": "Published 2 test results as Shop\n", "failing": "##[error]results.publish: 1 tests failed.\n",
		"wrong":   "##[error]codecoverage.publish needs summaryfile, the path of the report.\n",
		"details": "##[warning]task.logdetail needs type, name and order the first time that it names an id.\n",
	} {
		if log := w.log(j, step); !strings.Contains(log, want) {
			t.Errorf("log of %s has no %q:\n%s", step, want, log)
		}
	}
	runs, err := w.TestRuns(context.Background(), id)
	if err != nil || len(runs) != 2 || runs[0].Total != 2 || runs[0].Failed != 1 || runs[0].Title != "Shop" {
		t.Errorf("test runs %+v, %v", runs, err)
	}
	run := tl.Run
	if c, err := w.Coverage(context.Background(), &run); err != nil || c.Sum.Lines != 12 || c.Sum.Covered != 8 { // JaCoCo's counter
		t.Errorf("coverage %+v, %v", c, err)
	}
	var details []job.Detail
	for _, s := range j.Steps {
		if s.DisplayName == "details" {
			details = s.Details
		}
	}
	want := []job.Detail{
		{ID: "a1", Type: "build", Name: "compile ***", Order: 2, Operation: "main.c", State: schedule.Running, Percent: 40, Started: 1772600767000000, Finished: 1772600769000000},
		{ID: "b2", Parent: "a1", Type: "build", Name: "link", Order: 1, State: schedule.Completed, Result: schedule.Failed},
	}
	if diff := cmp.Diff(want, details, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("details (-want +got)\n%s", diff)
	}
}
