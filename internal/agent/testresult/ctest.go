package testresult

import (
	"compress/zlib"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"slipway/internal/pipelines/job"
)

// ctestTest is one Test of CTest's Test.xml.
// https://cmake.org/cmake/help/latest/manual/ctest.1.html and CMake's cmCTestTestHandler::GenerateCTestXML
type ctestTest struct {
	Status   string `xml:"Status,attr"`
	Name     string `xml:"Name"`
	Path     string `xml:"Path"`
	Measures []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"Value"`
	} `xml:"Results>NamedMeasurement"`
	Output ctestValue `xml:"Results>Measurement>Value"`
}

type ctestValue struct {
	Encoding    string `xml:"encoding,attr"`
	Compression string `xml:"compression,attr"`
	Text        string `xml:",chardata"`
}

// ctest reads `Site` with `Testing`.
func (r *reader) ctest(xml.StartElement) error {
	tested := false
	err := r.children(func(e xml.StartElement) error {
		if e.Name.Local != "Testing" {
			return r.d.Skip()
		}
		tested = true
		return r.children(func(e xml.StartElement) error {
			// TestList has an element Test for each name; those with results are Testing's own.
			if e.Name.Local != "Test" {
				return r.d.Skip()
			}
			var t ctestTest
			if err := r.d.DecodeElement(&t, &e); err != nil {
				return err
			}
			return r.ctestResult(t)
		})
	})
	if err == nil && !tested {
		err = errors.New("the file of CTest holds no tests: publish Test.xml, which ctest -T Test writes")
	}
	return err
}

func (r *reader) ctestResult(in ctestTest) error {
	t := job.TestResult{Suite: strings.TrimPrefix(strings.TrimPrefix(in.Path, "."), "/"), Name: in.Name, Outcome: job.TestSkipped}
	measures := map[string]string{}
	for _, m := range in.Measures {
		measures[m.Name] = m.Value
	}
	t.Duration = microseconds(measures["Execution Time"])
	switch strings.ToLower(in.Status) {
	case "passed":
		t.Outcome = job.TestPassed
	case "failed":
		t.Outcome, t.Message, t.Detail = job.TestFailed, measures["Exit Code"], in.Output.text()
		if code := measures["Exit Value"]; code != "" && code != "0" {
			t.Message += ", exit code " + code
		}
	default:
		t.Message = measures["Completion Status"]
	}
	return r.add(t)
}

// text is the output, which CTest compresses when that makes it shorter: zlib's format, whatever the attribute says.
func (v ctestValue) text() string {
	if v.Encoding != "base64" {
		return v.Text
	}
	in := base64.NewDecoder(base64.StdEncoding, strings.NewReader(strings.Join(strings.Fields(v.Text), "")))
	if v.Compression == "gzip" {
		z, err := zlib.NewReader(in)
		if err != nil {
			return ""
		}
		defer z.Close()
		in = z
	}
	text, _ := io.ReadAll(io.LimitReader(in, maxText)) // what was read of a broken one is still of use
	return string(text)
}
