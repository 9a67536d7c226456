package repos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway"
)

const (
	// movesAlone is the number of refs up to which a push leaves them to git, which writes each to disk by itself.
	movesAlone = 20
	// movesTime bounds the moving of many refs.
	movesTime = 10 * time.Minute
	// concurrentSyncs are the files that are written to disk at once: the file system takes many such wishes together.
	concurrentSyncs = 64
)

// together parts the moves of a push into those that the server makes itself and those that it leaves to git: a few, and such as git
// refuses by rules of its own (git-receive-pack(1)), as the deletion of the default branch.
func (r Repository) together(moves []refMove) (taken, left []refMove) {
	if len(moves) <= movesAlone {
		return nil, moves
	}
	for _, m := range moves {
		deep := strings.Count(m.Ref, "/") >= 2 && strings.HasPrefix(m.Ref, "refs/")
		lost := m.After.IsZero() && (m.Before.IsZero() || m.Ref == branchPrefix+r.DefaultBranch)
		if !deep || lost || checkRefName(m.Ref) != nil {
			left = append(left, m)
			continue
		}
		taken = append(taken, m)
	}
	return taken, left
}

// moveMany makes moves of a push whose objects are in the repository, and says which of them, by ref. Those that git refuses are left to it, which
// moves what it can and says what is wrong with the others, and so are all of an atomic push with any such.
//
// When refs moved but could not be brought to disk, it returns them with the error: the push has failed.
func (s *Service) moveMany(ctx context.Context, r Repository, moves []refMove, atomic bool) (done map[string]bool, failure error) {
	taken, left := r.together(moves)
	var sets, deletions []refMove
	for _, m := range taken {
		if m.After.IsZero() {
			deletions = append(deletions, m)
		} else {
			sets = append(sets, m)
		}
	}
	if atomic && (len(left) > 0 || len(sets) > 0 && len(deletions) > 0) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, movesTime)
	defer cancel()
	done = map[string]bool{}
	for _, part := range []struct {
		moves []refMove
		move  func(context.Context, slipway.RepositoryID, []refMove) error
	}{{deletions, s.deleteRefs}, {sets, s.setRefs}} {
		if len(part.moves) == 0 {
			continue
		}
		if err := part.move(ctx, r.ID, part.moves); err != nil && !errors.Is(err, errNotOnDisk) {
			s.logger.Info("moving the refs of a push together failed: git moves them one by one", "repository", r.ID, "refs", len(part.moves), "error", err)
			continue
		} else if err != nil {
			failure = errors.Join(failure, err)
		}
		for _, m := range part.moves {
			done[m.Ref] = true
		}
	}
	return done, failure
}

// errNotOnDisk says that refs have moved and a power failure may undo it.
var errNotOnDisk = errors.New("refs could not be written to disk")

// deleteRefs deletes refs that are where their moves say. Their packed form holds others too: git writes it to disk before it takes its place.
func (s *Service) deleteRefs(ctx context.Context, id slipway.RepositoryID, moves []refMove) error {
	if err := s.updateRefs(ctx, id, moves); err != nil {
		return err
	}
	return syncRefs(s.dir(id), moves)
}

// setRefs makes or moves refs: all or none.
func (s *Service) setRefs(ctx context.Context, id slipway.RepositoryID, moves []refMove) error {
	if len(moves) <= movesAlone {
		return s.updateRefs(ctx, id, moves)
	}
	return s.moveUnsynced(id, moves, func() error { return s.updateRefs(ctx, id, moves, "-c", unsyncedRefs) })
}

// unsyncedRefs is the setting by which git brings all but refs to disk. Git 2.39 does not understand `all,-reference`.
const unsyncedRefs = "core.fsync=objects,derived-metadata,index"

// moveUnsynced has move make or move many refs with unsyncedRefs, and then brings them to disk at once: git 2.39 does so with each by itself, some 250 a
// second. What a power failure in between leaves is mended by mendMoves: nobody may hear of the moves before. Of the moves Ref and Before count.
func (s *Service) moveUnsynced(id slipway.RepositoryID, moves []refMove, move func() error) error {
	note, err := s.noteMoves(id, moves)
	if err != nil {
		return err
	}
	moving := move()
	if err := syncRefs(s.dir(id), moves); err != nil {
		return errors.Join(err, moving, note.close()) // the note stays for mendMoves
	}
	if err := note.forget(); err != nil { // it is looked at again, and nothing is wrong
		s.logger.Warn("removing the note of moved refs failed", "repository", id, "error", err)
	}
	return moving
}

// updateRefs makes moves in one transaction of git's (git-update-ref(1)): all or none, each only from where its ref was before, unless it may be anywhere.
func (s *Service) updateRefs(ctx context.Context, id slipway.RepositoryID, moves []refMove, settings ...string) error {
	var lines strings.Builder
	for _, m := range moves {
		switch {
		case m.After.IsZero():
			fmt.Fprintf(&lines, "delete %s %s\n", m.Ref, m.Before)
		case m.Anywhere:
			fmt.Fprintf(&lines, "update %s %s\n", m.Ref, m.After)
		case m.Before.IsZero():
			fmt.Fprintf(&lines, "create %s %s\n", m.Ref, m.After)
		default:
			fmt.Fprintf(&lines, "update %s %s %s\n", m.Ref, m.After, m.Before)
		}
	}
	_, err := s.git.run(ctx, command{dir: s.dir(id), args: append(settings, "update-ref", "--stdin"), stdin: strings.NewReader(lines.String()), time: movesTime})
	return err
}

// syncRefs brings the refs of moves to disk that have files of their own, and the folders that they are in, up to the repository's. Whether one that
// has none was deleted or packed, its folder tells.
func syncRefs(dir string, moves []refMove) error {
	folders := map[string]bool{".": true}
	group := new(errgroup.Group)
	group.SetLimit(concurrentSyncs)
	sync := func(name string) {
		group.Go(func() error {
			err := syncFile(filepath.Join(dir, name))
			if missing(err) {
				return nil
			}
			return err
		})
	}
	for _, m := range moves {
		sync(m.Ref)
		for folder := path.Dir(m.Ref); !folders[folder]; folder = path.Dir(folder) {
			folders[folder] = true
		}
	}
	for folder := range folders {
		sync(folder)
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%w: %w", errNotOnDisk, err)
	}
	return nil
}

// missing says that there is no such file, or that what should be its folder is a file.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// syncFile brings a file, or what a folder lists, to disk (fsync(2)).
func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("write to disk: %w", err)
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("write %s to disk: %w", name, err), f.Close())
	}
	return f.Close()
}
