package tool

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	maxUnpacked = 6 << 30 // bytes of all files of an archive
	maxFiles    = 300_000 // entries of an archive
)

// entry is a file, folder or link of an archive.
type entry struct {
	name string // with slashes, as it stands in the archive
	mode fs.FileMode
	link string // the target of a symbolic link
	open func() (io.ReadCloser, error)
}

// Unpack writes the files of a .tar.gz, .tgz or .zip archive below a folder, without the first strip parts of their names.
// Nothing is written outside of the folder, and links that lead out of it are refused.
func Unpack(ctx context.Context, archive, folder string, strip int) error {
	return unpack(ctx, archive, folder, func(name string) string {
		for range strip {
			_, rest, ok := strings.Cut(name, "/")
			if !ok {
				return ""
			}
			name = rest
		}
		return name
	})
}

// unpack gives each entry the name that rename says; "" leaves it out.
func unpack(ctx context.Context, archive, folder string, rename func(string) string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
	}
	defer root.Close()
	u := &unpacker{ctx: ctx, root: root, rename: rename}
	if strings.HasSuffix(strings.ToLower(archive), ".zip") {
		err = u.zip(archive)
	} else {
		err = u.tar(archive)
	}
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
	}
	return nil
}

type unpacker struct {
	ctx    context.Context
	root   *os.Root
	rename func(string) string
	files  int
	bytes  int64
}

func (u *unpacker) zip(archive string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, f := range r.File {
		e := entry{name: f.Name, mode: f.Mode(), open: f.Open}
		if e.mode&fs.ModeSymlink != 0 {
			if e.link, err = zipLink(f); err != nil {
				return err
			}
		}
		if err := u.write(e); err != nil {
			return err
		}
	}
	return nil
}

func zipLink(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, 4096))
	return string(target), err
}

func (u *unpacker) tar(archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("it is no .tar.gz: %w", err)
	}
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeLink {
			if err := u.hardLink(h); err != nil {
				return err
			}
			continue
		}
		e := entry{name: h.Name, mode: h.FileInfo().Mode(), link: h.Linkname, open: func() (io.ReadCloser, error) { return io.NopCloser(tr), nil }}
		if err := u.write(e); err != nil {
			return err
		}
	}
}

// place is where an entry goes, "" if it is left out.
func (u *unpacker) place(name string) (string, error) {
	if u.files++; u.files > maxFiles {
		return "", fmt.Errorf("it has more than %d files", maxFiles)
	}
	if err := u.ctx.Err(); err != nil {
		return "", err
	}
	name = u.rename(strings.TrimPrefix(path.Clean(strings.ReplaceAll(name, `\`, "/")), "./"))
	if name == "" || name == "." {
		return "", nil
	}
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q leads out of the archive's folder", name)
	}
	return name, nil
}

func (u *unpacker) write(e entry) error {
	name, err := u.place(e.name)
	if name == "" || err != nil {
		return err
	}
	if e.mode.IsDir() {
		return u.root.MkdirAll(name, 0o755)
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if e.mode&fs.ModeSymlink != 0 {
		if path.IsAbs(e.link) || !filepath.IsLocal(path.Join(path.Dir(name), e.link)) {
			return fmt.Errorf("the link %q leads out of the archive's folder", name)
		}
		return u.root.Symlink(e.link, name)
	}
	if !e.mode.IsRegular() {
		return nil // devices and the like are no part of a tool
	}
	in, err := e.open()
	if err != nil {
		return err
	}
	defer in.Close()
	return u.file(name, e.mode.Perm()|0o644, in)
}

func (u *unpacker) file(name string, mode fs.FileMode, in io.Reader) error {
	out, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, maxUnpacked-u.bytes+1))
	if u.bytes += n; u.bytes > maxUnpacked {
		err = fmt.Errorf("it has more than %d GiB when it is unpacked", maxUnpacked>>30)
	}
	return errors.Join(err, out.Close())
}

func (u *unpacker) hardLink(h *tar.Header) error {
	name, err := u.place(h.Name)
	if name == "" || err != nil {
		return err
	}
	target := u.rename(path.Clean(h.Linkname))
	if !filepath.IsLocal(target) {
		return fmt.Errorf("the link %q leads out of the archive's folder", name)
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return u.root.Link(target, name)
}

// CopyTree copies a folder with its links. Files that are there already stay.
func CopyTree(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(name)
			if err == nil {
				err = os.Symlink(link, target)
			}
			if errors.Is(err, fs.ErrExist) {
				err = nil
			}
			return err
		case d.Type().IsRegular():
			return copyFile(name, target)
		}
		return nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
