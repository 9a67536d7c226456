package secretscan

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"
)

const (
	// maxPackObjects bounds the objects of a pack whose places are remembered.
	maxPackObjects = 4_000_000
	// maxWhole bounds a file that is held as a whole, in bytes, and what another may be a difference to.
	maxWhole = 1 << 20
	// maxBases bounds the files that are held of one pack, in bytes, and roomSize is that of what most of them lie in.
	maxBases = 8 << 20
	roomSize = 256 << 10
	// maxLeft bounds the files that are left to others.
	maxLeft = 100_000
	// maxPart bounds what is held at once of a larger file, in bytes. Parts overlap by partOverlap, in which any finding fits.
	maxPart     = 4 << 20
	partOverlap = 48 << 10
	// binaryPart is where git looks for a zero byte, by which it tells a binary file.
	binaryPart = 8000
)

// The kinds of entries in a pack (gitformat-pack(5)).
const (
	packBlob     = 3
	packTag      = 4
	packOffset   = 6 // a difference to an entry that comes before
	packRef      = 7 // a difference to an object that is named
	packHeadSize = 12
	inputSize    = 256 << 10
	// quickSize is the largest object that is inflated from what has been read, in bytes.
	quickSize = 128 << 10
	// minEntry is the size of the smallest entry: a byte for kind and size, two that begin what is compressed, two, and its checksum.
	minEntry = 1 + 2 + 2 + 4
)

// Pack is what Pack says about the files in a pack.
type Pack struct {
	// Suspect says that a file may hold a secret; the others have not all been looked at.
	Suspect bool
	// Left are the places in the pack of what could not be looked at here: differences to what is not at hand. They may be no files.
	Left []int64
}

// ErrPack says that a pack cannot be read here, as one with too many objects cannot.
var ErrPack = errors.New("the pack cannot be read")

// ReadPack reads a pack as it comes, and looks at each file once. Of a file that comes as a difference to another
// it looks at the changed lines and their neighbours alone: the others have been looked at. nameSize is that of object names in bytes. Whether
// the pack is whole and its objects are well-formed git finds out.
func ReadPack(in io.Reader, nameSize int) (Pack, error) {
	came := &counted{in: in}
	r := packReader{in: bufio.NewReaderSize(came, inputSize), came: came, nameSize: nameSize, bases: map[int64]*packFile{}}
	var head [packHeadSize]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return Pack{}, fmt.Errorf("read a pack's head: %w", err)
	}
	version, count := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if string(head[:4]) != "PACK" || version != 2 && version != 3 || count > maxPackObjects {
		return Pack{}, fmt.Errorf("%w: %q of version %d with %d objects", ErrPack, head[:4], version, count)
	}
	for i := range count {
		r.following = int64(count-i-1)*minEntry + int64(nameSize)
		if err := r.entry(); err != nil {
			return Pack{}, fmt.Errorf("read a pack at byte %d: %w", r.place(), err)
		}
		if r.found.Suspect {
			return r.found, nil
		}
	}
	if _, err := io.CopyN(io.Discard, r.in, int64(nameSize)); err != nil { // the checksum
		return Pack{}, fmt.Errorf("read a pack's end: %w", err)
	}
	return r.found, nil
}

// counted knows how much has come.
type counted struct {
	in io.Reader
	n  int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.n += int64(n)
	return n, err
}

// packFile is a file that others may be differences to.
type packFile struct {
	offset int64
	text   []byte
	room   *room // where it lies
	binary bool
}

// room is memory for files that come one after another, and leave in the same order.
type room struct {
	bytes []byte
	used  int
	files int // that are held
}

type packReader struct {
	in        *bufio.Reader // of this very type, for which inflating is quick
	came      *counted      // what in is filled from
	nameSize  int
	following int64 // bytes that come at least behind the present entry
	quick     inflater
	zlib      io.ReadCloser // used again and again
	places    []int64       // of the entries so far, ascending
	kinds     []byte        // of them; 0 where it is not known
	bases     map[int64]*packFile
	order     []*packFile // of bases, the oldest first
	held      int         // bytes in bases
	room      *room       // for the next file
	free      []*room     // of files that are held no more
	part      []byte
	delta     []byte // content of what is no whole file
	found     Pack
}

