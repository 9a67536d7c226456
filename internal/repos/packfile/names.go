package packfile

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Name is the name of an object, its SHA-1.
type Name [20]byte

// names are those of the objects of a pack and of what they name, with the kinds that they have and should have. It is a hash table of its own, since
// there are some twenty links to each object.
type names struct {
	slots   []nameSlot // a power of two of them; one without kinds is free
	seeds   [3]uint64  // that nobody knows who makes names
	used    int
	limit   int // of used
	present int
}

type nameSlot struct {
	name         Name
	there, asked Kind // 0 for none
}

// fewNames is the size that the table has first: who says that many objects come has not sent them.
const fewNames = 1 << 14

func newNames(count int) *names {
	return &names{slots: make([]nameSlot, fewNames), seeds: [3]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64() | 1}, limit: count}
}

// slot is that of a name, a free one when it has none.
func (n *names) slot(name *Name) *nameSlot {
	a, b, c := binary.LittleEndian.Uint64(name[:]), binary.LittleEndian.Uint64(name[8:]), binary.LittleEndian.Uint32(name[16:])
	high, low := bits.Mul64(a^n.seeds[0], b^n.seeds[1])
	high, low = bits.Mul64(high^low^uint64(c), n.seeds[2])
	mask := uint64(len(n.slots) - 1)
	for i := (high ^ low) & mask; ; i = (i + 1) & mask {
		s := &n.slots[i]
		if s.there|s.asked == 0 || s.name == *name {
			return s
		}
	}
}

// claim takes a free slot for a name. There are as many names as objects, or an object is missing.
func (n *names) claim(s *nameSlot, name *Name) (*nameSlot, error) {
	if n.used == n.limit {
		return nil, unusual("an object is missing, such as %x", *name)
	}
	if n.used++; n.used > len(n.slots)/4*3 {
		old := n.slots
		n.slots = make([]nameSlot, 2*len(old))
		for i := range old {
			if old[i].there|old[i].asked != 0 {
				*n.slot(&old[i].name) = old[i]
			}
		}
		s = n.slot(name)
	}
	s.name = *name
	return s, nil
}

// add notes an object.
func (n *names) add(name *Name, kind Kind) (err error) {
	s := n.slot(name)
	switch {
	case s.there != 0:
		return unusual("object %x is there twice", *name)
	case s.asked == 0:
		if s, err = n.claim(s, name); err != nil {
			return err
		}
	case s.asked != kind:
		return unusual("object %x is a %v and should be a %v", *name, kind, s.asked)
	}
	s.there = kind
	n.present++
	return nil
}

// ask notes that an object of that kind should be there.
func (n *names) ask(name *Name, kind Kind) (err error) {
	s := n.slot(name)
	switch {
	case s.there|s.asked == 0:
		if s, err = n.claim(s, name); err != nil {
			return err
		}
	case s.there != 0 && s.there != kind || s.asked != 0 && s.asked != kind:
		return unusual("object %x is not the %v that another takes it for", *name, kind)
	}
	s.asked = kind
	return nil
}

// complete makes sure that all that is asked for is there.
func (n *names) complete() error {
	if n.present != n.used {
		return unusual("%d objects are missing", n.used-n.present)
	}
	return nil
}

// has says whether an object is there, and of which kind.
func (n *names) has(name Name) (Kind, bool) {
	s := n.slot(&name)
	return s.there, s.there != 0
}

// unusual is an error that leaves a pack to git.
func unusual(format string, values ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnusual}, values...)...)
}
