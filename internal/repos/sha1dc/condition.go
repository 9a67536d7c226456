package sha1dc

import (
	"math/bits"

	"slipway/internal/repos/sha1dc/attack"
)

// vectorSet has bit 16*class + K - attack.FirstK for a vector.
type vectorSet uint64

// unbroken returns for each of two blocks the vectors whose conditions on the planes it meets.
func (p *pair) unbroken(upper, lower *[blockSize]byte) (ofUpper, ofLower vectorSet) {
	p.expand(upper, lower)
	planes := p.planes()
	i0, i2, ii0, ii2 := unmet(&planes)
	i0, i2, ii0, ii2 = vectorsI0&^i0, vectorsI2&^i2, vectorsII0&^ii0, vectorsII2&^ii2
	if i0|i2|ii0|ii2 == 0 {
		return 0, 0
	}
	i, ii := i0|i2<<16, ii0|ii2<<16
	return vectorSet(ii>>32<<32 | i>>32), vectorSet(ii<<32 | i&(1<<32-1))
}

// unbroken returns those of the candidates whose other conditions w meets as well.
func (w *expanded) unbroken(candidates vectorSet) vectorSet {
	left := candidates
	for vector := range candidates.all {
		for i := range otherConditions[vector] {
			if c := &otherConditions[vector][i]; (w[c.step]>>c.bit^w[c.otherStep]>>c.otherBit^c.differ)&1 != 0 {
				left &^= 1 << vector
			}
		}
	}
	return left
}

// condition is an attack.Condition for one vector.
type condition struct {
	step, bit, otherStep, otherBit int
	differ                         uint32 // 1 if the bits must differ
}

// otherConditions are those that are not on the planes, for each vector.
var otherConditions = func() (of [64][]condition) {
	for _, c := range attack.Conditions {
		if c.OnPlanes() {
			continue
		}
		b := c.Class.Bit()
		for vector := range (vectorSet(c.Vectors) << (16 * c.Class)).all {
			k := attack.FirstK + vector%16
			one := condition{step: k + c.Step, bit: (c.Bit + b) % 32, otherStep: k + c.OtherStep, otherBit: (c.OtherBit + b) % 32}
			if c.Differ {
				one.differ = 1
			}
			of[vector] = append(of[vector], one)
		}
	}
	return of
}()

// all yields the set's vectors, each as the place of its bit.
func (s vectorSet) all(yield func(vector int) bool) {
	for ; s != 0; s &= s - 1 {
		if !yield(bits.TrailingZeros64(uint64(s))) {
			return
		}
	}
}
