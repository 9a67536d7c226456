package debian

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// made is the time of every file in a layer: any fixed one gives the same digest again.
var made = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// entry is one file, folder or link of a layer.
type entry struct {
	header  tar.Header                    // Name without a leading slash; folders without a final one
	content func() (io.ReadCloser, error) // of regular files
}

// tree collects the entries of a layer. A later entry of the same name replaces the one before.
type tree struct{ entries map[string]entry }

func newTree() *tree { return &tree{entries: map[string]entry{}} }

func (t *tree) add(e entry) {
	e.header.Name = strings.Trim(path.Clean("/"+e.header.Name), "/")
	if e.header.Name == "" {
		return
	}
	t.entries[e.header.Name] = e
}

// folder adds a folder owned by root.
func (t *tree) folder(name string, mode int64) {
	t.add(entry{header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}})
}

// text adds a file with that content.
func (t *tree) text(name string, mode int64, content []byte) {
	t.add(entry{
		header:  tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))},
		content: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(content))), nil },
	})
}

// file adds a copy of a file of the machine.
func (t *tree) file(name string, mode int64, source string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	t.add(entry{
		header:  tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()},
		content: func() (io.ReadCloser, error) { return os.Open(source) },
	})
	return nil
}

// link adds a symbolic link.
func (t *tree) link(name, target string) {
	t.add(entry{header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}})
}

// copyFolder adds the folder of the machine under name, without what skip names (paths relative to it). Owners are root.
func (t *tree) copyFolder(name, source string, skip func(rel string, d fs.DirEntry) bool) error {
	return filepath.WalkDir(source, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, p)
		if err != nil {
			return err
		}
		if rel != "." && skip(rel, d) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		to := path.Join(name, filepath.ToSlash(rel))
		switch {
		case d.IsDir():
			t.folder(to, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			t.link(to, target)
		case d.Type().IsRegular():
			info, err := d.Info()
			if err != nil {
				return err
			}
			mode := int64(0o644)
			if info.Mode()&0o111 != 0 {
				mode = 0o755
			}
			return t.file(to, mode, p)
		}
		return nil
	})
}

// writeTo writes the tar: sorted, each folder before what is in it, nothing in it that depends on the day or machine.
func (t *tree) writeTo(w io.Writer) error {
	names := make([]string, 0, len(t.entries))
	for name := range t.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	out := tar.NewWriter(w)
	for _, name := range names {
		if err := t.entries[name].writeTo(out); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return out.Close()
}

func (e entry) writeTo(out *tar.Writer) error {
	h := tar.Header{
		Typeflag: e.header.Typeflag, Name: e.header.Name, Linkname: e.header.Linkname, Mode: e.header.Mode & 0o7777,
		Uid: e.header.Uid, Gid: e.header.Gid, Size: e.header.Size, ModTime: made, PAXRecords: e.attributes(),
	}
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	if err := out.WriteHeader(&h); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	content, err := e.content()
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, content.Close())
}

// attributes keeps extended attributes (file capabilities) and nothing else.
func (e entry) attributes() map[string]string {
	var kept map[string]string
	for k, v := range e.header.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.security.capability") {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[k] = v
		}
	}
	return kept
}

// readTar adds what is in a tar file, as far as keep wants it. The file must stay until the tree has been written.
func (t *tree) readTar(file string, keep func(name string, isFolder bool) bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	in := tar.NewReader(f)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			t.orderHardLinks()
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.Trim(path.Clean("/"+h.Name), "/")
		if !keep(name, h.Typeflag == tar.TypeDir) {
			continue
		}
		e := entry{header: *h}
		switch h.Typeflag {
		case tar.TypeReg:
			at, err := f.Seek(0, io.SeekCurrent) // tar.Reader reads no further than the header
			if err != nil {
				return err
			}
			e.content = section(file, at, h.Size)
		case tar.TypeDir, tar.TypeSymlink:
		case tar.TypeLink:
			e.header.Linkname = strings.Trim(path.Clean("/"+h.Linkname), "/")
		default: // devices and sockets have no place in an image
			continue
		}
		t.add(e)
	}
}

// orderHardLinks makes the first name of a file with several the real one, since entries are written in this order.
func (t *tree) orderHardLinks() {
	groups := map[string][]string{} // all names of a file, by the one that has the content
	for name, e := range t.entries {
		if e.header.Typeflag == tar.TypeLink {
			groups[e.header.Linkname] = append(groups[e.header.Linkname], name)
		}
	}
	for target, names := range groups {
		content, ok := t.entries[target]
		names = append(names, target)
		slices.Sort(names)
		for i, name := range names {
			e := content
			if e.header.Name = name; i > 0 {
				e.header.Typeflag, e.header.Linkname, e.header.Size = tar.TypeLink, names[0], 0
			}
			if ok {
				t.entries[name] = e
			} else { // the file itself was not wanted
				delete(t.entries, name)
			}
		}
	}
}

func section(file string, at, size int64) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(f, at, size), f}, nil
	}
}

// since is what a tree has that before has not: new and changed entries, and whiteouts of those that are gone
// (OCI image specification, layer.md).
func (t *tree) since(before *tree) (*tree, error) {
	delta := newTree()
	for name, e := range t.entries {
		old, ok := before.entries[name]
		same, err := ok && e.header.Typeflag == old.header.Typeflag, error(nil)
		if same {
			same, err = e.equal(old)
		}
		if err != nil {
			return nil, err
		}
		if !same {
			delta.add(e)
			t.addParents(delta, name)
		}
	}
	for name := range before.entries {
		if _, ok := t.entries[name]; ok {
			continue
		}
		if _, ok := t.entries[path.Dir(name)]; ok || path.Dir(name) == "." {
			delta.text(path.Join(path.Dir(name), ".wh."+path.Base(name)), 0o644, nil)
		}
	}
	// A hard link needs the file that it names in the same layer.
	for _, e := range delta.entries {
		if e.header.Typeflag == tar.TypeLink {
			delta.add(t.entries[e.header.Linkname])
		}
	}
	return delta, nil
}

// addParents keeps the modes of folders above a changed entry.
func (t *tree) addParents(delta *tree, name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if e, ok := t.entries[dir]; ok {
			delta.add(e)
		}
	}
}

func (e entry) equal(o entry) (bool, error) {
	a, b := e.header, o.header
	if a.Mode&0o7777 != b.Mode&0o7777 || a.Uid != b.Uid || a.Gid != b.Gid || a.Size != b.Size || a.Linkname != b.Linkname {
		return false, nil
	}
	if a.Typeflag != tar.TypeReg {
		return true, nil
	}
	x, err := e.digest()
	if err != nil {
		return false, err
	}
	y, err := o.digest()
	return x == y, err
}

func (e entry) digest() (sum [sha256.Size]byte, err error) {
	content, err := e.content()
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, content)
	return [sha256.Size]byte(h.Sum(nil)), errors.Join(err, content.Close())
}
