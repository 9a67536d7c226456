package mask

import "bytes"

// finder looks for many texts at once, as Wu and Manber do (A Fast Algorithm for Multi-Pattern Searching, 1994): two bytes of the text
// say how far the next place is at which one may end, so that most bytes are never looked at. The zero value finds nothing.
type finder struct {
	window int // bytes of each text that count, at least minSecret
	// shift says by two bytes how far to go on; 0 means that the window of one of ends ends with them.
	shift []uint8
	ends  map[uint16][][]byte
}

// maxWindow is the longest window, so that a shift is one byte.
const maxWindow = 255

// newFinder finds the texts, none of which is shorter than minSecret.
func newFinder(list []string) finder {
	if len(list) == 0 {
		return finder{}
	}
	f := finder{window: maxWindow, shift: make([]uint8, 1<<16), ends: map[uint16][][]byte{}}
	for _, text := range list {
		f.window = min(f.window, len(text))
	}
	for i := range f.shift {
		f.shift[i] = uint8(f.window - 1)
	}
	for _, text := range list {
		for i := 1; i < f.window; i++ {
			pair := pairOf(text[i-1], text[i])
			f.shift[pair] = min(f.shift[pair], uint8(f.window-1-i))
		}
		last := pairOf(text[f.window-2], text[f.window-1])
		f.ends[last] = append(f.ends[last], []byte(text))
	}
	return f
}

func pairOf(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// found reports a text with one of those that are looked for.
func (f *finder) found(text []byte) bool {
	if f.window == 0 {
		return false
	}
	for i := f.window - 1; i < len(text); {
		pair := pairOf(text[i-1], text[i])
		if far := f.shift[pair]; far > 0 {
			i += int(far)
			continue
		}
		for _, one := range f.ends[pair] {
			if bytes.HasPrefix(text[i-f.window+1:], one) {
				return true
			}
		}
		i++
	}
	return false
}
