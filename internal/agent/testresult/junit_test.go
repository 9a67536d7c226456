package testresult

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// The file is of the shape that Maven's surefire, gotestsum and pytest write.
func TestJUnit(t *testing.T) {
	t.Parallel()
	run, err := Read(JUnit, strings.NewReader(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="5">
  <testsuite name="outer"><properties><property name="go.version" value="1.26"/></properties>
    <testcase classname="shop.Cart" name="adds" time="1.25"/>
    <testcase name="removes" time="0.000001"><failure message="got 1" type="x">cart_test.go:3: got 1 &amp; 2</failure><system-out>noise</system-out></testcase>
    <testsuite name="inner"><testcase name="later"><skipped message="not yet"/></testcase></testsuite>
    <testcase name="breaks" time="1,000.5"><error><![CDATA[panic: <nil>]]></error></testcase>
    <testcase name="off" status="disabled"/>
  </testsuite>
</testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.TestResult{
		{Suite: "shop.Cart", Name: "adds", Outcome: job.TestPassed, Duration: 1_250_000},
		{Suite: "outer", Name: "removes", Outcome: job.TestFailed, Duration: 1, Message: "got 1", Detail: "cart_test.go:3: got 1 & 2"},
		{Suite: "inner", Name: "later", Outcome: job.TestSkipped, Message: "not yet"},
		{Suite: "outer", Name: "breaks", Outcome: job.TestFailed, Duration: 1_000_500_000, Detail: "panic: <nil>"},
		{Suite: "outer", Name: "off", Outcome: job.TestSkipped},
	}
	if diff := cmp.Diff(want, run.Results); diff != "" {
		t.Error(diff)
	}
}
