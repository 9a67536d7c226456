package languageserver

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// document is an open file. It is replaced, not changed, when its text changes.
type document struct {
	uri     string
	version int
	text    string
	lines   []string // without their ends
	outline *outline
}

func newDocument(uri string, version int, text string) *document {
	d := &document{uri: uri, version: version, text: text, lines: strings.Split(text, "\n")}
	for i, l := range d.lines {
		d.lines[i] = strings.TrimSuffix(l, "\r")
	}
	d.outline = outlineOf(d.lines)
	return d
}

// changed is the document with changes made one after the other.
func (d *document) changed(version int, changes []contentChange) *document {
	for _, c := range changes {
		text := c.Text
		if c.Range != nil {
			start, end := d.offset(c.Range.Start), d.offset(c.Range.End)
			text = d.text[:start] + c.Text + d.text[max(start, end):]
		}
		d = newDocument(d.uri, version, text)
	}
	return d
}

// offset is a position's byte in the text. Positions behind the end of a line or the text are its end, as the
// specification says.
func (d *document) offset(p position) int {
	at := 0
	for range p.Line {
		next := strings.IndexByte(d.text[at:], '\n')
		if next < 0 {
			return len(d.text)
		}
		at += next + 1
	}
	line, _, _ := strings.Cut(d.text[at:], "\n")
	return at + bytesOf(line, p.Character)
}

// line is a line's text, "" behind the end.
func (d *document) line(i int) string {
	if i < 0 || i >= len(d.lines) {
		return ""
	}
	return d.lines[i]
}

// bytesOf is how many bytes of a line so many UTF-16 code units are.
func bytesOf(line string, units int) int {
	at := 0
	for _, r := range line {
		if units -= max(1, utf16.RuneLen(r)); units < 0 {
			break
		}
		at += utf8.RuneLen(r)
		if r == utf8.RuneError {
			return min(at, len(line))
		}
	}
	return at
}

// unitsOf is how many UTF-16 code units the first bytes of a line are.
func unitsOf(line string, bytes int) int {
	units := 0
	for i, r := range line {
		if i >= bytes {
			break
		}
		units += max(1, utf16.RuneLen(r))
	}
	return units
}

// span is the range of bytes of a line.
func (d *document) span(line, start, end int) textRange {
	text := d.line(line)
	return textRange{position{line, unitsOf(text, start)}, position{line, unitsOf(text, end)}}
}

// token is the range of what stands at a column, counted in characters from 1 as the compiler does: a quoted text, a key,
// or everything up to the end of the value.
func (d *document) token(line, column int) textRange {
	text := d.line(line)
	start := len(text)
	for i := range text {
		if column--; column <= 0 {
			start = i
			break
		}
	}
	rest := text[start:]
	end := len(strings.TrimRight(rest, " "))
	switch {
	case rest == "":
	case rest[0] == '"' || rest[0] == '\'':
		if i := strings.IndexByte(rest[1:], rest[0]); i >= 0 {
			end = i + 2
		}
	default:
		for _, stop := range []string{": ", " #", ", "} {
			if i := strings.Index(rest[:end], stop); i > 0 {
				end = i
			}
		}
		end = len(strings.TrimSuffix(rest[:end], ":"))
	}
	return d.span(line, start, start+max(end, min(1, len(rest))))
}
