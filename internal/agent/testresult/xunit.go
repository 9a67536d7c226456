package testresult

import (
	"encoding/xml"
	"path"
	"strings"

	"slipway/internal/pipelines/job"
)

// xunit reads the results of xUnit.net 2, `assemblies` with `assembly`, `collection` and `test`, and of version 1, which
// has `class` for `collection`. https://xunit.net/docs/format-xml-v2
func (r *reader) xunit(root xml.StartElement) error {
	if root.Name.Local == "assembly" {
		return r.xunitAssembly(root)
	}
	return r.children(func(e xml.StartElement) error {
		if e.Name.Local == "assembly" {
			return r.xunitAssembly(e)
		}
		return r.d.Skip()
	})
}

func (r *reader) xunitAssembly(assembly xml.StartElement) error {
	file := path.Base(strings.ReplaceAll(attribute(assembly, "name"), `\`, "/"))
	return r.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "collection", "class":
			return r.children(func(e xml.StartElement) error {
				if e.Name.Local == "test" {
					return r.xunitTest(e)
				}
				return r.d.Skip()
			})
		case "errors": // of what runs around tests
			return r.children(func(e xml.StartElement) error { return r.xunitError(e, file) })
		}
		return r.d.Skip()
	})
}

func (r *reader) xunitTest(start xml.StartElement) error {
	t := job.TestResult{Suite: attribute(start, "type"), Name: attribute(start, "name"), Outcome: job.TestSkipped, Duration: microseconds(attribute(start, "time"))}
	switch {
	case t.Suite == "":
		t.Suite, t.Name = split(t.Name)
	case strings.HasPrefix(t.Name, t.Suite+"."):
		t.Name = t.Name[len(t.Suite)+1:]
	}
	switch strings.ToLower(attribute(start, "result")) {
	case "pass":
		t.Outcome = job.TestPassed
	case "fail":
		t.Outcome = job.TestFailed
	}
	output := ""
	err := r.children(func(e xml.StartElement) (err error) {
		switch e.Name.Local {
		case "failure":
			t.Outcome = job.TestFailed
			t.Message, t.Detail, err = r.failure()
		case "reason":
			t.Message, err = r.text()
		case "output":
			output, err = r.text()
		default:
			err = r.d.Skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	if t.Detail == "" && t.Outcome == job.TestFailed {
		t.Detail = output
	}
	return r.add(t)
}

func (r *reader) xunitError(start xml.StartElement, assembly string) error {
	t := job.TestResult{Suite: assembly, Name: attribute(start, "type"), Outcome: job.TestFailed}
	if name := attribute(start, "name"); name != "" {
		t.Name += " of " + name
	}
	err := r.children(func(e xml.StartElement) (err error) {
		if e.Name.Local != "failure" {
			return r.d.Skip()
		}
		t.Message, t.Detail, err = r.failure()
		return err
	})
	if err != nil {
		return err
	}
	return r.add(t)
}
