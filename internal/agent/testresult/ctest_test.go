package testresult

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// ctestXML is what ctest -T Test of CMake 3.25.1 wrote of eight tests, without what is not read. The output of the last,
// the numbers from 1 to 200, it compressed.
const ctestXML = `<?xml version="1.0" encoding="UTF-8"?>
<Site BuildName="Linux-unknown" BuildStamp="20260301-1000-Experimental" Name="box" Generator="ctest-3.25.1" OSName="Linux">
	<Testing>
		<StartDateTime>Mar 01 10:00 UTC</StartDateTime>
		<StartTestTime>1772359200</StartTestTime>
		<TestList>
			<Test>./adds</Test>
			<Test>./removes</Test>
			<Test>./later</Test>
			<Test>./off</Test>
			<Test>./slow</Test>
			<Test>./crashes</Test>
			<Test>./missing</Test>
			<Test>./sub/loud</Test>
		</TestList>
		<Test Status="passed">
			<Name>adds</Name>
			<Path>.</Path>
			<FullName>./adds</FullName>
			<Results>
				<NamedMeasurement type="numeric/double" name="Execution Time"><Value>0.0125831</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>Completed</Value></NamedMeasurement>
				<Measurement>
					<Value>adding
</Value>
				</Measurement>
			</Results>
		</Test>
		<Test Status="failed">
			<Name>removes</Name>
			<Path>.</Path>
			<FullName>./removes</FullName>
			<Results>
				<NamedMeasurement type="text/string" name="Exit Code"><Value>Failed</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Exit Value"><Value>3</Value></NamedMeasurement>
				<NamedMeasurement type="numeric/double" name="Execution Time"><Value>0.00506819</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>Completed</Value></NamedMeasurement>
				<Measurement>
					<Value>removing
got &lt;1&gt; &amp; 2
</Value>
				</Measurement>
			</Results>
		</Test>
		<Test Status="notrun">
			<Name>later</Name>
			<Path>.</Path>
			<FullName>./later</FullName>
			<Results>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>SKIP_RETURN_CODE=77</Value></NamedMeasurement>
				<Measurement>
					<Value></Value>
				</Measurement>
			</Results>
		</Test>
		<Test Status="notrun">
			<Name>off</Name>
			<Path>.</Path>
			<FullName>./off</FullName>
			<Results>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>Disabled</Value></NamedMeasurement>
				<Measurement>
					<Value>Disabled</Value>
				</Measurement>
			</Results>
		</Test>
		<Test Status="failed">
			<Name>slow</Name>
			<Path>.</Path>
			<FullName>./slow</FullName>
			<Results>
				<NamedMeasurement type="text/string" name="Exit Code"><Value>Timeout</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Exit Value"><Value>0</Value></NamedMeasurement>
				<NamedMeasurement type="numeric/double" name="Execution Time"><Value>1.00959</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>Completed</Value></NamedMeasurement>
				<Measurement>
					<Value></Value>
				</Measurement>
			</Results>
		</Test>
		<Test Status="failed">
			<Name>crashes</Name>
			<Path>.</Path>
			<FullName>./crashes</FullName>
			<Results>
				<NamedMeasurement type="text/string" name="Exit Code"><Value>SEGFAULT</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Exit Value"><Value>0</Value></NamedMeasurement>
				<NamedMeasurement type="numeric/double" name="Execution Time"><Value>0.0196218</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>Completed</Value></NamedMeasurement>
				<Measurement>
					<Value></Value>
				</Measurement>
			</Results>
		</Test>
		<Test Status="notrun">
			<Name>missing</Name>
			<Path>.</Path>
			<FullName>./missing</FullName>
			<Results>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>Unable to find executable</Value></NamedMeasurement>
				<Measurement>
					<Value>Unable to find executable: /nowhere/program</Value>
				</Measurement>
			</Results>
		</Test>
		<Test Status="failed">
			<Name>loud</Name>
			<Path>./sub</Path>
			<FullName>./sub/loud</FullName>
			<Results>
				<NamedMeasurement type="text/string" name="Exit Code"><Value>Failed</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Exit Value"><Value>1</Value></NamedMeasurement>
				<NamedMeasurement type="numeric/double" name="Execution Time"><Value>0.0102016</Value></NamedMeasurement>
				<NamedMeasurement type="text/string" name="Completion Status"><Value>Completed</Value></NamedMeasurement>
				<Measurement>
					<Value encoding="base64" compression="gzip">eJwd0skRwDAMw8A/qjHlu//GAufPybFQKDqDyWJzuKSRkCKdDDLJIpsccqlGhSqqU4Oa1KI2dahLb/TQfWSnD/qkL/qmH/plNEYYxfCNgzEZi7EZh3GZjRlmMTvTD5rMxdzMw7ysxgqrWJ01WH7vYm3WYV12Y4dd7M4e7Mn2dzb7sC+nccIpTucMzuQsjn97OJfbuOEWt3MHd3IXd3PFeBpyND2aIE2RJknTpInSVGmyNHc/m7sH9+Qe3bN7eE/v8ekXAVPP152GETEqRsboGCGjZKSMlukvhDs5o2cEjaKRNJpG1KgaWTNeMXfKRtpoG3GjbuSNvhE4Cme+tO5EjsqROTpH6CgdqaN1xM56N+BO7wgexSN5NI/oUT2yR/fsdyzupI/2ET/qR/7oHwPEAjFBzrsqd1aIGWKHGCKWiCliixgj1sh95/fur/EB/3Jrfw==</Value>
				</Measurement>
			</Results>
		</Test>
		<EndDateTime>Mar 01 10:00 UTC</EndDateTime>
		<EndTestTime>1772359201</EndTestTime>
		<ElapsedMinutes>0</ElapsedMinutes>
	</Testing>
</Site>`

func TestCTest(t *testing.T) {
	t.Parallel()
	run, err := Read(CTest, strings.NewReader(ctestXML))
	if err != nil {
		t.Fatal(err)
	}
	var numbers strings.Builder
	for i := range 200 {
		fmt.Fprintln(&numbers, i+1)
	}
	want := []job.TestResult{
		{Name: "adds", Outcome: job.TestPassed, Duration: 12_583},
		{Name: "removes", Outcome: job.TestFailed, Duration: 5_068, Message: "Failed, exit code 3", Detail: "removing\ngot <1> & 2"},
		{Name: "later", Outcome: job.TestSkipped, Message: "SKIP_RETURN_CODE=77"},
		{Name: "off", Outcome: job.TestSkipped, Message: "Disabled"},
		{Name: "slow", Outcome: job.TestFailed, Duration: 1_009_590, Message: "Timeout"},
		{Name: "crashes", Outcome: job.TestFailed, Duration: 19_621, Message: "SEGFAULT"},
		{Name: "missing", Outcome: job.TestSkipped, Message: "Unable to find executable"},
		{Suite: "sub", Name: "loud", Outcome: job.TestFailed, Duration: 10_201, Message: "Failed, exit code 1", Detail: strings.TrimSpace(numbers.String())},
	}
	if diff := cmp.Diff(want, run.Results); diff != "" {
		t.Error(diff)
	}
}
