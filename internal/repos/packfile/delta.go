package packfile

import (
	"encoding/binary"
	"fmt"
)

// Span is a part of a text.
type Span struct{ Begin, End int }

var errDelta = fmt.Errorf("%w: a difference is malformed", ErrMalformed)

// deltaSizes reads the beginning of a difference (gitformat-pack(5), deltified representation): the sizes of its base and its result in bytes.
func deltaSizes(delta []byte) (from, to uint64, rest []byte, err error) {
	from, n := binary.Uvarint(delta)
	if n <= 0 {
		return 0, 0, nil, errDelta
	}
	to, m := binary.Uvarint(delta[n:])
	if m <= 0 {
		return 0, 0, nil, errDelta
	}
	return from, to, delta[n+m:], nil
}

// ResultSize is the size of what a difference makes, in bytes.
func ResultSize(delta []byte) (int64, error) {
	_, to, _, err := deltaSizes(delta)
	if err != nil || to > maxSize {
		return 0, errDelta
	}
	return int64(to), nil
}

// Apply writes what a difference makes of base into a text of its ResultSize. changed, which it appends to, gets the parts that are not
// as in base; an empty one is where two parts meet that did not.
func Apply(delta, base, into []byte, changed []Span) ([]Span, error) {
	from, to, delta, err := deltaSizes(delta)
	if err != nil || from != uint64(len(base)) || to != uint64(len(into)) {
		return changed, errDelta
	}
	n, at := 0, 0 // what is written, and the end of the last part that is copied from base
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 { // bytes that are new
			size := int(op)
			if size == 0 || size > len(delta) || size > len(into)-n {
				return changed, errDelta
			}
			copy(into[n:], delta[:size])
			changed = append(changed, Span{n, n + size})
			n, delta, at = n+size, delta[size:], -1
			continue
		}
		var offset, size int
		for i := range 7 {
			if op&(1<<i) == 0 {
				continue
			}
			if len(delta) == 0 {
				return changed, errDelta
			}
			if i < 4 {
				offset |= int(delta[0]) << (8 * i)
			} else {
				size |= int(delta[0]) << (8 * (i - 4))
			}
			delta = delta[1:]
		}
		if size == 0 {
			size = 0x10000
		}
		if offset+size > len(base) || size > len(into)-n {
			return changed, errDelta
		}
		if offset != at {
			changed = append(changed, Span{n, n})
		}
		copy(into[n:], base[offset:offset+size])
		n, at = n+size, offset+size
	}
	if n != len(into) {
		return changed, errDelta
	}
	if at != len(base) {
		changed = append(changed, Span{n, n})
	}
	return changed, nil
}
