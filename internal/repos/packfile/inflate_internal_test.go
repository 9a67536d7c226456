package packfile

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	quickzlib "github.com/klauspost/compress/zlib"
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
			if _, err := f.inflate(in, make([]byte, len(want)+1)); !errors.Is(err, ErrMalformed) {
				t.Errorf("into a byte too many: %v", err)
			}
			if len(want) > 0 {
				if _, err := f.inflate(in, make([]byte, len(want)-1)); !errors.Is(err, ErrMalformed) {
					t.Errorf("into a byte too few: %v", err)
				}
			}
		})
	}
}

// BenchmarkInflate inflates 1,000 files of 4,500 bytes here and by the libraries, and says what processor time each takes.
func BenchmarkInflate(b *testing.B) {
	spent := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	random := rand.New(rand.NewPCG(7, 8))
	source, err := os.ReadFile("pack.go")
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]func([]byte){
		"random": func(t []byte) {
			for i := range t {
				t[i] = "0123456789abcdef\n +-*/={}()[];.,:aeiou_tnrslABCDEFGHIJKLMNOPQRSTUV"[random.IntN(64)]
			}
		},
		"source": func(t []byte) { copy(t, source[random.IntN(len(source)-len(t)):]) },
	} {
		var streams [][]byte
		out, total := make([]byte, 4500), 0
		for range 1000 {
			text(out)
			var z bytes.Buffer
			w := zlib.NewWriter(&z)
			if _, err := w.Write(out); err != nil {
				b.Fatal(err)
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			streams, total = append(streams, z.Bytes()), total+len(out)
		}
		measure := func(b *testing.B, inflate func(in []byte) error) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			begun := spent()
			for b.Loop() {
				for _, s := range streams {
					if err := inflate(s); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64((spent()-begun).Nanoseconds())/float64(b.N)/float64(total), "cpu-ns/byte")
		}
		b.Run(name+"/here", func(b *testing.B) {
			var f inflater
			measure(b, func(in []byte) error {
				_, err := f.inflate(in, out)
				return err
			})
		})
		library := func(z io.ReadCloser, err error, reset func(io.ReadCloser, io.Reader) error) func([]byte) error {
			if err != nil {
				b.Fatal(err)
			}
			var r bytes.Reader
			return func(in []byte) error {
				r.Reset(in)
				if err := reset(z, &r); err != nil {
					return err
				}
				_, err := io.ReadFull(z, out)
				return err
			}
		}
		b.Run(name+"/klauspost", func(b *testing.B) {
			z, err := quickzlib.NewReader(bytes.NewReader(streams[0]))
			measure(b, library(z, err, func(z io.ReadCloser, in io.Reader) error { return z.(quickzlib.Resetter).Reset(in, nil) }))
		})
		b.Run(name+"/standard", func(b *testing.B) {
			z, err := zlib.NewReader(bytes.NewReader(streams[0]))
			measure(b, library(z, err, func(z io.ReadCloser, in io.Reader) error { return z.(zlib.Resetter).Reset(in, nil) }))
		})
	}
}

// The standard library takes the same streams and gives the same content, whatever comes.
func FuzzInflate(f *testing.F) {
	for _, c := range compressed(f) {
		if len(c[0]) < 8<<10 {
			f.Add(c[0])
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var content []byte
		reader := bytes.NewReader(in)
		z, theirs := zlib.NewReader(reader)
		if theirs == nil {
			content, theirs = io.ReadAll(io.LimitReader(z, 1<<20))
		}
		if len(content) == 1<<20 {
			return
		}
		var i inflater
		out := make([]byte, len(content))
		used, err := i.inflate(in, out)
		switch {
		case theirs == nil || errors.Is(theirs, zlib.ErrChecksum): // which is not looked at here
			if err != nil || used != len(in)-reader.Len() || !bytes.Equal(out, content) {
				t.Errorf("%d of %d bytes, %v; the standard library takes %d", used, len(in), err, len(in)-reader.Len())
			}
		case err == nil:
			t.Errorf("the standard library says %v", theirs)
		}
	})
}
