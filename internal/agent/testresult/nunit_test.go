package testresult

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// The file is of the shape that nunit3-console and the adapter's NunitXml logger write: suites by assembly, namespace and
// fixture, cases with the labels Error, Explicit and Ignored, and one with arguments.
func TestNUnit3(t *testing.T) {
	t.Parallel()
	run, err := Read(NUnit, strings.NewReader(`<?xml version="1.0" encoding="utf-8" standalone="no"?>
<test-run id="2" testcasecount="6" result="Failed" total="6" passed="2" failed="2" inconclusive="1" skipped="1" asserts="4" engine-version="3.17.0.0" start-time="2026-03-01 10:00:00Z" end-time="2026-03-01 10:00:01Z" duration="0.415">
  <command-line><![CDATA[nunit3-console Shop.Tests.dll]]></command-line>
  <test-suite type="Assembly" id="0-1010" name="Shop.Tests.dll" fullname="/src/Shop.Tests.dll" runstate="Runnable" testcasecount="6" result="Failed" site="Child">
    <environment framework-version="4.2.0" os-version="Linux" />
    <settings><setting name="ProcessModel" value="InProcess" /></settings>
    <failure><message><![CDATA[One or more child tests had errors]]></message></failure>
    <test-suite type="TestSuite" name="Shop" fullname="Shop" result="Failed">
      <test-suite type="TestFixture" name="CartTests" fullname="Shop.CartTests" classname="Shop.CartTests" result="Failed">
        <test-case id="0-1001" name="Adds" fullname="Shop.CartTests.Adds" methodname="Adds" classname="Shop.CartTests" result="Passed" duration="0.012500" asserts="1" />
        <test-case id="0-1002" name="Removes" fullname="Shop.CartTests.Removes" methodname="Removes" classname="Shop.CartTests" result="Failed" duration="0.020000" asserts="1">
          <failure>
            <message><![CDATA[  Expected: 1
  But was:  2
]]></message>
            <stack-trace><![CDATA[   at Shop.CartTests.Removes() in /src/CartTests.cs:line 21
]]></stack-trace>
          </failure>
          <output><![CDATA[removing]]></output>
        </test-case>
        <test-case id="0-1003" name="Later" fullname="Shop.CartTests.Later" classname="Shop.CartTests" result="Skipped" label="Ignored" duration="0.000100">
          <properties><property name="_SKIPREASON" value="not yet" /></properties>
          <reason><message><![CDATA[not yet]]></message></reason>
        </test-case>
        <test-case id="0-1004" name="Unsure" fullname="Shop.CartTests.Unsure" classname="Shop.CartTests" result="Inconclusive" duration="0" />
        <test-suite type="ParameterizedMethod" name="Sums" fullname="Shop.CartTests.Sums" classname="Shop.CartTests" result="Warning">
          <test-case id="0-1005" name="Sums(1,2.5)" fullname="Shop.CartTests.Sums(1,2.5)" classname="Shop.CartTests" result="Warning" duration="0.001">
            <reason><message>slow</message></reason>
          </test-case>
        </test-suite>
        <test-case id="0-1006" name="Throws" fullname="Shop.CartTests.Throws" classname="Shop.CartTests" result="Failed" label="Error" duration="0.002">
          <failure><message>System.Exception : no</message></failure>
          <output>about to throw</output>
        </test-case>
      </test-suite>
    </test-suite>
  </test-suite>
</test-run>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.TestResult{
		{Suite: "Shop.CartTests", Name: "Adds", Outcome: job.TestPassed, Duration: 12_500},
		{Suite: "Shop.CartTests", Name: "Removes", Outcome: job.TestFailed, Duration: 20_000, Message: "Expected: 1\n  But was:  2",
			Detail: "at Shop.CartTests.Removes() in /src/CartTests.cs:line 21"},
		{Suite: "Shop.CartTests", Name: "Later", Outcome: job.TestSkipped, Duration: 100, Message: "not yet"},
		{Suite: "Shop.CartTests", Name: "Unsure", Outcome: job.TestSkipped},
		{Suite: "Shop.CartTests", Name: "Sums(1,2.5)", Outcome: job.TestPassed, Duration: 1_000, Message: "slow"},
		{Suite: "Shop.CartTests", Name: "Throws", Outcome: job.TestFailed, Duration: 2_000, Message: "System.Exception : no", Detail: "about to throw"},
	}
	if diff := cmp.Diff(want, run.Results); diff != "" {
		t.Error(diff)
	}
}

// The file is of the shape that nunit-console 2.6 writes; the last two cases are of 2.4, which has no attribute result.
func TestNUnit2(t *testing.T) {
	t.Parallel()
	run, err := Read(NUnit, strings.NewReader(`<?xml version="1.0" encoding="utf-8" standalone="no"?>
<test-results name="/src/Shop.Tests.dll" total="3" errors="1" failures="1" not-run="2" inconclusive="0" ignored="1" skipped="0" invalid="1" date="2026-03-01" time="10:00:00">
  <environment nunit-version="2.6.4.14350" clr-version="4.0.30319.42000" />
  <culture-info current-culture="en-GB" current-uiculture="en-GB" />
  <test-suite type="Assembly" name="/src/Shop.Tests.dll" executed="True" result="Failure" success="False" time="0.059" asserts="0">
    <results>
      <test-suite type="Namespace" name="Shop" executed="True" result="Failure" success="False" time="0.051" asserts="0">
        <results>
          <test-suite type="TestFixture" name="CartTests" executed="True" result="Failure" success="False" time="0.050" asserts="0">
            <results>
              <test-case name="Shop.CartTests.Adds" executed="True" result="Success" success="True" time="-0.027" asserts="1" />
              <test-case name="Shop.CartTests.Removes(&quot;a.b&quot;)" executed="True" result="Failure" success="False" time="0.009" asserts="1">
                <failure><message><![CDATA[Expected: 1]]></message><stack-trace><![CDATA[at Shop.CartTests.Removes()]]></stack-trace></failure>
              </test-case>
              <test-case name="Shop.CartTests.Throws" executed="True" result="Error" success="False" time="0.001" asserts="0">
                <failure><message>System.Exception : no</message><stack-trace /></failure>
              </test-case>
              <test-case name="Shop.CartTests.Later" executed="False" result="Ignored"><reason><message>not yet</message></reason></test-case>
              <test-case name="Shop.CartTests.Private" executed="False" result="NotRunnable"><reason><message>Method is not public</message></reason></test-case>
              <test-case name="Shop.CartTests.Old" executed="True" success="False" time="0.5" />
              <test-case name="Shop.CartTests.Older" executed="False" />
            </results>
          </test-suite>
        </results>
      </test-suite>
    </results>
  </test-suite>
</test-results>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.TestResult{
		{Suite: "Shop.CartTests", Name: "Adds", Outcome: job.TestPassed},
		{Suite: "Shop.CartTests", Name: `Removes("a.b")`, Outcome: job.TestFailed, Duration: 9_000, Message: "Expected: 1", Detail: "at Shop.CartTests.Removes()"},
		{Suite: "Shop.CartTests", Name: "Throws", Outcome: job.TestFailed, Duration: 1_000, Message: "System.Exception : no"},
		{Suite: "Shop.CartTests", Name: "Later", Outcome: job.TestSkipped, Message: "not yet"},
		{Suite: "Shop.CartTests", Name: "Private", Outcome: job.TestFailed, Message: "Method is not public"},
		{Suite: "Shop.CartTests", Name: "Old", Outcome: job.TestFailed, Duration: 500_000},
		{Suite: "Shop.CartTests", Name: "Older", Outcome: job.TestSkipped},
	}
	if diff := cmp.Diff(want, run.Results); diff != "" {
		t.Error(diff)
	}
}

// test-case/attachments/attachment/filePath are the files of a case (GetTestCaseResultLevelAttachments in NunitResultReader.cs of
// azure-pipelines-agent); those of a suite are of the run, and so is the platform of an environment, as NUnit 2 writes it.
func TestNUnitAttachments(t *testing.T) {
	t.Parallel()
	run, err := Read(NUnit, strings.NewReader(`<test-run><test-suite type="Assembly"><environment platform="Win32NT" /><attachments><attachment><filePath>/out/run.log</filePath></attachment></attachments>
<test-case fullname="Shop.CartTests.Adds" result="Passed"><attachments><attachment><filePath>/out/a.png</filePath><description><![CDATA[before]]></description></attachment>
<attachment><filePath> b.png </filePath></attachment><attachment><filePath/></attachment></attachments></test-case></test-suite></test-run>`))
	if err != nil {
		t.Fatal(err)
	}
	want := job.TestRun{Platform: "Win32NT", Files: []string{"/out/run.log"},
		Results: []job.TestResult{{Suite: "Shop.CartTests", Name: "Adds", Outcome: job.TestPassed, Files: []string{"/out/a.png", "b.png"}}}}
	if diff := cmp.Diff(want, run); diff != "" {
		t.Error(diff)
	}
}
