package coverage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// open reads a report of testdata: what coverage.py 6.5 and JaCoCo 0.8.6 wrote of two small programs.
func open(t *testing.T, name string) Report {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadCobertura(t *testing.T) {
	t.Parallel()
	r := open(t, "coveragepy.xml")
	// lines-valid, lines-covered, branches-valid and branches-covered of the root.
	if diff := cmp.Diff(Sum{Lines: 19, Covered: 14, Branches: 8, Taken: 3}, SumOf(r.Files)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/builds/shop"}, r.Sources); diff != "" || r.Tool != "Cobertura" {
		t.Errorf("tool %s, sources (-want +got)\n%s", r.Tool, diff)
	}
	want := File{Path: "shop/price.py", Package: "shop", Lines: []Line{{1, 1, 0, 0}, {2, 1, 2, 1}, {3, 1, 0, 0}, {4, 0, 2, 0}, {5, 0, 0, 0}, {7, 0, 0, 0},
		{8, 1, 2, 1}, {9, 0, 0, 0}, {10, 1, 0, 0}}}
	if diff := cmp.Diff(want, r.Files[0]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadJaCoCo(t *testing.T) {
	t.Parallel()
	r := open(t, "jacoco.xml")
	// The counters LINE and BRANCH of the root.
	if diff := cmp.Diff(Sum{Lines: 12, Covered: 8, Branches: 8, Taken: 2}, SumOf(r.Files)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(r.Files) != 1 || r.Files[0].Path != "com/example/Price.java" || r.Files[0].Package != "com.example" || r.Tool != "JaCoCo" {
		t.Errorf("%+v", r)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	a, b := open(t, "coveragepy.xml").Files, open(t, "coveragepy-more.xml").Files
	merged := Merge(a, b)
	// `coverage combine` of both runs covers 17 of 19 lines. It also knows which branches were taken, 6; here it is the most of each line.
	if diff := cmp.Diff(Sum{Lines: 19, Covered: 17, Branches: 8, Taken: 4}, SumOf(merged)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(merged, Merge(b, a)); diff != "" {
		t.Errorf("the order matters: %s", diff)
	}
	if diff := cmp.Diff(Line{Number: 1, Hits: 2}, merged[0].Lines[0]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(a, Merge(a)); diff != "" {
		t.Errorf("one report is not itself: %s", diff)
	}
}

// The methods of a class repeat its lines, and inner classes share its file.
func TestReadLinesOnce(t *testing.T) {
	t.Parallel()
	const text = `<coverage><packages><package name="p"><classes>
<class name="A" filename="src\A.cs"><methods><method><lines><line number="2" hits="3"/></lines></method></methods><lines><line number="2" hits="3" condition-coverage="50% (1/2)"/><line number="1" hits="99999999999999999999"/></lines></class>
<class name="A.B" filename="src\A.cs"><lines><line number="5" hits="0"/><line number="0" hits="1"/></lines></class>
</classes></package></packages></coverage>`
	r, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []File{{Path: "src/A.cs", Package: "p", Lines: []Line{{1, 2147483647, 0, 0}, {2, 3, 2, 1}, {5, 0, 0, 0}}}}
	if diff := cmp.Diff(want, r.Files); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	class := func(lines string) string {
		return `<coverage><packages><package name="p"><classes><class filename="a">` + lines + `</class></classes></package></packages></coverage>`
	}
	for text, want := range map[string]string{
		"":                               "it is empty",
		"no XML":                         "it is empty",
		"<coverage>":                     "it is no whole XML: ",
		"<coverage/>":                    "it is no report of Cobertura or JaCoCo: it has no packages",
		"<CoverageSession/>":             `it is no report of Cobertura or JaCoCo: its root is "CoverageSession"`,
		class(`<line hits="1"/>`):        `a line of a: number "" is no number`,
		class(`<line number="1"/>`):      `a line of a: hits "" is no number`,
		strings.Repeat("<coverage>", 60): "elements are nested deeper than 50",
		`<!DOCTYPE coverage [<!ENTITY e SYSTEM "file:///etc/passwd">]><coverage><sources><source>&e;</source></sources></coverage>`: "it is no whole XML: ",
		`<?xml version="1.0" encoding="utf-7"?><coverage/>`:                                                                         "it is no whole XML: ",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

func TestReadLimit(t *testing.T) {
	t.Parallel()
	text := "<report><package name='p'/></report>" + strings.Repeat(" ", 1000)
	if _, err := read(strings.NewReader(text), int64(len(text))); err != nil {
		t.Error(err)
	}
	if _, err := read(strings.NewReader(text), int64(len(text))-1); err == nil || err.Error() != "it has more than 1035 bytes" {
		t.Errorf("one byte more: %v", err)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, files := range [][]File{{}, open(t, "coveragepy.xml").Files, {{Path: "a", Lines: []Line{{1, 2147483647, 300, 299}, {2147483647, 0, 0, 0}}}, {Path: "b", Package: "p", Lines: []Line{}}}} {
		data := Encode(files)
		got, err := Decode(data)
		if diff := cmp.Diff(files, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		for n := range data {
			if _, err := Decode(data[:n]); err == nil {
				t.Errorf("%d of %d bytes are read without an error", n, len(data))
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"coveragepy.xml", "jacoco.xml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		if diff := cmp.Diff(SumOf(r.Files), SumOf(Merge(r.Files))); diff != "" {
			t.Error(diff)
		}
		for _, file := range r.Files {
			last := 0
			for _, l := range file.Lines {
				if l.Number <= last || l.Hits < 0 || l.Taken < 0 || l.Taken > l.Branches {
					t.Errorf("%s: %+v", file.Path, l)
				}
				last = l.Number
			}
		}
	})
}
