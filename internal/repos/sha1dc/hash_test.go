package sha1dc

import (
	"bytes"
	"crypto/sha1"
	"encoding"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

func sumOf(h *Hash, parts ...[]byte) (string, bool) {
	h.Reset()
	for _, part := range parts {
		h.Write(part)
	}
	sum, collision := h.Sum()
	return fmt.Sprintf("%x", sum), collision
}

func random(seed uint64, length int) []byte {
	message := make([]byte, length)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(message)
	return message
}

func FuzzSum(f *testing.F) {
	for length := range 260 {
		f.Add(random(uint64(length), length), uint16(length/3), uint16(64))
	}
	f.Add(random(1, 3*runSize+7), uint16(1), uint16(runSize))
	f.Add(random(2, 2*runSize), uint16(127), uint16(1))
	h := New()
	f.Fuzz(func(t *testing.T, message []byte, first, second uint16) {
		want := fmt.Sprintf("%x", sha1.Sum(message))
		a := min(int(first), len(message))
		b := min(a+int(second), len(message))
		if got, _ := sumOf(h, message[:a], message[a:b], message[b:]); got != want {
			t.Errorf("in parts up to %d and %d of %d: %s, want %s", a, b, len(message), got, want)
		}
	})
}

func TestRandomParts(t *testing.T) {
	h, plain := New(), sha1.New()
	choice := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		h.Reset()
		plain.Reset()
		message := random(uint64(i), choice.IntN(30_000))
		for len(message) > 0 {
			n := min(choice.IntN(1<<choice.IntN(14)+1), len(message))
			if wrote, err := h.Write(message[:n]); wrote != n || err != nil {
				t.Fatalf("Write says %d, %v for %d bytes", wrote, err, n)
			}
			plain.Write(message[:n])
			message = message[n:]
		}
		sum, collision := h.Sum()
		if !bytes.Equal(sum[:], plain.Sum(nil)) || collision {
			t.Fatalf("message %d: %x, collision %v, want %x", i, sum, collision, plain.Sum(nil))
		}
	}
}

// The files are those of https://github.com/cr-marcstevens/sha1collisiondetection: the prefixes of the PDFs of "The first collision for full SHA-1" (2017,
// identical-prefix, their attack is in the last two blocks of five), and the messages of "SHA-1 is a Shambles" (2020, chosen-prefix, nine blocks of ten).
func TestPublicCollisions(t *testing.T) {
	h := New()
	for _, pair := range []struct {
		name string
		sum  string // as the papers print it, or of sha1sum
		last int    // the length with the last block of the attack
	}{
		{"shattered", "f92d74e3874587aaf443d1db961d4e26dde13e9c", 320},
		{"sha-mbles", "8ac60ba76f1999a1ab70223f225aefdc78d4ddc0", 640},
	} {
		for i := 1; i <= 2; i++ {
			name := fmt.Sprintf("%s-%d.bin", pair.name, i)
			message, err := os.ReadFile("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			for split := 0; split <= len(message); split++ {
				if sum, collision := sumOf(h, message[:split], message[split:]); sum != pair.sum || !collision {
					t.Fatalf("%s in parts at %d: %s, collision %v, want %s and a collision", name, split, sum, collision, pair.sum)
				}
			}
			for _, length := range []int{0, 1, 63, 64, 65, 5 * runSize} {
				more := random(3, length)
				sum, collision := sumOf(h, message, more)
				if want := fmt.Sprintf("%x", sha1.Sum(append(bytes.Clone(message), more...))); sum != want || !collision {
					t.Errorf("%s and %d bytes: %s, collision %v, want %s and a collision", name, length, sum, collision, want)
				}
			}
			// What comes before decides: without its prefix, moved by one byte or one block, or before its last block, nothing collides.
			changed := bytes.Clone(message)
			changed[0] ^= 1
			for what, other := range map[string][]byte{
				"with another prefix":    changed,
				"one byte on":            append([]byte{0}, message...),
				"one block on":           append(make([]byte, blockSize), message...),
				"without the last block": message[:pair.last-blockSize],
				"without the last byte":  message[:pair.last-1],
			} {
				sum, collision := sumOf(h, other)
				if want := fmt.Sprintf("%x", sha1.Sum(other)); sum != want || collision {
					t.Errorf("%s %s: %s, collision %v, want %s and none", name, what, sum, collision, want)
				}
			}
		}
	}
}

// The length stands in the padding in bits, in 64 of them.
func TestLongMessage(t *testing.T) {
	const before = 5 << 30
	plain := sha1.New()
	text, err := plain.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	copy(text[len(text)-8:], []byte{0, 0, 0, 1, 0x40, 0, 0, 0})
	h := New()
	for _, digest := range []any{plain, h.digest} {
		if err := digest.(encoding.BinaryUnmarshaler).UnmarshalBinary(text); err != nil {
			t.Fatal(err)
		}
	}
	h.length = before
	message := random(4, 1000)
	h.Write(message)
	plain.Write(message)
	if sum, _ := h.Sum(); !bytes.Equal(sum[:], plain.Sum(nil)) {
		t.Errorf("%x, want %x", sum, plain.Sum(nil))
	}
}

func TestNoAllocation(t *testing.T) {
	h, message := New(), random(5, 100_000)
	if n := testing.AllocsPerRun(10, func() { digestOf(h, message) }); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

func digestOf(h *Hash, message []byte) (sum [Size]byte) {
	h.Reset()
	h.Write(message)
	sum, _ = h.Sum()
	return sum
}

func BenchmarkSum(b *testing.B) {
	for _, size := range []int{200, 4 << 10, 64 << 10} {
		message := random(6, size)
		b.Run(fmt.Sprintf("%d/sha1dc", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			h := New()
			for b.Loop() {
				digestOf(h, message)
			}
		})
		b.Run(fmt.Sprintf("%d/crypto", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			h, sum := sha1.New(), make([]byte, 0, Size)
			for b.Loop() {
				h.Reset()
				h.Write(message)
				h.Sum(sum)
			}
		})
	}
}
