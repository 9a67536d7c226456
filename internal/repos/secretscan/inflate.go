package secretscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// inflater inflates a whole zlib stream (RFC 1950) from memory into memory, whose size is known. Most of the cost of looking at a push is inflating, and
// the library is quicker with a bytes.Reader than with any that may have to wait.
type inflater struct {
	in   bytes.Reader
	zlib io.ReadCloser // used again and again
}

// errShort says that a stream goes on behind what is at hand.
var errShort = errors.New("the compressed object is not all there")

// inflate fills out from the stream at the beginning of in, and says how many bytes that has. errShort says that in ends before it.
func (f *inflater) inflate(in, out []byte) (used int, err error) {
	f.in.Reset(in)
	if f.zlib == nil {
		f.zlib, err = zlib.NewReader(&f.in)
	} else {
		err = f.zlib.(zlib.Resetter).Reset(&f.in, nil)
	}
	if errors.Is(err, io.EOF) {
		return 0, errShort
	}
	for n := 0; err == nil && len(out) > 0; out = out[n:] {
		n, err = f.zlib.Read(out)
	}
	if len(out) > 0 && errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%w: an object is smaller than it says", ErrPack)
	}
	if err == nil {
		err = ended(f.zlib)
	}
	switch {
	case err == nil, errors.Is(err, io.EOF): // the end may come with the last byte
		return len(in) - f.in.Len(), nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, errShort
	case errors.Is(err, ErrPack):
		return 0, err
	}
	return 0, fmt.Errorf("%w: an object is not compressed as it should be: %w", ErrPack, err)
}

// ended makes sure that what is compressed has no more bytes, and reads its checksum.
func ended(zlib io.Reader) error {
	var more [1]byte
	n, err := zlib.Read(more[:])
	if n != 0 {
		return fmt.Errorf("%w: an object is larger than it says", ErrPack)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
