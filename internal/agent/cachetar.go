package agent

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/pipelines/job"
)

// A cache is a tar file, compressed with zstd. The entries of its first folder begin with 0/, those of the second with 1/, and
// so on: it can be restored to wherever the folders are by then.

const (
	maxCacheEntries = 2_000_000
	maxCacheContent = 100 << 30 // bytes of all files together
)

// packed is what went into a cache or came out of it.
type packed struct {
	Files   int
	Bytes   int64 // of their contents
	Skipped int   // sockets and the like

	entries int // files, links and folders
}

// count counts an entry, of which a cache has a limited number.
func (p *packed) count() error {
	if p.entries++; p.entries > maxCacheEntries {
		return fmt.Errorf("a cache has at most %d files", maxCacheEntries)
	}
	return nil
}

// add counts the bytes of a file.
func (p *packed) add(bytes int64) error {
	if p.Bytes += bytes; p.Bytes > maxCacheContent {
		return fmt.Errorf("a cache has at most %d bytes", int64(maxCacheContent))
	}
	p.Files++
	return nil
}

// packCache writes the folders' files, with their modes and times, links and empty folders.
func packCache(ctx context.Context, w io.Writer, folders []string) (p packed, err error) {
	buffer := bufio.NewWriterSize(&limitedWriter{w: w, left: job.MaxCache}, 1<<20)
	z, err := zstd.NewWriter(buffer, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return p, err
	}
	tw := tar.NewWriter(z)
	for i, folder := range folders {
		if err := packFolder(ctx, tw, folder, strconv.Itoa(i), &p); err != nil {
			return p, errors.Join(err, z.Close())
		}
	}
	return p, errors.Join(tw.Close(), z.Close(), buffer.Flush())
}

func packFolder(ctx context.Context, tw *tar.Writer, folder, prefix string, p *packed) error {
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == root {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := p.count(); err != nil {
			return err
		}
		return packEntry(tw, name, path.Join(prefix, filepath.ToSlash(rel)), info, p)
	})
}

func packEntry(tw *tar.Writer, name, as string, info fs.FileInfo, p *packed) error {
	h := &tar.Header{Name: as, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, as+"/"
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		p.Files++
	case info.Mode().IsRegular():
		if err := p.add(info.Size()); err != nil {
			return err
		}
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
		return packFile(tw, h, name)
	default:
		p.Skipped++
		return nil
	}
	return tw.WriteHeader(h)
}

func packFile(tw *tar.Writer, h *tar.Header, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(tw, io.LimitReader(file, h.Size))
	if err == nil && n != h.Size {
		err = fmt.Errorf("%s became shorter while it was read", name)
	}
	return err
}

// errCacheSize is the end of a cache that has become too large.
var errCacheSize = fmt.Errorf("a cache has at most %d bytes when it is compressed", int64(job.MaxCache))

// limitedWriter fails when more is written than is left.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, errCacheSize
	}
	return l.w.Write(p)
}

// unpackCache writes what is in a cache below the folders, which nothing in it can leave. Files that are there are replaced, others
// stay.
func unpackCache(ctx context.Context, r io.Reader, folders []string) (packed, error) {
	u := unpacker{}
	defer u.close()
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return u.packed, err
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			return u.packed, err
		}
		u.roots = append(u.roots, root)
	}
	buffer := bufio.NewReaderSize(r, 1<<20)
	if _, err := buffer.Peek(1); err != nil {
		return u.packed, fmt.Errorf("the cache is empty: %w", err)
	}
	z, err := zstd.NewReader(buffer)
	if err != nil {
		return u.packed, err
	}
	defer z.Close()
	if err := u.unpack(ctx, tar.NewReader(z)); err != nil {
		return u.packed, err
	}
	if _, err := io.Copy(io.Discard, z); err != nil { // what follows the end mark, and the checksum
		return u.packed, err
	}
	return u.packed, u.finish()
}

// unpacker writes entries below its roots.
type unpacker struct {
	packed
	roots   []*os.Root
	folders []unpackedFolder // in the order in which they came
}

// unpackedFolder gets its mode and time last: a folder may allow no writing.
type unpackedFolder struct {
	root *os.Root
	name string
	mode fs.FileMode
	time time.Time
}

func (u *unpacker) close() {
	for _, root := range u.roots {
		root.Close()
	}
}

func (u *unpacker) unpack(ctx context.Context, tr *tar.Reader) error {
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = u.count()
		}
		if err == nil {
			err = u.entry(h, tr)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	prefix, rest, _ := strings.Cut(h.Name, "/")
	i, err := strconv.Atoi(prefix)
	name := filepath.FromSlash(path.Clean(rest))
	if err != nil || i < 0 || !filepath.IsLocal(name) {
		return fmt.Errorf("%q in the cache leads out of its folder", h.Name)
	}
	if i >= len(u.roots) {
		return nil // of a key with more folders
	}
	root, mode := u.roots[i], fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		u.folders = append(u.folders, unpackedFolder{root, name, mode, h.ModTime})
		return unpackFolder(root, name)
	case tar.TypeReg:
		if err := u.add(h.Size); err != nil {
			return err
		}
		return unpackFile(root, name, mode, h.ModTime, r)
	case tar.TypeSymlink:
		u.Files++
		return unpackLink(root, name, h.Linkname)
	}
	return nil
}

// finish gives the folders their modes and times, the deepest first.
func (u *unpacker) finish() error {
	for _, f := range slices.Backward(u.folders) {
		if err := errors.Join(f.root.Chmod(f.name, f.mode), f.root.Chtimes(f.name, f.time, f.time)); err != nil {
			return err
		}
	}
	return nil
}

// unpackFolder makes a folder, or makes one that is there writable.
func unpackFolder(root *os.Root, name string) error {
	err := root.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		return root.MkdirAll(name, 0o700)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return root.Chmod(name, info.Mode().Perm()|0o700)
	}
	return errors.Join(root.Remove(name), root.Mkdir(name, 0o700))
}

func unpackFile(root *os.Root, name string, mode fs.FileMode, at time.Time, r io.Reader) error {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL // a link that is there is not followed
	file, err := root.OpenFile(name, flags, 0o600)
	if err != nil {
		if err = makeRoom(root, name, err); err == nil {
			file, err = root.OpenFile(name, flags, 0o600)
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	if err = errors.Join(err, file.Chmod(mode), file.Close()); err != nil {
		return err
	}
	return root.Chtimes(name, at, at)
}

func unpackLink(root *os.Root, name, target string) error {
	err := root.Symlink(target, name)
	if err == nil {
		return nil
	}
	if err := makeRoom(root, name, err); err != nil {
		return err
	}
	return root.Symlink(target, name)
}

// makeRoom removes what has the name, or makes the folder that it lies in, as the failure asks for.
func makeRoom(root *os.Root, name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return root.RemoveAll(name)
	case errors.Is(err, fs.ErrNotExist):
		return root.MkdirAll(filepath.Dir(name), 0o755)
	}
	return err
}
