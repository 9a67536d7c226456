package web

import (
	"bytes"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/charmap"
	unicodes "golang.org/x/text/encoding/unicode"
)

// decoded is the text of a file that is not in UTF-8, and the name of its encoding: UTF-16 with a byte order mark, or else Windows-1252, of which
// ISO 8859-1 is a part, when nothing in it speaks against that. The name is empty for what is no text.
func decoded(content []byte) (text, encoding string) {
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		out, err := unicodes.UTF16(unicodes.LittleEndian, unicodes.ExpectBOM).NewDecoder().Bytes(content)
		if err == nil && !unprintable(string(out)) {
			return string(out), "UTF-16"
		}
		return "", ""
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return "", ""
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(content)
	if err != nil || unprintable(string(out)) {
		return "", ""
	}
	return string(out), "Windows-1252"
}

// unprintable says that a text has characters that no text file has.
func unprintable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r == unicode.ReplacementChar || unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\f\x1b", r)
	})
}
