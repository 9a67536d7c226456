package languageserver

import (
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"slipway/internal/pipelines/folder"
)

// files knows the repositories of the files that are open.
type files struct {
	mu sync.Mutex
	// folders by the directory of a file.
	folders map[string]*folder.Folder
}

func newFiles() *files { return &files{folders: map[string]*folder.Folder{}} }

func (f *files) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.folders {
		_ = d.Close()
	}
}

// around is the repository of a file and the file's path in it.
func (f *files) around(uri string) (d *folder.Folder, relative string, ok bool) {
	file, ok := pathOf(uri)
	if !ok {
		return nil, "", false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d = f.folders[filepath.Dir(file)]
	if d == nil {
		var err error
		if d, _, err = folder.Around(file); err != nil {
			return nil, "", false
		}
		f.folders[filepath.Dir(file)] = d
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return nil, "", false
	}
	relative, err = filepath.Rel(d.Path, filepath.Join(dir, filepath.Base(file)))
	return d, filepath.ToSlash(relative), err == nil
}

// pathOf is the path of a file URI.
func pathOf(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return "", false
	}
	return filepath.FromSlash(u.Path), true
}

func uriOf(file string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
}

// overlay is a repository as the editor shows it: open files have the text that is being typed.
type overlay struct {
	folder *folder.Folder       // nil for a file that is nowhere on the disk
	open   map[string]*document // by path in the repository
}

// ReadFile implements compile.Files.
func (o overlay) ReadFile(path string) ([]byte, error) {
	if d := o.open[path]; d != nil {
		return []byte(d.text), nil
	}
	if o.folder == nil {
		return nil, fs.ErrNotExist
	}
	return o.folder.ReadFile(path)
}

// List implements template.Lister.
func (o overlay) List(folder string) []string {
	if o.folder == nil {
		return nil
	}
	return o.folder.List(folder)
}

// overlay is the repository of a file with the open files of it.
func (s *Server) overlay(uri string, documents map[string]*document) (o overlay, relative string, ok bool) {
	around, relative, ok := s.files.around(uri)
	if !ok {
		return o, "", false
	}
	o = overlay{around, map[string]*document{}}
	for _, d := range documents {
		if f, path, ok := s.files.around(d.uri); ok && f.Path == around.Path {
			o.open[path] = d
		}
	}
	return o, relative, true
}

// included is the file that a template reference in a document names, open or not, with its URI.
func (s *Server) included(d *document, reference string) *document {
	o, from, ok := s.overlay(d.uri, s.snapshot())
	name, alias, other := strings.Cut(strings.ReplaceAll(reference, `\`, "/"), "@")
	if !ok || name == "" || other && !strings.EqualFold(alias, "self") {
		return nil
	}
	file := path.Join(path.Dir(from), name)
	if strings.HasPrefix(name, "/") {
		file = path.Clean(name[1:])
	}
	return o.document(file)
}

// document is a file of the repository, open or not; nil if there is none.
func (o overlay) document(file string) *document {
	if d := o.open[file]; d != nil {
		return d
	}
	text, err := o.ReadFile(file)
	if err != nil {
		return nil
	}
	return newDocument(uriOf(filepath.Join(o.folder.Path, filepath.FromSlash(file))), 0, string(text))
}

// maxListed bounds the files that are looked at for a completion.
const maxListed = 20_000

// templates lists YAML files of the repository, with paths from its root.
func (o overlay) templates() []string {
	var list []string
	seen := 0
	_ = filepath.WalkDir(o.folder.Path, func(file string, e fs.DirEntry, err error) error {
		if seen++; seen > maxListed || len(list) >= 1000 {
			return fs.SkipAll
		}
		if err != nil {
			return fs.SkipDir
		}
		switch name := e.Name(); {
		case e.IsDir() && (name == ".git" || name == "node_modules" || name == ".github"):
			return fs.SkipDir
		case !e.IsDir() && (strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml")):
			if relative, err := filepath.Rel(o.folder.Path, file); err == nil {
				list = append(list, filepath.ToSlash(relative))
			}
		}
		return nil
	})
	return list
}
