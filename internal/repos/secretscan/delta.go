package secretscan

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// piece is a part of a file that a difference makes; changed says that it, or the place before it, is not as in the base.
type piece struct {
	text    []byte
	changed bool
}

// span is a part of a text.
type span struct{ begin, end int }

// readDelta reads a difference (gitformat-pack(5), deltified representation). size is that of its result.
func readDelta(delta, base []byte) (size int, pieces []piece, err error) {
	bad := fmt.Errorf("%w: a difference is malformed", ErrPack)
	from, n := binary.Uvarint(delta)
	if n <= 0 || from != uint64(len(base)) {
		return 0, nil, bad
	}
	delta = delta[n:]
	to, n := binary.Uvarint(delta)
	if n <= 0 || to > 1<<40 {
		return 0, nil, bad
	}
	delta = delta[n:]
	at := 0 // the end of the last copy in base
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 { // bytes that are new
			n := int(op)
			if n == 0 || n > len(delta) {
				return 0, nil, bad
			}
			pieces, delta, at = append(pieces, piece{delta[:n], true}), delta[n:], -1
			continue
		}
		var offset, length int
		for i := range 7 {
			if op&(1<<i) == 0 {
				continue
			}
			if len(delta) == 0 {
				return 0, nil, bad
			}
			if i < 4 {
				offset |= int(delta[0]) << (8 * i)
			} else {
				length |= int(delta[0]) << (8 * (i - 4))
			}
			delta = delta[1:]
		}
		if length == 0 {
			length = 0x10000
		}
		if offset+length > len(base) {
			return 0, nil, bad
		}
		if offset != at { // two parts meet that did not
			pieces = append(pieces, piece{nil, true})
		}
		pieces, at = append(pieces, piece{base[offset : offset+length], false}), offset+length
	}
	if at != len(base) {
		pieces = append(pieces, piece{nil, true})
	}
	return int(to), pieces, nil
}

// suspectLines looks at the lines that are changed, the one before and the one behind: a private key is told by two.
func suspectLines(text []byte, changed []span) bool {
	for i := 0; i < len(changed); {
		c := changed[i]
		begin := lineBegin(text, max(0, lineBegin(text, c.begin)-1))
		end := c.end
		for ; i < len(changed) && changed[i].begin <= end; i++ { // those that the same lines hold
			end = max(end, afterLine(text, afterLine(text, changed[i].end)))
		}
		if Suspect(text[begin:end]) {
			return true
		}
	}
	return false
}

func lineBegin(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

func afterLine(text []byte, at int) int { return min(lineEnd(text, at)+1, len(text)) }
