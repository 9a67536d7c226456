package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/repos/secretscan"
)

const (
	// maxTips bounds the objects that a push names of which newTips knows.
	maxTips = 10_000
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

	commands chan struct{} // closed when the commands have been read, or cannot be; then:
	tips     []string      // the objects that they name; none where more than the pack says whether these are complete

	done  chan struct{} // closed when the scan is over; then:
	found secretscan.Pack
	err   error
}

func newPushTap(in io.Reader, f ObjectFormat) *pushTap {
	t := &pushTap{
		in: in, chunks: make(chan []byte, tapChunks), free: make(chan []byte, tapChunks), commands: make(chan struct{}), done: make(chan struct{}),
	}
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

// scan reads the commands and passes the options of a push, which are pkt-lines (gitprotocol-pack(5)), and looks at the pack behind them.
func (t *pushTap) scan(nameSize int) (secretscan.Pack, error) {
	in := tapped{t}
	if err := t.readCommands(in); err != nil {
		return secretscan.Pack{}, fmt.Errorf("read the commands of a push: %w", err)
	}
	return secretscan.ReadPack(io.MultiReader(strings.NewReader("PACK"), in), nameSize)
}

// readCommands reads as far as the pack's first four bytes.
func (t *pushTap) readCommands(in io.Reader) error {
	defer close(t.commands)
	var tips []string
	plain := true
	for part := 0; ; {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		if string(head[:]) == "PACK" {
			break
		}
		size, err := strconv.ParseUint(string(head[:]), 16, 16)
		if err != nil {
			return err
		}
		if size <= 4 { // a mark behind a part, of which the first are the commands
			part++
			continue
		}
		line := make([]byte, size-4)
		if _, err := io.ReadFull(in, line); err != nil {
			return err
		}
		if part > 0 {
			continue
		}
		before, after, ok := parseCommand(line)
		if plain = plain && ok && before.IsZero() && len(tips) < maxTips; plain && !after.IsZero() {
			tips = append(tips, string(after))
		}
	}
	if plain {
		t.tips = tips
	}
	return nil
}

// parseCommand reads `OLD NEW REF`, of the first behind a NUL the capabilities. A shallow history and a signed push say other things.
func parseCommand(line []byte) (before, after slipway.CommitID, ok bool) {
	command, _, _ := bytes.Cut(line, []byte{0})
	f := strings.Split(strings.TrimSuffix(string(command), "\n"), " ")
	if len(f) != 3 || checkCommitID(slipway.CommitID(f[0])) != nil || checkCommitID(slipway.CommitID(f[1])) != nil {
		return "", "", false
	}
	return pushedCommit(f[0]), pushedCommit(f[1]), true
}

// newTips are the objects that a push names which makes refs alone, once git has its pack.
func (t *pushTap) newTips(ctx context.Context) []string {
	select {
	case <-t.commands:
		return t.tips
	case <-ctx.Done():
		return nil
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
