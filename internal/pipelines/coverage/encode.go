package coverage

import (
	"encoding/binary"
	"errors"
)

// EncodeLines writes lines in a few bytes each: the distance from the line before, then hits, branches and taken ones, all as
// unsigned variable-length integers (package encoding/binary).
func EncodeLines(lines []Line) []byte {
	b := binary.AppendUvarint(make([]byte, 0, 4*len(lines)+4), uint64(len(lines)))
	last := 0
	for _, l := range lines {
		for _, n := range [4]uint64{uint64(l.Number - last), uint64(l.Hits), uint64(l.Branches), uint64(l.Taken)} {
			b = binary.AppendUvarint(b, n)
		}
		last = l.Number
	}
	return b
}

// DecodeLines reads what EncodeLines wrote.
func DecodeLines(data []byte) ([]Line, error) {
	d := decoder{data: data}
	lines := d.lines()
	return lines, d.err
}

// Encode writes files: of each the path and the package, as texts after their lengths, and the lines.
func Encode(files []File) []byte {
	b := binary.AppendUvarint(nil, uint64(len(files)))
	for i := range files {
		for _, text := range [2]string{files[i].Path, files[i].Package} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
		b = append(b, EncodeLines(files[i].Lines)...)
	}
	return b
}

// Decode reads what Encode wrote.
func Decode(data []byte) ([]File, error) {
	d := decoder{data: data}
	files := make([]File, 0, d.count(MaxFiles))
	for range cap(files) {
		files = append(files, File{Path: d.text(), Package: d.text(), Lines: d.lines()})
	}
	return files, d.err
}

var errCut = errors.New("the stored coverage is cut off or damaged")

// decoder reads until the first error, and zeros after it.
type decoder struct {
	data []byte
	err  error
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.data)
	if size <= 0 || d.err != nil {
		d.err = errCut
		return 0
	}
	d.data = d.data[size:]
	return n
}

// count is a number of things that follow, of which each takes a byte at least.
func (d *decoder) count(most int) int {
	n := d.number()
	if n > uint64(most) || n > uint64(len(d.data)) {
		d.err = errCut
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count(len(d.data))
	text := string(d.data[:n])
	d.data = d.data[n:]
	return text
}

func (d *decoder) lines() []Line {
	lines := make([]Line, 0, d.count(MaxLines))
	last := 0
	for range cap(lines) {
		last += int(d.number())
		lines = append(lines, Line{Number: last, Hits: int64(d.number()), Branches: int(d.number()), Taken: int(d.number())})
	}
	return lines
}
