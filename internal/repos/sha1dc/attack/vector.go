// Package attack is what is known of collision attacks on SHA-1 by differences: their disturbance vectors, the differences between the
// two blocks of a pair, and the conditions that each of the two must meet.
package attack

import "math/bits"

// Class is a family of disturbance vectors, as Stéphane Manuel classifies them ("Classification and generation of disturbance
// vectors for collision attacks against SHA-1", 2011): a type and a bit b. The vectors of a class differ by their step K alone.
type Class int

// The classes that the papers find to be of use for an attack.
const (
	I0  Class = iota // I(K,0)
	I2               // I(K,2)
	II0              // II(K,0)
	II2              // II(K,2)
	Classes
)

// Bit is the class' b.
func (c Class) Bit() int {
	if c == I2 || c == II2 {
		return 2
	}
	return 0
}

// FirstK is the smallest K of all vectors.
const FirstK = 43

// Steps is a set of a class' vectors by their K: bit i is for the one with K = FirstK+i.
type Steps uint16

func span(from, to int) Steps { return 1<<(to+1-FirstK) - 1<<(from-FirstK) }

// last is the set's largest K.
func (s Steps) last() int { return FirstK - 1 + bits.Len16(uint16(s)) }

// Vectors are the K of each class' vectors.
var Vectors = [Classes]Steps{
	I0:  span(43, 52),
	I2:  span(46, 51),
	II0: span(45, 56),
	II2: span(46, 46) | span(49, 51),
}

// EqualAt is a step before which both blocks of a pair that attacks along a vector with this K have the same state, whatever theirs was at the
// start: no vector disturbs a step from K+4 to K+14, and a disturbance is undone within five steps. It is a multiple of five.
func EqualAt(k int) int { return (k + 15) / 5 * 5 }

// Difference is the XOR of the expanded messages of two blocks that attack along the vector of class c with this K.
func Difference(c Class, k int) (d [80]uint32) {
	// Each disturbance begins a local collision: five more differences that undo it.
	disturbed := vector(c, k)
	for t := range d {
		at := disturbed[t : t+before+1]
		d[t] = at[5] ^ bits.RotateLeft32(at[4], 5) ^ at[3] ^ bits.RotateLeft32(at[2]^at[1]^at[0], 30)
	}
	return d
}

// before is how many steps before the first one still have their differences in the message.
const before = 5

// vector is the disturbances of each step, those of the steps before the first one before them.
func vector(c Class, k int) (disturbed [before + 80]uint32) {
	// A vector obeys the message expansion, forward and backward from any 16 words on.
	start := before + k
	disturbed[start+15] = 1 << c.Bit()
	if c == II0 || c == II2 {
		disturbed[start+1] = bits.RotateLeft32(1<<31, c.Bit())
		disturbed[start+3] = disturbed[start+1]
	}
	for t := start + 16; t < len(disturbed); t++ {
		disturbed[t] = bits.RotateLeft32(disturbed[t-3]^disturbed[t-8]^disturbed[t-14]^disturbed[t-16], 1)
	}
	for t := start - 1; t >= 0; t-- {
		disturbed[t] = bits.RotateLeft32(disturbed[t+16], -1) ^ disturbed[t+13] ^ disturbed[t+8] ^ disturbed[t+2]
	}
	return disturbed
}
