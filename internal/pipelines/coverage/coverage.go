// Package coverage reads reports of code coverage in the formats of Cobertura and JaCoCo, merges them line by line, and adds
// them up. It is pure and bounds what it reads.
package coverage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Limits of one report, and of what one run may publish.
const (
	MaxReport = 128 << 20 // bytes
	MaxFiles  = 20_000
	MaxLines  = 2_000_000
	maxName   = 1_000 // bytes of a path or package
)

// Line is a line that can be covered.
type Line struct {
	Number int   `json:"n"`
	Hits   int64 `json:"h,omitempty"`
	// Branches that begin in the line, and how many of them were taken.
	Branches int `json:"b,omitempty"`
	Taken    int `json:"t,omitempty"`
}

// File is what is known of one source file. Lines are in order, each once.
type File struct {
	Path    string `json:"path"`
	Package string `json:"package,omitempty"`
	Lines   []Line `json:"lines"`
}

// Report is one report. Sources are the folders that paths may be relative to, as the report says.
type Report struct {
	Tool    string // Cobertura or JaCoCo
	Sources []string
	Files   []File
}

// Sum counts lines and branches.
type Sum struct {
	Lines    int `json:"lines"`
	Covered  int `json:"covered"`
	Branches int `json:"branches"`
	Taken    int `json:"taken"`
}

// Add adds another sum.
func (s *Sum) Add(t Sum) {
	s.Lines, s.Covered, s.Branches, s.Taken = s.Lines+t.Lines, s.Covered+t.Covered, s.Branches+t.Branches, s.Taken+t.Taken
}

// Percent is the share of lines that are covered, 0 to 100; 0 without lines.
func (s Sum) Percent() float64 { return percent(s.Covered, s.Lines) }

// BranchPercent is the share of branches that are taken.
func (s Sum) BranchPercent() float64 { return percent(s.Taken, s.Branches) }

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// Sum adds up the lines: one is covered if it was run at all, though not all of its branches were taken.
func (f *File) Sum() (s Sum) {
	for _, l := range f.Lines {
		s.Lines++
		if l.Hits > 0 {
			s.Covered++
		}
		s.Branches, s.Taken = s.Branches+l.Branches, s.Taken+l.Taken
	}
	return s
}

// SumOf adds up files.
func SumOf(files []File) (s Sum) {
	for i := range files {
		s.Add(files[i].Sum())
	}
	return s
}

// Merge puts reports together: files of one path are one file, in order of paths. Hits are added. Which branches a report
// saw taken it does not say, so that of each line the most that one of them saw counts.
func Merge(reports ...[]File) []File {
	byPath := map[string]*File{}
	for _, files := range reports {
		for _, f := range files {
			known := byPath[f.Path]
			if known == nil {
				known = &File{Path: f.Path, Package: f.Package}
				byPath[f.Path] = known
			}
			known.Lines = mergeLines(known.Lines, f.Lines, func(a, b int64) int64 { return a + b })
		}
	}
	merged := make([]File, 0, len(byPath))
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		merged = append(merged, *byPath[path])
	}
	return merged
}

// mergeLines joins two lists in order of numbers; hits says what becomes of those of a line in both.
func mergeLines(a, b []Line, hits func(a, b int64) int64) []Line {
	if len(a) == 0 {
		return slices.Clone(b)
	}
	out := make([]Line, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch c := cmp.Compare(a[0].Number, b[0].Number); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, Line{Number: a[0].Number, Hits: hits(a[0].Hits, b[0].Hits), Branches: max(a[0].Branches, b[0].Branches), Taken: max(a[0].Taken, b[0].Taken)})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// gather collects the lines of a report's files, which may name a file and a line more than once: for each class in it, and
// for the methods of a class again.
type gather struct {
	files map[string]*File
	lines int
}

// add notes a line of a file. It returns false when there is too much.
func (g *gather) add(path, pkg string, l Line) bool {
	f := g.files[path]
	if f == nil {
		if len(g.files) >= MaxFiles || len(path) > maxName || len(pkg) > maxName {
			return false
		}
		f = &File{Path: path, Package: pkg}
		g.files[path] = f
	}
	if g.lines++; g.lines > 2*MaxLines { // methods repeat their classes' lines
		return false
	}
	f.Lines = append(f.Lines, l)
	return true
}

// list are the files in order of paths, each line once.
func (g *gather) list() []File {
	files := make([]File, 0, len(g.files))
	for _, path := range slices.Sorted(maps.Keys(g.files)) {
		f := *g.files[path]
		slices.SortFunc(f.Lines, func(a, b Line) int { return cmp.Compare(a.Number, b.Number) })
		once := f.Lines[:0]
		for _, l := range f.Lines {
			if n := len(once); n > 0 && once[n-1].Number == l.Number {
				last := &once[n-1]
				last.Hits, last.Branches, last.Taken = max(last.Hits, l.Hits), max(last.Branches, l.Branches), max(last.Taken, l.Taken)
				continue
			}
			once = append(once, l)
		}
		f.Lines = once
		files = append(files, f)
	}
	return files
}

// Folder is the package of a file, or else its folder.
func (f *File) Folder() string {
	if f.Package != "" {
		return f.Package
	}
	i := strings.LastIndexByte(f.Path, '/')
	if i < 0 {
		return "."
	}
	return f.Path[:i]
}
