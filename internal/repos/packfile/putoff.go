package packfile

import (
	"context"
	"io"
	"math"
	"slices"
)

// rereadSize is what is read at once of an entry a second time, in bytes.
const rereadSize = 16 << 10

// rereader reads entries once more, from the file in which the pack is.
type rereader struct {
	file   io.ReaderAt
	reader *Reader
	delta  []byte
	left   int64 // bytes that object may still read
}

func newRereader(file io.ReaderAt) rereader {
	return rereader{file: file, reader: &Reader{in: newInput(nil, rereadSize)}, left: maxAgain}
}

// content reads the entry at a place where one begins, into room as far as that is large enough.
func (r *rereader) content(offset int64, room []byte) (Entry, []byte, error) {
	// What lies behind an entry does not matter, and there is enough of it to inflate without looking for its end.
	r.reader.in.reset(io.MultiReader(io.NewSectionReader(r.file, offset, math.MaxInt64-offset), zeros{}), offset)
	r.reader.left = math.MaxUint32
	e, err := r.reader.Next()
	if err != nil {
		return e, nil, err
	}
	if e.Size > MaxWhole {
		return e, nil, unusual("it has a difference to an object of %d bytes", e.Size)
	}
	room = slices.Grow(room[:0], int(e.Size))[:e.Size]
	return e, room, r.reader.Content(room)
}

// zeros is read without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// object makes an object again, and what it is a difference to.
func (r *rereader) object(i int, bases []int32, offsets []int64) ([]byte, error) {
	chain := []int{i}
	for ; bases[i] >= 0; chain = append(chain, i) {
		i = int(bases[i])
	}
	var text []byte
	for n, i := range slices.Backward(chain) {
		_, content, err := r.content(offsets[i], nil)
		if err != nil {
			return nil, err
		}
		if n < len(chain)-1 {
			size, err := resultSize(content)
			if err != nil {
				return nil, err
			}
			made := make([]byte, size)
			if _, err := Apply(content, text, made, nil); err != nil {
				return nil, err
			}
			content = made
		}
		text = content
		if r.left -= rereadSize + int64(len(text)); r.left < 0 {
			return nil, unusual("its special files lie far apart")
		}
	}
	return text, nil
}

// progressStep is the number of objects from one call of progress to the next.
const progressStep = 256

// branch is an object to which there are differences that were put off.
type branch struct {
	text []byte
	next int32 // the next of the differences, -1 for none
}

// resolvePutOff makes the objects that were put off, as git-index-pack(1) does: from each whole object along all that leads to one of them, so that
// nothing is made twice.
func (r *resolver) resolvePutOff(ctx context.Context, offsets []int64) error {
	if len(r.putOff) == 0 {
		return nil
	}
	// The tree of what is needed: which differences to an object come first, and which after another.
	needed, first, after := make([]bool, len(offsets)), make([]int32, len(offsets)), make([]int32, len(offsets))
	for _, i := range r.putOff {
		for ; i >= 0 && !needed[i]; i = r.bases[i] {
			needed[i] = true
		}
	}
	for i := range first {
		first[i] = -1
	}
	var whole []int32
	for i, base := range slices.Backward(r.bases) {
		switch {
		case !needed[i]:
		case base < 0:
			whole = append(whole, int32(i))
		default:
			after[i], first[base] = first[base], int32(i)
		}
	}
	for _, i := range slices.Backward(whole) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		e, text, err := r.again.content(offsets[i], nil)
		if err != nil {
			return err
		}
		if err := r.grow(e.Kind, branch{text, first[i]}, first, after, offsets); err != nil {
			return err
		}
	}
	return nil
}

// grow makes what is needed of the differences to an object, and to these.
func (r *resolver) grow(kind Kind, root branch, first, after []int32, offsets []int64) error {
	branches, held := []branch{root}, len(root.text)
	for len(branches) > 0 {
		top := &branches[len(branches)-1]
		base, i := top.text, top.next
		if top.next = after[i]; top.next < 0 {
			branches = branches[:len(branches)-1]
			held -= len(base)
		}
		_, delta, err := r.again.content(offsets[i], r.again.delta)
		if err != nil {
			return err
		}
		r.again.delta = delta
		size, err := resultSize(delta)
		if err != nil {
			return err
		}
		text := make([]byte, size)
		if r.changed, err = Apply(delta, base, text, r.changed[:0]); err != nil {
			return err
		}
		if r.names[i] == (Name{}) {
			if err := r.object(int(i), kind, text, base, r.changed); err != nil {
				return err
			}
			if r.made++; r.progress != nil && (r.made%progressStep == 0 || r.made == len(r.putOff)) {
				r.progress(r.made, len(r.putOff))
			}
		}
		if first[i] >= 0 {
			branches = append(branches, branch{text, first[i]})
			if held += len(text); held > maxBranching {
				return unusual("its differences branch too much")
			}
		}
	}
	return nil
}
