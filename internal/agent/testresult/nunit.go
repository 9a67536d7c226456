package testresult

import (
	"cmp"
	"encoding/xml"
	"strings"

	"slipway/internal/pipelines/job"
)

// nunit reads the results of NUnit 3, `test-run`, and of NUnit 2, `test-results`.
// https://docs.nunit.org/articles/nunit/technical-notes/usage/Test-Result-XML-Format.html
func (r *reader) nunit(root xml.StartElement) error {
	read := r.nunit3
	if root.Name.Local == "test-results" {
		read = r.nunit2
	}
	return r.nunitSuite(read)
}

// nunitSuite reads the cases below an element, however deep: NUnit 2 has `results` in between. What suites attach is of the whole run, and so is the
// first platform that an environment names (NunitResultReader.cs of azure-pipelines-agent).
func (r *reader) nunitSuite(read func(xml.StartElement) error) error {
	return r.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "test-case":
			return read(e)
		case "test-suite", "results":
			return r.nunitSuite(read)
		case "environment":
			r.run.Platform = cmp.Or(r.run.Platform, limit(attribute(e, "platform")))
		case "attachments":
			return r.nunitAttachments(r.attach)
		}
		return r.d.Skip()
	})
}

func (r *reader) nunit3(start xml.StartElement) error {
	suite, name := split(attribute(start, "fullname"))
	if class := attribute(start, "classname"); class != "" {
		suite = class
	}
	if own := attribute(start, "name"); own != "" {
		name = own
	}
	t := job.TestResult{Suite: suite, Name: name, Outcome: job.TestSkipped, Duration: microseconds(attribute(start, "duration"))}
	switch strings.ToLower(attribute(start, "result")) {
	case "passed", "warning":
		t.Outcome = job.TestPassed
	case "failed":
		t.Outcome = job.TestFailed
	}
	if err := r.nunitInside(&t); err != nil {
		return err
	}
	return r.add(t)
}

func (r *reader) nunit2(start xml.StartElement) error {
	suite, name := split(attribute(start, "name"))
	t := job.TestResult{Suite: suite, Name: name, Outcome: job.TestPassed, Duration: microseconds(attribute(start, "time"))}
	switch strings.ToLower(attribute(start, "result")) {
	case "failure", "error", "notrunnable", "cancelled":
		t.Outcome = job.TestFailed
	case "ignored", "skipped", "inconclusive":
		t.Outcome = job.TestSkipped
	case "": // before NUnit 2.5
		switch {
		case strings.EqualFold(attribute(start, "executed"), "false"):
			t.Outcome = job.TestSkipped
		case strings.EqualFold(attribute(start, "success"), "false"):
			t.Outcome = job.TestFailed
		}
	}
	if err := r.nunitInside(&t); err != nil {
		return err
	}
	return r.add(t)
}

// nunitInside reads why a case failed or did not run. A failure says so even if the attributes do not.
func (r *reader) nunitInside(t *job.TestResult) error {
	output := ""
	err := r.children(func(e xml.StartElement) (err error) {
		switch e.Name.Local {
		case "failure":
			t.Outcome = job.TestFailed
			t.Message, t.Detail, err = r.failure()
		case "reason":
			var message string
			if message, _, err = r.failure(); t.Message == "" {
				t.Message = message
			}
		case "output":
			output, err = r.text()
		case "attachments":
			err = r.nunitAttachments(func(file string) { t.Files = append(t.Files, file) })
		default:
			err = r.d.Skip()
		}
		return err
	})
	if t.Detail == "" && t.Outcome == job.TestFailed {
		t.Detail = output
	}
	return err
}

// nunitAttachments reads the paths of files that a case or a suite has attached: attachment/filePath.
func (r *reader) nunitAttachments(add func(file string)) error {
	return r.children(func(e xml.StartElement) error {
		return r.children(func(e xml.StartElement) error {
			text, err := r.text()
			if text = strings.TrimSpace(text); e.Name.Local == "filePath" && text != "" {
				add(text)
			}
			return err
		})
	})
}
