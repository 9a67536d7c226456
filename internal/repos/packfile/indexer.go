package packfile

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strconv"
	"sync/atomic"

	"slipway/internal/repos/sha1dc"
)

// MaxObjects bounds the objects of a pack that an Indexer reads; each takes some 100 bytes of memory.
const MaxObjects = 2_000_000

const (
	// batchSize is what is handed on at once of what has been inflated, in bytes, and batches how many of these there are.
	batchSize = 1 << 20
	batches   = 4
	// heldBytes bounds the objects that are held for differences to them.
	heldBytes = 16 << 20
	// maxAgain bounds what is read again of files that git reads itself.
	maxAgain = 256 << 20
	// maxBranching bounds the objects that are held of those that differences were put off to.
	maxBranching = 128 << 20
	// maxSpecial bounds the files that git reads itself, of which a history has a few with some versions.
	maxSpecial = 10_000
)

// ErrUnusual says that a pack is left to git: it may be broken, or have something that an Indexer does not judge.
var ErrUnusual = errors.New("the pack is left to git")

// Scanner looks at the files of a pack. It is called by two goroutines: Large by the one, the others by the other.
type Scanner interface {
	File(text []byte)
	// Change looks at a file that comes as a difference to base; changed are its parts that are not as there (Apply).
	Change(text, base []byte, changed []Span)
	Large(content io.Reader, size int64) error
}

// Indexer reads a pack that has all the objects which are named in it, writes it to a file as it comes, and finds out in the one passage what `git
// index-pack --strict` does: that its bytes are as they were sent, the names of its objects, told from collisions as git tells them (sha1dc), that
// each is well-formed, and that what they name is there, of the right kind. It takes 0.5 to 0.7 times the processor time of git's (BenchmarkIndex), and looks at the files
// besides. It lets nothing through that git would refuse, with Slipway's settings. What it does not let through goes to git (Replay).
type Indexer struct {
	// Limit bounds the pack in bytes; 0 for not at all.
	Limit int64
	// Progress is told, now and then, how many are made of the objects that are left when the pack has come. It may be nil.
	Progress func(done, all int)

	reader  *Reader
	file    *os.File
	written int64 // bytes in file
	sum     hash.Hash
	summing bool
	scanner Scanner
	large   *sha1dc.Hash

	// What is known of the objects, in the order of their entries.
	offsets []int64
	crcs    []uint32
	pack    []byte // its checksum

	resolver resolver
	failed   atomic.Pointer[error] // of the resolver
}

// NewIndexer reads a pack from in and writes it to an empty file.
func NewIndexer(in io.Reader, file *os.File, scanner Scanner) *Indexer {
	x := &Indexer{reader: NewReader(in, sha1.Size), file: file, sum: sha1.New(), summing: true, scanner: scanner}
	x.reader.verify = true
	x.reader.in.pass = x.pass
	return x
}

func (x *Indexer) pass(b []byte) error {
	if x.Limit > 0 && x.written+int64(len(b)) > x.Limit {
		return unusual("it has more than %d bytes", x.Limit)
	}
	if _, err := x.file.WriteAt(b, x.written); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	x.written += int64(len(b))
	if x.summing {
		x.sum.Write(b)
	}
	return nil
}

// Replay is the pack from its beginning, also when only a part of it has been read. The Indexer is not to be used any more.
func (x *Indexer) Replay() io.Reader {
	in := &x.reader.in
	return io.MultiReader(io.NewSectionReader(x.file, 0, x.written), bytes.NewReader(in.buf[in.passed:in.end]), in.src)
}

// batch is a part of what has been inflated.
type batch struct {
	room    []byte
	entries []resolvable
}

// resolvable is an entry whose object is to be named.
type resolvable struct {
	Entry
	base    int // which entry an OffsetDelta is a difference to, counted from the first
	content []byte
	name    *Name // of what has been looked at already
}

// Run reads the pack. Any error leaves it to git, which says what is wrong, and why.
func (x *Indexer) Run(ctx context.Context) error {
	count, err := x.reader.Head()
	if err != nil {
		return err
	}
	if count > MaxObjects {
		return unusual("it has %d objects", count)
	}
	x.resolver.begin(x.file, x.scanner, int(count))
	full, free, done := make(chan *batch, batches), make(chan *batch, batches), make(chan struct{})
	for range batches {
		free <- &batch{room: make([]byte, 0, batchSize)}
	}
	go func() {
		defer close(done)
		for b := range full {
			if x.failed.Load() == nil {
				if err := x.resolver.resolve(b); err != nil {
					x.failed.Store(&err)
				}
			}
			free <- b
		}
	}()
	err = x.read(ctx, full, free)
	close(full)
	<-done
	if err != nil {
		return err
	}
	if failed := x.failed.Load(); failed != nil {
		return *failed
	}
	x.resolver.progress = x.Progress
	if err := x.resolver.resolvePutOff(ctx, x.offsets); err != nil {
		return err
	}
	return x.resolver.finish(x.offsets)
}

