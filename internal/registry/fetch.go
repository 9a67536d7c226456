package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"slipway/internal/blob"
	"slipway/internal/registry/upstream"
)

// fetch is a blob on its way from an upstream: one writer, which fills a nameless file, and any number of readers, who
// follow it. The file goes with the last of them.
type fetch struct {
	ready chan struct{} // closed when the length is known, or the fetch has ended
	once  sync.Once
	file  *os.File // nil before ready, and when the content was in the registry already

	mu      sync.Mutex
	more    sync.Cond // something below has changed
	size    int64     // -1 while unknown
	written int64
	whole   bool // all bytes are there and verified
	ended   bool
	err     error
	users   int
}

func newFetch() *fetch {
	f := &fetch{ready: make(chan struct{}), size: -1, users: 1}
	f.more.L = &f.mu
	return f
}

func (f *fetch) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users++
}

func (f *fetch) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users--
	if f.users == 0 && f.file != nil {
		f.file.Close()
	}
}

// begin makes the file. Without a length nobody reads before the end.
func (f *fetch) begin(folder string, size int64) error {
	file, err := os.CreateTemp(folder, "fetch-")
	if err != nil {
		return fmt.Errorf("make file for a blob: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return fmt.Errorf("make file for a blob: %w", err)
	}
	f.mu.Lock()
	f.file, f.size = file, size
	f.mu.Unlock()
	if size >= 0 {
		f.once.Do(func() { close(f.ready) })
	}
	return nil
}

// copy writes all of r, which fails at its end when the bytes are not those wanted.
func (f *fetch) copy(r io.Reader) error {
	buffer := make([]byte, 128<<10)
	for {
		n, err := r.Read(buffer)
		if err != nil && !errors.Is(err, io.EOF) && !isVerdict(err) {
			return &upstream.Error{Kind: upstream.Unavailable, Message: "it broke off in the middle of a blob", Err: err}
		}
		if n > 0 {
			if _, err := f.file.Write(buffer[:n]); err != nil {
				return fmt.Errorf("write file of a blob: %w", err)
			}
		}
		f.mu.Lock()
		f.written += int64(n)
		if errors.Is(err, io.EOF) {
			if f.size >= 0 && f.written != f.size {
				err = &upstream.Error{Kind: upstream.Invalid, Message: fmt.Sprintf("%d bytes of a blob came instead of %d", f.written, f.size)}
			} else {
				f.whole, f.size, err = true, f.written, nil
			}
		}
		whole := f.whole
		f.more.Broadcast()
		f.mu.Unlock()
		if whole || err != nil {
			return err
		}
	}
}

// isVerdict reports that the bytes are not what they should be, unlike that they did not come.
func isVerdict(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// end says that nothing more comes.
func (f *fetch) end(err error) {
	f.mu.Lock()
	f.ended, f.err = true, err
	f.more.Broadcast()
	f.mu.Unlock()
	f.once.Do(func() { close(f.ready) })
}

// failure is why there is nothing to read, once ready.
func (f *fetch) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whole {
		return nil
	}
	return f.err
}

func (f *fetch) length() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size
}

// wait blocks until a byte at offset can be read, and says how many there are from there on: none at the end.
func (f *fetch) wait(ctx context.Context, offset int64) (int64, error) {
	defer context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.more.Broadcast()
	})()
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		there := min(f.written, f.size-1) // the last byte waits for the digest
		if f.whole {
			there = f.size
		}
		switch {
		case offset < there:
			return there - offset, nil
		case f.whole:
			return 0, nil
		case f.ended:
			return 0, f.err
		case ctx.Err() != nil:
			return 0, ctx.Err()
		}
		f.more.Wait()
	}
}

// open makes a reader, which takes over the caller's place among the users.
func (f *fetch) open(ctx context.Context) blob.Object {
	return &following{fetch: f, ctx: ctx, size: f.length()}
}

// following reads a fetch from any place, and waits for what has not come yet.
type following struct {
	fetch  *fetch
	ctx    context.Context
	size   int64
	offset int64
	closed bool
}

func (r *following) Size() int64 { return r.size }

func (r *following) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.fetch.wait(r.ctx, r.offset)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	got, err := r.fetch.file.ReadAt(p[:min(int64(len(p)), n)], r.offset)
	r.offset += int64(got)
	return got, err
}

func (r *following) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start of a blob")
	}
	r.offset = offset
	return offset, nil
}

func (r *following) Close() error {
	if !r.closed {
		r.closed = true
		r.fetch.leave()
	}
	return nil
}
