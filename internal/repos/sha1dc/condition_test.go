package sha1dc

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"slipway/internal/repos/sha1dc/attack"
)

// known is the vectors in the order in which lib/ubc_check.c of https://github.com/cr-marcstevens/sha1collisiondetection numbers them.
var known = strings.Fields(`I(43,0) I(44,0) I(45,0) I(46,0) I(46,2) I(47,0) I(47,2) I(48,0) I(48,2) I(49,0) I(49,2) I(50,0) I(50,2) I(51,0) I(51,2) I(52,0)
	II(45,0) II(46,0) II(46,2) II(47,0) II(48,0) II(49,0) II(49,2) II(50,0) II(50,2) II(51,0) II(51,2) II(52,0) II(53,0) II(54,0) II(55,0) II(56,0)`)

// names are the vectors' names by their bit in a vectorSet.
func names() (of [64]string) {
	for class, ks := range attack.Vectors {
		kind := [...]string{"I", "I", "II", "II"}[class]
		for i := range 16 {
			if ks>>i&1 != 0 {
				of[16*class+i] = fmt.Sprintf("%s(%d,%d)", kind, attack.FirstK+i, attack.Class(class).Bit())
			}
		}
	}
	return of
}

func indexOf(name string) int {
	for i, n := range names() {
		if n == name {
			return i
		}
	}
	return -1
}

type made struct {
	block [blockSize]byte
	left  vectorSet
}

// madeBlocks are blocks with what ubc_check of lib/ubc_check.c says of them: for each condition of each vector one that breaks no other
// condition of the vector, and some that meet all conditions of as many vectors as do not contradict each other.
func madeBlocks(t *testing.T) (all []made) {
	f, err := os.Open("testdata/conditions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		block, mask, _ := strings.Cut(lines.Text(), " ")
		var m made
		if n, err := hex.Decode(m.block[:], []byte(block)); n != blockSize || err != nil {
			t.Fatalf("%d bytes, %v: %q", n, err, lines.Text())
		}
		left, err := strconv.ParseUint(mask, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range known {
			if left>>i&1 != 0 {
				m.left |= 1 << indexOf(name)
			}
		}
		all = append(all, m)
	}
	if len(all) < 400 || lines.Err() != nil {
		t.Fatalf("%d blocks, %v", len(all), lines.Err())
	}
	return all
}

func unbroken(upper, lower *[blockSize]byte) (ofUpper, ofLower vectorSet) {
	var p pair
	var w expanded
	ofUpper, ofLower = p.unbroken(upper, lower)
	w.expand(upper)
	ofUpper = w.unbroken(ofUpper)
	w.expand(lower)
	return ofUpper, w.unbroken(ofLower)
}

func TestConditions(t *testing.T) {
	blocks := madeBlocks(t)
	for i := range blocks {
		upper, lower := blocks[i], blocks[(i+7)%len(blocks)]
		if u, l := unbroken(&upper.block, &lower.block); u != upper.left || l != lower.left {
			t.Errorf("block %d: %x and %x, want %x and %x", i, u, l, upper.left, lower.left)
		}
	}
}

// broken asks a condition of one block, as it stands in the table.
func broken(w *expanded, c attack.Condition, k int) bool {
	bit := func(step, bit int) uint32 { return w[k+step] >> ((bit + c.Class.Bit()) % 32) & 1 }
	return (bit(c.Step, c.Bit) != bit(c.OtherStep, c.OtherBit)) != c.Differ
}

// each calls f with the vectors of a condition: its bit in a vectorSet and its K.
func each(c attack.Condition, f func(vector, k int)) {
	for i := range 16 {
		if c.Vectors>>i&1 != 0 {
			f(16*int(c.Class)+i, attack.FirstK+i)
		}
	}
}

func tableSays(block *[blockSize]byte) vectorSet {
	var w expanded
	w.expand(block)
	left := allVectors()
	for _, c := range attack.Conditions {
		each(c, func(vector, k int) {
			if broken(&w, c, k) {
				left &^= 1 << vector
			}
		})
	}
	return left
}

// FuzzConditions compares the shortcuts with the table.
func FuzzConditions(f *testing.F) {
	f.Add(random(7, blockSize), random(8, blockSize))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var upper, lower [blockSize]byte
		copy(upper[:], a)
		copy(lower[:], b)
		u, l := unbroken(&upper, &lower)
		if wantUpper, wantLower := tableSays(&upper), tableSays(&lower); u != wantUpper || l != wantLower {
			t.Errorf("%x and %x, want %x and %x", u, l, wantUpper, wantLower)
		}
	})
}

func TestConditionsOfRandomBlocks(t *testing.T) {
	const count = 20_000
	message := random(9, (count+1)*blockSize)
	for i := range count {
		upper, lower := (*[blockSize]byte)(message[i*blockSize:]), (*[blockSize]byte)(message[(i+1)*blockSize:])
		if u, l := unbroken(upper, lower); u != tableSays(upper) || l != tableSays(lower) {
			t.Fatalf("block %d: %x and %x, want %x and %x", i, u, l, tableSays(upper), tableSays(lower))
		}
	}
}