// read reads the entries and hands them on.
func (x *Indexer) read(ctx context.Context, full chan<- *batch, free <-chan *batch) error {
	b := <-free
	next := func() error {
		// What is handed on is in the file: a base that is held no more is read from there.
		if err := x.reader.in.flush(); err != nil {
			return err
		}
		full <- b
		b = <-free
		b.room, b.entries = b.room[:0], b.entries[:0]
		if failed := x.failed.Load(); failed != nil {
			return *failed
		}
		return context.Cause(ctx)
	}
	for {
		e, err := x.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		r := resolvable{Entry: e, base: -1}
		if e.Kind == OffsetDelta {
			var ok bool
			if r.base, ok = slices.BinarySearch(x.offsets, e.Base); !ok {
				return errNoBase
			}
		}
		switch {
		case e.Kind == NameDelta:
			return unusual("it has a difference to a named object")
		case e.Size > MaxWhole && e.Kind != Blob:
			return unusual("it has a %v of %d bytes", e.Kind, e.Size)
		case e.Size > MaxWhole:
			if r.name, err = x.readLarge(e.Size); err != nil {
				return err
			}
		default:
			if int64(cap(b.room)-len(b.room)) < e.Size && len(b.entries) > 0 {
				if err := next(); err != nil {
					return err
				}
			}
			if r.content, err = b.content(x.reader, int(e.Size)); err != nil {
				return err
			}
		}
		x.offsets, x.crcs = append(x.offsets, e.Offset), append(x.crcs, x.reader.in.sum())
		if b.entries = append(b.entries, r); len(b.entries) == cap(b.room)/256 { // small ones, of which a batch would have too many
			if err := next(); err != nil {
				return err
			}
		}
	}
	if err := x.readChecksum(); err != nil {
		return err
	}
	full <- b
	return context.Cause(ctx)
}

// content reads one into the batch, or beside it when it is larger.
func (b *batch) content(r *Reader, size int) ([]byte, error) {
	n := len(b.room)
	if size > cap(b.room)-n {
		content := make([]byte, size)
		return content, r.Content(content)
	}
	b.room = b.room[:n+size]
	content := b.room[n:]
	return content, r.Content(content)
}

// readLarge names and scans a file that is not held.
func (x *Indexer) readLarge(size int64) (*Name, error) {
	if x.large == nil {
		x.large = sha1dc.New()
	}
	x.large.Reset()
	_, _ = x.large.Write(objectHead(nil, Blob, size))
	err := x.reader.Stream(size, func(content io.Reader) error {
		named := io.TeeReader(content, x.large)
		if err := x.scanner.Large(named, size); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, named)
		return err
	})
	if err != nil {
		return nil, err
	}
	sum, collision := x.large.Sum()
	if collision {
		return nil, errCollision
	}
	name := Name(sum)
	return &name, nil
}

var errCollision = unusual("an object is one of two with the same name")

// readChecksum holds the pack against its last bytes.
func (x *Indexer) readChecksum() error {
	if err := x.reader.in.flush(); err != nil {
		return err
	}
	x.summing = false
	sum, err := x.reader.Checksum()
	if err != nil {
		return err
	}
	if x.pack = x.sum.Sum(nil); !bytes.Equal(x.pack, sum) {
		return fmt.Errorf("%w: its checksum is wrong", ErrMalformed)
	}
	return x.reader.in.flush()
}

// Checksum is the pack's, in hexadecimal digits, by which git names its files.
func (x *Indexer) Checksum() string { return hex.EncodeToString(x.pack) }

// Has says whether the pack has an object of that name, in hexadecimal digits.
func (x *Indexer) Has(name string) bool {
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != len(Name{}) {
		return false
	}
	_, ok := x.resolver.known.has(Name(b))
	return ok
}

// objectHead appends what stands before an object's content when it is named.
func objectHead(b []byte, kind Kind, size int64) []byte {
	b = append(append(b, kind.String()...), ' ')
	return append(strconv.AppendInt(b, size, 10), 0)
}
