package repos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/events"
)

// maxListed bounds a list of everything below a folder, in bytes of what git tells.
const maxListed = 64 << 20

// ListTree lists what is in a folder of a commit and below it, folders included, in the order of git.
func (s *Service) ListTree(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string) ([]Entry, error) {
	path = strings.Trim(path, "/")
	if err := errors.Join(checkCommitID(commit), checkPath(path)); err != nil {
		return nil, err
	}
	o, err := s.Object(ctx, id, string(commit)+":"+path)
	if err != nil {
		return nil, err
	}
	if o.Kind != "tree" {
		return nil, slipway.Invalid("%q is not a folder", path)
	}
	return s.TreeEntries(ctx, id, o.ID, path, true)
}

// TreeEntries lists the entries of a tree object, with those of the trees in it when recursive. Their paths begin with prefix.
func (s *Service) TreeEntries(ctx context.Context, id slipway.RepositoryID, tree, prefix string, recursive bool) ([]Entry, error) {
	if !objectLine().MatchString(tree) {
		return nil, slipway.Invalid("%q is no object's name", shorten(tree, 80))
	}
	args := []string{"ls-tree", "-z", "-l", "--full-tree"}
	if recursive {
		args = append(args, "-r", "-t")
	}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: append(args, tree), limit: maxListed, long: true})
	if errors.Is(err, errOutputLimit) {
		return nil, slipway.Limit("the folder holds too many files to list: clone the repository")
	}
	if err != nil {
		return nil, fmt.Errorf("list tree of repository %s: %w", id, err)
	}
	var list []Entry
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		head, name, ok := strings.Cut(line, "\t")
		fields := strings.Fields(head) // mode, type, object, size
		if !ok || len(fields) != 4 {
			continue
		}
		e := Entry{Name: name[strings.LastIndexByte(name, '/')+1:], Path: name, Kind: EntryFile, Object: fields[2]}
		if prefix != "" {
			e.Path = prefix + "/" + name
		}
		e.Size, _ = strconv.ParseInt(fields[3], 10, 64) // a hyphen for what has no size
		e.setMode(fields[0])
		list = append(list, e)
	}
	return list, nil
}

// Object is an object of git.
type Object struct {
	ID   string
	Kind string // commit, tree, blob, tag
	Size int64
}

// Object tells of an object by its name, or by `COMMIT:path`; NotFound when there is none.
func (s *Service) Object(ctx context.Context, id slipway.RepositoryID, name string) (Object, error) {
	commit, path, _ := strings.Cut(name, ":")
	if !objectLine().MatchString(commit) || checkPath(path) != nil {
		return Object{}, slipway.Invalid("%q is no object's name", shorten(name, 80))
	}
	var found object
	err := s.readers.with(ctx, s.dir(id), func(r *reader) (err error) {
		found, err = r.info(name)
		return err
	})
	if err == nil && found.missing() {
		err = slipway.NotFound("the repository has nothing called %s", shorten(name, 200))
	}
	return Object{found.id, found.kind, found.size}, err
}

// Blob returns a file's content by its object's name, of at most limit bytes.
func (s *Service) Blob(ctx context.Context, id slipway.RepositoryID, name string, limit int64) ([]byte, error) {
	if !objectLine().MatchString(name) {
		return nil, slipway.Invalid("%q is no object's name", shorten(name, 80))
	}
	var content []byte
	err := s.readers.with(ctx, s.dir(id), func(r *reader) error {
		o, data, err := r.contents(name, min(limit, MaxFile))
		switch {
		case errors.Is(err, errTooLarge):
			return slipway.Limit("object %s has %d bytes: clone the repository to get it", name, o.size)
		case err != nil:
			return err
		case o.missing() || o.kind != "blob":
			return slipway.NotFound("the repository has no file's object %s", name)
		}
		content = data
		return nil
	})
	return content, err
}

// TreeChange is the difference of one file between two commits, without its lines.
type TreeChange struct {
	Status               FileStatus
	OldPath, NewPath     string // as in FileDiff
	OldObject, NewObject string // object names; empty where there is none
	Kind                 string // blob, or commit for a submodule
}

// Path is the file's present name, or its last one.
func (c TreeChange) Path() string {
	if c.NewPath != "" {
		return c.NewPath
	}
	return c.OldPath
}