// place is how far the pack has been read.
func (r *packReader) place() int64 { return r.came.n - int64(r.in.Buffered()) }

// entry reads the next one.
func (r *packReader) entry() error {
	at := r.place()
	b, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	kind, size := b>>4&7, int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.in.ReadByte(); err != nil {
			return err
		}
		if shift > 50 {
			return fmt.Errorf("%w: an object's size is too large", ErrPack)
		}
		size |= int64(b&0x7f) << shift
	}
	base, known := int64(-1), kind
	switch kind {
	case 1, 2, packBlob, packTag:
	case packOffset:
		distance, err := r.distance()
		if err != nil {
			return err
		}
		base = at - distance
		i, ok := slices.BinarySearch(r.places, base)
		if !ok {
			return fmt.Errorf("%w: a difference to no object", ErrPack)
		}
		known = r.kinds[i]
	case packRef:
		if _, err := io.CopyN(io.Discard, r.in, int64(r.nameSize)); err != nil {
			return err
		}
		known = 0
	default:
		return fmt.Errorf("%w: an object of kind %d", ErrPack, kind)
	}
	r.places, r.kinds = append(r.places, at), append(r.kinds, known)
	switch {
	case kind == packBlob:
		err = r.file(at, size)
	case known == packBlob && size <= maxWhole && r.bases[base] != nil:
		err = r.difference(at, size, r.bases[base])
	case known == packBlob || known == 0:
		err = r.leave(at, size)
	default:
		err = r.skip(size)
	}
	return err
}

// distance reads how far before an entry its base is.
func (r *packReader) distance() (int64, error) {
	b, err := r.in.ReadByte()
	n := int64(b & 0x7f)
	for err == nil && b&0x80 != 0 {
		if n > 1<<48 {
			return 0, fmt.Errorf("%w: a difference to no object", ErrPack)
		}
		b, err = r.in.ReadByte()
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, err
}

func (r *packReader) openZlib() (err error) {
	if r.zlib == nil {
		r.zlib, err = zlib.NewReader(r.in)
		return err
	}
	return r.zlib.(zlib.Resetter).Reset(r.in, nil)
}

// content reads what an entry has compressed.
func (r *packReader) content(into []byte) error {
	if len(into) <= quickSize {
		if done, err := r.quickly(into); done || err != nil {
			return err
		}
	}
	if err := r.openZlib(); err != nil {
		return err
	}
	if _, err := io.ReadFull(r.zlib, into); err != nil {
		return err
	}
	return ended(r.zlib)
}

// quickly is content for what fits into the buffer of the input; done is false when it does not. It waits for no byte that need not come: the
// client of a push may wait for an answer behind the last.
func (r *packReader) quickly(into []byte) (done bool, err error) {
	likely := int64(len(into) + len(into)/256 + 64) // what compressed content has at most as a rule
	if _, err := r.in.Peek(int(min(likely, minEntry-1+r.following))); err != nil {
		return false, noEnd(err)
	}
	for {
		there, _ := r.in.Peek(r.in.Buffered())
		used, err := r.quick.inflate(there, into)
		if err == nil {
			_, err = r.in.Discard(used)
			return true, err
		}
		if !errors.Is(err, errShort) {
			return false, err
		}
		if _, err = r.in.Peek(len(there) + 1); errors.Is(err, bufio.ErrBufferFull) {
			return false, nil
		} else if err != nil {
			return false, noEnd(err)
		}
	}
}

// noEnd is the error of an end where there should be none.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *packReader) skip(size int64) error {
	if size <= quickSize {
		return r.content(r.scratch(size))
	}
	if err := r.openZlib(); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, r.zlib, size); err != nil {
		return err
	}
	return ended(r.zlib)
}

// scratch is room for content that nobody holds.
func (r *packReader) scratch(size int64) []byte {
	r.delta = slices.Grow(r.delta[:0], int(size))[:size]
	return r.delta
}

