package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway"
)

// lastWalk follows all entries of a folder through the history at once, each by the rule of git-log(1), "History Simplification", default mode: from a
// commit an entry goes to the first of its parents in which it is the same, and to that alone. Where it is the same in none, the commit is its last.
//
// Git lists the commits and their parents, children before their parents, or the newest first where that would take it long; then the parents of those
// that were listed are kept, since a clock that ran wrong puts a commit before its child. It is not asked for those alone that change the folder: at
// each merge it would compare the folder with all parents, and few of them are on the way of an entry.
type lastWalk struct {
	service *Service
	id      slipway.RepositoryID
	folder  string
	start   slipway.CommitID
	ctx     context.Context // of the walk that is under way

	open int                           // entries whose last commit is not known yet
	at   map[slipway.CommitID][]string // the open entries by the commit that they have come to
	tree map[slipway.CommitID]string   // object name of the folder in the commits of at and of the present piece; empty where there is none
	read map[string][][]byte           // entries of the folder by the object name of its tree
	size int                           // of the trees in read, in bytes
	last map[string]slipway.CommitID   // by entry
	// listed are the parents of the commits that were listed; nil when children come before their parents.
	listed map[slipway.CommitID][]slipway.CommitID
	rest   []byte                                   // a line that has not come to its end
	know   func(slipway.CommitID) map[string]Commit // what an earlier walk found; nil when there was none
}

// maxReadTrees bounds the trees of a folder that a walk remembers, in bytes.
const maxReadTrees = 8 << 20

var errAllFound = errors.New("the last commit of every entry is found")

func (s *Service) newLastWalk(id slipway.RepositoryID, commit slipway.CommitID, folder string, entries []Entry) *lastWalk {
	w := &lastWalk{
		service: s, id: id, folder: folder, start: commit, open: len(entries),
		at: map[slipway.CommitID][]string{}, tree: map[slipway.CommitID]string{}, read: map[string][][]byte{}, last: map[string]slipway.CommitID{},
		know: func(c slipway.CommitID) map[string]Commit {
			known, _ := s.caches.folders.Get(folderKey{string(id), string(c), folder})
			return known
		},
	}
	for _, e := range entries {
		w.at[commit] = append(w.at[commit], e.Name)
	}
	return w
}

