// Package packfile reads git's packs (gitformat-pack(5)) as they come, and names and checks what is in one, as git-index-pack(1) does. It runs
// nothing and knows no repository.
package packfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"

	"github.com/klauspost/compress/zlib"
)

// Kind is what an entry of a pack is.
type Kind uint8

// The kinds of entries. The last two are differences, of no kind of their own.
const (
	Commit      Kind = 1
	Tree        Kind = 2
	Blob        Kind = 3
	Tag         Kind = 4
	OffsetDelta Kind = 6 // to an entry that comes before
	NameDelta   Kind = 7 // to an object that is named
)

var kindNames = [8]string{Commit: "commit", Tree: "tree", Blob: "blob", Tag: "tag"}

// Delta says that an entry is a difference to another object.
func (k Kind) Delta() bool { return k == OffsetDelta || k == NameDelta }

func (k Kind) String() string { return kindNames[k&7] }

const (
	// MaxWhole bounds an object that is read into memory as a whole, in bytes.
	MaxWhole = 16 << 20
	// quickSize is the largest object that is inflated from what has been read, unless all of it surely comes, in bytes.
	quickSize = 128 << 10
	// minEntry is the size of the smallest entry: a byte for kind and size, two that begin what is compressed, two, and its checksum.
	minEntry = 1 + 2 + 2 + 4
	maxSize  = 1 << 50
)

// ErrMalformed says that bytes are no pack that can be read here.
var ErrMalformed = errors.New("the pack cannot be read")

// Entry is the head of an entry.
type Entry struct {
	Offset int64 // its place in the pack
	Kind   Kind
	Size   int64 // of its content inflated, in bytes: of a difference that of the difference
	Base   int64 // the place of what an OffsetDelta is a difference to
}

// Reader reads a pack. It waits for no byte that need not come: who sends a pack may wait for an answer behind its last byte.
type Reader struct {
	in        input
	nameSize  int
	left      uint32 // entries that have not begun
	following int64  // bytes that come at least behind the present entry
	quick     inflater
	zlib      io.ReadCloser // used again and again
	// verify says that what is inflated is held against its checksum, which else git does. No object whose own name is wrong is taken by it.
	verify bool
}

// NewReader reads a pack whose names of objects have that size in bytes.
func NewReader(in io.Reader, nameSize int) *Reader {
	return &Reader{in: newInput(in, inputSize), nameSize: nameSize}
}

// Head reads the pack's first bytes, which give the number of its entries.
func (r *Reader) Head() (count uint32, err error) {
	head, err := r.in.peek(headSize)
	if err != nil {
		return 0, fmt.Errorf("read a pack's head: %w", err)
	}
	version, count := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if string(head[:4]) != "PACK" || version != 2 && version != 3 {
		return 0, fmt.Errorf("%w: %q of version %d is no pack's head", ErrMalformed, head[:4], version)
	}
	r.in.take(headSize)
	r.left = count
	return count, nil
}

const headSize = 12

// Next reads the head of the next entry; the content of the one before must have been read. It is io.EOF when all have come.
func (r *Reader) Next() (Entry, error) {
	if r.left == 0 {
		return Entry{}, io.EOF
	}
	r.left--
	r.following = int64(r.left)*minEntry + int64(r.nameSize)
	r.in.mark()
	e, err := r.entry()
	if err != nil {
		return e, fmt.Errorf("read a pack at byte %d: %w", r.in.place(), noEnd(err))
	}
	return e, nil
}

func (r *Reader) entry() (Entry, error) {
	e := Entry{Offset: r.in.place()}
	b, err := r.in.ReadByte()
	if err != nil {
		return e, err
	}
	e.Kind, e.Size = Kind(b>>4&7), int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.in.ReadByte(); err != nil {
			return e, err
		}
		if shift > 50 || e.Size > maxSize {
			return e, fmt.Errorf("%w: an object's size is too large", ErrMalformed)
		}
		e.Size |= int64(b&0x7f) << shift
	}
	switch e.Kind {
	case Commit, Tree, Blob, Tag:
	case OffsetDelta:
		distance, err := r.distance()
		if err != nil {
			return e, err
		}
		if e.Base = e.Offset - distance; distance <= 0 || e.Base < headSize {
			return e, errNoBase
		}
	case NameDelta:
		if _, err := r.in.peek(r.nameSize); err != nil {
			return e, err
		}
		r.in.take(r.nameSize)
	default:
		return e, fmt.Errorf("%w: an object of kind %d", ErrMalformed, e.Kind)
	}
	return e, nil
}

