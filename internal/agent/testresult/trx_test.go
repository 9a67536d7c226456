package testresult

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// The file is of the shape that `dotnet test --logger trx` writes, with a test over rows of data as MSTest has them.
func TestTRX(t *testing.T) {
	t.Parallel()
	run, err := Read(VSTest, strings.NewReader("\uFEFF"+`<?xml version="1.0" encoding="utf-8"?>
<TestRun id="b2f6c6f6-7f4d-4b8e-8b0f-1f0c9d6b7a11" name="ada@box 2026-03-01 10:00:00" runUser="ada" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
  <Times creation="2026-03-01T10:00:00.0000000+00:00" start="2026-03-01T10:00:00.0000000+00:00" finish="2026-03-01T10:00:01.0000000+00:00" />
  <TestSettings name="default" id="92c3d3a2-0ad1-4a40-9a6e-0f2a2f0d2c55"><Deployment runDeploymentRoot="ada_box" /></TestSettings>
  <Results>
    <UnitTestResult executionId="e1" testId="t1" testName="Shop.CartTests.Adds" computerName="box" duration="00:00:00.0834563" testType="13cdc9d9-ddb5-4fa4-a97d-d965ccfc6d4b" outcome="Passed" testListId="l" relativeResultsDirectory="e1">
      <Output><StdOut>adding</StdOut></Output>
    </UnitTestResult>
    <UnitTestResult executionId="e2" testId="t2" testName="Removes" duration="00:01:02.5" outcome="Failed">
      <Output>
        <StdOut>removing</StdOut>
        <ErrorInfo><Message>Assert.AreEqual failed. Expected:&lt;1&gt;. Actual:&lt;2&gt;.</Message><StackTrace>   at Shop.CartTests.Removes() in /src/CartTests.cs:line 21</StackTrace></ErrorInfo>
      </Output>
    </UnitTestResult>
    <UnitTestResult executionId="e3" testId="t3" testName="Later" duration="00:00:00" outcome="NotExecuted"><Output><ErrorInfo><Message>not yet</Message></ErrorInfo></Output></UnitTestResult>
    <UnitTestResult executionId="e4" testId="t4" testName="Sums" resultType="DataDrivenTest" duration="00:00:00.3" outcome="Failed">
      <Output><ErrorInfo><Message>1 of 2 rows failed</Message></ErrorInfo></Output>
      <InnerResults>
        <UnitTestResult executionId="e5" parentExecutionId="e4" testId="t4" testName="Sums (1,2)" resultType="DataDrivenDataRow" dataRowInfo="0" duration="00:00:00.1" outcome="Passed" />
        <UnitTestResult executionId="e6" parentExecutionId="e4" testId="t4" testName="Sums (2,2)" resultType="DataDrivenDataRow" dataRowInfo="1" duration="1.00:00:00" outcome="Timeout"><Output><StdErr>too slow</StdErr></Output></UnitTestResult>
      </InnerResults>
    </UnitTestResult>
    <UnitTestResult executionId="e7" testId="t7" testName="Broken" />
    <WebTestResult executionId="e8" testId="t8" testName="Home" outcome="Inconclusive" />
  </Results>
  <TestDefinitions>
    <UnitTest name="Shop.CartTests.Adds" storage="/src/shop.tests.dll" id="t1"><Execution id="e1" /><TestMethod codeBase="/src/Shop.Tests.dll" adapterTypeName="executor://xunit" className="Shop.CartTests" name="Adds" /></UnitTest>
    <UnitTest name="Removes" storage="/src/shop.tests.dll" id="t2"><TestMethod className="Shop.CartTests, Shop.Tests, Version=1.0.0.0, Culture=neutral" name="Removes" /></UnitTest>
    <UnitTest name="Later" storage="/src/shop.tests.dll" id="t3"><TestMethod className="Shop.CartTests" name="Later" /></UnitTest>
    <UnitTest name="Sums" storage="/src/shop.tests.dll" id="t4"><TestMethod className="Shop.CartTests" name="Sums" /></UnitTest>
    <WebTest name="Home" storage="c:\src\home.webtest" id="t8" />
  </TestDefinitions>
  <TestEntries><TestEntry testId="t1" executionId="e1" testListId="l" /></TestEntries>
  <ResultSummary outcome="Failed"><Counters total="7" executed="6" passed="2" failed="3" /></ResultSummary>
</TestRun>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.TestResult{
		{Suite: "Shop.CartTests", Name: "Adds", Outcome: job.TestPassed, Duration: 83_456},
		{Suite: "Shop.CartTests", Name: "Removes", Outcome: job.TestFailed, Duration: 62_500_000, Message: "Assert.AreEqual failed. Expected:<1>. Actual:<2>.",
			Detail: "at Shop.CartTests.Removes() in /src/CartTests.cs:line 21"},
		{Suite: "Shop.CartTests", Name: "Later", Outcome: job.TestSkipped, Message: "not yet"},
		{Suite: "Shop.CartTests", Name: "Sums (1,2)", Outcome: job.TestPassed, Duration: 100_000},
		{Suite: "Shop.CartTests", Name: "Sums (2,2)", Outcome: job.TestFailed, Duration: 86_400_000_000, Detail: "too slow"},
		{Name: "Broken", Outcome: job.TestFailed},
		{Suite: "home.webtest", Name: "Home", Outcome: job.TestSkipped},
	}
	if diff := cmp.Diff(want, run.Results); diff != "" {
		t.Error(diff)
	}
}

// The files of a test lie in ROOT/In/EXECUTION (TrxResultReader.cs of azure-pipelines-agent): ResultFiles of MSTest's TestContext.AddResultFile, and what
// data collectors add. Those of the summary are of the whole run, and lie in ROOT/In.
func TestTRXAttachments(t *testing.T) {
	t.Parallel()
	run, err := Read(VSTest, strings.NewReader(`<TestRun><TestSettings><Deployment runDeploymentRoot="ada_box"/></TestSettings><Results>
<UnitTestResult executionId="e1" testName="A" outcome="Passed"><ResultFiles><ResultFile path="box\a.png"/></ResultFiles>
<CollectorDataEntries><Collector><UriAttachments><UriAttachment><A href="box/b.log"/></UriAttachment></UriAttachments></Collector></CollectorDataEntries></UnitTestResult>
<UnitTestResult testName="B" outcome="Passed"><ResultFiles><ResultFile path="lost.png"/></ResultFiles></UnitTestResult></Results>
<ResultSummary outcome="Passed"><Counters total="2"/><ResultFiles><ResultFile path="box\run.log"/></ResultFiles>
<CollectorDataEntries><Collector agentName="box"><UriAttachments><UriAttachment><A href="c1\data.coverage"/></UriAttachment></UriAttachments></Collector></CollectorDataEntries></ResultSummary></TestRun>`))
	if err != nil {
		t.Fatal(err)
	}
	want := job.TestRun{Files: []string{"ada_box/In/box/run.log", "ada_box/In/c1/data.coverage"},
		Results: []job.TestResult{{Name: "A", Outcome: job.TestPassed, Files: []string{"ada_box/In/e1/box/a.png", "ada_box/In/e1/box/b.log"}}, {Name: "B", Outcome: job.TestPassed}}}
	if diff := cmp.Diff(want, run); diff != "" {
		t.Error(diff)
	}
}
