package repos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// concurrentForks bounds the syncs of forks that run at once.
const concurrentForks = 2

// runForks copies and syncs forks until ctx ends. What a server was doing when it died begins again.
func (s *Service) runForks(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE repository_fork_syncs SET state = 'queued' WHERE state = 'running'`); err != nil {
		return fmt.Errorf("take up forks again: %w", err)
	}
	return s.runQueue(ctx, concurrentForks, s.forksDue, func(ctx context.Context) (func(), error) {
		f, err := s.claimFork(ctx)
		if err != nil || f.ID == 0 {
			return nil, err
		}
		return func() { s.syncFork(ctx, f) }, nil
	})
}

// claimFork takes the sync that has waited longest; a zero one says that none does.
func (s *Service) claimFork(ctx context.Context) (f ForkSync, err error) {
	now := s.clock.Now()
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		f, err = db.One(ctx, tx, scanForkSync, `SELECT `+forkSyncColumns+` FROM repository_fork_syncs WHERE state = 'queued' ORDER BY id LIMIT 1`)
		if db.IsNoRows(err) {
			f = ForkSync{}
			return nil
		}
		if err != nil {
			return err
		}
		f.State, f.Started = MirrorRunning, now
		result, err := tx.ExecContext(ctx, `UPDATE repository_fork_syncs SET state = 'running', started = $2 WHERE id = $1 AND state = 'queued'`, f.ID, db.Micros(now))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 { // another server was first
			f = ForkSync{}
			return err
		}
		return nil
	})
	return f, err
}

// syncFork does one sync and records how it went.
func (s *Service) syncFork(ctx context.Context, f ForkSync) {
	defer s.forking.over(f)
	record, err := s.transferred(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, _ TransferLimits) error {
		return s.takeBranches(ctx, f, s.forking.begin(f, cancel))
	})
	if !record {
		return
	}
	if err := s.finishFork(ctx, f, err); err != nil {
		s.logger.Error("recording the sync of a fork failed", "repository", f.Repository, "error", err)
	}
}

func (s *Service) takeBranches(ctx context.Context, f ForkSync, t *transfer) error {
	to, err := s.Get(ctx, f.Repository)
	if err != nil {
		return err
	}
	from, err := s.Get(ctx, f.Source)
	if err == nil {
		err = from.CheckEnabled()
	}
	if err != nil {
		return err
	}
	if f.Initial {
		return s.copyRepository(ctx, f, from, to, t)
	}
	return s.fastForward(ctx, f, from, to, t)
}

// finishFork records the end of a sync and tells of it.
func (s *Service) finishFork(ctx context.Context, f ForkSync, failed error) error {
	switch {
	case failed == nil:
		f.State = MirrorSucceeded
	case errors.Is(failed, errMirrorCanceled):
		f.State = MirrorCanceled
	default:
		f.State, f.Problem = MirrorFailed, shorten(message(failed), 2<<10)
		if slipway.CodeOf(failed) == slipway.CodeInternal {
			f.Problem = "the server failed: try again, and tell whoever runs it if it happens again"
		}
		s.logger.Warn("the sync of a fork failed", "repository", f.Repository, "source", f.Source, "error", failed)
	}
	r, err := s.get(ctx, f.Repository)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const update = `UPDATE repository_fork_syncs SET state = $2, problem = $3, finished = $4 WHERE id = $1`
		if _, err := tx.ExecContext(ctx, update, f.ID, string(f.State), f.Problem, db.Micros(s.clock.Now())); err != nil {
			return err
		}
		// Of many, the latest are of use.
		const trim = `DELETE FROM repository_fork_syncs WHERE repository = $1 AND NOT initial AND state NOT IN ('queued', 'running') AND id NOT IN
			(SELECT id FROM repository_fork_syncs WHERE repository = $1 ORDER BY id DESC LIMIT 50)`
		if _, err := tx.ExecContext(ctx, trim, string(r.ID)); err != nil {
			return err
		}
		e := r.event(EventForkSynced, f.CreatedBy)
		e.References = []slipway.Reference{slipway.Ref(slipway.RefRepository, f.Source)}
		return s.log.Append(ctx, tx, e, ForkPayload{f.ID, r.Name, f.Source, f.Initial, string(f.State), f.Problem})
	})
	if err != nil {
		return fmt.Errorf("record sync %d: %w", f.ID, err)
	}
	return nil
}

// copyRepository gives a new fork the branches, tags and large files of another repository. Objects come first, and the refs all at once.
func (s *Service) copyRepository(ctx context.Context, f ForkSync, from, to Repository, t *transfer) error {
	defer s.lockBoth(from.ID, to.ID)()
	there, err := s.refsOnDisk(ctx, to.ID)
	if err != nil {
		return err
	}
	if len(there) == 0 { // else a server died when it had copied
		// The refs are read before the objects, so that none of theirs is missing.
		refs, err := s.refsOnDisk(ctx, from.ID)
		if err != nil {
			return err
		}
		if len(f.Branches) > 0 {
			only := refs[f.Branches[0].Source]
			if refs = map[string]Ref{}; only.Full != "" {
				refs[only.Full] = only
			}
		}
		t.say(fmt.Sprintf("Copying %d branches and tags", len(refs)))
		if err := s.copyObjects(ctx, f, from, to, refs, t); err != nil {
			return err
		}
		if err := s.createRefs(ctx, to.ID, refs); err != nil {
			return err
		}
	}
	if err := s.copyLarge(ctx, from.ID, to.ID, f.CreatedBy, t, "--branches", "--tags"); err != nil {
		return err
	}
	if _, err := s.Announce(context.WithoutCancel(ctx), to.ID, f.CreatedBy); err != nil {
		return err
	}
	return nil
}

// lockBoth keeps upkeep and other transfers away from two repositories.
func (s *Service) lockBoth(a, b slipway.RepositoryID) func() {
	if a > b {
		a, b = b, a
	}
	first := s.working.lock(a)
	second := s.working.lock(b)
	return func() { second(); first() }
}

// copyObjects gives the fork the objects. Within a project and of everything these are hard links, so that the copy costs neither time nor
// space, and deleting either repository harms the other nothing. Other members than those of its own see a fork in another project: it gets
// what its branches and tags lead to, and nothing that was deleted or is of pull requests.
func (s *Service) copyObjects(ctx context.Context, f ForkSync, from, to Repository, refs map[string]Ref, t *transfer) error {
	switch {
	case len(refs) == 0:
		return nil
	case from.Project == to.Project && len(f.Branches) == 0:
		return linkObjects(ctx, filepath.Join(s.dir(from.ID), "objects"), filepath.Join(s.dir(to.ID), "objects"))
	}
	var tips strings.Builder
	for _, r := range refs {
		tips.WriteString(r.Target + "\n")
	}
	cmd := s.git.prepare(ctx, s.dir(from.ID), "pack-objects", "--revs", "--progress", "--delta-base-offset", filepath.Join(s.dir(to.ID), "objects", "pack", "pack"))
	stderr := &lastBytes{limit: maxStderr}
	cmd.Stdin, cmd.Stderr = strings.NewReader(tips.String()), &tee{stderr, t}
	err := cmd.Run()
	killGroup(cmd)
	if err != nil {
		return fmt.Errorf("copy objects: %w", &gitError{verb: "pack-objects", stderr: strings.TrimSpace(string(stderr.b)), err: err})
	}
	return nil
}

// tee keeps what git says and shows it.
type tee struct {
	kept  *lastBytes
	shown *transfer
}

func (w *tee) Write(b []byte) (int, error) {
	_, _ = w.kept.Write(b)
	return w.shown.Write(b)
}

// linkObjects gives one folder of objects all that another has, by hard links: git never writes into files of objects. Beginning again after
// a crash goes on.
func linkObjects(ctx context.Context, from, to string) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && (strings.HasPrefix(name, "tmp_") || rel == "info"): // a push under way; what can be made again
			return filepath.SkipDir
		case d.IsDir():
			return makeFolder(filepath.Join(to, rel))
		case strings.HasPrefix(name, "tmp_"), strings.HasPrefix(name, ".tmp-"), strings.HasPrefix(name, "multi-pack-index"), strings.HasSuffix(name, ".lock"), strings.HasSuffix(name, ".keep"):
			return nil
		}
		if err := os.Link(path, filepath.Join(to, rel)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("copy objects: %w", err)
	}
	return nil
}

// createRefs makes the refs of a new fork, all or none.
func (s *Service) createRefs(ctx context.Context, id slipway.RepositoryID, refs map[string]Ref) error {
	var moves []refMove
	for _, r := range refs {
		moves = append(moves, refMove{Ref: r.Full, After: slipway.CommitID(r.Target)})
	}
	if err := s.setRefs(ctx, id, moves); err != nil {
		return fmt.Errorf("make branches of fork %s: %w", id, err)
	}
	return nil
}

// fastForward makes branches of a fork those of another repository, as far as they have no commits of their own.
func (s *Service) fastForward(ctx context.Context, f ForkSync, from, to Repository, t *transfer) error {
	if err := s.checkFilled(ctx, to.ID); err != nil {
		return err
	}
	theirs, err := s.refsOnDisk(ctx, from.ID, branchPrefix)
	if err != nil {
		return err
	}
	ours, err := s.refsOnDisk(ctx, to.ID, branchPrefix)
	if err != nil {
		return err
	}
	pairs := f.Branches
	if len(pairs) == 0 {
		for name := range theirs {
			pairs = append(pairs, SyncedBranch{name, name})
		}
		slices.SortFunc(pairs, func(a, b SyncedBranch) int { return strings.Compare(a.Source, b.Source) })
	}
	var moves []refMove
	for _, p := range pairs {
		m := refMove{Ref: p.Target, Before: ours[p.Target].Commit, After: theirs[p.Source].Commit}
		if m.After.IsZero() {
			return slipway.NotFound("repository %s has no branch %s any more", from.Name, strings.TrimPrefix(p.Source, branchPrefix))
		}
		if m.Before != m.After {
			moves = append(moves, m)
		}
	}
	if len(moves) == 0 {
		t.say("There is nothing new")
		return nil
	}
	if err := s.takeIn(ctx, incoming{from: from, to: to, moves: moves, actor: f.CreatedBy, shown: t}); err != nil {
		return err
	}
	forward, behind, err := s.forward(ctx, to, moves)
	if err != nil {
		return err
	}
	if len(forward) > 0 {
		if err := s.moveForward(ctx, f, from, to, forward, t); err != nil {
			return err
		}
	}
	if len(behind) > 0 {
		return slipway.Conflict("%s has commits that repository %s has not, so that it cannot be fast-forwarded: merge or rebase it with git, or open a pull request", strings.Join(behind, ", "), from.Name)
	}
	return nil
}

// moveForward moves branches of a fork whose objects are there.
func (s *Service) moveForward(ctx context.Context, f ForkSync, from, to Repository, moves []refMove, t *transfer) error {
	names := make([]string, len(moves))
	for i, m := range moves {
		names[i] = m.Ref
		if err := s.checkLocked(ctx, to.ID, m.Ref); err != nil {
			return err
		}
		titles, err := s.refuses(ctx, to, m)
		if err == nil && len(titles) > 0 {
			err = slipway.Conflict("%s", strings.Join(protectedLines(m, titles)[:len(titles)+1], " "))
		}
		if err == nil && m.Before.IsZero() {
			err = s.checkFree(ctx, to.ID, m.Ref)
		}
		if err != nil {
			return err
		}
	}
	if err := s.moveRefs(ctx, to.ID, moves...); err != nil {
		return err
	}
	t.say(fmt.Sprintf("%d branches moved", len(moves)))
	lasting := context.WithoutCancel(ctx) // the refs are on disk
	large := s.copyLarge(ctx, from.ID, to.ID, f.CreatedBy, t, revisionsOf(moves)...)
	_, err := s.Announce(lasting, to.ID, f.CreatedBy, names...)
	return errors.Join(large, err)
}

// revisionsOf are what the moves bring, as arguments of git rev-list.
func revisionsOf(moves []refMove) []string {
	var list []string
	for _, m := range moves {
		list = append(list, string(m.After))
		if !m.Before.IsZero() {
			list = append(list, "^"+string(m.Before))
		}
	}
	return list
}

// forward parts the moves that are fast-forwards from the branches that have commits of their own.
func (s *Service) forward(ctx context.Context, r Repository, moves []refMove) (forward []refMove, behind []string, err error) {
	for _, m := range moves {
		fast := m.Before.IsZero()
		if !fast {
			if fast, err = s.isAncestor(ctx, r.ID, m.Before, m.After); err != nil {
				return nil, nil, err
			}
		}
		if fast {
			forward = append(forward, m)
		} else if ahead, err := s.isAncestor(ctx, r.ID, m.After, m.Before); err != nil {
			return nil, nil, err
		} else if !ahead { // one that is ahead has all
			behind = append(behind, "branch "+strings.TrimPrefix(m.Ref, branchPrefix))
		}
	}
	return forward, behind, nil
}
