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
	"slices"

	"slipway"
	"slipway/internal/pipelines/yaml"
)

// Folder is a checkout. It implements compile.Files and may be used at once by many.
type Folder struct {
	// Path is its absolute path, with the links in it followed.
	Path   string
	root   *os.Root
	bounds string
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
	return &Folder{Path: path, root: root}, nil
}

// Around opens the repository around a file, which may not be there yet: the nearest folder above it that holds .git, or else
// the working directory if the file lies below that, or the file's own folder. relative is the file's path in it, with slashes.
func Around(file string) (f *Folder, relative string, err error) {
	dir, err := folderOf(file)
	if err != nil {
		return nil, "", err
	}
	top, git := repository(dir)
	f, relative, err = Within(top, file)
	if err == nil && !git {
		f.bounds = fmt.Sprintf("which is %s, since no folder above the file holds .git: name the folder with --root, or run git init in it", f.Path)
	}
	return f, relative, err
}

// Within opens a folder for a file below it.
func Within(top, file string) (f *Folder, relative string, err error) {
	dir, err := folderOf(file)
	if err == nil {
		top, err = filepath.EvalSymlinks(top)
	}
	if err != nil {
		return nil, "", err
	}
	if f, err = Open(top); err != nil {
		return nil, "", err
	}
	relative, err = filepath.Rel(f.Path, filepath.Join(dir, filepath.Base(file)))
	if err == nil && !filepath.IsLocal(relative) {
		err = slipway.Invalid("%s does not lie below %s", file, top)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, filepath.ToSlash(relative), nil
}

// folderOf is the folder of a file, with the links in it followed.
func folderOf(file string) (string, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(filepath.Dir(path))
}

// repository is the folder that is taken as the repository of files in dir; git says that it holds .git.
func repository(dir string) (top string, git bool) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, ".git")); err == nil {
			return d, true
		} else if !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
	}
	here, err := os.Getwd()
	if err == nil {
		here, err = filepath.EvalSymlinks(here)
	}
	if err == nil && below(here, dir) && !tooHigh(here) {
		return here, false
	}
	return dir, false
}

func below(top, dir string) bool {
	relative, err := filepath.Rel(top, dir)
	return err == nil && filepath.IsLocal(relative)
}

// tooHigh reports whether a folder has more in it than a project: `slipway run` copies what is in the repository.
func tooHigh(dir string) bool {
	home, err := os.UserHomeDir()
	return dir == filepath.Dir(dir) || err == nil && dir == filepath.Clean(home)
}

// Bounds says why the folder ends where it does when nobody has named it, else "".
func (f *Folder) Bounds() string { return f.bounds }

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

// List names what is in a folder, nothing for one that is not there or cannot be read.
func (f *Folder) List(folder string) []string {
	if folder == "" {
		folder = "."
	}
	dir, err := f.root.Open(folder)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxNames)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	return names
}

// maxNames bounds how many names of a folder are looked at.
const maxNames = 10_000

// Close lets it go.
func (f *Folder) Close() error { return f.root.Close() }
