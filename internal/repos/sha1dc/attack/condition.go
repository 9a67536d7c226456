package attack

import "slices"

// Condition is an unavoidable condition: in a block that attacks along one of the vectors, two bits of the expanded message are alike, or
// differ. Steps count from the vector's K; bits count from its class' b, and round the word's end.
type Condition struct {
	Class               Class
	Vectors             Steps
	Step, Bit           int
	OtherStep, OtherBit int // OtherStep is not before Step
	Differ              bool
}

// Conditions are those that the search of "Speeding up detection of SHA-1 collision attacks using unavoidable attack conditions" (Marc
// Stevens, Daniel Shumow, USENIX Security 2017) found. Its authors hold them in lib/ubc_check.c of
// https://github.com/cr-marcstevens/sha1collisiondetection (MIT licence) step by step; here those that are shifts of each other are one.
var Conditions = []Condition{
	{I0, span(45, 48), 15, 0, 16, 5, true},
	{I0, span(43, 44), 15, 0, 20, 30, true},
	{I0, span(43, 45), 18, 1, 19, 6, true},
	{I0, span(50, 52), -14, 4, -13, 4, true},
	{I0, span(43, 46), -6, 4, -4, 4, true},
	{I0, span(43, 44), -4, 4, -2, 4, true},
	{I0, span(47, 52), -3, 29, -1, 29, true},
	{I0, span(45, 51), -1, 29, 1, 29, true},
	{I0, span(43, 49), 1, 29, 3, 29, true},
	{I0, span(50, 50) | span(52, 52), 1, 29, 4, 29, true},
	{I0, span(52, 52), -4, 29, 3, 29, true},
	{I0, span(51, 51), -3, 29, 4, 29, true},
	{I0, span(51, 51), -16, 3, -12, 28, false},
	{I0, span(47, 52), -10, 4, -7, 29, false},
	{I0, span(43, 52), -6, 4, -3, 29, false},
	{I0, span(43, 52), -4, 4, -1, 29, false},
	{I0, span(43, 52), -2, 4, 1, 29, false},
	{I0, span(43, 52), 0, 4, 3, 29, false},
	{I0, span(48, 52), -13, 4, -9, 29, false},
	{I0, span(45, 46), -10, 4, -6, 29, false},
	{I0, span(43, 44), 16, 5, 20, 30, false},
	{I0, span(48, 52), -8, 29, -7, 29, false},
	{I0, span(47, 52), -7, 29, -6, 29, false},
	{I0, span(44, 52), -4, 29, -3, 29, false},
	{I0, span(43, 52), 3, 29, 4, 29, false},
	{I2, span(46, 48), 15, 0, 16, 5, true},
	{I2, span(49, 51), -14, 31, -13, 4, true},
	{I2, span(46, 48) | span(50, 51), -11, 31, -10, 4, true},
	{I2, span(46, 48) | span(51, 51), -7, 31, -6, 4, true},
	{I2, span(49, 49), -11, 31, -9, 31, true},
	{I2, span(49, 50), -7, 31, 1, 31, true},
	{I2, span(51, 51), -16, 3, -12, 28, false},
	{I2, span(49, 49), -10, 4, -9, 31, false},
	{I2, span(50, 51), -10, 4, -9, 31, false},
	{I2, span(48, 49) | span(51, 51), 0, 4, 1, 31, false},
	{I2, span(46, 47) | span(50, 50), 0, 4, 1, 31, false},
	{I2, span(46, 51), -6, 4, -4, 4, false},
	{I2, span(46, 51), -4, 4, -2, 4, false},
	{I2, span(46, 51), -2, 4, 0, 4, false},
	{I2, span(51, 51), -14, 31, -14, 4, false},
	{II0, span(45, 48), 15, 0, 16, 5, true},
	{II0, span(45, 45), 18, 1, 19, 6, true},
	{II0, span(54, 56), -18, 4, -16, 4, true},
	{II0, span(52, 56), -16, 4, -14, 4, true},
	{II0, span(45, 45), 5, 29, 7, 29, true},
	{II0, span(47, 47) | span(49, 49) | span(52, 52), 4, 29, 7, 29, true},
	{II0, span(46, 46) | span(48, 48) | span(50, 51) | span(53, 53), 5, 29, 8, 29, true},
	{II0, span(48, 52), -13, 30, -8, 28, true},
	{II0, span(47, 56), -12, 3, -8, 28, false},
	{II0, span(55, 55), 2, 4, 4, 29, false},
	{II0, span(55, 56), -18, 4, -15, 29, false},
	{II0, span(53, 56), -16, 4, -13, 29, false},
	{II0, span(46, 56), -9, 4, -6, 29, false},
	{II0, span(45, 56), -4, 4, -1, 29, false},
	{II0, span(45, 54), 2, 4, 5, 29, false},
	{II0, span(45, 52), 4, 4, 7, 29, false},
	{II0, span(47, 56), -12, 4, -8, 29, false},
	{II0, span(45, 45), -9, 4, -5, 29, false},
	{II0, span(53, 56), 4, 4, 8, 29, false},
	{II0, span(56, 56), -16, 29, -15, 29, false},
	{II0, span(47, 56), -7, 29, -6, 29, false},
	{II0, span(46, 56), -6, 29, -5, 29, false},
	{II0, span(45, 56), -2, 29, -1, 29, false},
	{II0, span(45, 56), -1, 29, 0, 29, false},
	{II0, span(45, 54), 4, 29, 5, 29, false},
	{II0, span(45, 52), 7, 29, 8, 29, false},
	{II2, span(46, 46), 15, 0, 16, 5, true},
	{II2, span(49, 51), -13, 30, -8, 28, true},
	{II2, span(46, 46) | span(49, 51), -10, 31, -9, 4, true},
	{II2, span(46, 46) | span(49, 49), -5, 31, -4, 4, true},
	{II2, span(50, 51), -5, 31, -3, 31, true},
	{II2, span(46, 46) | span(49, 51), 1, 31, 5, 31, true},
	{II2, span(49, 51), -12, 3, -8, 28, false},
	{II2, span(49, 51), -9, 4, -8, 31, false},
	{II2, span(49, 49), -4, 4, -3, 31, false},
	{II2, span(46, 46) | span(50, 51), -4, 4, -3, 31, false},
	{II2, span(46, 46), 4, 4, 5, 31, false},
	{II2, span(49, 51), 4, 4, 5, 31, false},
	{II2, span(46, 46) | span(49, 51), 2, 4, 4, 4, false},
}

// Planes are the bits of the expanded message that most conditions compare, each with the steps that have it in its plane, from FirstStep on.
var Planes = []struct{ Bit, LastStep int }{{1, 56}, {4, 62}, {6, 56}, {29, 62}}

// FirstStep is the first step of which a condition asks.
const FirstStep = 35

// OnPlanes reports whether the condition compares bits of the planes alone.
func (c Condition) OnPlanes() bool {
	last := c.Vectors.last()
	return onPlane(c.Bit+c.Class.Bit(), last+c.Step) && onPlane(c.OtherBit+c.Class.Bit(), last+c.OtherStep)
}

func onPlane(bit, step int) bool {
	return slices.ContainsFunc(Planes, func(p struct{ Bit, LastStep int }) bool { return p.Bit == bit%32 && step <= p.LastStep })
}
