package yaml

import (
	"slices"
	"strings"

	"slipway"
)

// maxProblems bounds what one file can report.
const maxProblems = 100

// Problems is everything that is wrong with a file, each with its place: an error that errors.As reads as
// *slipway.Problem, the first one.
type Problems []*slipway.Problem

// Error is one line for each problem: `file:line:column: message`.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, q := range p {
		lines[i] = q.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each problem.
func (p Problems) Unwrap() []error {
	list := make([]error, len(p))
	for i, q := range p {
		list[i] = q
	}
	return list
}

// Add records a mistake. The same message at the same place is recorded once.
func (p *Problems) Add(at slipway.Position, format string, args ...any) {
	p.put(slipway.Invalid(format, args...).At(at))
}

// Unsupported records something well-formed that Slipway cannot do.
func (p *Problems) Unsupported(at slipway.Position, format string, args ...any) {
	p.put(slipway.Unsupported(format, args...).At(at))
}

// Limit records a bound that was hit.
func (p *Problems) Limit(at slipway.Position, format string, args ...any) {
	p.put(slipway.Limit(format, args...).At(at))
}

// Append records the problems of another error, or err itself as a problem at the place.
func (p *Problems) Append(at slipway.Position, err error) {
	switch e := err.(type) { //nolint:errorlint // what wraps a problem says more than it
	case nil:
	case Problems:
		for _, q := range e {
			p.put(q)
		}
	case *slipway.Problem:
		if e.Position == nil {
			e = e.At(at)
		}
		p.put(e)
	default:
		p.put(slipway.Invalid("%v", err).At(at))
	}
}

// Nowhere is the place of what stands in no file, such as the value of a parameter that nobody gave. Problems there are not
// recorded.
var Nowhere = slipway.Position{File: "\x00"}

func (p *Problems) put(q *slipway.Problem) {
	if len(*p) >= maxProblems || q.Position.File == Nowhere.File {
		return
	}
	for _, old := range *p {
		if old.Message == q.Message && *old.Position == *q.Position {
			return
		}
	}
	*p = append(*p, q)
}

// Err is Sorted, nil without problems.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p.Sorted()
}

// Sorted is p in the order of files and lines.
func (p Problems) Sorted() Problems {
	sorted := slices.Clone(p)
	first := map[string]int{} // files in the order in which they came up
	for _, q := range p {
		if _, ok := first[q.Position.File]; !ok {
			first[q.Position.File] = len(first)
		}
	}
	slices.SortStableFunc(sorted, func(a, b *slipway.Problem) int {
		if c := first[a.Position.File] - first[b.Position.File]; c != 0 {
			return c
		}
		if c := a.Position.Line - b.Position.Line; c != 0 {
			return c
		}
		return a.Position.Column - b.Position.Column
	})
	return sorted
}
