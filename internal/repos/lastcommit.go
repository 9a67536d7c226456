package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"slipway"
)

// LastCommits finds the commit that changed each entry of a folder last, in one walk of the history that takes no longer than within.
// Entries whose commit the time did not suffice to find are missing, and complete is false. The empty path is the root.
func (s *Service) LastCommits(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string, within time.Duration) (last map[string]Commit, complete bool, err error) {
	path = strings.Trim(path, "/")
	key := folderKey{string(id), string(commit), path}
	if known, ok := s.caches.folders.Get(key); ok {
		return known, true, nil
	}
	entries, _, err := s.Tree(ctx, id, commit, path)
	if err != nil {
		return nil, false, err
	}
	w := &lastWalk{folder: path, open: map[string]bool{}, last: map[string]slipway.CommitID{}}
	for _, e := range entries {
		w.open[e.Name] = true
	}
	if err := s.walkLast(ctx, id, commit, w, within); err != nil {
		return nil, false, err
	}
	if last, err = s.named(ctx, id, w.last); err != nil {
		return nil, false, err
	}
	if complete = len(w.open) == 0; complete {
		s.caches.folders.Add(key, last)
	}
	return last, complete, nil
}

func (s *Service) walkLast(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, w *lastWalk, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	// -c: what a merge changed against all its parents is the merge's own.
	args := []string{"--literal-pathspecs", "log", "--format=%x01%H", "--name-only", "-z", "-c", "--no-renames", "--no-show-signature", string(commit), "--"}
	if w.folder != "" {
		args = append(args, w.folder+"/")
	}
	_, err := s.git.run(limited, command{dir: s.dir(id), args: args, out: w, time: within, long: true})
	switch {
	case err == nil, errors.Is(err, errAllFound):
		return nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return fmt.Errorf("find last commits in repository %s: %w", id, err)
}

// named reads the commits, each once.
func (s *Service) named(ctx context.Context, id slipway.RepositoryID, of map[string]slipway.CommitID) (map[string]Commit, error) {
	ids := slices.Compact(slices.Sorted(maps.Values(of)))
	list, err := s.commits(ctx, id, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[slipway.CommitID]Commit, len(list))
	for _, c := range list {
		byID[c.ID] = c
	}
	found := make(map[string]Commit, len(of))
	for name, commit := range of {
		found[name] = byID[commit]
	}
	return found, nil
}

var errAllFound = errors.New("the last commit of every entry is found")

// lastWalk reads `git log --format=%x01%H --name-only -z` as it comes, newest commit first.
type lastWalk struct {
	folder string
	open   map[string]bool             // entries whose last commit is not known yet
	last   map[string]slipway.CommitID // by entry
	commit slipway.CommitID
	rest   []byte
}

// Write takes the next piece.
func (w *lastWalk) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			break
		}
		w.take(string(append(w.rest, b[:i]...)))
		w.rest, b = w.rest[:0], b[i+1:]
		if len(w.open) == 0 {
			return n - len(b), errAllFound
		}
	}
	if len(w.rest)+len(b) > maxLogField {
		return 0, errors.New("a path in git's log is too long")
	}
	w.rest = append(w.rest, b...)
	return n, nil
}

// maxLogField bounds a path in git's log, in bytes.
const maxLogField = 1 << 20

// take takes a commit's line or a path. With -z, git ends the line of a commit by NUL and begins its paths with a line feed.
func (w *lastWalk) take(field string) {
	field = strings.TrimPrefix(field, "\n")
	if commit, ok := strings.CutPrefix(field, "\x01"); ok {
		commit, _, _ = strings.Cut(commit, "\n")
		w.commit = slipway.CommitID(commit)
		return
	}
	if w.folder != "" {
		below, ok := strings.CutPrefix(field, w.folder+"/")
		if !ok {
			return
		}
		field = below
	}
	name, _, _ := strings.Cut(field, "/")
	if w.open[name] {
		delete(w.open, name)
		w.last[name] = w.commit
	}
}
