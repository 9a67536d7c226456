package packfile

import "math/bits"

// An entry has in its lowest byte the bits of its code, in the next the bits that follow and add to its value, and the value in its upper half, but for
// the highest bit, which tells a literal. Three bits tell what has no value of that kind.
const (
	entryLiteral = 1 << 31
	entryEnd     = 1 << 13
	entryTable   = 1 << 14 // of longer codes: the bits that follow are its index, and the value where it begins
	entryInvalid = 1 << 15
	entrySpecial = entryEnd | entryTable | entryInvalid
)

// The values of symbols that stand for lengths and distances, and the bits that add to them (RFC 1951, 3.2.5).
var literalEntries, distanceEntries, preludeEntries = symbolEntries()

func symbolEntries() (literals [literalCodes]uint32, distances [distanceCodes]uint32, prelude [19]uint32) {
	for i := range 256 {
		literals[i] = entryLiteral | uint32(i)<<16
	}
	literals[256] = entryEnd
	base := uint32(3)
	for i := range 28 {
		extra := uint32(max(0, i/4-1))
		literals[257+i] = base<<16 | extra<<8
		base += 1 << extra
	}
	literals[285] = 258 << 16
	literals[286], literals[287] = entryInvalid, entryInvalid
	base = 1
	for i := range 30 {
		extra := uint32(max(0, i/2-1))
		distances[i] = base<<16 | extra<<8
		base += 1 << extra
	}
	distances[30], distances[31] = entryInvalid, entryInvalid
	for i := range prelude {
		prelude[i] = uint32(i) << 16
	}
	return literals, distances, prelude
}

// preludeOrder is that in which the lengths of the prelude's codes are written.
var preludeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// buildTable makes the table of the codes that have these lengths: those of one length follow one another in the order of their symbols, behind the
// shorter ones (RFC 1951, 3.2.2). They are written with their highest bit first, and so stand reversed in the table.
func buildTable(table []uint32, lengths []uint8, entries []uint32, size uint) error {
	var count [maxCode + 1]int
	for _, l := range lengths {
		count[l]++
	}
	var next [maxCode + 2]int // where the symbols of a length begin
	left := 1
	for l := 1; l <= maxCode; l++ {
		left = left<<1 - count[l]
		if left < 0 {
			return inflateError("there are too many codes of a length")
		}
		next[l+1] = next[l] + count[l]
	}
	used := next[maxCode+1]
	if left > 0 && (used > 1 || used == 1 && count[1] != 1) {
		return inflateError("there are too few codes")
	}
	var sorted [literalCodes]uint16
	for symbol, l := range lengths {
		if l > 0 {
			sorted[next[l]] = uint16(symbol)
			next[l]++
		}
	}
	code, i := 0, 0
	table[0] = entryInvalid
	for l := uint(1); l <= size; l++ {
		copy(table[1<<(l-1):1<<l], table[:1<<(l-1)])
		code <<= 1
		for range count[l] {
			table[reverse(code, l)] = entries[sorted[i]] | uint32(l)
			code, i = code+1, i+1
		}
	}
	if i == used {
		return nil
	}
	return longCodes(table, count[:], sorted[i:used], entries, size, code)
}

// longCodes makes the tables of the codes that are longer than a table's index.
func longCodes(table []uint32, count []int, symbols []uint16, entries []uint32, size uint, code int) error {
	end, prefix := 1<<size, -1
	begin, index := 0, uint(0)
	for l := size + 1; l <= maxCode; l++ {
		code <<= 1
		for done := range count[l] {
			reversed := reverse(code, l)
			if p := reversed & (1<<size - 1); p != prefix {
				prefix, begin = p, end
				index = l - size
				for room := 1<<index - (count[l] - done); room > 0 && index+size < maxCode; {
					index++
					room = room<<1 - count[index+size]
				}
				end += 1 << index
				if end > len(table) {
					return inflateError("there are too many codes")
				}
				table[prefix] = entryTable | uint32(begin)<<16 | uint32(index)<<8 | uint32(size)
			}
			for i := reversed >> size; i < 1<<index; i += 1 << (l - size) {
				table[begin+i] = entries[symbols[0]] | uint32(l-size)
			}
			symbols, code = symbols[1:], code+1
		}
	}
	return nil
}

func reverse(code int, n uint) int { return int(bits.Reverse16(uint16(code)) >> (16 - n)) }
