package packfile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// inflater inflates a whole zlib stream (RFC 1950, RFC 1951) from memory into memory, whose size is known. Inflating is most of what looking at a
// push costs. The libraries for Go take streams of any length, symbol by symbol, and need 1.7 to 2 times as long for what a pack has (BenchmarkInflate).
//
// The checksum at the end is passed over.
type inflater struct {
	literals  [1<<literalBits + literalRest]uint32
	distances [1<<distanceBits + distanceRest]uint32
	lengths   [literalCodes + distanceCodes]uint8 // of the codes of a block, in bits
	fixed     bool                                // the tables are those of fixed codes

	in  []byte
	at  int    // of the next byte to take; behind the end of in it counts on, and the bits there are zero
	buf uint64 // bits taken and not used, the next one lowest
	n   uint   // their number
}

const (
	literalCodes  = 288
	distanceCodes = 32
	maxCode       = 15 // bits
	// A table has an entry for each value of the next bits, and behind these the tables of longer codes. Theirs are at most as many as zlib's
	// `examples/enough.c` counts for 286 codes of 11 bits and for 30 of 8: 2342 and 402.
	literalBits  = 11
	distanceBits = 8
	literalRest  = 2342 - 1<<literalBits
	distanceRest = 402 - 1<<distanceBits
	preludeBits  = 7 // of the codes by which lengths of codes are written
)

// errShort says that a stream goes on behind what is at hand.
var errShort = errors.New("the compressed object is not all there")

func inflateError(why string) error {
	return fmt.Errorf("%w: an object is not compressed as it should be: %s", ErrMalformed, why)
}

// inflate fills out from the stream at the beginning of in, and says how many bytes that has. errShort says that in ends before it.
func (f *inflater) inflate(in, out []byte) (used int, err error) {
	if len(in) < 2 {
		return 0, errShort
	}
	if head := binary.BigEndian.Uint16(in); head&0x0f00 != 0x0800 || head&0x20 != 0 || head%31 != 0 {
		return 0, inflateError("it does not begin as zlib does")
	}
	f.in, f.at, f.buf, f.n = in, 2, 0, 0
	defer func() { f.in = nil }()
	o, last := 0, false
	for !last && err == nil {
		f.refill()
		last = f.take(1) == 1
		switch kind := f.take(2); {
		case f.over():
			return 0, errShort
		case kind == 0:
			o, err = f.stored(out, o)
		case kind == 1:
			if err = f.fixedCodes(); err == nil {
				o, err = f.block(out, o)
			}
		case kind == 2:
			if err = f.codes(); err == nil {
				o, err = f.block(out, o)
			}
		default:
			err = inflateError("a block is of no known kind")
		}
	}
	used = f.at - int(f.n/8) + 4 // and the checksum
	switch {
	case f.over() || used > len(in):
		return 0, errShort
	case err != nil:
		return 0, err
	case o < len(out):
		return 0, errSmaller
	}
	return used, nil
}

// refill makes sure that there are 56 bits.
func (f *inflater) refill() {
	f.buf, f.at, f.n = refill(f.in, f.buf, f.at, f.n)
}

func refill(in []byte, buf uint64, at int, n uint) (uint64, int, uint) {
	if at >= 0 && at+8 <= len(in) {
		buf |= binary.LittleEndian.Uint64(in[at:]) << (n & 63)
		return buf, at + int((63-n)>>3), n | 56
	}
	for ; n < 56; n += 8 {
		if at < len(in) {
			buf |= uint64(in[at]) << (n & 63)
		}
		at++
	}
	return buf, at, n
}

func (f *inflater) take(n uint) uint {
	v := uint(f.buf & (1<<n - 1))
	f.buf, f.n = f.buf>>n, f.n-n
	return v
}

// over says that bits were used that are not there.
func (f *inflater) over() bool { return f.at-int(f.n/8) > len(f.in) }

// stored copies what a block has as it is.
func (f *inflater) stored(out []byte, o int) (int, error) {
	f.take(f.n % 8)
	f.at -= int(f.n / 8)
	f.buf, f.n = 0, 0
	if f.at+4 > len(f.in) {
		return o, errShort
	}
	size, check := binary.LittleEndian.Uint16(f.in[f.at:]), binary.LittleEndian.Uint16(f.in[f.at+2:])
	f.at += 4
	switch {
	case size != ^check:
		return o, inflateError("a block's length is not what it is said to be")
	case o+int(size) > len(out):
		return o, errLarger
	case f.at+int(size) > len(f.in):
		return o, errShort
	}
	f.at += copy(out[o:o+int(size)], f.in[f.at:])
	return o + int(size), nil
}

var (
	errLarger  = fmt.Errorf("%w: an object is larger than it says", ErrMalformed)
	errSmaller = fmt.Errorf("%w: an object is smaller than it says", ErrMalformed)
)

func (f *inflater) fixedCodes() error {
	if f.fixed {
		return nil
	}
	for i := range literalCodes {
		switch {
		case i < 144, i >= 280:
			f.lengths[i] = 8
		case i < 256:
			f.lengths[i] = 9
		default:
			f.lengths[i] = 7
		}
	}
	for i := range distanceCodes {
		f.lengths[literalCodes+i] = 5
	}
	if err := f.tables(literalCodes, distanceCodes); err != nil {
		return err
	}
	f.fixed = true
	return nil
}

