package secretscan

import "bytes"

// hints are texts of which every finding has one. They are looked for all at once, in whole files; none is shorter than hintWindow.
var hints = []string{
	"AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "npm_", "glpat-", "xox", "hooks.slack.com", "k_live_", "AccountKey=", "AZDO", "AIza", "pypi-", "SG.",
	keyHint,
}

const (
	keyHint    = "-----BEGIN "
	hintWindow = 3
	// ownLength is that of Slipway's own tokens.
	ownLength = 52
)

// hintSteps says, for the last two bytes of a window of hintWindow, by how much the window may move without passing the beginning of a
// hint; 0 where it may be one (S. Wu, U. Manber: A fast algorithm for multi-pattern searching, 1994).
var hintSteps = func() *[1 << 16]uint8 {
	var steps [1 << 16]uint8
	for i := range steps {
		steps[i] = hintWindow - 1
	}
	for _, h := range hints {
		first, second := pair(h[0], h[1]), pair(h[1], h[2])
		steps[first] = min(steps[first], 1)
		steps[second] = 0
	}
	return &steps
}()

// hintBegins are the first bytes of hints.
var hintBegins = func() *[256]bool {
	var begins [256]bool
	for _, h := range hints {
		begins[h[0]] = true
	}
	return &begins
}()

func pair(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// Suspect says whether a whole text may hold a finding; it is quick where the answer is no. A word of the shape of Slipway's own tokens
// makes a text suspect, whether it is one or not.
func Suspect(text []byte) bool {
	steps := hintSteps
	for i := hintWindow - 1; i < len(text); {
		if step := steps[pair(text[i-1], text[i])]; step > 0 {
			i += int(step)
			continue
		}
		if start := i + 1 - hintWindow; !hintBegins[text[start]] || !hinted(text[start:]) {
			i++
			continue
		}
		begin := bytes.LastIndexByte(text[:i], '\n') + 1
		end := lineEnd(text, i)
		if found(text[begin:end], text[min(end+1, len(text)):]) {
			return true
		}
		i = end + hintWindow
	}
	return ownShape(text)
}

func hinted(text []byte) bool {
	for _, h := range hints {
		if len(text) >= len(h) && string(text[:len(h)]) == h {
			return true
		}
	}
	return false
}

func lineEnd(text []byte, from int) int {
	if n := bytes.IndexByte(text[from:], '\n'); n >= 0 {
		return from + n
	}
	return len(text)
}

// found looks at a line, and at the next when a private key may begin there.
func found(line, rest []byte) bool {
	var t Text
	if len(t.Line(string(line[:min(len(line), maxLine)]))) > 0 {
		return true
	}
	rest = rest[:min(len(rest), maxLine)]
	return t.begun && len(t.Line(string(rest[:lineEnd(rest, 0)]))) > 0
}

// ownShape says whether a word of the text has the shape of Slipway's own tokens. One of ownLength bytes lies over one of every ownLength
// places, so that the others need not be looked at.
func ownShape(text []byte) bool {
	for i := ownLength - 1; i < len(text); i += ownLength {
		if !ownByte(text[i]) {
			continue
		}
		begin, end := i, i+1
		for begin > 0 && i-begin < ownLength && isWord(text[begin-1]) {
			begin--
		}
		for end < len(text) && end-begin <= ownLength && isWord(text[end]) {
			end++
		}
		if end-begin == ownLength && len(ownTokens(string(text[begin:end]))) > 0 {
			return true
		}
	}
	return false
}

func ownByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= '2' && c <= '7' }
