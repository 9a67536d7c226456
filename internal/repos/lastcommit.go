package repos

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"slipway"
)

// LastCommits finds the commit that changed each entry of a folder last, in one walk of the history that takes no longer than within: that which
// `git log -1 -- PATH` names.
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
	w := s.newLastWalk(id, commit, path, entries)
	if err := w.run(ctx, within); err != nil {
		return nil, false, err
	}
	if last, err = s.named(ctx, id, w.last); err != nil {
		return nil, false, err
	}
	if complete = w.open == 0; complete {
		s.caches.folders.Add(key, last)
	}
	return last, complete, nil
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