// Each part of each condition is needed for the reference's answers: whatever is changed in one for a vector, some block shows it.
func TestBlocksPinEveryCondition(t *testing.T) {
	blocks := madeBlocks(t)
	words := make([]expanded, len(blocks))
	for i := range blocks {
		words[i].expand(&blocks[i].block)
	}
	// shows reports whether a block has another answer for the vector when condition i is changed.
	shows := func(vector, k, i int, changed *attack.Condition) bool {
		for j := range blocks {
			out := false
			for n, c := range attack.Conditions {
				if c.Class != attack.Class(vector/16) || c.Vectors>>(vector%16)&1 == 0 {
					continue
				}
				if n != i {
					out = out || broken(&words[j], c, k)
				} else if changed != nil {
					out = out || broken(&words[j], *changed, k)
				}
			}
			if out == (blocks[j].left>>vector&1 != 0) {
				return true
			}
		}
		return false
	}
	for i, c := range attack.Conditions {
		each(c, func(vector, k int) {
			changes := map[string]*attack.Condition{"none": nil}
			for name, change := range map[string]func(c *attack.Condition){
				"the relation":   func(c *attack.Condition) { c.Differ = !c.Differ },
				"the bit":        func(c *attack.Condition) { c.Bit++ },
				"the other bit":  func(c *attack.Condition) { c.OtherBit++ },
				"the step":       func(c *attack.Condition) { c.Step -= 11 },
				"the other step": func(c *attack.Condition) { c.OtherStep += 11 },
			} {
				changed := c
				change(&changed)
				changes[name] = &changed
			}
			for name, changed := range changes {
				if !shows(vector, k, i, changed) {
					t.Errorf("no block shows that condition %d of %s has changed: %s, %+v", i, names()[vector], name, c)
				}
			}
		})
	}
}

// compressed is the state after the steps of FIPS 180-4, section 6.1.2, from one step on, without any shortcut.
func compressed(s state, w *expanded, from, to int) state {
	for t := from; t < to; t++ {
		a, b, c, d, e := s[0], s[1], s[2], s[3], s[4]
		f, k := b&c^^b&d, uint32(0x5a827999)
		switch t / 20 {
		case 1:
			f, k = b^c^d, 0x6ed9eba1
		case 2:
			f, k = b&c^b&d^c&d, 0x8f1bbcdc
		case 3:
			f, k = b^c^d, 0xca62c1d6
		}
		s = state{bits.RotateLeft32(a, 5) + f + e + k + w[t], a, bits.RotateLeft32(b, 30), c, d}
	}
	return s
}

// Two blocks with any chaining values before them, and the same one after them, collide if they have the same state where their vector says it.
func TestCollides(t *testing.T) {
	number := rand.New(rand.NewPCG(3, 4))
	chosen := func() (s state) {
		for i := range s {
			s[i] = number.Uint32()
		}
		return s
	}
	for class, ks := range attack.Vectors {
		for i := range 16 {
			if ks>>i&1 == 0 {
				continue
			}
			vector, at := 16*class+i, attack.EqualAt(attack.FirstK+i)
			var block [blockSize]byte
			copy(block[:], random(uint64(vector), blockSize))
			var w, other expanded
			w.expand(&block)
			for t := range other {
				other[t] = w[t] ^ differences[vector][t]
			}
			// The other block starts anywhere, and this one where it has the other's state at that step and the same chaining value after it.
			otherBefore := chosen()
			equal := compressed(otherBefore, &other, 0, at)
			after, end := compressed(equal, &other, at, len(other)), compressed(equal, &w, at, len(w))
			var before state
			for i := range after {
				after[i] += otherBefore[i]
				before[i] = after[i] - end[i]
			}
			if !w.collides(before, after, 1<<vector) {
				t.Errorf("%s: not found", names()[vector])
			}
			for i := range 5 * 32 {
				changed := before
				changed[i/32] ^= 1 << (i % 32)
				if w.collides(changed, after, 1<<vector) {
					t.Errorf("%s: found with another value before the block, bit %d", names()[vector], i)
				}
			}
			if w.collides(before, after, allVectors()&^(1<<vector)) {
				t.Errorf("%s: found along another vector", names()[vector])
			}
			if !w.collides(before, after, allVectors()) {
				t.Errorf("%s: not found among all", names()[vector])
			}
		}
	}
}

func allVectors() (all vectorSet) {
	for class, ks := range attack.Vectors {
		all |= vectorSet(ks) << (16 * class)
	}
	return all
}

// The sum is of the table sha1_dvs of lib/ubc_check.c: dm of each vector, in big-endian words.
func TestDifferences(t *testing.T) {
	sum := sha256.New()
	for _, name := range known {
		for _, word := range differences[indexOf(name)] {
			sum.Write(binary.BigEndian.AppendUint32(nil, word))
		}
	}
	const want = "0c9ab8736a839581a5716b66bace5048fdde4984d63006f71affeac30f99e199"
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("the differences' SHA-256 is %s, want %s", got, want)
	}
}
