package localrun_test

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkStart is a run of one step that does nothing, with all that looks at the working tree.
func BenchmarkStart(b *testing.B) {
	w := newWorld(b, `
steps:
- checkout: none
- bash: 'true'
`)
	for b.Loop() {
		w.options.Out, w.options.Folder = io.Discard, b.TempDir()
		if report := w.run(b.Context()); !report.Succeeded() {
			b.Fatalf("the run is %s", report.Result)
		}
	}
}

// BenchmarkLog is a step that writes a million lines of a hundred bytes, all of which must come out in their order.
func BenchmarkLog(b *testing.B) {
	const lines, length = 1_000_000, 100
	w := newWorld(b, `
steps:
- checkout: none
- bash: seq -f 'line %094.0f' 1000000
`)
	b.SetBytes(lines * length)
	for b.Loop() {
		out := &orderedLines{b: b}
		w.options.Out, w.options.Folder = out, b.TempDir()
		if report := w.run(b.Context()); !report.Succeeded() {
			b.Fatalf("the run is %s", report.Result)
		}
		if out.count != lines {
			b.Fatalf("%d lines came out, want %d", out.count, lines)
		}
	}
}

// orderedLines counts the numbered lines that are written to it, and fails where a number is not the next.
type orderedLines struct {
	b     *testing.B
	count int
}

func (o *orderedLines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		digits, ok := bytes.CutPrefix(line, []byte("line "))
		if !ok {
			continue
		}
		number := 0
		for _, d := range bytes.TrimSuffix(digits, []byte("\n")) {
			number = number*10 + int(d-'0')
		}
		if o.count++; number != o.count {
			o.b.Errorf("line %d comes as the %d.", number, o.count)
		}
	}
	return len(p), nil
}
