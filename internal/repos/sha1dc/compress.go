package sha1dc

import (
	"encoding/binary"
	"math/bits"

	"slipway/internal/repos/sha1dc/attack"
)

// expanded is a block's expanded message, W of FIPS 180-4, section 6.1.2.
type expanded [80]uint32

func (w *expanded) expand(block *[blockSize]byte) {
	for t := range 16 {
		w[t] = binary.BigEndian.Uint32(block[4*t:])
	}
	// Eight steps at once, so that the eight words before a step are in registers.
	a, b, c, d, e, f, g, h := w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15]
	for t := 16; t < len(w); t += 8 {
		v := (*[24]uint32)(w[t-16:])
		a = bits.RotateLeft32(v[0]^v[2]^a^f, 1)
		b = bits.RotateLeft32(v[1]^v[3]^b^g, 1)
		c = bits.RotateLeft32(v[2]^v[4]^c^h, 1)
		d = bits.RotateLeft32(v[3]^v[5]^d^a, 1)
		e = bits.RotateLeft32(v[4]^v[6]^e^b, 1)
		f = bits.RotateLeft32(v[5]^v[7]^f^c, 1)
		g = bits.RotateLeft32(v[6]^v[8]^g^d, 1)
		h = bits.RotateLeft32(v[7]^v[9]^h^e, 1)
		v[16], v[17], v[18], v[19], v[20], v[21], v[22], v[23] = a, b, c, d, e, f, g, h
	}
}

// state is the working variables a to e.
type state [5]uint32

// The constants K of the four rounds.
const (
	k0 = 0x5A827999
	k1 = 0x6ED9EBA1
	k2 = 0x8F1BBCDC
	k3 = 0xCA62C1D6
)

// The functions of the rounds, in the forms that wait least for d, which a step backward knows last.
func choose(b, c, d uint32) uint32   { return b&c | d&^b }
func parity(b, c, d uint32) uint32   { return b ^ c ^ d }
func majority(b, c, d uint32) uint32 { return b&c | d&(b|c) }

// forward is the state after the last step, when s is the one before step from, which is 40 or later. The words are those of w XOR
// those of xor. Steps are multiples of five.
func forward(s state, w, xor *expanded, from int) state {
	a, b, c, d, e := s[0], s[1], s[2], s[3], s[4]
	t := from
	for ; t < 60; t += 5 {
		v, x := (*[5]uint32)(w[t:]), (*[5]uint32)(xor[t:])
		e += k2 + (v[0] ^ x[0]) + majority(b, c, d)
		e += bits.RotateLeft32(a, 5)
		b = bits.RotateLeft32(b, 30)
		d += k2 + (v[1] ^ x[1]) + majority(a, b, c)
		d += bits.RotateLeft32(e, 5)
		a = bits.RotateLeft32(a, 30)
		c += k2 + (v[2] ^ x[2]) + majority(e, a, b)
		c += bits.RotateLeft32(d, 5)
		e = bits.RotateLeft32(e, 30)
		b += k2 + (v[3] ^ x[3]) + majority(d, e, a)
		b += bits.RotateLeft32(c, 5)
		d = bits.RotateLeft32(d, 30)
		a += k2 + (v[4] ^ x[4]) + majority(c, d, e)
		a += bits.RotateLeft32(b, 5)
		c = bits.RotateLeft32(c, 30)
	}
	for ; t < len(w); t += 5 {
		v, x := (*[5]uint32)(w[t:]), (*[5]uint32)(xor[t:])
		e += k3 + (v[0] ^ x[0]) + parity(b, c, d)
		e += bits.RotateLeft32(a, 5)
		b = bits.RotateLeft32(b, 30)
		d += k3 + (v[1] ^ x[1]) + parity(a, b, c)
		d += bits.RotateLeft32(e, 5)
		a = bits.RotateLeft32(a, 30)
		c += k3 + (v[2] ^ x[2]) + parity(e, a, b)
		c += bits.RotateLeft32(d, 5)
		e = bits.RotateLeft32(e, 30)
		b += k3 + (v[3] ^ x[3]) + parity(d, e, a)
		b += bits.RotateLeft32(c, 5)
		d = bits.RotateLeft32(d, 30)
		a += k3 + (v[4] ^ x[4]) + parity(c, d, e)
		a += bits.RotateLeft32(b, 5)
		c = bits.RotateLeft32(c, 30)
	}
	return state{a, b, c, d, e}
}

