// Package blob keeps objects: bytes under a key, written once and read often, too large for the database.
//
// It owns the layout below its folder and the promise that an object is either whole or absent, even after
// kill -9 and power loss. It knows neither digests nor who may read what: domains choose keys and keep rows.
// Every store passes the suite in blobtest.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"slipway"
)

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("no such object")
	ErrOffset   = errors.New("offset lies beyond the bytes received")
	ErrBusy     = errors.New("upload is being written by another request")
)

// ErrFull says that nothing was stored since there is no room. It is a Problem, so that whoever sends the bytes reads why.
var ErrFull error = slipway.Full("the server has no room for this: its administrator must free some on the disk or in the bucket of its objects")

// full makes ErrFull of a file system's errors that mean it.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Object is an open object. It stays readable to its end after its key was deleted or overwritten, until Close. On S3
// what has to be asked for anew then, after Seek to another place or a broken connection, is ErrNotFound.
type Object interface {
	io.ReadSeekCloser
	// Size is the object's length in bytes.
	Size() int64
}

// Store keeps objects. It is safe for concurrent use; of two writers of one key the later wins, whole.
// A key is `folder/folder/name` as CheckKey allows it. A missing object is ErrNotFound.
type Store interface {
	// Put stores all that r gives and returns its length. When r fails, its error comes back and nothing
	// has changed: a reader that verifies as it goes keeps bad bytes out. Durable on return.
	Put(ctx context.Context, key string, r io.Reader) (int64, error)
	// Open opens the object for reading; the caller closes it.
	Open(ctx context.Context, key string) (Object, error)
	// Stat returns the object's length.
	Stat(ctx context.Context, key string) (int64, error)
	// Delete removes the object; a missing one is not an error.
	Delete(ctx context.Context, key string) error
	// List calls fn for each object whose key begins with prefix (empty, or ending in a slash), in no
	// particular order, until fn fails. Objects that come and go meanwhile may or may not be seen.
	List(ctx context.Context, prefix string, fn func(key string, size int64) error) error
}

// Resumable is a Store that also takes an object in pieces, over several requests and restarts.
//
// An upload is named by its caller (one segment of a key) and begins with its first Append. The caller
// remembers how many bytes it counts as received; what was written beyond that, by a request that broke or a
// server that died, is dropped by the next Append.
type Resumable interface {
	Store
	// Append writes r at offset, dropping whatever the upload held from there on, and returns the number of
	// bytes taken from r, which are durable. When r fails the bytes before the failure count. An offset
	// beyond what was received is ErrOffset, a second Append at the same time ErrBusy.
	Append(ctx context.Context, upload string, offset int64, r io.Reader) (int64, error)
	// Commit makes the first size bytes of the upload the object under key, atomically, and ends the upload.
	// An upload of that name that does not exist is ErrNotFound.
	Commit(ctx context.Context, upload string, size int64, key string) error
	// Abort drops the upload; a missing one is not an error.
	Abort(ctx context.Context, upload string) error
	// Uploads calls fn for each upload that holds something, in no particular order, until fn fails.
	Uploads(ctx context.Context, fn func(upload string) error) error
}

const maxKey = 900 // bytes; leaves room for a prefix below S3's 1024

var segment = `[A-Za-z0-9_][A-Za-z0-9._-]{0,199}`

// They are large, so they are compiled when they are needed first.
var (
	keyForm    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + segment + `(/` + segment + `)*$`) })
	uploadForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + segment + `$`) })
)

// CheckKey says whether key may name an object: segments of letters, digits, dot, underscore and hyphen, each
// beginning with a letter, digit or underscore and at most 200 bytes long, joined by slashes, 900 bytes in all.
func CheckKey(key string) error {
	if len(key) > maxKey || !keyForm().MatchString(key) {
		return fmt.Errorf("object key %.80q is malformed", key)
	}
	return nil
}

func checkUpload(name string) error {
	if !uploadForm().MatchString(name) {
		return fmt.Errorf("upload name %.80q is malformed", name)
	}
	return nil
}

func checkPrefix(prefix string) error {
	if prefix != "" && (!strings.HasSuffix(prefix, "/") || CheckKey(strings.TrimSuffix(prefix, "/")) != nil) {
		return fmt.Errorf("object prefix %.80q is malformed", prefix)
	}
	return nil
}

// claims are the uploads that are being written.
type claims struct {
	mu   sync.Mutex
	busy map[string]bool
}

// claim marks the upload as being written; release ends that.
func (c *claims) claim(upload string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[upload] {
		return false
	}
	if c.busy == nil {
		c.busy = map[string]bool{}
	}
	c.busy[upload] = true
	return true
}

func (c *claims) release(upload string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, upload)
}

// withContext ends reading when ctx ends.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

func (c withContext) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
