package extension

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"slipway"
	"slipway/internal/pipelines/task"
)

// Local are tasks that lie on this machine.
type Local struct {
	Tasks []Task
	// Catalog are their definitions, of the newest version of each.
	Catalog task.Catalog
	// ByDigest finds a task by the digest of its zip file.
	ByDigest map[slipway.Digest]*Task

	close []func() error
}

// Open reads tasks from paths: folders with a task.json, or with folders of such, zip files and .vsix files.
func Open(paths []string) (*Local, error) {
	l := &Local{ByDigest: map[slipway.Digest]*Task{}}
	for _, path := range paths {
		if err := l.add(path); err != nil {
			return nil, errors.Join(fmt.Errorf("task %s: %w", path, err), l.Close())
		}
	}
	if err := distinct(l.Tasks); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	var all []*task.Definition
	for i := range l.Tasks {
		t := &l.Tasks[i]
		digest, err := t.Digest()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.ByDigest[digest] = t
		all = append(all, t.Manifest.Definition(t.Extension, digest))
	}
	l.Catalog = task.Newest(all)
	return l, nil
}

// Close closes the files.
func (l *Local) Close() error {
	var all error
	for _, f := range l.close {
		all = errors.Join(all, f())
	}
	return all
}

func (l *Local) add(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read it: %w", err)
	}
	if info.IsDir() {
		return l.addFolder(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read it: %w", err)
	}
	l.close = append(l.close, f.Close)
	list, err := Read(f, info.Size())
	l.Tasks = append(l.Tasks, list...)
	return err
}

// addFolder takes a folder as a task's, or each folder in it that is one.
func (l *Local) addFolder(path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return fmt.Errorf("read it: %w", err)
	}
	l.close = append(l.close, root.Close)
	// First, since the wrong folder may be large and hold anything.
	own, _ := fs.Glob(root.FS(), manifestFile)
	inner, _ := fs.Glob(root.FS(), "*/"+manifestFile)
	if len(own)+len(inner) == 0 {
		return slipway.Invalid("there is no task.json in it, nor in a folder in it")
	}
	files, err := filesOf(root)
	if err != nil {
		return err
	}
	for _, folder := range taskFolders(files, ".") {
		if folder == "." {
			folder = ""
		}
		t, err := newTask("", folder, files)
		if err != nil {
			return err
		}
		l.Tasks = append(l.Tasks, t)
	}
	return nil
}

// filesOf lists the files of a folder. A link to a file in it is that file; other links are refused.
func filesOf(root *os.Root) ([]file, error) {
	var files []file
	err := fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if e != nil && e.IsDir() && e.Name() == ".git" {
				return fs.SkipDir
			}
			return err
		}
		info, err := root.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return slipway.Invalid("%s is neither a file nor a link to one in the folder: put a copy in its place", name)
		}
		if len(files) >= MaxFiles {
			return slipway.Limit("a task has at most %d files", MaxFiles)
		}
		files = append(files, file{name: name, size: uint64(info.Size()), mode: info.Mode().Perm(), open: func() (io.ReadCloser, error) { return root.Open(name) }})
		return nil
	})
	return files, err
}
