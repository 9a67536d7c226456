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

// claim marks the upload as being written; release ends that.
func (f *Files) claim(upload string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy[upload] {
		return false
	}
	f.busy[upload] = true
	return true
}

func (f *Files) release(upload string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, upload)
}

// Append implements Resumable.
func (f *Files) Append(ctx context.Context, upload string, offset int64, r io.Reader) (int64, error) {
	if err := checkUpload(upload); err != nil {
		return 0, err
	}
	if !f.claim(upload) {
		return 0, fmt.Errorf("append to upload %s: %w", upload, ErrBusy)
	}
	defer f.release(upload)
	n, err := appendAt(ctx, f.uploadPath(upload), offset, r)
	if err != nil {
		return n, fmt.Errorf("append to upload %s: %w", upload, err)
	}
	return n, nil
}

func appendAt(ctx context.Context, path string, offset int64, r io.Reader) (n int64, err error) {
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
	n, copying := io.Copy(file, withContext{ctx, r})
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
		return fmt.Errorf("commit upload %s: %w", upload, err)
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