// run walks until all is found, the history ends or the time is over.
func (w *lastWalk) run(ctx context.Context, within time.Duration) error {
	if w.open == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	w.ctx = limited
	args := []string{"rev-list", "--parents"}
	if w.service.hasGraph(w.id) {
		args = append(args, "--topo-order")
	} else { // git would list nothing until it has read the whole history
		w.listed = map[slipway.CommitID][]slipway.CommitID{}
	}
	args = append(args, string(w.start), "--")
	_, err := w.service.git.run(limited, command{dir: w.service.dir(w.id), args: args, out: w, time: within, long: true})
	switch {
	case err == nil, errors.Is(err, errAllFound):
		return nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return fmt.Errorf("find last commits in repository %s: %w", w.id, err)
}

// Write takes the next piece of git's list: a commit and its parents on each line.
func (w *lastWalk) Write(b []byte) (int, error) {
	end := bytes.LastIndexByte(b, '\n')
	if end < 0 {
		w.rest = append(w.rest, b...)
		return len(b), nil
	}
	text := string(w.rest) + string(b[:end])
	w.rest = append(w.rest[:0], b[end+1:]...)
	var list [][]slipway.CommitID
	for line := range strings.SplitSeq(text, "\n") {
		var commits []slipway.CommitID
		for name := range strings.FieldsSeq(line) {
			commits = append(commits, slipway.CommitID(name))
		}
		if len(commits) > 0 {
			list = append(list, commits)
		}
	}
	err := w.service.readers.with(w.ctx, w.service.dir(w.id), func(r *reader) error { return w.follow(r, list) })
	return len(b), err
}

// follow takes the entries through commits, each given with its parents.
func (w *lastWalk) follow(r *reader, list [][]slipway.CommitID) error {
	if err := w.lookAhead(r, list); err != nil {
		return err
	}
	for _, commits := range list {
		if w.listed != nil {
			w.listed[commits[0]] = commits[1:]
		}
		if err := w.visit(r, commits[0], commits[1:]); err != nil {
			return err
		}
	}
	for commit := range w.tree { // those that entries wait at alone are wanted again
		if len(w.at[commit]) == 0 {
			delete(w.tree, commit)
		}
	}
	return nil
}

// visit takes the entries that have come to a commit on to its parents, and further where these were listed before.
func (w *lastWalk) visit(r *reader, commit slipway.CommitID, parents []slipway.CommitID) error {
	type step struct {
		commit  slipway.CommitID
		parents []slipway.CommitID
	}
	for steps := []step{{commit, parents}}; len(steps) > 0; {
		at := steps[len(steps)-1]
		steps = steps[:len(steps)-1]
		if len(w.at[at.commit]) == 0 {
			continue
		}
		if err := w.leave(r, at.commit, at.parents); err != nil {
			return err
		}
		for _, parent := range at.parents {
			if above, ok := w.listed[parent]; ok {
				steps = append(steps, step{parent, above})
			}
		}
	}
	return nil
}

// leave takes the entries from a commit to its parents, and settles those that are the same in none.
func (w *lastWalk) leave(r *reader, commit slipway.CommitID, parents []slipway.CommitID) error {
	entries := w.at[commit]
	delete(w.at, commit)
	if known := w.know(commit); known != nil {
		entries = w.take(entries, known)
	}
	var err error
	for _, parent := range parents {
		if len(entries) == 0 {
			break
		}
		if entries, err = w.pass(r, entries, commit, parent); err != nil {
			return err
		}
	}
	w.settle(entries, commit)
	if w.open == 0 {
		return errAllFound
	}
	return nil
}

// take settles what an earlier walk found at a commit, and returns the entries that it did not find.
func (w *lastWalk) take(entries []string, known map[string]Commit) []string {
	var left []string
	for _, name := range entries {
		if c, ok := known[name]; ok {
			w.settle([]string{name}, c.ID)
		} else {
			left = append(left, name)
		}
	}
	return left
}

func (w *lastWalk) settle(entries []string, commit slipway.CommitID) {
	for _, name := range entries {
		w.last[name] = commit
	}
	w.open -= len(entries)
}

// pass moves the entries on to a parent that are the same there, and returns the others.
func (w *lastWalk) pass(r *reader, entries []string, commit, parent slipway.CommitID) ([]string, error) {
	is, err := w.treeOf(r, commit)
	if err != nil {
		return nil, err
	}
	was, err := w.treeOf(r, parent)
	if err != nil || was == "" {
		return entries, err
	}
	if is == was {
		w.at[parent] = append(w.at[parent], entries...)
		return nil, nil
	}
	now, err := w.entriesOf(r, is)
	if err != nil {
		return nil, err
	}
	before, err := w.entriesOf(r, was)
	if err != nil {
		return nil, err
	}
	changed := changedNames(before, now)
	same := w.at[parent]
	var left []string
	for _, name := range entries {
		if changed[name] {
			left = append(left, name)
		} else {
			same = append(same, name)
		}
	}
	if len(same) > 0 {
		w.at[parent] = same
	}
	return left, nil
}

// lookAhead asks for the folder's trees of the commits that the entries will most likely come to, many at a time: along first parents mostly.
func (w *lastWalk) lookAhead(r *reader, list [][]slipway.CommitID) error {
	likely := map[slipway.CommitID]bool{}
	var ask []slipway.CommitID
	for _, commits := range list {
		if !likely[commits[0]] && len(w.at[commits[0]]) == 0 {
			continue
		}
		if len(commits) > 1 {
			likely[commits[1]] = true
		}
		for _, c := range commits {
			if _, ok := w.tree[c]; !ok {
				w.tree[c] = ""
				ask = append(ask, c)
			}
		}
	}
	return w.ask(r, ask)
}

func (w *lastWalk) ask(r *reader, commits []slipway.CommitID) error {
	names := make([]string, len(commits))
	for i, c := range commits {
		names[i] = string(c) + ":" + w.folder
	}
	infos, err := r.infos(names)
	if err != nil {
		return err
	}
	for i, o := range infos {
		w.tree[commits[i]] = ""
		if o.kind == "tree" {
			w.tree[commits[i]] = o.id
		}
	}
	return nil
}

// treeOf is the object name of the folder in a commit, empty where there is none.
func (w *lastWalk) treeOf(r *reader, commit slipway.CommitID) (string, error) {
	if tree, ok := w.tree[commit]; ok {
		return tree, nil
	}
	err := w.ask(r, []slipway.CommitID{commit})
	return w.tree[commit], err
}

// entriesOf reads the entries of a tree as they are in it: mode, name and object name.
func (w *lastWalk) entriesOf(r *reader, tree string) ([][]byte, error) {
	if entries, ok := w.read[tree]; ok {
		return entries, nil
	}
	_, data, err := r.contents(tree, maxTree)
	if err != nil {
		return nil, fmt.Errorf("read folder %q: %w", w.folder, err)
	}
	if w.size += len(data); w.size > maxReadTrees {
		clear(w.read)
		w.size = len(data)
	}
	var entries [][]byte
	for size := len(tree) / 2; len(data) > 0; {
		end := bytes.IndexByte(data, 0) + 1 + size
		if end <= size || len(data) < end {
			return nil, errors.New("tree object is damaged")
		}
		entries, data = append(entries, data[:end:end]), data[end:]
	}
	w.read[tree] = entries
	return entries, nil
}

// changedNames are the entries of a tree that are new in it or differ from those before. Most of two trees is the same, at their beginnings and ends.
func changedNames(before, now [][]byte) map[string]bool {
	for len(before) > 0 && len(now) > 0 && bytes.Equal(before[0], now[0]) {
		before, now = before[1:], now[1:]
	}
	for len(before) > 0 && len(now) > 0 && bytes.Equal(before[len(before)-1], now[len(now)-1]) {
		before, now = before[:len(before)-1], now[:len(now)-1]
	}
	was := make(map[string]bool, len(before))
	for _, e := range before {
		was[string(e)] = true
	}
	changed := map[string]bool{}
	for _, e := range now {
		if !was[string(e)] {
			head, _, _ := bytes.Cut(e, []byte{0})
			_, name, _ := bytes.Cut(head, []byte{' '})
			changed[string(name)] = true
		}
	}
	return changed
}
