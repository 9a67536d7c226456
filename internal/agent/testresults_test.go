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
	j.write("same/a/results.xml", `<testsuite name="a"><testcase name="t"/></testsuite>`)
	j.write("same/b/results.xml", `<testsuite name="b"><testcase name="t"/></testsuite>`)
	f("files of one name", map[string]string{"testResultsFiles": "same/*/results.xml"}, "same/a/results.xml: 1", "same/b/results.xml: 1")
	f("more than a hundred files", map[string]string{"searchFolder": "many", "testRunTitle": "Many"}, "Many: 101")
}

// Platform and configuration are those of the inputs. The platform of NUnit's environment is taken where there is none; a run of several files has none
// of theirs. What the results were read from is attached to them, and what NUnit's suites attached, unless publishRunAttachments says otherwise
// (LegacyTestRunDataPublisher.cs and NunitResultReader.cs of azure-pipelines-agent).
func TestPlatformAndAttachmentsOfTestResults(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, map[string]string{"arch": "arm64"})
	const first = `<test-run><test-suite type="Assembly"><environment platform="Unix"/><attachments><attachment><filePath>run.log</filePath></attachment><attachment>` +
		`<filePath>gone.log</filePath></attachment></attachments><test-case fullname="Shop.Adds" result="Passed"/></test-suite></test-run>`
	const second = `<test-run><test-case fullname="Shop.Pays" result="Passed"/></test-run>`
	j.write("one/result.xml", first)
	j.write("one/run.log", "ran")
	j.write("two/result.xml", second)
	f := func(name, task string, given map[string]string, wantRuns, wantFiles []string) {
		t.Helper()
		j.must(task, given)
		var got []string
		for _, run := range j.testRuns() {
			got = append(got, run.Title+": "+run.Platform+" "+run.Configuration)
		}
		if diff := cmp.Diff(wantRuns, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		if diff := cmp.Diff(wantFiles, j.files); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		j.files = nil
	}
	f("given", "PublishTestResults@2", map[string]string{"testResultsFormat": "NUnit", "testResultsFiles": "one/result.xml", "testRunTitle": "Unit", "buildPlatform": "$(arch)",
		"buildConfiguration": "Release"}, []string{"Unit: arm64 Release"}, []string{"Unit: run.log: ran", "Unit: result.xml: " + first})
	f("version 1", "PublishTestResults@1", map[string]string{"testRunner": "NUnit", "testResultsFiles": "two/result.xml", "platform": "x86", "configuration": "Debug",
		"publishRunAttachments": "false"}, []string{"result.xml: x86 Debug"}, nil)
	f("from the file", "PublishTestResults@2", map[string]string{"testResultsFormat": "NUnit", "testResultsFiles": "*/result.xml"}, []string{"one/result.xml: Unix ", "two/result.xml:  "},
		[]string{"one/result.xml: run.log: ran", "one/result.xml: result.xml: " + first, "two/result.xml: result.xml: " + second})
	f("merged", "PublishTestResults@2", map[string]string{"testResultsFormat": "NUnit", "testResultsFiles": "*/result.xml", "testRunTitle": "All", "mergeTestResults": "true"},
		[]string{"All:  "}, []string{"All: run.log: ran", "All: result.xml: " + first, "All: 2 result.xml: " + second})
	program := j.write("publish.sh", `#!/bin/sh
echo "##vso[results.publish type=NUnit;resultFiles=one/result.xml;runTitle=Unit;platform=x86;config=Debug;publishRunAttachments=false]"
echo "##vso[results.publish type=NUnit;resultFiles=two/result.xml;runTitle=Unit;platform=x64;config=Debug]"
`)
	f("commands of one step", "CmdLine@1", map[string]string{"filename": program}, []string{"Unit: x86 Debug", "Unit_2: x64 Debug"},
		[]string{"Unit_2: result.xml: " + second})
}
