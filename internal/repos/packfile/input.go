package packfile

import (
	"hash/crc32"
	"io"
)

// inputSize is the size of what is read of a pack at once, in bytes.
const inputSize = 256 << 10

// input is what comes of a pack. It implements io.ByteReader for the zlib library, which then takes no byte too many.
type input struct {
	src     io.Reader
	size    int // of buf, unless more is wanted at once
	buf     []byte
	at, end int   // buf[at:end] has come and is not taken
	begin   int64 // the place of buf[0] in the pack
	err     error // of src

	crc    uint32 // of what has been taken since the mark, up to summed
	summed int
	// pass gets all that has been taken, in order, sooner or later; nil for nobody.
	pass   func([]byte) error
	passed int
}

func newInput(src io.Reader, size int) input {
	return input{src: src, size: size, buf: make([]byte, size)}
}

// reset begins anew with what comes from another place of a pack.
func (in *input) reset(src io.Reader, begin int64) {
	in.src, in.begin, in.at, in.end, in.passed, in.summed, in.err = src, begin, 0, 0, 0, 0, nil
}

// place is how far the pack has been read.
func (in *input) place() int64 { return in.begin + int64(in.at) }

// peek is at least n bytes of what comes next, all that have come.
func (in *input) peek(n int) ([]byte, error) {
	for in.end-in.at < n {
		if err := in.fill(n); err != nil {
			return nil, err
		}
	}
	return in.buf[in.at:in.end], nil
}

// take takes n bytes that have come.
func (in *input) take(n int) { in.at += n }

// fill reads once, where n bytes are wanted.
func (in *input) fill(n int) error {
	if in.err != nil {
		return in.err
	}
	if in.end == len(in.buf) || len(in.buf)-in.at < n {
		if err := in.shift(n); err != nil {
			return err
		}
	}
	for range maxIdle {
		m, err := in.src.Read(in.buf[in.end:])
		in.end, in.err = in.end+m, err
		if m > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	in.err = io.ErrNoProgress
	return in.err
}

// maxIdle bounds reads that bring nothing, as in bufio.
const maxIdle = 100

// shift forgets what has been taken, so that there is room for n bytes and more.
func (in *input) shift(n int) error {
	if err := in.flush(); err != nil {
		return err
	}
	in.sum()
	kept := in.buf[in.at:in.end]
	size := max(in.size, n)
	if size == len(kept) {
		size += in.size
	}
	if size != len(in.buf) {
		in.buf = make([]byte, size)
	}
	copy(in.buf, kept)
	in.begin += int64(in.at)
	in.at, in.end, in.passed, in.summed = 0, len(kept), 0, 0
	return nil
}

// flush passes on what has been taken.
func (in *input) flush() error {
	if in.pass != nil && in.passed < in.at {
		if err := in.pass(in.buf[in.passed:in.at]); err != nil {
			return err
		}
	}
	in.passed = in.at
	return nil
}

// mark begins a checksum.
func (in *input) mark() { in.crc, in.summed = 0, in.at }

// sum is the checksum since the mark.
func (in *input) sum() uint32 {
	in.crc = crc32.Update(in.crc, crc32.IEEETable, in.buf[in.summed:in.at])
	in.summed = in.at
	return in.crc
}

// ReadByte and Read take what comes next.
func (in *input) ReadByte() (byte, error) {
	for in.at == in.end {
		if err := in.fill(1); err != nil {
			return 0, err
		}
	}
	b := in.buf[in.at]
	in.at++
	return b, nil
}

func (in *input) Read(b []byte) (int, error) {
	for in.at == in.end {
		if err := in.fill(1); err != nil {
			return 0, err
		}
	}
	n := copy(b, in.buf[in.at:in.end])
	in.at += n
	return n, nil
}
