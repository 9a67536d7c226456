package testresult

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// The file is of the shape that the xUnit.net v2 and v3 runners write with -xml.
func TestXUnit(t *testing.T) {
	t.Parallel()
	run, err := Read(XUnit, strings.NewReader(`<?xml version="1.0" encoding="utf-8"?>
<assemblies timestamp="03/01/2026 10:00:00">
  <assembly name="C:\src\Shop.Tests.dll" environment="64-bit .NET 9.0 [collection-per-class, parallel (4 threads)]" test-framework="xUnit.net 2.9.3" run-date="2026-03-01" run-time="10:00:00" total="4" passed="2" failed="1" skipped="1" time="0.233" errors="1">
    <errors>
      <error type="assembly-cleanup" name="/src/Shop.Tests.dll">
        <failure exception-type="System.IO.IOException"><message><![CDATA[disk full]]></message><stack-trace><![CDATA[at Shop.Fixture.Dispose()]]></stack-trace></failure>
      </error>
    </errors>
    <collection total="4" passed="2" failed="1" skipped="1" name="Test collection for Shop.CartTests" time="0.200">
      <test name="Shop.CartTests.Adds" type="Shop.CartTests" method="Adds" time="0.0021" result="Pass"><traits><trait name="owner" value="ada" /></traits></test>
      <test name="Shop.CartTests.Sums(a: 1, b: 2.5)" type="Shop.CartTests" method="Sums" time="0.01" result="Pass" />
      <test name="Shop.CartTests.Removes" type="Shop.CartTests" method="Removes" time="0.1" result="Fail">
        <failure exception-type="Xunit.Sdk.EqualException">
          <message><![CDATA[Assert.Equal() Failure]]></message>
          <stack-trace><![CDATA[   at Shop.CartTests.Removes() in /src/CartTests.cs:line 21]]></stack-trace>
        </failure>
        <output><![CDATA[noise]]></output>
      </test>
      <test name="the cart can be saved" type="Shop.CartTests" method="Saves" time="0" result="Skip"><reason><![CDATA[not yet]]></reason></test>
    </collection>
  </assembly>
</assemblies>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.TestResult{
		{Suite: "Shop.Tests.dll", Name: "assembly-cleanup of /src/Shop.Tests.dll", Outcome: job.TestFailed, Message: "disk full", Detail: "at Shop.Fixture.Dispose()"},
		{Suite: "Shop.CartTests", Name: "Adds", Outcome: job.TestPassed, Duration: 2_100},
		{Suite: "Shop.CartTests", Name: "Sums(a: 1, b: 2.5)", Outcome: job.TestPassed, Duration: 10_000},
		{Suite: "Shop.CartTests", Name: "Removes", Outcome: job.TestFailed, Duration: 100_000, Message: "Assert.Equal() Failure",
			Detail: "at Shop.CartTests.Removes() in /src/CartTests.cs:line 21"},
		{Suite: "Shop.CartTests", Name: "the cart can be saved", Outcome: job.TestSkipped, Message: "not yet"},
	}
	if diff := cmp.Diff(want, run.Results); diff != "" {
		t.Error(diff)
	}
}

// Version 1 has one assembly as its root, and classes in it.
func TestXUnit1(t *testing.T) {
	t.Parallel()
	run, err := Read(XUnit, strings.NewReader(`<assembly name="Shop.Tests.dll" total="2" passed="1" failed="1" skipped="0">
  <class time="0.1" name="Shop.CartTests" total="2" passed="1" failed="1" skipped="0">
    <test name="Shop.CartTests.Adds" type="Shop.CartTests" method="Adds" result="Pass" time="0.05" />
    <test name="Shop.CartTests.Removes" type="Shop.CartTests" method="Removes" result="Fail" time="0.05">
      <failure exception-type="E"><message>no</message></failure><output>seen</output>
    </test>
  </class>
</assembly>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.TestResult{
		{Suite: "Shop.CartTests", Name: "Adds", Outcome: job.TestPassed, Duration: 50_000},
		{Suite: "Shop.CartTests", Name: "Removes", Outcome: job.TestFailed, Duration: 50_000, Message: "no", Detail: "seen"},
	}
	if diff := cmp.Diff(want, run.Results); diff != "" {
		t.Error(diff)
	}
}
