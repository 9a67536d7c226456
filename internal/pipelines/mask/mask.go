// Package mask replaces secrets in text, for logs and everything else that people read.
package mask

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// minSecret is the shortest text that is masked: masking single letters would make a log unreadable.
const minSecret = 3

// minShifted is the shortest secret that is masked within longer text in base64, where its first and last bytes cannot be told.
const minShifted = 8

// Masker replaces secrets by *** in text. It is safe for concurrent use. The zero value knows none.
type Masker struct {
	mu       sync.RWMutex
	known    map[string]bool
	list     []string // of what is known, longest first
	replacer *strings.Replacer
	longest  int
	finder   finder
}

// Add makes the masker know a secret: its value, each line of it, and each of these in base64, also from the middle of a longer
// text on and in lines, as JSON text, in XML and in a URL.
func (m *Masker) Add(secret string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]bool{}
	}
	before := len(m.known)
	m.add(secret)
	if strings.ContainsAny(secret, "\r\n") {
		for _, line := range strings.FieldsFunc(secret, func(r rune) bool { return r == '\r' || r == '\n' }) {
			m.add(line)
		}
	}
	if len(m.known) == before {
		return
	}
	// Longest first: a secret that begins with another is masked whole.
	list := make([]string, 0, len(m.known))
	for text := range m.known {
		list = append(list, text)
	}
	slices.SortFunc(list, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m.list, m.longest = list, len(list[0])
	pairs := make([]string, 0, 2*len(list))
	for _, text := range list {
		pairs = append(pairs, text, "***")
	}
	m.replacer = strings.NewReplacer(pairs...)
	m.finder = newFinder(list)
}

func (m *Masker) add(text string) {
	forms := []string{text, strings.TrimSpace(text), base64.StdEncoding.EncodeToString([]byte(text)), url.QueryEscape(text), url.PathEscape(text), xmlText.Replace(text)}
	forms = append(forms, encodedLines(forms[2])...)
	for skipped := 1; skipped <= 2 && len(text) >= minShifted; skipped++ {
		// What stands before it in the encoded text takes a part of the first group of three bytes, and what stands after it of the last.
		rest := text[skipped:]
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(rest[:len(rest)/3*3])))
	}
	if len(text) >= minShifted {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(text[:len(text)/3*3])))
	}
	if b, err := json.Marshal(text); err == nil {
		forms = append(forms, string(b[1:len(b)-1]))
	}
	for _, form := range forms {
		if form = strings.TrimRight(form, "="); len(strings.TrimSpace(text)) >= minSecret && len(form) >= minSecret {
			m.known[form] = true
		}
	}
}

// xmlText writes text as it stands in an element of XML.
var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// minPiece is the shortest end of a long text in base64 that is masked when it stands in a line of its own.
const minPiece = 12

// encodedLines are the lines into which programs break a long text in base64: base64(1) at 76 letters, PEM and openssl at 64.
func encodedLines(encoded string) (lines []string) {
	for _, width := range []int{76, 64} {
		if len(encoded) <= width {
			continue
		}
		for line := range slices.Chunk([]byte(encoded), width) {
			if len(line) >= minPiece {
				lines = append(lines, string(line))
			}
		}
	}
	return lines
}

// Mask is the text with its secrets replaced.
func (m *Masker) Mask(text string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.replacer == nil {
		return text
	}
	return m.replacer.Replace(text)
}

// Found reports a text that Mask would change, and is many times faster.
func (m *Masker) Found(text []byte) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.finder.found(text)
}

// Longest is the length of the longest text that is masked.
func (m *Masker) Longest() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.longest
}

// Partial is the length of the longest end of the text that may be the beginning of a secret: who masks a stream holds it back.
func (m *Masker) Partial(text string) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	longest := 0
	for _, secret := range m.list {
		for n := min(len(secret)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				longest = n
			}
		}
	}
	return longest
}
