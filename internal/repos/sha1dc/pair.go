package sha1dc

import (
	"encoding/binary"
	"math/bits"
)

//go:generate go run ./generate

// pair is the expanded messages of two blocks, one in the upper and one in the lower half of each word.
//
// The halves are turned to the left so that the bits of the planes are the upper ones. The message expansion turns a word by one bit, and
// here it shifts both halves at once instead: the bit that leaves a half is lost, and the one that enters is wrong. The wrong ones reach position
// 15 in the last step, and all of the planes lie above.
type pair struct {
	steps [64]uint64
}

const (
	// turn puts bit 29, the lowest of the planes, at position 18 and bit 6, the highest, at 27.
	turn = 21
	// both times the value of a half is a word with that value in both halves.
	both = 1<<32 | 1
)

// planes are one bit of the words of all steps: bit i of a half is that of the step attack.FirstStep+i.
type planes struct{ bit1, bit4, bit6, bit29 uint64 }

func (p *pair) expand(upper, lower *[blockSize]byte) {
	w := &p.steps
	for t := 0; t < 16; t += 4 {
		u, l := (*[16]byte)(upper[4*t:]), (*[16]byte)(lower[4*t:])
		v := (*[4]uint64)(w[t:])
		v[0] = turned(u[:4], l[:4])
		v[1] = turned(u[4:8], l[4:8])
		v[2] = turned(u[8:12], l[8:12])
		v[3] = turned(u[12:], l[12:])
	}
	a, b, c, d, e, f, g, h := w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15]
	for t := 16; t < len(w); t += 8 {
		v := (*[24]uint64)(w[t-16:])
		a = (v[0] ^ v[2] ^ a ^ f) << 1
		b = (v[1] ^ v[3] ^ b ^ g) << 1
		c = (v[2] ^ v[4] ^ c ^ h) << 1
		d = (v[3] ^ v[5] ^ d ^ a) << 1
		e = (v[4] ^ v[6] ^ e ^ b) << 1
		f = (v[5] ^ v[7] ^ f ^ c) << 1
		g = (v[6] ^ v[8] ^ g ^ d) << 1
		h = (v[7] ^ v[9] ^ h ^ e) << 1
		v[16], v[17], v[18], v[19], v[20], v[21], v[22], v[23] = a, b, c, d, e, f, g, h
	}
}

// turned is one word of each block.
func turned(upper, lower []byte) uint64 {
	return uint64(bits.RotateLeft32(binary.BigEndian.Uint32(upper), turn))<<32 | uint64(bits.RotateLeft32(binary.BigEndian.Uint32(lower), turn))
}

// planes gathers the planes of bits 4 and 29, which lie seven apart, from seven steps at once, and those of bits 1 and 6 from five.
func (p *pair) planes() (of planes) {
	const (
		bit1  = (1 + turn) % 32
		bit4  = (4 + turn) % 32
		bit6  = (6 + turn) % 32
		bit29 = (29 + turn) % 32

		of4and29, of1and6 = (1<<bit4 | 1<<bit29) * both, (1<<bit1 | 1<<bit6) * both
		seven4, seven29   = 0x7f << (bit4 - 6) * both, 0x7f << (bit29 - 6) * both
		five1, five6      = 0x1f << (bit1 - 4) * both, 0x1f << (bit6 - 4) * both
	)
	w := &p.steps
	s := sevenSteps((*[7]uint64)(w[35:]), of4and29)
	of.bit4 = s & seven4 >> (bit4 - 6)
	of.bit29 = s & seven29 >> (bit29 - 6)
	s = sevenSteps((*[7]uint64)(w[42:]), of4and29)
	of.bit4 |= s & seven4 >> (bit4 - 6 - 7)
	of.bit29 |= s & seven29 >> (bit29 - 6 - 7)
	s = sevenSteps((*[7]uint64)(w[49:]), of4and29)
	of.bit4 |= s & seven4 >> (bit4 - 6 - 14)
	of.bit29 |= s & seven29 << (14 + 6 - bit29)
	s = sevenSteps((*[7]uint64)(w[56:]), of4and29)
	of.bit4 |= s & seven4 << (21 + 6 - bit4)
	of.bit29 |= s & seven29 << (21 + 6 - bit29)

	s = fiveSteps((*[5]uint64)(w[35:]), of1and6)
	of.bit1 = s & five1 >> (bit1 - 4)
	of.bit6 = s & five6 >> (bit6 - 4)
	s = fiveSteps((*[5]uint64)(w[40:]), of1and6)
	of.bit1 |= s & five1 >> (bit1 - 4 - 5)
	of.bit6 |= s & five6 >> (bit6 - 4 - 5)
	s = fiveSteps((*[5]uint64)(w[45:]), of1and6)
	of.bit1 |= s & five1 >> (bit1 - 4 - 10)
	of.bit6 |= s & five6 >> (bit6 - 4 - 10)
	s = fiveSteps((*[5]uint64)(w[50:]), of1and6)
	of.bit1 |= s & five1 >> (bit1 - 4 - 15)
	of.bit6 |= s & five6 >> (bit6 - 4 - 15)
	of.bit1 |= w[55]&(1<<bit1*both)>>(bit1-20) | w[56]&(1<<bit1*both)>>(bit1-21)
	of.bit6 |= w[55]&(1<<bit6*both)>>(bit6-20) | w[56]&(1<<bit6*both)>>(bit6-21)
	return of
}

// sevenSteps puts the bits of a mask from seven words side by side, the first word's lowest and the last word's in its own place.
func sevenSteps(w *[7]uint64, mask uint64) uint64 {
	return w[0]&mask>>6 | w[1]&mask>>5 | w[2]&mask>>4 | w[3]&mask>>3 | w[4]&mask>>2 | w[5]&mask>>1 | w[6]&mask
}

func fiveSteps(w *[5]uint64, mask uint64) uint64 {
	return w[0]&mask>>4 | w[1]&mask>>3 | w[2]&mask>>2 | w[3]&mask>>1 | w[4]&mask
}
