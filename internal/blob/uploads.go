package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

func (f *Files) uploadPath(upload string) string { return filepath.Join(f.root, "uploads", upload) }

// Append implements Resumable.
func (f *Files) Append(ctx context.Context, upload string, offset int64, r io.Reader) (int64, error) {
	if err := checkUpload(upload); err != nil {
		return 0, err
	}
	if !f.claim(upload) {
		return 0, fmt.Errorf("append to upload %s: %w", upload, ErrBusy)
	}
	defer f.release(upload)
	n, err := appendAt(f.uploadPath(upload), offset, withContext{ctx, r})
	if err != nil {
		return n, fmt.Errorf("append to upload %s: %w", upload, full(err))
	}
	return n, nil
}

func appendAt(path string, offset int64, r io.Reader) (n int64, err error) {
	_, missing := os.Stat(path)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset > info.Size() {
		return 0, ErrOffset
	}
	if err := file.Truncate(offset); err != nil {
		return 0, err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	source := &failing{r: r}
	n, copying := copyTo(file, source)
	if copying != nil && source.err == nil { // it is the disk's fault: what it took must not keep its last room
		return 0, errors.Join(copying, file.Truncate(offset))
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	if missing != nil {
		if err := syncFolder(filepath.Dir(path)); err != nil {
			return 0, err
		}
	}
	return n, copying
}

// failing remembers the error of its source, by which those of reading and of writing are told apart.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// Commit implements Resumable.
func (f *Files) Commit(_ context.Context, upload string, size int64, key string) error {
	if err := errors.Join(checkUpload(upload), CheckKey(key)); err != nil {
		return err
	}
	if !f.claim(upload) {
		return fmt.Errorf("commit upload %s: %w", upload, ErrBusy)
	}
	defer f.release(upload)
	path := f.uploadPath(upload)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("commit upload %s: %w", upload, absent(err))
	case info.Size() < size:
		return fmt.Errorf("commit upload %s: %d bytes received, not %d: %w", upload, info.Size(), size, ErrOffset)
	case info.Size() > size: // bytes of a request that broke
		err = truncate(path, size)
	}
	if err == nil {
		err = moveFile(path, f.path(key))
	}
	if err != nil {
		return fmt.Errorf("commit upload %s: %w", upload, full(err))
	}
	return nil
}

func truncate(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), file.Sync(), file.Close())
}

// Abort implements Resumable.
func (f *Files) Abort(_ context.Context, upload string) error {
	if err := checkUpload(upload); err != nil {
		return err
	}
	if err := os.Remove(f.uploadPath(upload)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("abort upload %s: %w", upload, err)
	}
	return nil
}

// Uploads implements Resumable.
func (f *Files) Uploads(ctx context.Context, fn func(upload string) error) error {
	list, err := os.ReadDir(filepath.Join(f.root, "uploads"))
	if err != nil {
		return fmt.Errorf("list uploads: %w", err)
	}
	for _, entry := range list {
		if err := errors.Join(ctx.Err(), fn(entry.Name())); err != nil {
			return fmt.Errorf("list uploads: %w", err)
		}
	}
	return nil
}
