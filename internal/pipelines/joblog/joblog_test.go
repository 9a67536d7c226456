package joblog_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"slipway/internal/pipelines/joblog"
)

func TestPack(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("2026-03-01T12:00:00.0000000Z a line of a log\n", 1000)
	for name, text := range map[string]string{"empty": "", "short": "x\n", "long": long, "binary": strings.Repeat("\xff\x00\n", 500)} {
		packed, codec := joblog.Pack([]byte(text))
		got, err := joblog.Unpack(packed, codec)
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes of %d come back, %v", name, len(got), len(text), err)
		}
		if again, err := joblog.CodecOf(codec.Encoding()); err != nil || again != codec {
			t.Errorf("%s: codec %d becomes %d, %v", name, codec, again, err)
		}
	}
	if packed, _ := joblog.Pack([]byte(long)); len(packed) > len(long)/10 {
		t.Errorf("equal lines of %d bytes are packed to %d", len(long), len(packed))
	}
	if _, err := joblog.CodecOf("gzip"); err == nil {
		t.Error("gzip is taken")
	}
}

// A small piece that would fill the memory is refused.
func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := w.EncodeAll(make([]byte, 64<<20), nil)
	for name, data := range map[string][]byte{"no zstd": []byte("hello"), "too long": bomb} {
		if text, err := joblog.Unpack(data, joblog.Zstd); err == nil {
			t.Errorf("%s: %d bytes are unpacked to %d", name, len(data), len(text))
		}
	}
}

func TestWithoutTimes(t *testing.T) {
	t.Parallel()
	const stamp = "2026-03-01T12:00:00.0000000Z "
	in := stamp + "one\n" + stamp + "\n" + stamp + "zwei ü\xff\n" + "short\n" + stamp + "last"
	for _, size := range []int{1, 2, 7, 29, 30, 31, 1000} {
		var out bytes.Buffer
		w := joblog.WithoutTimes(&out)
		for rest := []byte(in); len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if diff := cmp.Diff("one\n\nzwei ü\xff\n\nlast", out.String()); diff != "" {
			t.Errorf("in pieces of %d: -want +got\n%s", size, diff)
		}
	}
}
