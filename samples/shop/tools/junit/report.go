package main

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Time    time.Time
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds

	ImportPath  string // of build-output and build-fail
	FailedBuild string // on a package's fail: what did not compile
}

type testCase struct {
	name    string
	result  string // pass, fail, skip
	elapsed float64
	output  strings.Builder
}

type suite struct {
	name    string
	result  string
	elapsed float64
	begin   time.Time
	cases   map[string]*testCase
	output  strings.Builder
}

// report is one run of go test.
type report struct{ suites map[string]*suite }

// read collects the events of in and copies the tests' output to shown.
func read(in io.Reader, shown io.Writer) (*report, error) {
	r := &report{suites: map[string]*suite{}}
	builds := map[string]*strings.Builder{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("not a line of go test -json: %q", lines.Text())
		}
		if e.Output != "" {
			fmt.Fprint(shown, e.Output)
		}
		if e.ImportPath != "" {
			if builds[e.ImportPath] == nil {
				builds[e.ImportPath] = &strings.Builder{}
			}
			builds[e.ImportPath].WriteString(e.Output)
			continue
		}
		r.add(e, builds)
	}
	return r, lines.Err()
}

func (r *report) add(e event, builds map[string]*strings.Builder) {
	s := r.suites[e.Package]
	if s == nil {
		s = &suite{name: e.Package, begin: e.Time, cases: map[string]*testCase{}}
		r.suites[e.Package] = s
	}
	if e.Test == "" {
		s.output.WriteString(e.Output)
		if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
			s.result, s.elapsed = e.Action, e.Elapsed
		}
		if build := builds[e.FailedBuild]; e.FailedBuild != "" && build != nil {
			s.output.WriteString(build.String())
		}
		return
	}
	c := s.cases[e.Test]
	if c == nil {
		c = &testCase{name: e.Test}
		s.cases[e.Test] = c
	}
	c.output.WriteString(e.Output)
	if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
		c.result, c.elapsed = e.Action, e.Elapsed
	}
}

func (r *report) failed() bool {
	for _, s := range r.suites {
		if s.result == "fail" {
			return true
		}
	}
	return false
}

type xmlReport struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suites  []xmlSuite `xml:"testsuite"`
}

type xmlSuite struct {
	Name      string    `xml:"name,attr"`
	Tests     int       `xml:"tests,attr"`
	Failures  int       `xml:"failures,attr"`
	Errors    int       `xml:"errors,attr"`
	Skipped   int       `xml:"skipped,attr"`
	Time      string    `xml:"time,attr"`
	Timestamp string    `xml:"timestamp,attr"`
	Cases     []xmlCase `xml:"testcase"`
}

type xmlCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *xmlText `xml:"failure"`
	Error   *xmlText `xml:"error"`
	Skipped *xmlText `xml:"skipped"`
}

type xmlText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// write writes the report as JUnit, packages and tests by name. Packages without tests are left out.
func (r *report) write(out io.Writer) error {
	var doc xmlReport
	for _, name := range sorted(r.suites) {
		s := r.suites[name]
		x := xmlSuite{Name: name, Time: seconds(s.elapsed), Timestamp: s.begin.UTC().Format("2006-01-02T15:04:05")}
		for _, test := range sorted(s.cases) {
			x.add(s.name, s.cases[test])
		}
		if s.result == "fail" && x.Failures == 0 { // it did not compile, or it died
			x.Tests++
			x.Errors++
			x.Cases = append(x.Cases, xmlCase{Class: name, Name: "package", Time: x.Time,
				Error: &xmlText{Message: "the package failed", Text: s.output.String()}})
		}
		if len(x.Cases) > 0 {
			doc.Suites = append(doc.Suites, x)
		}
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(out)
	encoder.Indent("", "  ")
	return encoder.Encode(doc)
}

func (x *xmlSuite) add(class string, c *testCase) {
	one := xmlCase{Class: class, Name: c.name, Time: seconds(c.elapsed)}
	switch c.result {
	case "fail", "": // without a result the program died in the middle of this test
		one.Failure = &xmlText{Message: "failed", Text: c.output.String()}
		x.Failures++
	case "skip":
		one.Skipped = &xmlText{Message: strings.TrimSpace(c.output.String())}
		x.Skipped++
	}
	x.Tests++
	x.Cases = append(x.Cases, one)
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

func sorted[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
