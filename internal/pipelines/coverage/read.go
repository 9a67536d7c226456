package coverage

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

const (
	maxDepth   = 50
	maxSources = 1_000
)

// Read reads a report in either format; which it is, its root says. Nothing outside of it is read: neither its document
// type nor entities of its own.
func Read(r io.Reader) (Report, error) { return read(r, MaxReport) }

func read(r io.Reader, most int64) (Report, error) {
	limited := &io.LimitedReader{R: r, N: most + 1}
	d := xml.NewDecoder(limited)
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "utf-8", "us-ascii", "ascii", "iso-8859-1", "latin1":
			return in, nil
		}
		return nil, fmt.Errorf("the encoding %q is not known", charset)
	}
	p := &parser{gather: gather{files: map[string]*File{}}}
	for {
		token, err := d.Token()
		if limited.N <= 0 {
			return Report{}, fmt.Errorf("it has more than %d bytes", most)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Report{}, fmt.Errorf("it is no whole XML: %w", err)
		}
		if err := p.token(token); err != nil {
			return Report{}, err
		}
	}
	if p.report.Tool == "" {
		return Report{}, errors.New("it is empty")
	}
	if !p.packages {
		return Report{}, errors.New("it is no report of Cobertura or JaCoCo: it has no packages")
	}
	p.report.Files = p.gather.list()
	return p.report, nil
}

// parser follows the elements of a report.
type parser struct {
	report   Report
	gather   gather
	stack    []string
	packages bool
	pkg      string // of the element that is open
	file     string
	source   strings.Builder
}

func (p *parser) token(token xml.Token) error {
	switch e := token.(type) {
	case xml.StartElement:
		if len(p.stack) >= maxDepth {
			return fmt.Errorf("elements are nested deeper than %d", maxDepth)
		}
		p.stack = append(p.stack, e.Name.Local)
		return p.open(e)
	case xml.EndElement:
		p.stack = p.stack[:len(p.stack)-1]
		if e.Name.Local == "source" && p.report.Tool == cobertura {
			if text := strings.TrimSpace(p.source.String()); text != "" && len(p.report.Sources) < maxSources && len(text) <= maxName {
				p.report.Sources = append(p.report.Sources, text)
			}
			p.source.Reset()
		}
	case xml.CharData:
		if len(p.stack) > 0 && p.stack[len(p.stack)-1] == "source" && p.source.Len() <= maxName {
			p.source.Write(e)
		}
	}
	return nil
}

const (
	cobertura = "Cobertura"
	jacoco    = "JaCoCo"
)

func (p *parser) open(e xml.StartElement) error {
	name := e.Name.Local
	switch {
	case len(p.stack) == 1:
		tool, ok := map[string]string{"coverage": cobertura, "report": jacoco}[name]
		if !ok {
			return fmt.Errorf("it is no report of Cobertura or JaCoCo: its root is %q", name)
		}
		p.report.Tool = tool
		return nil
	case name == "packages" && p.report.Tool == cobertura:
		p.packages = true
	case name == "package":
		p.packages = p.packages || p.report.Tool == jacoco
		p.pkg, p.file = attribute(e, "name"), ""
	case name == "class" && p.report.Tool == cobertura:
		p.file = strings.ReplaceAll(attribute(e, "filename"), `\`, "/")
	case name == "sourcefile" && p.report.Tool == jacoco:
		p.file = attribute(e, "name")
		if p.pkg != "" {
			p.file = p.pkg + "/" + p.file
		}
	case name == "line" && p.file != "":
		return p.line(e)
	}
	return nil
}

func (p *parser) line(e xml.StartElement) error {
	var l Line
	var err error
	pkg := p.pkg
	if p.report.Tool == jacoco {
		pkg = strings.ReplaceAll(pkg, "/", ".")
		l, err = jacocoLine(e)
	} else {
		l, err = coberturaLine(e)
	}
	if err != nil {
		return fmt.Errorf("a line of %s: %w", p.file, err)
	}
	if l.Number > 0 && !p.gather.add(p.file, pkg, l) {
		return fmt.Errorf("it has more than %d files or %d lines, or names of more than %d bytes", MaxFiles, MaxLines, maxName)
	}
	return nil
}

// taken is the number of branches in condition-coverage: 50% (1/2).
var taken = regexp.MustCompile(`\((\d{1,6})/(\d{1,6})\)`)

func coberturaLine(e xml.StartElement) (l Line, err error) {
	if l.Number, err = number(e, "number"); err != nil {
		return l, err
	}
	hits := attribute(e, "hits")
	if l.Hits, err = strconv.ParseInt(hits, 10, 64); err != nil {
		// Some tools write what no int64 holds, or a decimal point.
		f, floatErr := strconv.ParseFloat(hits, 64)
		if floatErr != nil {
			return l, fmt.Errorf("hits %q is no number", hits)
		}
		l.Hits = int64(min(f, math.MaxInt32))
	}
	l.Hits = min(max(l.Hits, 0), math.MaxInt32)
	if m := taken.FindStringSubmatch(attribute(e, "condition-coverage")); m != nil {
		l.Taken, _ = strconv.Atoi(m[1])
		l.Branches, _ = strconv.Atoi(m[2])
		l.Taken = min(l.Taken, l.Branches)
	}
	return l, nil
}

// jacocoLine reads counts of instructions and branches. As in JaCoCo's own sums, a line of which any instruction was run is
// covered.
func jacocoLine(e xml.StartElement) (l Line, err error) {
	if l.Number, err = number(e, "nr"); err != nil {
		return l, err
	}
	var counts [3]int
	for i, name := range []string{"ci", "mb", "cb"} {
		if counts[i], err = number(e, name); err != nil {
			return l, err
		}
	}
	if counts[0] > 0 {
		l.Hits = 1
	}
	l.Branches, l.Taken = counts[1]+counts[2], counts[2]
	return l, nil
}

func number(e xml.StartElement, name string) (int, error) {
	text := attribute(e, name)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%s %q is no number", name, text)
	}
	return n, nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
