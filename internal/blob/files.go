package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Files is a Resumable store below one folder of a local file system, for one process at a time.
//
//	objects/FOLDER/~SHARD/NAME   the objects; SHARD spreads each folder's names over 256
//	uploads/NAME                 uploads under way
//	staging/                     half-written objects, emptied at start
type Files struct {
	root    string
	unnamed bool // objects have no name while they are written
	claims
}

var _ Resumable = (*Files)(nil)

// OpenFiles opens the store below root, creating it when it is not there.
func OpenFiles(root string) (*Files, error) {
	f := &Files{root: root}
	if err := os.RemoveAll(filepath.Join(root, "staging")); err != nil {
		return nil, fmt.Errorf("open object store: empty staging: %w", err)
	}
	for _, name := range []string{"objects", "uploads", "staging"} {
		if err := makeFolder(filepath.Join(root, name)); err != nil {
			return nil, fmt.Errorf("open object store: %w", err)
		}
	}
	f.unnamed = f.canLink()
	return f, nil
}

// path is where the key's object lies.
func (f *Files) path(key string) string {
	folder, name := filepath.Split(key)
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(f.root, "objects", folder, "~"+hex.EncodeToString(sum[:1]), name)
}

// Put implements Store.
func (f *Files) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	if err := CheckKey(key); err != nil {
		return 0, err
	}
	n, err := f.put(f.path(key), withContext{ctx, r})
	if err != nil {
		return 0, fmt.Errorf("put object %s: %w", key, full(err))
	}
	return n, nil
}

func (f *Files) put(path string, r io.Reader) (int64, error) {
	file, err := f.stage()
	if err != nil {
		return 0, err
	}
	defer file.discard()
	n, err := copyTo(file.File, r)
	if err != nil {
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	return n, file.place(path)
}

// copyBuffers are large enough for what a connection holds, so that a layer takes few calls of the system.
var copyBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

func copyTo(file *os.File, r io.Reader) (int64, error) {
	buffer := copyBuffers.Get().(*[256 << 10]byte)
	defer copyBuffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{file}, r, buffer[:]) // the file itself would take a small buffer of its own
}

type fileObject struct {
	*os.File
	size int64
}

func (o fileObject) Size() int64 { return o.size }

// Open implements Store.
func (f *Files) Open(_ context.Context, key string) (Object, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path(key))
	if err != nil {
		return nil, fmt.Errorf("open object %s: %w", key, absent(err))
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open object %s: %w", key, err)
	}
	return fileObject{file, info.Size()}, nil
}

// Stat implements Store.
func (f *Files) Stat(_ context.Context, key string) (int64, error) {
	if err := CheckKey(key); err != nil {
		return 0, err
	}
	info, err := os.Stat(f.path(key))
	if err != nil {
		return 0, fmt.Errorf("stat object %s: %w", key, absent(err))
	}
	return info.Size(), nil
}

// Delete implements Store.
func (f *Files) Delete(_ context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := os.Remove(f.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete object %s: %w", key, err)
	}
	return nil
}

// List implements Store.
func (f *Files) List(ctx context.Context, prefix string, fn func(key string, size int64) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	objects := filepath.Join(f.root, "objects")
	err := filepath.WalkDir(filepath.Join(objects, prefix), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // no such folder, or gone since it was read
		}
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(objects, path)
		if err != nil {
			return err
		}
		shard, name := filepath.Split(filepath.ToSlash(relative))
		folder, _ := filepath.Split(strings.TrimSuffix(shard, "/"))
		return fn(folder+name, info.Size())
	})
	if err != nil {
		return fmt.Errorf("list objects %s: %w", prefix, err)
	}
	return nil
}

func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

// moveFile renames a synced file to its place and makes the new name durable.
func moveFile(from, to string) error {
	folder := filepath.Dir(to)
	if err := makeFolder(folder); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(folder)
}

// makeFolder creates the folder and those above it, each durable in its parent.
func makeFolder(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
