package packfile

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"slipway/internal/repos/sha1dc"
)

// resolver makes objects of entries, names and checks them, in the order in which they come.
type resolver struct {
	scanner Scanner
	held    *Objects
	known   *names
	names   []Name  // of the objects, in the order of their entries; zero of those that are put off
	bases   []int32 // the entries that they are differences to, -1 for none
	putOff  []int32 // differences to what was held no more when they came
	sorted  []int   // the objects in the order of their names
	hash    *sha1dc.Hash
	head    []byte
	changed []Span

	again rereader
	made  int // of those that were put off
	// progress is an Indexer's
	progress func(done, all int)
	special  map[Name]specialFile
}

func (r *resolver) begin(file io.ReaderAt, scanner Scanner, count int) {
	*r = resolver{
		scanner: scanner, held: NewObjects(heldBytes), known: newNames(count), hash: sha1dc.New(),
		again: newRereader(file), special: map[Name]specialFile{},
	}
}

func (r *resolver) resolve(b *batch) error {
	for i := range b.entries {
		if err := r.entry(&b.entries[i]); err != nil {
			return fmt.Errorf("object at byte %d: %w", b.entries[i].Offset, err)
		}
	}
	return nil
}

func (r *resolver) entry(e *resolvable) error {
	i := len(r.names)
	r.names, r.bases = append(r.names, Name{}), append(r.bases, int32(e.base))
	if e.name != nil {
		r.names[i] = *e.name
		return r.known.add(e.name, Blob)
	}
	if e.Kind != OffsetDelta {
		o := r.held.New(e.Offset, e.Kind, len(e.content))
		copy(o.Content, e.content)
		return r.object(i, e.Kind, o.Content, nil, nil)
	}
	base := r.held.At(e.Base)
	if base == nil {
		r.putOff = append(r.putOff, int32(i))
		return nil
	}
	size, err := resultSize(e.content)
	if err != nil {
		return err
	}
	o := r.held.New(e.Offset, base.Kind, size)
	if r.changed, err = Apply(e.content, base.Content, o.Content, r.changed[:0]); err != nil {
		return err
	}
	return r.object(i, o.Kind, o.Content, base.Content, r.changed)
}

// resultSize is that of what a difference makes which is held as a whole.
func resultSize(delta []byte) (int, error) {
	size, err := ResultSize(delta)
	if err == nil && size > MaxWhole {
		err = unusual("it has a difference that makes %d bytes", size)
	}
	return int(size), err
}

// object names and checks one; base is nil where it is no difference.
func (r *resolver) object(i int, kind Kind, text, base []byte, changed []Span) error {
	r.head = objectHead(r.head[:0], kind, int64(len(text)))
	r.hash.Reset()
	_, _ = r.hash.Write(r.head)
	_, _ = r.hash.Write(text)
	sum, collision := r.hash.Sum()
	if collision {
		return errCollision
	}
	r.names[i] = sum
	if err := r.known.add(&r.names[i], kind); err != nil {
		return err
	}
	switch kind {
	case Commit:
		return checkCommit(text, r.known)
	case Tree:
		return checkTree(text, r.known, r.noteSpecial)
	case Tag:
		return checkTag(text, r.known)
	}
	if base != nil {
		r.scanner.Change(text, base, changed)
	} else {
		r.scanner.File(text)
	}
	return nil
}

// noteSpecial remembers a file that is looked into in the end, when it is there.
func (r *resolver) noteSpecial(name Name, file specialFile) error {
	if before, known := r.special[name]; len(r.special) == maxSpecial || known && before != file {
		return unusual("it has many files such as %s", file)
	}
	r.special[name] = file
	return nil
}

// finish makes sure that nothing is missing.
func (r *resolver) finish(offsets []int64) error {
	if err := r.known.complete(); err != nil {
		return err
	}
	r.sorted = make([]int, len(r.names))
	for i := range r.sorted {
		r.sorted[i] = i
	}
	slices.SortFunc(r.sorted, func(a, b int) int { return bytes.Compare(r.names[a][:], r.names[b][:]) })
	for name, file := range r.special {
		i, ok := slices.BinarySearchFunc(r.sorted, name, func(i int, name Name) int { return bytes.Compare(r.names[i][:], name[:]) })
		if !ok {
			return unusual("file %x is missing", name)
		}
		text, err := r.again.object(r.sorted[i], r.bases, offsets)
		if err != nil {
			return err
		}
		if !file.usual(text) {
			return unusual("%s has something that is looked into by git", file)
		}
	}
	return nil
}
