package repos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway"
	"slipway/internal/db"
)

const (
	// reconcileInterval is how often all repositories are compared with what was announced of them.
	reconcileInterval = 10 * time.Minute
	// staleLock is the age from which a lock file of a ref belongs to nobody: git holds them for milliseconds.
	staleLock = 5 * time.Minute
	// collectTimeout bounds one command of upkeep.
	collectTimeout = 30 * time.Minute
	// upkeepInterval is how often repositories are looked for that want upkeep, besides after pushes.
	upkeepInterval = time.Minute
)

// Run publishes what a crash left unpublished, then tidies repositories after pushes (garbage, sizes, stale locks),
// transfers what mirrors and forks have to, and looks for unpublished changes every ten minutes, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if err := s.Recover(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.runMirrors(ctx) })
	group.Go(func() error { return s.runForks(ctx) })
	group.Go(func() error { return s.runUpkeep(ctx) })
	return group.Wait()
}

func (s *Service) runUpkeep(ctx context.Context) error {
	expire, reconcile, due := time.NewTicker(idleReaderTime/2), time.NewTicker(reconcileInterval), time.NewTicker(upkeepInterval)
	defer expire.Stop()
	defer reconcile.Stop()
	defer due.Stop()
	for {
		if err := s.upkeepDue(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("looking for repositories that want upkeep failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case now := <-expire.C:
			s.readers.expire(now)
		case <-reconcile.C:
			s.reconcile(ctx)
		case <-due.C:
		case <-s.upkeep:
		}
	}
}

// Recover publishes the refs whose events were lost by a crash: those of pushes that had begun in the name of who
// pushed, others in the system's. Run begins with it; it does no harm at any other time.
func (s *Service) Recover(ctx context.Context) error {
	type push struct {
		id         int64
		repository slipway.RepositoryID
		actor      string
	}
	scan := func(row interface{ Scan(...any) error }, p *push) error {
		return row.Scan(&p.id, (*string)(&p.repository), &p.actor)
	}
	list, err := db.List(ctx, s.db, scan, `SELECT id, repository, actor FROM repository_pushes ORDER BY id LIMIT 10000`)
	if err != nil {
		return fmt.Errorf("list unfinished pushes: %w", err)
	}
	for _, p := range list {
		var actor slipway.Actor
		if err := json.Unmarshal([]byte(p.actor), &actor); err != nil {
			return fmt.Errorf("read actor of push %d: %w", p.id, err)
		}
		done, err := s.Announce(ctx, p.repository, actor)
		if err != nil {
			s.logger.Error("recovering a push failed", "repository", p.repository, "error", err)
			continue
		}
		s.logger.Info("unfinished push recovered", "repository", p.repository, "events", len(done))
		if err := s.forgetPush(ctx, p.id); err != nil {
			return err
		}
	}
	s.reconcile(ctx)
	return nil
}

// reconcile announces whatever is not yet announced, in all repositories. Faults of one do not keep the others waiting.
func (s *Service) reconcile(ctx context.Context) {
	s.purgeOld(ctx)
	ids, err := db.List(ctx, s.db, db.Value[string], `SELECT id FROM repositories WHERE deleted = 0 ORDER BY id`)
	if err != nil {
		s.logger.Error("listing repositories to reconcile failed", "error", err)
		return
	}
	for _, id := range ids {
		if ctx.Err() != nil {
			return
		}
		id := slipway.RepositoryID(id)
		if err := s.removeStaleLocks(id); err != nil {
			s.logger.Warn("removing stale locks failed", "repository", id, "error", err)
		}
		done, err := s.Announce(ctx, id, slipway.System)
		if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
			s.logger.Error("reconciling a repository failed", "repository", id, "error", err)
		}
		if len(done) > 0 {
			s.logger.Info("unannounced refs found", "repository", id, "events", len(done))
		}
	}
}

// requestUpkeep has Run look for repositories that want upkeep.
func (s *Service) requestUpkeep() {
	select {
	case s.upkeep <- struct{}{}:
	default:
	}
}

// folderSize adds up the files; those that vanish meanwhile count nothing.
func folderSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				size += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return size, err
}

// removeStaleLocks removes lock files of refs that a power cut left behind: they would refuse every later push.
func (s *Service) removeStaleLocks(id slipway.RepositoryID) error {
	dir := s.dir(id)
	limit := s.clock.Now().Add(-staleLock)
	remove := func(path string, d fs.DirEntry) error {
		info, err := d.Info()
		if err == nil && info.ModTime().Before(limit) {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	top, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range top {
		if d.Name() == "packed-refs.lock" || d.Name() == "HEAD.lock" {
			if err := remove(filepath.Join(dir, d.Name()), d); err != nil {
				return err
			}
		}
	}
	return filepath.WalkDir(filepath.Join(dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".lock") {
			return err
		}
		return remove(path, d)
	})
}