// codes reads the codes of a block (RFC 1951, 3.2.7).
func (f *inflater) codes() error {
	f.fixed = false
	literals, distances, prelude := int(f.take(5))+257, int(f.take(5))+1, int(f.take(4))+4
	if literals > 286 || distances > 30 {
		return inflateError("a block has too many codes")
	}
	var lengths [19]uint8
	for _, symbol := range preludeOrder[:prelude] {
		if f.n < 3 {
			f.refill()
		}
		lengths[symbol] = uint8(f.take(3))
	}
	table := f.distances[:1<<preludeBits] // which is not used yet
	if err := buildTable(table, lengths[:], preludeEntries[:], preludeBits); err != nil {
		return err
	}
	all := f.lengths[:literals+distances]
	for i := 0; i < len(all); {
		f.refill()
		e := table[f.buf&(1<<preludeBits-1)]
		if e&entrySpecial != 0 || f.over() {
			return inflateError("a code is none")
		}
		f.take(uint(e & 0xff))
		symbol, repeated, times := uint8(e>>16), uint8(0), 0
		switch symbol {
		case 16:
			if i == 0 {
				return inflateError("the first of its codes repeats one before it")
			}
			repeated, times = all[i-1], 3+int(f.take(2))
		case 17:
			times = 3 + int(f.take(3))
		case 18:
			times = 11 + int(f.take(7))
		default:
			repeated, times = symbol, 1
		}
		if i+times > len(all) {
			return inflateError("a block has too many codes")
		}
		for range times {
			all[i] = repeated
			i++
		}
	}
	if all[256] == 0 {
		return inflateError("a block has no end")
	}
	return f.tables(literals, distances)
}

// tables builds those of a block from the lengths of its codes.
func (f *inflater) tables(literals, distances int) error {
	if err := buildTable(f.distances[:], f.lengths[literals:literals+distances], distanceEntries[:], distanceBits); err != nil {
		return err
	}
	return buildTable(f.literals[:], f.lengths[:literals], literalEntries[:], literalBits)
}

// block reads a block's symbols, up to its end.
func (f *inflater) block(out []byte, o int) (int, error) {
	in, at, buf, n := f.in, f.at, f.buf, f.n
	defer func() { f.at, f.buf, f.n = at, buf, n }()
	for {
		buf, at, n = refill(in, buf, at, n)
		e := f.literals[buf&(1<<literalBits-1)]
		// As many literals as there surely are bits for, with what follows the last.
		if e&entryLiteral != 0 {
			if uint(o)+3 > uint(len(out)) {
				if o >= len(out) {
					return o, errLarger
				}
				out[o] = byte(e >> 16)
				o++
				buf, n = buf>>(e&63), n-uint(e&63)
				continue
			}
			three := out[o : o+3 : o+3]
			three[0] = byte(e >> 16)
			o++
			buf, n = buf>>(e&63), n-uint(e&63)
			if e = f.literals[buf&(1<<literalBits-1)]; e&entryLiteral != 0 {
				three[1] = byte(e >> 16)
				o++
				buf, n = buf>>(e&63), n-uint(e&63)
				if e = f.literals[buf&(1<<literalBits-1)]; e&entryLiteral != 0 {
					three[2] = byte(e >> 16)
					o++
					buf, n = buf>>(e&63), n-uint(e&63)
					continue
				}
			}
		}
		buf, at, n = refill(in, buf, at, n)
		if e&entryTable != 0 {
			buf, n = buf>>(e&63), n-uint(e&63)
			e = f.literals[e>>16&0x7fff+uint32(buf)&(1<<(e>>8&15)-1)]
		}
		buf, n = buf>>(e&63), n-uint(e&63)
		switch {
		case e&entryLiteral != 0:
			if o >= len(out) {
				return o, errLarger
			}
			out[o] = byte(e >> 16)
			o++
			continue
		case e&entryEnd != 0:
			return o, nil
		case e&entryInvalid != 0:
			return o, inflateError("a code is none")
		}
		extra := e >> 8 & 15
		length := int(e>>16) + int(buf&(1<<extra-1))
		buf, n = buf>>extra, n-uint(extra)
		d := f.distances[buf&(1<<distanceBits-1)]
		if d&entryTable != 0 {
			buf, n = buf>>(d&63), n-uint(d&63)
			d = f.distances[d>>16&0x7fff+uint32(buf)&(1<<(d>>8&15)-1)]
		}
		if d&entrySpecial != 0 {
			return o, inflateError("a code is none")
		}
		buf, n = buf>>(d&63), n-uint(d&63)
		extra = d >> 8 & 15
		distance := int(d>>16) + int(buf&(1<<extra-1))
		buf, n = buf>>extra, n-uint(extra)
		switch {
		case distance > o:
			return o, inflateError("it repeats what is before its beginning")
		case length > len(out)-o:
			return o, errLarger
		case distance >= length:
			copy(out[o:o+length], out[o-distance:])
		default:
			for i := range length {
				out[o+i] = out[o+i-distance]
			}
		}
		o += length
		if at-int(n/8) > len(in) {
			return o, errShort
		}
	}
}
