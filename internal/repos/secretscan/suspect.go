package secretscan

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
)

// hint is a text of which every finding has one. Three of its bytes that are rare in files are looked for first.
type hint struct{ text, rare string }

var hints = []hint{
	{"AKIA", "KIA"}, {"ASIA", "SIA"}, {"ghp_", "ghp"}, {"gho_", "gho"}, {"ghu_", "ghu"}, {"ghs_", "ghs"}, {"ghr_", "ghr"}, {"github_pat_", "b_p"}, {"npm_", "pm_"},
	{"glpat-", "glp"}, {"xox", "xox"}, {"hooks.slack.com", "k.c"}, {"k_live_", "k_l"}, {"AccountKey=", "tKe"}, {"AZDO", "ZDO"}, {"AIza", "Iza"}, {"pypi-", "pi-"},
	{"SG.", "SG."}, {keyHint, "-BE"},
}

const (
	keyHint = "-----BEGIN "
	// ownLength is that of Slipway's own tokens.
	ownLength = 52
)

// place is a hint at some distance before a pair of bytes.
type place struct {
	text   string
	before int
}

// hintPlaces are by pair the places where a hint may be. Of the two pairs in three bytes every second place of a text has one.
var hintPlaces = sync.OnceValue(func() map[uint16][]place {
	all := map[uint16][]place{}
	for _, h := range hints {
		at := strings.Index(h.text, h.rare)
		for i := range 2 {
			p := uint16(h.rare[i]) | uint16(h.rare[i+1])<<8
			all[p] = append(all[p], place{h.text, at + i})
		}
	}
	return all
})

// hintPairs has a bit for each pair.
var hintPairs = sync.OnceValue(func() *[1 << 13]uint8 {
	var pairs [1 << 13]uint8
	for p := range hintPlaces() {
		pairs[p>>3] |= 1 << (p & 7)
	}
	return &pairs
})

// Suspect says whether a whole text may hold a finding; it is quick where the answer is no. A word of the shape of Slipway's own tokens
// makes a text suspect, whether it is one or not.
func Suspect(text []byte) bool {
	for i := nextPair(text, 0); i >= 0; i = nextPair(text, i) {
		if !hinted(text, i) {
			i += 2
			continue
		}
		begin := bytes.LastIndexByte(text[:i], '\n') + 1
		end := lineEnd(text, i)
		if found(text[begin:end], text[min(end+1, len(text)):]) {
			return true
		}
		i = end
	}
	return ownShape(text)
}

// nextPair is the first place from i on, of every second one, that has the pair of a hint, -1 when none has.
func nextPair(text []byte, i int) int {
	pairs := hintPairs()
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		a, b, c, d := uint16(w), uint16(w>>16), uint16(w>>32), uint16(w>>48)
		if (pairs[a>>3]>>(a&7)|pairs[b>>3]>>(b&7)|pairs[c>>3]>>(c&7)|pairs[d>>3]>>(d&7))&1 != 0 {
			break
		}
	}
	for ; i+2 <= len(text); i += 2 {
		if p := uint16(text[i]) | uint16(text[i+1])<<8; pairs[p>>3]>>(p&7)&1 != 0 {
			return i
		}
	}
	return -1
}

// hinted says whether the pair at i is of a hint.
func hinted(text []byte, i int) bool {
	for _, p := range hintPlaces()[uint16(text[i])|uint16(text[i+1])<<8] {
		if begin := i - p.before; begin >= 0 && begin+len(p.text) <= len(text) && string(text[begin:begin+len(p.text)]) == p.text {
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
		for begin > 0 && i-begin < ownLength && ownByte(text[begin-1]) {
			begin--
		}
		if begin > 0 && isWord(text[begin-1]) { // the word is longer, or has other bytes
			continue
		}
		for end < len(text) && end-begin <= ownLength && ownByte(text[end]) {
			end++
		}
		if end < len(text) && isWord(text[end]) {
			continue
		}
		if end-begin == ownLength && len(ownTokens(string(text[begin:end]))) > 0 {
			return true
		}
	}
	return false
}

func ownByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= '2' && c <= '7' }
