// Code generated from attack.Conditions by generate. DO NOT EDIT.

package sha1dc

// The vectors of each class, in both halves.
const (
	vectorsI0  = 0x3ff * both
	vectorsI2  = 0x1f8 * both
	vectorsII0 = 0x3ffc * both
	vectorsII2 = 0x1c8 * both
)

// unmet returns for each class the vectors of which the blocks of a pair break a condition on the planes, from bit 0 of each half on.
// Bits that belong to no vector are arbitrary.
func unmet(p *planes) (i0, i2, ii0, ii2 uint64) {
	bit4not4after1 := ^p.bit4 ^ p.bit4>>1
	bit4not4after2 := ^p.bit4 ^ p.bit4>>2
	bit29not29after2 := ^p.bit29 ^ p.bit29>>2
	bit29not29after3 := ^p.bit29 ^ p.bit29>>3
	bit29not29after7 := ^p.bit29 ^ p.bit29>>7
	bit4is29after3 := p.bit4 ^ p.bit29>>3
	bit4is29after4 := p.bit4 ^ p.bit29>>4
	bit29is29after1 := p.bit29 ^ p.bit29>>1
	bit1not6after1 := ^p.bit1 ^ p.bit6>>1
	bit1not1after2 := ^p.bit1 ^ p.bit1>>2
	bit1not1after8 := ^p.bit1 ^ p.bit1>>8
	bit6is1after1 := p.bit6 ^ p.bit1>>1
	bit6is6after2 := p.bit6 ^ p.bit6>>2
	bit1is6after0 := p.bit1 ^ p.bit6>>0
	bit4is29after2 := p.bit4 ^ p.bit29>>2
	bit1not1after4 := ^p.bit1 ^ p.bit1>>4
	i0 |= (bit4not4after1 << 6) & (0x380 * both)
	i0 |= (bit4not4after2 >> 2) & (0xf * both)
	i0 |= (bit4not4after2 >> 4) & (0x3 * both)
	i0 |= (bit29not29after2>>5 | bit4is29after3<<2 | bit29is29after1>>1) & (0x3f0 * both)
	i0 |= (bit29not29after2 >> 7) & (0x1fc * both)
	i0 |= (bit29not29after2 >> 9) & (0x7f * both)
	i0 |= (bit29not29after3 >> 9) & (0x280 * both)
	i0 |= (bit29not29after7 >> 4) & (0x200 * both)
	i0 |= (bit29not29after7 >> 5) & (0x100 * both)
	i0 |= bit4is29after3>>2 | bit4is29after3>>4 | bit4is29after3>>6 | bit4is29after3>>8 | bit29is29after1>>11
	i0 |= (bit4is29after4<<5 | bit29is29after1>>0) & (0x3e0 * both)
	i0 |= (bit4is29after4 << 2) & (0xc * both)
	i0 |= (bit29is29after1 >> 4) & (0x3fe * both)
	i2 |= (bit1not6after1 << 6) & (0x1c0 * both)
	i2 |= (bit1not6after1 << 3) & (0x1b8 * both)
	i2 |= (bit1not6after1 >> 1) & (0x138 * both)
	i2 |= (bit1not1after2<<3 | bit6is1after1<<2) & (0x40 * both)
	i2 |= (bit1not1after8 >> 1) & (0xc0 * both)
	i2 |= (bit6is1after1 << 2) & (0x180 * both)
	i2 |= (bit6is1after1 >> 8) & (0x160 * both)
	i2 |= (bit6is1after1 >> 8) & (0x98 * both)
	i2 |= bit6is6after2>>2 | bit6is6after2>>4 | bit6is6after2>>6
	i2 |= (bit1is6after0 << 6) & (0x100 * both)
	ii0 |= (bit4not4after2 << 10) & (0x3800 * both)
	ii0 |= (bit4not4after2 << 8) & (0x3e00 * both)
	ii0 |= (bit29not29after2>>13 | bit4is29after4<<1) & (0x4 * both)
	ii0 |= (bit29not29after3 >> 12) & (0x250 * both)
	ii0 |= (bit29not29after3 >> 13) & (0x5a8 * both)
	ii0 |= (bit4is29after2 >> 10) & (0x1000 * both)
	ii0 |= (bit4is29after3 << 10) & (0x3000 * both)
	ii0 |= (bit4is29after3 << 8) & (0x3c00 * both)
	ii0 |= (bit4is29after3<<1 | bit29is29after1>>2) & (0x3ff8 * both)
	ii0 |= bit4is29after3>>4 | bit29is29after1>>6 | bit29is29after1>>7
	ii0 |= (bit4is29after3>>10 | bit29is29after1>>12) & (0xffc * both)
	ii0 |= (bit4is29after3>>12 | bit29is29after1>>15) & (0x3fc * both)
	ii0 |= (bit4is29after4<<4 | bit29is29after1>>1) & (0x3ff0 * both)
	ii0 |= (bit29is29after1 << 8) & (0x2000 * both)
	ii2 |= bit1not6after1<<2 | bit1not1after4>>9 | bit6is6after2>>10
	ii2 |= (bit1not6after1 >> 3) & (0x48 * both)
	ii2 |= (bit1not1after2 >> 3) & (0x180 * both)
	ii2 |= (bit6is1after1<<1 | bit6is1after1>>12) & (0x1c0 * both)
	ii2 |= (bit6is1after1 >> 4) & (0x40 * both)
	ii2 |= (bit6is1after1 >> 4) & (0x188 * both)
	ii2 |= (bit6is1after1 >> 12) & (0x8 * both)
	return i0, i2, ii0, ii2
}