var errNoBase = fmt.Errorf("%w: a difference to no object", ErrMalformed)

// distance reads how far before an entry its base is.
func (r *Reader) distance() (int64, error) {
	b, err := r.in.ReadByte()
	n := int64(b & 0x7f)
	for err == nil && b&0x80 != 0 {
		if n > 1<<48 {
			return 0, errNoBase
		}
		b, err = r.in.ReadByte()
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, err
}

// Content reads the present entry's content, whose size is that of into.
func (r *Reader) Content(into []byte) error {
	if done, err := r.quickly(into); done || err != nil {
		return r.placed(err)
	}
	content, err := r.inflated()
	if err != nil {
		return r.placed(err)
	}
	if _, err := io.ReadFull(content, into); err != nil {
		return r.placed(err)
	}
	return r.placed(ended(content))
}

// Stream calls read with a larger content, of which read takes as much as it likes.
func (r *Reader) Stream(size int64, read func(content io.Reader) error) error {
	content, err := r.inflated()
	if err != nil {
		return r.placed(err)
	}
	limited := &io.LimitedReader{R: content, N: size}
	if err := read(limited); err != nil {
		return r.placed(err)
	}
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return r.placed(err)
	}
	if limited.N > 0 {
		return r.placed(errSmaller)
	}
	return r.placed(ended(content))
}

func (r *Reader) placed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read a pack at byte %d: %w", r.in.place(), noEnd(err))
}

// quickly is Content for what is at hand as a whole; done is false when it may not be.
func (r *Reader) quickly(into []byte) (done bool, err error) {
	likely := int64(len(into)) + int64(len(into)/256) + 64 // what compressed content has at most as a rule
	sure := minEntry - 1 + r.following
	if len(into) > quickSize && (sure < likely || len(into) > MaxWhole) { // trying again and again would cost more
		return false, nil
	}
	there, err := r.in.peek(int(min(likely, sure)))
	for {
		if err != nil {
			return false, err
		}
		used, failure := r.quick.inflate(there, into)
		if failure == nil {
			if r.verify && binary.BigEndian.Uint32(there[used-4:]) != adler32.Checksum(into) {
				return false, fmt.Errorf("%w: the checksum of an object is wrong", ErrMalformed)
			}
			r.in.take(used)
			return true, nil
		}
		if !errors.Is(failure, errShort) {
			return false, failure
		}
		if len(there) > 2*quickSize { // longer than likely
			return false, nil
		}
		there, err = r.in.peek(len(there) + 1)
	}
}

func (r *Reader) inflated() (_ io.Reader, err error) {
	if r.zlib == nil {
		if r.zlib, err = zlib.NewReader(&r.in); err != nil {
			return nil, err
		}
		return r.zlib, nil
	}
	return r.zlib, r.zlib.(zlib.Resetter).Reset(&r.in, nil)
}

// Checksum reads the pack's last bytes.
func (r *Reader) Checksum() ([]byte, error) {
	sum, err := r.in.peek(r.nameSize)
	if err != nil {
		return nil, fmt.Errorf("read a pack's end: %w", noEnd(err))
	}
	sum = bytes.Clone(sum[:r.nameSize])
	r.in.take(r.nameSize)
	return sum, nil
}

// noEnd is the error of an end where there should be none.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ended makes sure that what is compressed has no more bytes, and reads its checksum.
func ended(zlib io.Reader) error {
	var more [1]byte
	n, err := zlib.Read(more[:])
	if n != 0 {
		return errLarger
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
