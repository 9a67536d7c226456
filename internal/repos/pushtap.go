package repos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
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

// pushTap scans the pack of a push for secrets while git reads it, which costs no second reading.
type pushTap struct {
	in     io.Reader // what the client sends
	chunks chan []byte
	free   chan []byte
	over   context.Context // ends when nobody looks at what comes any more
	stop   context.CancelFunc
	ended  sync.Once // closes chunks

	rest []byte // of what the scan reads
	held []byte // the chunk that rest is of

	done  chan struct{} // closed when the scan is over; then:
	found secretscan.Pack
	err   error
}

func newPushTap(in io.Reader, f ObjectFormat) *pushTap {
	t := &pushTap{in: in, chunks: make(chan []byte, tapChunks), free: make(chan []byte, tapChunks), done: make(chan struct{})}
	t.over, t.stop = context.WithCancel(context.Background())
	go func() {
		defer close(t.done)
		defer t.stop()
		t.found, t.err = t.scan(len(f.NoObject()) / 2)
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
	n, err := t.in.Read(b)
	if n > 0 && t.over.Err() == nil {
		var chunk []byte
		select {
		case chunk = <-t.free:
		default:
		}
		select {
		case t.chunks <- append(chunk[:0], b[:n]...):
		case <-t.over.Done():
		}
	}
	if err != nil {
		t.ended.Do(func() { close(t.chunks) })
	}
	return n, err
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

// scan passes the commands and options of a push, which are pkt-lines (gitprotocol-pack(5)), and looks at the pack behind them.
func (t *pushTap) scan(nameSize int) (secretscan.Pack, error) {
	in := tapped{t}
	var head [4]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return secretscan.Pack{}, fmt.Errorf("read the commands of a push: %w", err)
		}
		if string(head[:]) == "PACK" {
			return secretscan.ReadPack(io.MultiReader(strings.NewReader("PACK"), in), nameSize)
		}
		size, err := strconv.ParseUint(string(head[:]), 16, 16)
		if err != nil {
			return secretscan.Pack{}, fmt.Errorf("read the commands of a push: %w", err)
		}
		if size <= 4 { // marks between the parts
			continue
		}
		if _, err := io.CopyN(io.Discard, in, int64(size)-4); err != nil {
			return secretscan.Pack{}, fmt.Errorf("read the commands of a push: %w", err)
		}
	}
}

var errTapLate = errors.New("the scan of a pack did not come to its end")

// wait is what the scan has found in the whole pack.
func (t *pushTap) wait(ctx context.Context) (secretscan.Pack, error) {
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