// Changes lists the files that differ between two commits, renames detected. A zero commit stands for nothing.
func (s *Service) Changes(ctx context.Context, id slipway.RepositoryID, from, to slipway.CommitID) (list []TreeChange, more bool, err error) {
	a, b, err := treeArguments(from, to)
	if err != nil {
		return nil, false, err
	}
	args := []string{"diff-tree", "-r", "-z", "-M", renameLimitArgument, "--raw", "--no-abbrev", a, b}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args})
	more = errors.Is(err, errOutputLimit)
	if err != nil && !more {
		return nil, false, fmt.Errorf("list changes of repository %s: %w", id, err)
	}
	fields := strings.Split(string(out), "\x00")
	for len(fields) >= 2 {
		c, used, ok := parseChange(fields)
		if !ok {
			break
		}
		list, fields = append(list, c), fields[used:]
	}
	return list, more, nil
}

// parseChange reads `:MODE MODE OBJECT OBJECT STATUS`, then one name, or two of a renamed file (git-diff-tree(1), raw output format).
func parseChange(fields []string) (c TreeChange, used int, ok bool) {
	head := strings.Fields(strings.TrimPrefix(fields[0], ":"))
	if len(head) != 5 {
		return c, 0, false
	}
	c = TreeChange{Status: FileModified, OldPath: fields[1], NewPath: fields[1], OldObject: string(objectOrZero(head[2])), NewObject: string(objectOrZero(head[3])), Kind: "blob"}
	if head[0] == "160000" || head[1] == "160000" {
		c.Kind = "commit"
	}
	switch head[4][0] {
	case 'A':
		c.Status, c.OldPath = FileAdded, ""
	case 'D':
		c.Status, c.NewPath = FileDeleted, ""
	case 'R', 'C':
		if len(fields) < 3 || fields[2] == "" {
			return c, 0, false
		}
		c.Status, c.NewPath = FileRenamed, fields[2]
		return c, 3, true
	}
	return c, 2, true
}

// Pushes lists the changes of a repository's branches and tags as they were announced, the latest first: at most limit of those with an id below
// before, which 0 leaves open. Those of many refs at once come together.
func (s *Service) Pushes(ctx context.Context, id slipway.RepositoryID, before int64, limit int) ([]PushRecord, error) {
	var records []PushRecord
	for _, kind := range []events.Kind{EventPushed, EventPushedMany} {
		list, err := s.log.List(ctx, events.Filter{Kind: kind, Reference: slipway.Ref(slipway.RefRepository, id), Before: before, Limit: limit})
		if err != nil {
			return nil, fmt.Errorf("list pushes of repository %s: %w", id, err)
		}
		for _, e := range list {
			p := PushRecord{ID: e.ID, Actor: e.Actor, When: e.Time}
			if kind == EventPushedMany {
				var many PushedMany
				err = e.Decode(&many)
				p.Repository, p.Name, p.Copied, p.Together, p.Updates = many.Repository, many.Name, many.Copied, true, many.Updates
			} else if err = e.Decode(&p.Pushed); err == nil {
				p.Updates = []RefMoved{{Ref: p.Ref, Before: p.Before, After: p.After}}
			}
			if err != nil {
				return nil, fmt.Errorf("read push %d: %w", e.ID, err)
			}
			records = append(records, p)
		}
	}
	slices.SortFunc(records, func(a, b PushRecord) int { return cmp.Compare(b.ID, a.ID) })
	return records[:min(len(records), limit)], nil
}

// Push returns one announced change of the repository by its id.
func (s *Service) Push(ctx context.Context, id slipway.RepositoryID, push int64) (PushRecord, error) {
	list, err := s.Pushes(ctx, id, push+1, 1)
	if err == nil && (len(list) == 0 || list[0].ID != push) {
		err = slipway.NotFound("the repository has no push %d", push)
	}
	if err != nil {
		return PushRecord{}, err
	}
	return list[0], nil
}

// PushRecord is an announced change of a branch or tag, or of many of them, of which Pushed tells neither ref nor commits.
type PushRecord struct {
	Pushed
	ID      int64
	Actor   slipway.Actor
	When    time.Time
	Updates []RefMoved // what moved: one, or many
}
