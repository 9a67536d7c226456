package repos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"slipway/internal/repos/secretscan"
)

const (
	// tapChunks bounds what a push may be ahead of the scan for secrets, in parts of what is read at once (copied).
	tapChunks = 16
	// tapTime bounds how long the end of a pack is scanned after git has it; then its files are read from the disk.
	tapTime = 30 * time.Second
)

// pushTap is what git reads of a push. It scans the pack for secrets on its way, which costs no second reading; the pack of a first push it indexes
// itself, where it has an index for it (pushIndex), and git reads an empty one.
type pushTap struct {
	in       io.Reader // what the client sends
	nameSize int
	index    *pushIndex // nil where git indexes
	chunks   chan []byte
	free     chan []byte
	over     context.Context // ends when nobody looks at what comes any more
	stop     context.CancelFunc
	ended    sync.Once // closes chunks

	rest []byte // of what the scan reads
	held []byte // the chunk that rest is of

	reader  pushCommands
	pack    io.Reader     // the pack, once it has begun
	known   sync.Once     // closes the next
	command chan struct{} // closed when the commands have been read, or cannot be; then:
	tips    []string      // the objects that they name; none where more than the pack says whether these are complete

	done  chan struct{} // closed when the scan is over; then:
	found secretscan.Pack
	err   error
}

func newPushTap(in io.Reader, f ObjectFormat, index *pushIndex) *pushTap {
	t := &pushTap{
		in: in, nameSize: len(f.NoObject()) / 2, index: index, chunks: make(chan []byte, tapChunks), free: make(chan []byte, tapChunks), command: make(chan struct{}), done: make(chan struct{}),
	}
	t.over, t.stop = context.WithCancel(context.Background())
	go func() {
		defer close(t.done)
		defer t.stop()
		t.found, t.err = secretscan.ReadPack(tapped{t}, t.nameSize)
	}()
	return t
}

// close ends the scan, if it goes on, and waits for it.
func (t *pushTap) close() {
	t.stop()
	<-t.done
}

// Read passes on what the client sends.
func (t *pushTap) Read(b []byte) (int, error) {
	if t.pack != nil {
		n, err := t.pack.Read(b)
		t.look(b[:n])
		if err != nil {
			t.end()
		}
		return n, err
	}
	n, err := t.in.Read(b)
	before, begun, failure := t.reader.read(b[:n])
	if begun {
		t.know(t.reader.tips)
		t.begin(b[max(before, 0):n], max(-before, 0))
		return max(before, 0), nil
	}
	if failure != nil || err != nil { // git says what is wrong
		t.know(nil)
		t.stop()
		t.pack = t.in
	}
	return n, err
}

// know tells of the tips.
func (t *pushTap) know(tips []string) {
	t.known.Do(func() {
		t.tips = tips
		close(t.command)
	})
}

func (t *pushTap) end() { t.ended.Do(func() { close(t.chunks) }) }

// begin begins with the pack, of which this has come, behind as many bytes of its mark that git has read.
func (t *pushTap) begin(come []byte, passed int) {
	pack := io.MultiReader(strings.NewReader(packMark[:passed]), bytes.NewReader(bytes.Clone(come)), t.in)
	if t.index != nil {
		pack = t.index.take(t.over, pack, &t.reader)
	}
	mark := make([]byte, passed)
	_, _ = io.ReadFull(pack, mark) // which is there
	t.look(mark)
	t.pack = pack
}

// look has the scan look at what comes of the pack.
func (t *pushTap) look(b []byte) {
	if len(b) == 0 || t.over.Err() != nil {
		return
	}
	var chunk []byte
	select {
	case chunk = <-t.free:
	default:
	}
	select {
	case t.chunks <- append(chunk[:0], b...):
	case <-t.over.Done():
	}
}

// tapped is the scan's side of it.
type tapped struct{ *pushTap }

func (t tapped) Read(b []byte) (int, error) {
	for len(t.rest) == 0 {
		if t.held != nil {
			select {
			case t.free <- t.held:
			default:
			}
			t.held = nil
		}
		select {
		case chunk, ok := <-t.chunks:
			if !ok {
				return 0, io.EOF
			}
			t.rest, t.held = chunk, chunk
		case <-t.over.Done():
			return 0, io.EOF
		}
	}
	n := copy(b, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// newTips are the objects that a push names which makes refs alone, once git has its pack.
func (t *pushTap) newTips(ctx context.Context) []string {
	select {
	case <-t.command:
		return t.tips
	case <-ctx.Done():
		return nil
	}
}

var errTapLate = errors.New("the scan of a pack did not come to its end")

// wait is what the scan has found in the whole pack.
func (t *pushTap) wait(ctx context.Context) (secretscan.Pack, error) {
	if t.index.taken() {
		return secretscan.Pack{Suspect: t.index.scanner.Suspect()}, nil
	}
	late := time.NewTimer(tapTime)
	defer late.Stop()
	select {
	case <-t.done:
		return t.found, t.err
	case <-late.C:
		return secretscan.Pack{}, errTapLate
	case <-ctx.Done():
		return secretscan.Pack{}, ctx.Err()
	}
}
