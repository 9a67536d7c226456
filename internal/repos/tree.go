package repos

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"slipway"
)

const (
	// maxTree bounds a folder's tree object, in bytes: some hundred thousand entries.
	maxTree = 8 << 20
	// maxEntries bounds the entries of a folder that are returned.
	maxEntries = 10_000
)

// EntryKind says what an entry of a tree is.
type EntryKind string

// The kinds of entries.
const (
	EntryFile      EntryKind = "file"
	EntryFolder    EntryKind = "folder"
	EntrySymlink   EntryKind = "symlink"
	EntrySubmodule EntryKind = "submodule"
)

// Entry is one entry of a folder.
type Entry struct {
	Name       string
	Path       string // from the repository's root
	Kind       EntryKind
	Executable bool
	Object     string // object name
	Size       int64  // of files, in bytes
}

// Tree returns the entries of a folder, folders first, each group by name, and whether there are more than 10000.
// The empty path is the root.
func (s *Service) Tree(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string) (list []Entry, more bool, err error) {
	path = strings.Trim(path, "/")
	if err := errors.Join(checkCommitID(commit), checkPath(path)); err != nil {
		return nil, false, err
	}
	err = s.readers.with(ctx, s.dir(id), func(r *reader) error {
		o, data, err := r.contents(string(commit)+":"+path, maxTree)
		if errors.Is(err, errTooLarge) && o.kind == "tree" {
			return slipway.Limit("the folder %q has too many entries to list", path)
		}
		if err != nil && !errors.Is(err, errTooLarge) {
			return err
		}
		if o.missing() {
			return slipway.NotFound("there is no folder %q at commit %s", path, commit.Short())
		}
		if o.kind != "tree" {
			return slipway.Invalid("%q is not a folder", path)
		}
		if list, err = parseTree(data, path, len(o.id)/2); err != nil {
			return err
		}
		slices.SortStableFunc(list, func(a, b Entry) int { return rank(a) - rank(b) })
		if more = len(list) > maxEntries; more {
			list = list[:maxEntries]
		}
		return addSizes(r, list)
	})
	return list, more, err
}

func rank(e Entry) int {
	if e.Kind == EntryFolder {
		return 0
	}
	return 1
}

// parseTree reads a tree object: `MODE NAME\0` and the raw object name, repeated.
func parseTree(data []byte, folder string, idSize int) ([]Entry, error) {
	var list []Entry
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, ok2 := strings.Cut(string(head), " ")
		if !ok || !ok2 || len(rest) < idSize {
			return nil, errors.New("tree object is damaged")
		}
		e := Entry{Name: name, Path: name, Kind: EntryFile, Object: hex.EncodeToString(rest[:idSize])}
		if folder != "" {
			e.Path = folder + "/" + name
		}
		e.setMode(mode)
		list = append(list, e)
		data = rest[idSize:]
	}
	return list, nil
}

// setMode says what an entry is by its mode as git has it.
func (e *Entry) setMode(mode string) {
	switch mode {
	case "40000", "040000":
		e.Kind = EntryFolder
	case "120000":
		e.Kind = EntrySymlink
	case "160000":
		e.Kind = EntrySubmodule
	case "100755":
		e.Executable = true
	}
}

func addSizes(r *reader, list []Entry) error {
	var names []string
	var of []int
	for i, e := range list {
		if e.Kind == EntryFile || e.Kind == EntrySymlink {
			names, of = append(names, e.Object), append(of, i)
		}
	}
	infos, err := r.infos(names)
	for i, o := range infos {
		list[of[i]].Size = o.size
	}
	return err
}

// File is a file at a commit.
type File struct {
	Path       string
	Object     string // object name
	Size       int64
	Binary     bool   // it holds a NUL among its first 8000 bytes (git's own rule) or is not UTF-8
	TooLarge   bool   // it is larger than was asked for, and Content is empty
	Content    []byte // the whole file
	Executable bool
	Symlink    bool // Content is the path it points to
}

// MaxFile is the largest file that is read into memory, in bytes, whatever is asked for.
const MaxFile = 64 << 20

// File reads a file of at most limit bytes. A larger one comes back without content, TooLarge set.
func (s *Service) File(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string, limit int64) (File, error) {
	path = strings.Trim(path, "/")
	if err := errors.Join(checkCommitID(commit), checkPath(path)); err != nil {
		return File{}, err
	}
	f := File{Path: path}
	err := s.readers.with(ctx, s.dir(id), func(r *reader) error {
		o, data, err := r.contents(string(commit)+":"+path, min(limit, MaxFile))
		if errors.Is(err, errTooLarge) {
			err, f.TooLarge = nil, true
		}
		if err != nil {
			return err
		}
		if o.missing() {
			return slipway.NotFound("there is no file %q at commit %s", path, commit.Short())
		}
		if o.kind != "blob" {
			return slipway.Invalid("%q is not a file", path)
		}
		f.Object, f.Size, f.Content, f.Binary = o.id, o.size, data, isBinary(data)
		return f.setMode(r, commit)
	})
	return f, err
}

// setMode looks the file up in its folder: only trees know modes.
func (f *File) setMode(r *reader, commit slipway.CommitID) error {
	folder, name := "", f.Path
	if i := strings.LastIndexByte(f.Path, '/'); i >= 0 {
		folder, name = f.Path[:i], f.Path[i+1:]
	}
	o, data, err := r.contents(string(commit)+":"+folder, maxTree)
	if err != nil || o.missing() {
		return err
	}
	list, err := parseTree(data, folder, len(o.id)/2)
	for _, e := range list {
		if e.Name == name {
			f.Executable, f.Symlink = e.Executable, e.Kind == EntrySymlink
		}
	}
	return err
}

// ReadFile returns the content of a file of at most limit bytes: NotFound when there is none, Limit when it is larger.
func (s *Service) ReadFile(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string, limit int64) ([]byte, error) {
	f, err := s.File(ctx, id, commit, path, limit)
	if err != nil {
		return nil, err
	}
	if f.TooLarge {
		return nil, slipway.Limit("the file %q has %d bytes, more than the %d allowed here", path, f.Size, limit)
	}
	return f.Content, nil
}

func isBinary(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 || !utf8.Valid(data)
}

// checkPath refuses what cannot be asked of cat-file or be no path in a tree.
func checkPath(path string) error {
	if len(path) > 4096 || strings.ContainsAny(path, "\x00\n") {
		return slipway.Invalid("%q is no path in a repository", shorten(path, 100))
	}
	return nil
}

// shorten cuts s to at most n bytes at a rune's border.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
