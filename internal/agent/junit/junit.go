// Package junit reads test results in the XML format that JUnit's Ant task made common and most test runners write:
// `testsuites` or `testsuite` with `testcase`, and in it `failure`, `error` or `skipped`.
//
// It is pure and bounds what it reads.
package junit

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"slipway/internal/pipelines/job"
)

const (
	maxText  = 32 << 10 // bytes of a message or detail
	maxDepth = 20
)

// Read reads one file. Suites inside of suites count with the innermost one's name.
func Read(r io.Reader) ([]job.TestResult, error) {
	d := xml.NewDecoder(r)
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "utf-8", "us-ascii", "ascii", "iso-8859-1", "latin1":
			return in, nil // what is not UTF-8 is replaced where the text is stored
		}
		return nil, fmt.Errorf("the encoding %q is not known", charset)
	}
	var results []job.TestResult
	var suites []string
	depth, seen := 0, false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if depth != 0 || !seen {
				return nil, errors.New("this is no whole JUnit file: it has no testsuite")
			}
			return results, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read test results: %w", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "testcase" {
				result, err := readCase(d, e, suiteName(suites))
				if err != nil {
					return nil, err
				}
				if len(results) >= job.MaxTestResults {
					return nil, fmt.Errorf("more than %d tests in one file", job.MaxTestResults)
				}
				results = append(results, result)
				continue
			}
			if depth == 0 && e.Name.Local != "testsuites" && e.Name.Local != "testsuite" {
				return nil, fmt.Errorf("this is no JUnit file: its root is %q", e.Name.Local)
			}
			if depth++; depth > maxDepth {
				return nil, fmt.Errorf("elements are nested deeper than %d", maxDepth)
			}
			seen = true
			name := ""
			if e.Name.Local == "testsuite" { // not a property, which has a name too
				name = attribute(e, "name")
			}
			suites = append(suites, name)
		case xml.EndElement:
			depth--
			suites = suites[:len(suites)-1]
		}
	}
}

func suiteName(suites []string) string {
	for i := len(suites) - 1; i >= 0; i-- {
		if suites[i] != "" {
			return suites[i]
		}
	}
	return ""
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// readCase reads a testcase up to its end.
func readCase(d *xml.Decoder, start xml.StartElement, suite string) (job.TestResult, error) {
	r := job.TestResult{Suite: suite, Name: attribute(start, "name"), Outcome: job.TestPassed, Duration: microseconds(attribute(start, "time"))}
	if class := attribute(start, "classname"); class != "" {
		r.Suite = class
	}
	if status := strings.ToLower(attribute(start, "status")); status == "skipped" || status == "notrun" || status == "disabled" {
		r.Outcome = job.TestSkipped
	}
	for {
		token, err := d.Token()
		if err != nil {
			return r, fmt.Errorf("read test %q: %w", r.Name, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			text, err := readText(d)
			if err != nil {
				return r, fmt.Errorf("read test %q: %w", r.Name, err)
			}
			switch e.Name.Local {
			case "failure", "error":
				r.Outcome = job.TestFailed
				r.Message, r.Detail = limit(attribute(e, "message")), limit(strings.TrimSpace(text))
			case "skipped":
				if r.Outcome != job.TestFailed {
					r.Outcome, r.Message = job.TestSkipped, limit(attribute(e, "message"))
				}
			case "system-out", "system-err":
				if r.Detail == "" && r.Outcome == job.TestFailed {
					r.Detail = limit(strings.TrimSpace(text))
				}
			}
		case xml.EndElement:
			return r, nil
		}
	}
}

// readText reads an element's text up to its end, whatever is nested in it.
func readText(d *xml.Decoder) (string, error) {
	var b strings.Builder
	for depth := 1; depth > 0; {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		switch e := token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if b.Len() < maxText {
				b.Write(e[:min(len(e), maxText-b.Len())])
			}
		}
	}
	return b.String(), nil
}

func limit(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}

// microseconds reads a time in seconds, which some runners write with thousands parted by commas.
func microseconds(text string) int64 {
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0
	}
	return int64(f * 1e6)
}