func (r *packReader) leave(at, size int64) error {
	if len(r.found.Left) >= maxLeft {
		return fmt.Errorf("%w: too many differences to objects elsewhere", ErrPack)
	}
	r.found.Left = append(r.found.Left, at)
	return r.skip(size)
}

// file reads a whole one and looks at it.
func (r *packReader) file(at, size int64) error {
	if size > maxWhole {
		if err := r.openZlib(); err != nil {
			return err
		}
		suspect, err := SuspectFile(r.zlib, size, &r.part)
		if r.found.Suspect = suspect; err != nil || suspect {
			return err
		}
		return ended(r.zlib)
	}
	f := r.newFile(at, int(size))
	if err := r.content(f.text); err != nil {
		return err
	}
	f.binary = isBinary(f.text)
	r.found.Suspect = !f.binary && Suspect(f.text)
	return nil
}

// difference reads one to a file at hand, and looks at the lines that it changes.
func (r *packReader) difference(at, size int64, base *packFile) error {
	if err := r.content(r.scratch(size)); err != nil {
		return err
	}
	want, changes, err := readDelta(r.delta, base.text)
	if err != nil {
		return err
	}
	if want > maxWhole {
		r.found.Left = append(r.found.Left, at)
		return nil
	}
	f := r.newFile(at, want)
	f.text = f.text[:0]
	var changed []span
	for _, c := range changes {
		if c.changed {
			changed = append(changed, span{len(f.text), len(f.text) + len(c.text)})
		}
		f.text = append(f.text, c.text...)
	}
	if len(f.text) != want {
		return fmt.Errorf("%w: a difference does not give what it says", ErrPack)
	}
	f.binary = isBinary(f.text)
	switch {
	case f.binary:
	case base.binary: // which nobody has looked at
		r.found.Suspect = Suspect(f.text)
	default:
		r.found.Suspect = suspectLines(f.text, changed)
	}
	return nil
}

// newFile is a file of that size, which is held from then on for differences to it, instead of the oldest ones.
func (r *packReader) newFile(offset int64, size int) *packFile {
	if r.room == nil || len(r.room.bytes)-r.room.used < size {
		if n := len(r.free); n > 0 && size <= roomSize {
			r.room, r.free = r.free[n-1], r.free[:n-1]
		} else {
			r.room = &room{bytes: make([]byte, max(size, roomSize))}
		}
	}
	at := r.room
	f := &packFile{offset: offset, text: at.bytes[at.used : at.used+size : at.used+size], room: at}
	at.used, at.files = at.used+size, at.files+1
	r.bases[offset], r.order, r.held = f, append(r.order, f), r.held+size
	for r.held > maxBases {
		old := r.order[0]
		delete(r.bases, old.offset)
		r.order, r.held = r.order[1:], r.held-len(old.text)
		if old.room.files--; old.room.files == 0 && old.room != at {
			old.room.used = 0
			r.free = append(r.free, old.room)
		}
	}
	return f
}

func isBinary(text []byte) bool {
	return bytes.IndexByte(text[:min(len(text), binaryPart)], 0) >= 0
}

// SuspectFile reads a file of that size in parts and says whether it may hold a finding, at which it ends; git shows no lines of a binary one. part
// is the room for them, and grows.
func SuspectFile(in io.Reader, size int64, part *[]byte) (bool, error) {
	text := (*part)[:0]
	defer func() { *part = text[:0] }()
	for first := true; size > 0; first = false {
		kept := len(text)
		n := int(min(size, int64(maxPart-kept)))
		text = slices.Grow(text, n)[:kept+n]
		if _, err := io.ReadFull(in, text[kept:]); err != nil {
			return false, err
		}
		size -= int64(n)
		if first && isBinary(text) {
			_, err := io.CopyN(io.Discard, in, size)
			return false, err
		}
		if Suspect(text) {
			return true, nil
		}
		if size > 0 {
			text = append(text[:0], text[len(text)-partOverlap:]...)
		}
	}
	return false, nil
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
