package secretscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"slipway/internal/repos/packfile"
)

const (
	// maxPackObjects bounds the objects of a pack whose places are remembered.
	maxPackObjects = 4_000_000
	// maxWhole bounds a file that is held as a whole, in bytes, and what another may be a difference to.
	maxWhole = 1 << 20
	// maxBases bounds the files that are held of one pack, in bytes.
	maxBases = 8 << 20
	// maxLeft bounds the files that are left to others.
	maxLeft = 100_000
	// maxPart bounds what is held at once of a larger file, in bytes. Parts overlap by partOverlap, in which any finding fits.
	maxPart     = 4 << 20
	partOverlap = 48 << 10
	// binaryPart is where git looks for a zero byte, by which it tells a binary file.
	binaryPart = 8000
)

// Scanner looks at the files of a pack, until one of them is suspect. The zero value is ready. It is a packfile.Scanner.
type Scanner struct {
	suspect atomic.Bool
	part    []byte
}

// Suspect says that a file may hold a secret; the others have not all been looked at.
func (s *Scanner) Suspect() bool { return s.suspect.Load() }

// File looks at a whole file.
func (s *Scanner) File(text []byte) {
	if !s.Suspect() && !isBinary(text) && Suspect(text) {
		s.suspect.Store(true)
	}
}

// Change looks at a file that comes as a difference to another: at the changed lines and their neighbours alone, since the others have been looked at.
func (s *Scanner) Change(text, base []byte, changed []packfile.Span) {
	if s.Suspect() || isBinary(text) {
		return
	}
	if isBinary(base) { // which nobody has looked at
		s.File(text)
	} else if suspectLines(text, changed) {
		s.suspect.Store(true)
	}
}

// Large looks at a file that is not held.
func (s *Scanner) Large(content io.Reader, size int64) error {
	suspect, err := SuspectFile(content, size, &s.part)
	if suspect {
		s.suspect.Store(true)
	}
	return err
}

// Pack is what ReadPack says about the files in a pack.
type Pack struct {
	// Suspect says that a file may hold a secret; the others have not all been looked at.
	Suspect bool
	// Left are the places in the pack of what could not be looked at here: differences to what is not at hand. They may be no files.
	Left []int64
}

// ErrPack says that a pack cannot be read here, as one with too many objects cannot.
var ErrPack = errors.New("the pack cannot be scanned")

// ReadPack reads a pack as it comes, and looks at each file once (Scanner). nameSize is that of object names in bytes. Whether
// the pack is whole and its objects are well-formed git finds out.
func ReadPack(in io.Reader, nameSize int) (Pack, error) {
	r := packReader{in: packfile.NewReader(in, nameSize), bases: packfile.NewObjects(maxBases)}
	count, err := r.in.Head()
	if err != nil {
		return Pack{}, err
	}
	if count > maxPackObjects {
		return Pack{}, fmt.Errorf("%w: it has %d objects", ErrPack, count)
	}
	for {
		e, err := r.in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.entry(e)
		}
		if err != nil {
			return Pack{}, err
		}
		if r.scanner.Suspect() {
			return Pack{Suspect: true, Left: r.left}, nil
		}
	}
	if _, err := r.in.Checksum(); err != nil {
		return Pack{}, err
	}
	return Pack{Left: r.left}, nil
}

type packReader struct {
	in      *packfile.Reader
	scanner Scanner
	places  []int64         // of the entries so far, ascending
	kinds   []packfile.Kind // of them; 0 where it is not known
	bases   *packfile.Objects
	changed []packfile.Span
	scratch []byte // content that nobody holds
	left    []int64
}

// entry looks at the next one.
func (r *packReader) entry(e packfile.Entry) error {
	kind := e.Kind
	switch kind {
	case packfile.OffsetDelta:
		i, ok := slices.BinarySearch(r.places, e.Base)
		if !ok {
			return fmt.Errorf("%w: a difference to no object", ErrPack)
		}
		kind = r.kinds[i]
	case packfile.NameDelta:
		kind = 0
	}
	r.places, r.kinds = append(r.places, e.Offset), append(r.kinds, kind)
	switch {
	case e.Kind == packfile.Blob && e.Size > maxWhole:
		return r.in.Stream(e.Size, func(content io.Reader) error { return r.scanner.Large(content, e.Size) })
	case e.Kind == packfile.Blob:
		o := r.bases.New(e.Offset, kind, int(e.Size))
		if err := r.in.Content(o.Content); err != nil {
			return err
		}
		r.scanner.File(o.Content)
		return nil
	case kind == packfile.Blob && e.Size <= maxWhole && r.bases.At(e.Base) != nil:
		return r.difference(e, r.bases.At(e.Base))
	case kind == packfile.Blob || kind == 0:
		if len(r.left) >= maxLeft {
			return fmt.Errorf("%w: it has too many differences to objects elsewhere", ErrPack)
		}
		r.left = append(r.left, e.Offset)
	}
	return r.skip(e.Size)
}

func (r *packReader) skip(size int64) error {
	if size > maxWhole {
		return r.in.Stream(size, func(io.Reader) error { return nil })
	}
	return r.in.Content(r.room(size))
}

func (r *packReader) room(size int64) []byte {
	r.scratch = slices.Grow(r.scratch[:0], int(size))[:size]
	return r.scratch
}

// difference looks at one to a file at hand.
func (r *packReader) difference(e packfile.Entry, base *packfile.Object) error {
	delta := r.room(e.Size)
	if err := r.in.Content(delta); err != nil {
		return err
	}
	size, err := packfile.ResultSize(delta)
	if err != nil {
		return err
	}
	if size > maxWhole {
		r.left = append(r.left, e.Offset)
		return nil
	}
	o := r.bases.New(e.Offset, packfile.Blob, int(size))
	if r.changed, err = packfile.Apply(delta, base.Content, o.Content, r.changed[:0]); err != nil {
		return err
	}
	r.scanner.Change(o.Content, base.Content, r.changed)
	return nil
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

// suspectLines looks at the lines that are changed, the one before and the one behind: a private key is told by two. It reads each line a few times at
// most, however many changes are in it: a page of a megabyte may be one line.
func suspectLines(text []byte, changed []packfile.Span) bool {
	for i := 0; i < len(changed); {
		c := changed[i]
		begin := lineBegin(text, max(0, lineBegin(text, c.Begin)-1))
		line, end := c.End, c.End // where the last changed line ends, and the one behind
		for ; i < len(changed) && changed[i].Begin <= end; i++ {
			if changed[i].End >= line {
				line = afterLine(text, changed[i].End)
				end = afterLine(text, line)
			}
		}
		if Suspect(text[begin:end]) {
			return true
		}
	}
	return false
}

func lineBegin(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

func afterLine(text []byte, at int) int { return min(lineEnd(text, at)+1, len(text)) }
