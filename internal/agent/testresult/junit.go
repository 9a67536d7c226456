package testresult

import (
	"encoding/xml"
	"strings"

	"slipway/internal/pipelines/job"
)

// junit reads `testsuites` or `testsuite` with `testcase`, and in it `failure`, `error` or `skipped`. Suites inside of
// suites count with the innermost one's name.
func (r *reader) junit(root xml.StartElement) error { return r.junitSuite(root, "") }

func (r *reader) junitSuite(suite xml.StartElement, around string) error {
	if name := attribute(suite, "name"); name != "" && suite.Name.Local == "testsuite" {
		around = name
	}
	return r.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "testcase":
			return r.junitCase(e, around)
		case "testsuite":
			return r.junitSuite(e, around)
		}
		return r.d.Skip()
	})
}

func (r *reader) junitCase(start xml.StartElement, suite string) error {
	t := job.TestResult{Suite: suite, Name: attribute(start, "name"), Outcome: job.TestPassed, Duration: microseconds(attribute(start, "time"))}
	if class := attribute(start, "classname"); class != "" {
		t.Suite = class
	}
	if status := strings.ToLower(attribute(start, "status")); status == "skipped" || status == "notrun" || status == "disabled" {
		t.Outcome = job.TestSkipped
	}
	err := r.children(func(e xml.StartElement) error {
		text, err := r.text()
		switch e.Name.Local {
		case "failure", "error":
			t.Outcome, t.Message, t.Detail = job.TestFailed, attribute(e, "message"), text
		case "skipped":
			if t.Outcome != job.TestFailed {
				t.Outcome, t.Message = job.TestSkipped, attribute(e, "message")
			}
		case "system-out", "system-err":
			if t.Detail == "" && t.Outcome == job.TestFailed {
				t.Detail = text
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.add(t)
}
