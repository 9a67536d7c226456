package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// staged is an object that is being written: a file without a name where the file system can give it one later, which spares
// two changes of a folder and leaves nothing behind when the process dies; else one in the folder for such files.
type staged struct {
	*os.File
	folder string
	name   string // empty: it has none
}

func (f *Files) stage() (*staged, error) {
	folder := filepath.Join(f.root, "staging")
	if f.unnamed {
		file, err := os.OpenFile(folder, unix.O_TMPFILE|os.O_WRONLY, 0o600)
		return &staged{File: file, folder: folder}, err
	}
	file, err := os.CreateTemp(folder, "put-")
	if err != nil {
		return nil, err
	}
	return &staged{File: file, folder: folder, name: file.Name()}, nil
}

// canLink says whether files without a name can get one: open(2) tells which systems can, and /proc must be there.
func (f *Files) canLink() bool {
	f.unnamed = true
	file, err := f.stage()
	if err != nil {
		return false
	}
	defer file.Close()
	name := filepath.Join(file.folder, "link")
	return file.link(name) == nil && os.Remove(name) == nil
}

func (s *staged) link(to string) error {
	err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", s.Fd()), unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: s.Name(), New: to, Err: err}
	}
	return nil
}

// place gives the synced file its name, over another that may have it, and makes that durable.
func (s *staged) place(to string) error {
	if err := makeFolder(filepath.Dir(to)); err != nil {
		return err
	}
	if s.name == "" {
		err := s.link(to)
		if err == nil {
			return syncFolder(filepath.Dir(to))
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A link replaces nothing; a new name does.
		name := filepath.Join(s.folder, "put-"+uuid.NewString())
		if err := s.link(name); err != nil {
			return err
		}
		s.name = name
	}
	if err := moveFile(s.name, to); err != nil {
		return err
	}
	s.name = ""
	return nil
}

// discard ends the writing, and removes the file if it was not placed.
func (s *staged) discard() {
	_ = s.Close()
	if s.name != "" {
		_ = os.Remove(s.name)
	}
}