// backward is the state before step to, when s is the one before step from.
func backward(s state, w, xor *expanded, from, to int) state {
	a, b, c, d, e := s[0], s[1], s[2], s[3], s[4]
	t := from
	for ; t > max(to, 60); t -= 5 {
		v, x := (*[5]uint32)(w[t-5:]), (*[5]uint32)(xor[t-5:])
		c = bits.RotateLeft32(c, 2)
		a -= k3 + (v[4] ^ x[4]) + bits.RotateLeft32(b, 5)
		a -= parity(c, d, e)
		d = bits.RotateLeft32(d, 2)
		b -= k3 + (v[3] ^ x[3]) + bits.RotateLeft32(c, 5)
		b -= parity(d, e, a)
		e = bits.RotateLeft32(e, 2)
		c -= k3 + (v[2] ^ x[2]) + bits.RotateLeft32(d, 5)
		c -= parity(e, a, b)
		a = bits.RotateLeft32(a, 2)
		d -= k3 + (v[1] ^ x[1]) + bits.RotateLeft32(e, 5)
		d -= parity(a, b, c)
		b = bits.RotateLeft32(b, 2)
		e -= k3 + (v[0] ^ x[0]) + bits.RotateLeft32(a, 5)
		e -= parity(b, c, d)
	}
	for ; t > max(to, 40); t -= 5 {
		v, x := (*[5]uint32)(w[t-5:]), (*[5]uint32)(xor[t-5:])
		c = bits.RotateLeft32(c, 2)
		a -= k2 + (v[4] ^ x[4]) + bits.RotateLeft32(b, 5)
		a -= majority(c, d, e)
		d = bits.RotateLeft32(d, 2)
		b -= k2 + (v[3] ^ x[3]) + bits.RotateLeft32(c, 5)
		b -= majority(d, e, a)
		e = bits.RotateLeft32(e, 2)
		c -= k2 + (v[2] ^ x[2]) + bits.RotateLeft32(d, 5)
		c -= majority(e, a, b)
		a = bits.RotateLeft32(a, 2)
		d -= k2 + (v[1] ^ x[1]) + bits.RotateLeft32(e, 5)
		d -= majority(a, b, c)
		b = bits.RotateLeft32(b, 2)
		e -= k2 + (v[0] ^ x[0]) + bits.RotateLeft32(a, 5)
		e -= majority(b, c, d)
	}
	for ; t > max(to, 20); t -= 5 {
		v, x := (*[5]uint32)(w[t-5:]), (*[5]uint32)(xor[t-5:])
		c = bits.RotateLeft32(c, 2)
		a -= k1 + (v[4] ^ x[4]) + bits.RotateLeft32(b, 5)
		a -= parity(c, d, e)
		d = bits.RotateLeft32(d, 2)
		b -= k1 + (v[3] ^ x[3]) + bits.RotateLeft32(c, 5)
		b -= parity(d, e, a)
		e = bits.RotateLeft32(e, 2)
		c -= k1 + (v[2] ^ x[2]) + bits.RotateLeft32(d, 5)
		c -= parity(e, a, b)
		a = bits.RotateLeft32(a, 2)
		d -= k1 + (v[1] ^ x[1]) + bits.RotateLeft32(e, 5)
		d -= parity(a, b, c)
		b = bits.RotateLeft32(b, 2)
		e -= k1 + (v[0] ^ x[0]) + bits.RotateLeft32(a, 5)
		e -= parity(b, c, d)
	}
	for ; t > to; t -= 5 {
		v, x := (*[5]uint32)(w[t-5:]), (*[5]uint32)(xor[t-5:])
		c = bits.RotateLeft32(c, 2)
		a -= k0 + (v[4] ^ x[4]) + bits.RotateLeft32(b, 5)
		a -= choose(c, d, e)
		d = bits.RotateLeft32(d, 2)
		b -= k0 + (v[3] ^ x[3]) + bits.RotateLeft32(c, 5)
		b -= choose(d, e, a)
		e = bits.RotateLeft32(e, 2)
		c -= k0 + (v[2] ^ x[2]) + bits.RotateLeft32(d, 5)
		c -= choose(e, a, b)
		a = bits.RotateLeft32(a, 2)
		d -= k0 + (v[1] ^ x[1]) + bits.RotateLeft32(e, 5)
		d -= choose(a, b, c)
		b = bits.RotateLeft32(b, 2)
		e -= k0 + (v[0] ^ x[0]) + bits.RotateLeft32(a, 5)
		e -= choose(b, c, d)
	}
	return state{a, b, c, d, e}
}

func (s state) minus(o state) state {
	for i := range s {
		s[i] -= o[i]
	}
	return s
}

// collides reports whether the block and one that differs from it by one of the candidates' differences lead to the same
// chaining value. before and after are those of the block.
func (w *expanded) collides(before, after state, candidates vectorSet) bool {
	last := after.minus(before)
	for vector := range candidates.all {
		at, difference := attack.EqualAt(attack.FirstK+vector%16), &differences[vector]
		equal := backward(last, w, &noDifference, len(w), at)
		otherBefore := backward(equal, w, difference, at, 0)
		if forward(equal, w, difference, at) == after.minus(otherBefore) {
			return true
		}
	}
	return false
}

var noDifference expanded

// differences are those of the expanded messages, for each vector.
var differences = func() (of [64]expanded) {
	for class, ks := range attack.Vectors {
		for vector := range (vectorSet(ks) << (16 * class)).all {
			of[vector] = attack.Difference(attack.Class(class), attack.FirstK+vector%16)
		}
	}
	return of
}()
