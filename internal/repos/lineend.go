package repos

import "bytes"

// WithLineEndsOf gives a text whose lines end with a line feed, as those of forms do, the line ends of the file that it replaces: carriage return and
// line feed when more than half of that one's lines have both.
func WithLineEndsOf(file, text []byte) []byte {
	if 2*bytes.Count(file, []byte("\r\n")) <= bytes.Count(file, []byte("\n")) {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}
