// Package folder reads the pipeline files of a checkout on this machine's disk.
//
// It never reads outside of the checkout, through symbolic links either.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway"
	"slipway/internal/pipelines/yaml"
)

// Folder is a checkout. It implements compile.Files and may be used at once by many.
type Folder struct {
	// Path is its absolute path, with the links in it followed.
	Path string
	root *os.Root
}

// Open opens a folder.
func Open(path string) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Folder{path, root}, nil
}

// Around opens the repository around a file, which may not be there yet: the nearest folder above it that holds .git, or
// the file's own. relative is the file's path in it, with slashes.
func Around(file string) (f *Folder, relative string, err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, "", err
	}
	f, err = Open(repository(dir))
	if err != nil {
		return nil, "", err
	}
	relative, err = filepath.Rel(f.Path, filepath.Join(dir, filepath.Base(path)))
	return f, filepath.ToSlash(relative), err
}

func repository(dir string) string {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, ".git")); err == nil {
			return d
		} else if !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			return dir
		}
	}
}

// ReadFile reads a file by its path in the folder.
func (f *Folder) ReadFile(path string) ([]byte, error) {
	s, err := f.root.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case s.IsDir():
		return nil, fmt.Errorf("%s is a folder: %w", path, fs.ErrNotExist)
	case s.Size() > yaml.MaxBytes:
		return nil, slipway.Limit("%s has %d bytes, more than the %d allowed", path, s.Size(), yaml.MaxBytes)
	}
	return f.root.ReadFile(path)
}

// Close lets it go.
func (f *Folder) Close() error { return f.root.Close() }
