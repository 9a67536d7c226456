package secretscan

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// compressed are streams of the standard library's writer, which has codes of all three kinds, with what they hold.
func compressed(t testing.TB) map[string][2][]byte {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 70_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	skewed := make([]byte, 60_000) // whose codes are of all lengths
	for i := range skewed {
		skewed[i] = byte(random.ExpFloat64() * 9)
	}
	var words strings.Builder
	for words.Len() < 50_000 {
		words.WriteString([]string{"func ", "return ", "if err != nil {\n", "\t", "x", "// a longer comment that comes again\n"}[random.IntN(6)])
	}
	list := map[string][2][]byte{}
	for name, content := range map[string]string{
		"empty": "", "byte": "x", "run": strings.Repeat("a", 3000), "text": words.String(), "noise": string(noise), "skewed": string(skewed),
		"far": string(noise[:32_000]) + "between" + string(noise[:32_000]),
	} {
		for level, suffix := range map[int]string{flate.NoCompression: "stored", flate.BestSpeed: "fast", flate.BestCompression: "best", flate.HuffmanOnly: "huffman"} {
			var b bytes.Buffer
			w, err := zlib.NewWriterLevel(&b, level)
			if err == nil {
				_, err = w.Write([]byte(content))
			}
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			list[name+"/"+suffix] = [2][]byte{b.Bytes(), []byte(content)}
		}
	}
	return list
}

func TestInflate(t *testing.T) {
	t.Parallel()
	for name, c := range compressed(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f inflater
			in, want := c[0], c[1]
			out := make([]byte, len(want))
			used, err := f.inflate(append(bytes.Clone(in), "what follows"...), out)
			if err != nil || used != len(in) || !bytes.Equal(out, want) {
				t.Errorf("%d of %d bytes, %v", used, len(in), err)
			}
			if used, err = f.inflate(in, out); err != nil || used != len(in) || !bytes.Equal(out, want) {
				t.Errorf("at the end: %d of %d bytes, %v", used, len(in), err)
			}
			for n := 0; n < len(in); n += 1 + len(in)/97 {
				if _, err := f.inflate(in[:n], out); !errors.Is(err, errShort) {
					t.Errorf("cut after %d of %d bytes: %v", n, len(in), err)
				}
			}
			if _, err := f.inflate(in, make([]byte, len(want)+1)); !errors.Is(err, ErrPack) {
				t.Errorf("into a byte too many: %v", err)
			}
			if len(want) > 0 {
				if _, err := f.inflate(in, make([]byte, len(want)-1)); !errors.Is(err, ErrPack) {
					t.Errorf("into a byte too few: %v", err)
				}
			}
		})
	}
}
