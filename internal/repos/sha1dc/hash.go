// Package sha1dc is SHA-1 with detection of collision attacks, as git names objects: "Counter-cryptanalysis" (Marc Stevens,
// CRYPTO 2013) and "Speeding up detection of SHA-1 collision attacks using unavoidable attack conditions" (Marc Stevens, Daniel
// Shumow, USENIX Security 2017).
//
// An attack makes two blocks that differ by one of few known message differences, each of which follows from a disturbance
// vector. From one of the two blocks alone one can therefore make the other one, and see whether both lead to the same chaining
// value. Nearly every block is spared that work, since it breaks a condition on its expanded message that every such attack must meet.
package sha1dc

import (
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"hash"
)

const (
	// Size is the length of a digest, in bytes.
	Size = sha1.Size

	blockSize = sha1.BlockSize
	// runSize is how many bytes are looked at before they are hashed: few enough to stay in the processor's nearest cache.
	runSize = 128 * blockSize
)

// Hash is a running SHA-1 with collision detection. New makes one; a Hash serves one goroutine at a time.
type Hash struct {
	digest    hash.Hash
	state     encoding.BinaryAppender // of digest
	stateText []byte                  // what state appends to
	length    uint64                  // bytes written
	waiting   [3 * blockSize]byte     // the message's end that is not looked at yet, below two blocks, and room for the padding
	filled    int                     // bytes in waiting
	pair      pair
	expanded  expanded
	collision bool
}

// New returns a hash of the empty message.
func New() *Hash {
	digest := sha1.New()
	h := &Hash{digest: digest, state: digest.(encoding.BinaryAppender), stateText: make([]byte, 0, 128)}
	return h
}

// Reset begins a new message.
func (h *Hash) Reset() {
	h.digest.Reset()
	h.length, h.filled, h.collision = 0, 0, false
}

// Write adds b to the message. It never fails.
func (h *Hash) Write(b []byte) (int, error) {
	written := len(b)
	h.length += uint64(written)
	if h.filled > 0 {
		n := copy(h.waiting[h.filled:2*blockSize], b)
		h.filled += n
		b = b[n:]
		if h.filled < 2*blockSize {
			return written, nil
		}
		h.blocks(h.waiting[:2*blockSize])
		h.filled = 0
	}
	whole := len(b) &^ (2*blockSize - 1)
	h.blocks(b[:whole])
	h.filled = copy(h.waiting[:], b[whole:])
	return written, nil
}

// Sum ends the message and returns its SHA-1. collision says that a block of the message is half of a collision attack, so that
// another message with the same SHA-1 is known to somebody. Only Reset may follow.
func (h *Hash) Sum() (sum [Size]byte, collision bool) {
	// The padding of FIPS 180-4, section 5.1.1, is written here and not by digest, since it is looked at like the rest.
	end := (h.filled + 1 + 8 + blockSize - 1) &^ (blockSize - 1)
	padding := h.waiting[h.filled:end]
	clear(padding)
	padding[0] = 0x80
	binary.BigEndian.PutUint64(padding[len(padding)-8:], h.length<<3)
	h.blocks(h.waiting[:end])
	for i, word := range h.chaining() {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum, h.collision
}

// blocks looks at whole blocks and hashes them.
func (h *Hash) blocks(p []byte) {
	for len(p) > 0 {
		run := p[:min(len(p), runSize)]
		p = p[len(run):]
		hashed := 0
		for at := 0; at < len(run) && !h.collision; at += 2 * blockSize {
			next := min(at+blockSize, len(run)-blockSize) // an odd block is its own neighbour
			first, second := h.pair.unbroken((*[blockSize]byte)(run[at:]), (*[blockSize]byte)(run[next:]))
			if first != 0 {
				hashed = h.check(run, hashed, at, first)
			}
			if second != 0 && next != at {
				hashed = h.check(run, hashed, next, second)
			}
		}
		h.digest.Write(run[hashed:])
	}
}

// check looks for a collision in the block of the run at at, of which the bytes before hashed are hashed. It returns what is hashed then.
func (h *Hash) check(run []byte, hashed, at int, candidates vectorSet) int {
	h.expanded.expand((*[blockSize]byte)(run[at:]))
	candidates = h.expanded.unbroken(candidates)
	if candidates == 0 {
		return hashed
	}
	h.digest.Write(run[hashed:at])
	before := h.chaining()
	h.digest.Write(run[at : at+blockSize])
	h.collision = h.collision || h.expanded.collides(before, h.chaining(), candidates)
	return at + blockSize
}

// chaining is the chaining value after the blocks that are hashed.
func (h *Hash) chaining() (value state) {
	// crypto/sha1 has no other way to tell it. The form is the same in every version, as it is made for keeping: four bytes that
	// name the form, then the chaining value. Appending never fails.
	h.stateText, _ = h.state.AppendBinary(h.stateText[:0])
	for i := range value {
		value[i] = binary.BigEndian.Uint32(h.stateText[4+4*i:])
	}
	return value
}
