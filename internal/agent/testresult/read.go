// Package testresult reads the files in which test runners write their results: those of JUnit's Ant task, which most
// runners can write, NUnit 2 and 3, xUnit.net 1 and 2, VSTest (TRX) and CTest (Test.xml).
//
// It is pure and bounds what it reads.
package testresult

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"slipway/internal/pipelines/job"
)

// Format says which program wrote a file. The names are those of the task PublishTestResults.
type Format string

// The formats.
const (
	JUnit  Format = "JUnit"
	NUnit  Format = "NUnit"
	VSTest Format = "VSTest"
	XUnit  Format = "XUnit"
	CTest  Format = "CTest"
)

const (
	maxText     = 32 << 10 // bytes of a message or detail
	maxFiles    = 20       // that one test attaches
	maxRunFiles = 200      // that are attached to all of the results
	maxDepth    = 100      // of elements: NUnit nests one or two for each part of a namespace
)

// shapes are what files of each format begin with, and the reader of what comes after. The slice is never changed.
var shapes = []struct {
	format Format
	roots  []string
	read   func(*reader, xml.StartElement) error
}{
	{JUnit, []string{"testsuites", "testsuite"}, (*reader).junit},
	{NUnit, []string{"test-run", "test-results"}, (*reader).nunit},
	{VSTest, []string{"TestRun"}, (*reader).trx},
	{XUnit, []string{"assemblies", "assembly"}, (*reader).xunit},
	{CTest, []string{"Site"}, (*reader).ctest},
}

// Read reads one file of a format, whose name ignores case: its results, what it attaches to the whole of them, and the platform if it names one. Its
// error says what is wrong with the file.
func Read(format Format, r io.Reader) (job.TestRun, error) {
	d := xml.NewDecoder(transform.NewReader(r, unicode.BOMOverride(encoding.Nop.NewDecoder())))
	d.CharsetReader = charset
	root, err := begin(d)
	if err != nil {
		return job.TestRun{}, err
	}
	known := false
	for _, s := range shapes {
		if !strings.EqualFold(string(s.format), string(format)) {
			continue
		}
		known = true
		if slices.Contains(s.roots, root.Name.Local) {
			in := &reader{d: d}
			if err := s.read(in, root); err != nil {
				return job.TestRun{}, fmt.Errorf("read test results: %w", err)
			}
			return in.run, nil
		}
	}
	if !known {
		return job.TestRun{}, fmt.Errorf("test results in the format %q cannot be read: use JUnit, NUnit, VSTest, XUnit or CTest", format)
	}
	return job.TestRun{}, other(format, root.Name.Local)
}

// other says what a file is that another format was expected of.
func other(format Format, root string) error {
	for _, s := range shapes {
		if slices.Contains(s.roots, root) {
			return fmt.Errorf("this is a file of %s, not of %s: its root is %q; set testResultsFormat to %s", s.format, format, root, s.format)
		}
	}
	return fmt.Errorf("this is no file of %s, nor of another known test runner: its root is %q", format, root)
}

// begin finds the root element.
func begin(d *xml.Decoder) (xml.StartElement, error) {
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return xml.StartElement{}, errors.New("the file holds no test results: it has no XML")
		}
		if err != nil {
			return xml.StartElement{}, fmt.Errorf("read test results: %w", err)
		}
		if e, ok := token.(xml.StartElement); ok {
			return e, nil
		}
	}
}

// charset reads the encodings that a file may name. A byte order mark counts more and is gone already.
func charset(name string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "utf8", "us-ascii", "ascii", "utf-16":
		return in, nil
	case "iso-8859-1", "latin1":
		return charmap.ISO8859_1.NewDecoder().Reader(in), nil
	case "windows-1252":
		return charmap.Windows1252.NewDecoder().Reader(in), nil
	}
	return nil, fmt.Errorf("the encoding %q is not known: write the file in UTF-8", name)
}

// reader reads the elements of one file.
type reader struct {
	d     *xml.Decoder
	depth int
	run   job.TestRun
}

func (r *reader) add(t job.TestResult) error {
	if len(r.run.Results) >= job.MaxTestResults {
		return fmt.Errorf("more than %d tests in one file", job.MaxTestResults)
	}
	t.Name, t.Suite = limit(t.Name), limit(t.Suite)
	t.Message, t.Detail = limit(strings.TrimSpace(t.Message)), limit(strings.TrimSpace(t.Detail))
	t.Files = t.Files[:min(len(t.Files), maxFiles)]
	r.run.Results = append(r.run.Results, t)
	return nil
}

// attach adds a file to what is attached to all of the results, up to maxRunFiles.
func (r *reader) attach(file string) {
	if file != "" && len(r.run.Files) < maxRunFiles {
		r.run.Files = append(r.run.Files, file)
	}
}

// children calls f for each element inside of the one that has begun, up to its end. f reads its element to the end.
func (r *reader) children(f func(e xml.StartElement) error) error {
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("elements are nested deeper than %d", maxDepth)
	}
	defer func() { r.depth-- }()
	for {
		token, err := r.d.Token()
		if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.StartElement:
			if err := f(e); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// text reads the text of the element that has begun up to its end, whatever is nested in it.
func (r *reader) text() (string, error) {
	var b strings.Builder
	for depth := 1; depth > 0; {
		token, err := r.d.Token()
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

// failure reads the message and the stack trace in an element of NUnit and xUnit.net.
func (r *reader) failure() (message, trace string, err error) {
	err = r.children(func(e xml.StartElement) error {
		text, err := r.text()
		switch e.Name.Local {
		case "message":
			message = text
		case "stack-trace":
			trace = text
		}
		return err
	})
	return message, trace, err
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func limit(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ToValidUTF8(text, "")
}

// microseconds reads a time in seconds, which some runners write with thousands parted by commas.
func microseconds(text string) int64 {
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil || !(f > 0 && f < 1e9) {
		return 0
	}
	return int64(f * 1e6)
}

// split parts the full name of a .NET method into its class and its own name with its arguments.
func split(full string) (suite, name string) {
	head, _, _ := strings.Cut(full, "(")
	if dot := strings.LastIndexByte(head, '.'); dot > 0 {
		return full[:dot], full[dot+1:]
	}
	return "", full
}
