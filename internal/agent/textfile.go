package agent

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// maxTextFile bounds a file that is changed as text, in bytes.
const maxTextFile = 64 << 20

// textEncoding is how a file's text becomes bytes. The names are those of the tasks' inputs.
type textEncoding struct {
	name string // ascii, utf-8, utf-16le, utf-16be, windows1252, iso88591
	mark bool   // whether the file began with a byte order mark
}

// codec is nil for ASCII and UTF-8, which need none.
func (e textEncoding) codec() (encoding.Encoding, error) {
	switch e.name {
	case "ascii", "utf-8":
		return nil, nil //nolint:nilnil // see above
	case "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), nil
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), nil
	case "windows1252", "win1252":
		return charmap.Windows1252, nil
	case "iso88591":
		return charmap.ISO8859_1, nil
	}
	return nil, fmt.Errorf("the encoding %q is not known: use auto, ascii, utf-8, utf-16le, utf-16be, windows1252 or iso88591", e.name)
}

// detect finds out the encoding of a file: by its mark, else by whether it is ASCII or UTF-8. What is neither is taken
// for Windows 1252, in which every byte is a character.
func detect(data []byte) textEncoding {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return textEncoding{"utf-8", true}
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return textEncoding{"utf-16le", true}
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return textEncoding{"utf-16be", true}
	case !utf8.Valid(data):
		return textEncoding{"windows1252", false}
	case bytes.ContainsFunc(data, func(r rune) bool { return r >= utf8.RuneSelf }):
		return textEncoding{"utf-8", false}
	}
	return textEncoding{"ascii", false}
}

// readText reads a file in an encoding; "" and auto find it out. The text has no byte order mark.
func readText(path, name string) (string, textEncoding, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", textEncoding{}, err
	}
	if info.Size() > maxTextFile {
		return "", textEncoding{}, fmt.Errorf("%s has more than %d bytes", path, maxTextFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", textEncoding{}, err
	}
	e := detect(data)
	if name = strings.ToLower(name); name != "" && name != "auto" {
		e = textEncoding{name, e.mark && e.name == name}
	}
	codec, err := e.codec()
	if err != nil {
		return "", e, err
	}
	if codec != nil {
		if data, err = codec.NewDecoder().Bytes(data); err != nil {
			return "", e, fmt.Errorf("read %s as %s: %w", path, e.name, err)
		}
	}
	return strings.TrimPrefix(string(data), "\uFEFF"), e, nil
}

// encode makes bytes of a text, with a byte order mark if that is wanted and the encoding has one. Characters that the
// encoding lacks become a substitute.
func (e textEncoding) encode(text string, mark bool) ([]byte, error) {
	if mark && strings.HasPrefix(e.name, "utf-") {
		text = "\uFEFF" + text
	}
	if e.name == "ascii" {
		text = strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf {
				return '?'
			}
			return r
		}, text)
	}
	codec, err := e.codec()
	if err != nil || codec == nil {
		return []byte(text), err
	}
	return encoding.ReplaceUnsupported(codec.NewEncoder()).Bytes([]byte(text))
}

// writeText writes a file that is there in place, so that it keeps its mode, or makes it.
func writeText(path, text string, e textEncoding, mark bool) error {
	data, err := e.encode(text, mark)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
