package agent

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/variable"
)

// The names of runs are those of LegacyTestRunDataPublisher.cs and ResultsCommandExtension.cs in azure-pipelines-agent, and more than a hundred files
// become one run as in publishtestresults.ts of azure-pipelines-tasks.
func TestRunsOfTestResults(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, map[string]string{variable.BuildBuildID: "12"})
	for i := range 101 {
		j.write("many/TEST-"+strconv.Itoa(i)+".xml", fmt.Sprintf(`<testsuite name="s"><testcase name="t%d"/></testsuite>`, i))
	}
	for _, name := range []string{"a", "b"} {
		j.write("two/TEST-"+name+".xml", `<testsuite name="`+name+`"><testcase name="t"/></testsuite>`)
	}
	f := func(name string, given map[string]string, want ...string) {
		t.Helper()
		j.must("PublishTestResults@2", given)
		var got []string
		for _, run := range j.testRuns() {
			got = append(got, fmt.Sprint(run.Title, ": ", len(run.Results)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	f("a title", map[string]string{"searchFolder": "two", "testRunTitle": "Unit"}, "Unit_1: 1", "Unit_2: 1")
	f("a title of one file", map[string]string{"testResultsFiles": "two/TEST-a.xml", "testRunTitle": "Unit"}, "Unit: 1")
	f("no title", map[string]string{"searchFolder": "two"}, "TEST-a.xml: 1", "TEST-b.xml: 1")
	f("merged", map[string]string{"searchFolder": "two", "mergeTestResults": "true"}, "JUnit_TestResults_12: 2")
	f("merged with a title", map[string]string{"searchFolder": "two", "mergeTestResults": "true", "testRunTitle": "Unit"}, "Unit: 2")
	f("more than a hundred files", map[string]string{"searchFolder": "many", "testRunTitle": "Many"}, "Many: 101")
}
