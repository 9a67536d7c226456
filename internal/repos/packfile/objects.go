package packfile

// Objects holds what came last of a pack, up to a limit in bytes, for what is a difference to it.
type Objects struct {
	limit    int
	byOffset map[int64]*Object
	order    []*Object // the oldest first
	held     int       // bytes
	room     *room     // for the next one
	free     []*room   // of those that are held no more
}

// Object is one that is held.
type Object struct {
	Kind    Kind
	Content []byte // valid until the next but one comes
	offset  int64
	room    *room
}

// room is memory for objects that come one after another, and leave in the same order.
type room struct {
	bytes []byte
	used  int
	held  int // objects
}

// objectSize is what holding an object takes besides its content, in bytes, or less.
const objectSize = 128

// roomSize is that of what most objects lie in, in bytes.
const roomSize = 256 << 10

// NewObjects holds as many bytes.
func NewObjects(limit int) *Objects { return &Objects{limit: limit, byOffset: map[int64]*Object{}} }

// At is the object whose entry is at that place of the pack, nil when it is not held.
func (o *Objects) At(offset int64) *Object { return o.byOffset[offset] }

// New is one of that size, to be filled, which is held from then on instead of the oldest ones. None at that place may be held.
func (o *Objects) New(offset int64, kind Kind, size int) *Object {
	if o.room == nil || len(o.room.bytes)-o.room.used < size {
		if n := len(o.free); n > 0 && size <= roomSize {
			o.room, o.free = o.free[n-1], o.free[:n-1]
		} else {
			o.room = &room{bytes: make([]byte, max(size, roomSize))}
		}
	}
	at := o.room
	f := &Object{Kind: kind, offset: offset, Content: at.bytes[at.used : at.used+size : at.used+size], room: at}
	at.used, at.held = at.used+size, at.held+1
	o.byOffset[offset], o.order, o.held = f, append(o.order, f), o.held+size+objectSize
	for o.held > o.limit {
		old := o.order[0]
		o.order = o.order[1:]
		delete(o.byOffset, old.offset)
		o.leave(old)
	}
	return f
}

// leave gives the room of one that is held no more to others, unless the next one comes there.
func (o *Objects) leave(old *Object) {
	o.held -= len(old.Content) + objectSize
	if old.room.held--; old.room.held == 0 && old.room != o.room {
		old.room.used = 0
		if len(old.room.bytes) == roomSize {
			o.free = append(o.free, old.room)
		}
	}
}
