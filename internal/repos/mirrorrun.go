package repos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	// concurrentTransfers bounds the transfers of mirrors that run at once.
	concurrentTransfers = 3
	// mirrorInterval is how often those that are due are looked for, besides after changes.
	mirrorInterval = 15 * time.Second
	// maxMirrorDelay bounds the time until a transfer that failed is tried again.
	maxMirrorDelay = time.Hour
)

// TransferLimits bound one transfer with another host.
type TransferLimits struct {
	Bytes int64         // that come from there
	Time  time.Duration // that it takes
}

// DefaultTransferLimits are those of a service that has none set.
var DefaultTransferLimits = TransferLimits{Bytes: 20 << 30, Time: 4 * time.Hour}

// wakeMirrors has those looked for that are due.
func (s *Service) wakeMirrors() { wake(s.mirrorsDue) }

// runMirrors transfers what is due until ctx ends. What a server was doing when it died begins again.
func (s *Service) runMirrors(ctx context.Context) error {
	const again = `UPDATE repository_mirrors SET state = 'queued', due = $1 WHERE state = 'running'`
	if _, err := s.db.ExecContext(ctx, again, db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("take up transfers again: %w", err)
	}
	return s.runQueue(ctx, concurrentTransfers, s.mirrorsDue, func(ctx context.Context) (func(), error) {
		m, err := s.claimMirror(ctx)
		if err != nil || m.ID == 0 {
			return nil, err
		}
		return func() { s.transfer(ctx, m) }, nil
	})
}

// runQueue does the work that claim takes, nil for none, so much at once, until ctx ends. It looks for more when it is told that some is
// due, and from time to time.
func (s *Service) runQueue(ctx context.Context, atOnce int, due chan struct{}, claim func(ctx context.Context) (func(), error)) error {
	tick := time.NewTicker(mirrorInterval)
	defer tick.Stop()
	var working sync.WaitGroup
	defer working.Wait()
	places := make(chan struct{}, atOnce)
	for {
		for {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			work, err := claim(ctx)
			if err != nil || work == nil {
				<-places
				if err != nil && ctx.Err() == nil {
					s.logger.Error("looking for transfers failed", "error", err)
				}
				break
			}
			working.Go(func() {
				defer func() { wake(due) }() // something may have waited for the place
				defer func() { <-places }()
				work()
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-due:
		}
	}
}

// wake tells whoever waits at the channel, once.
func wake(due chan struct{}) {
	select {
	case due <- struct{}{}:
	default:
	}
}

// claimMirror takes the one that has been due longest; a zero one says that there is none.
func (s *Service) claimMirror(ctx context.Context) (m Mirror, err error) {
	now := s.clock.Now()
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const query = `SELECT ` + mirrorColumns + ` FROM repository_mirrors WHERE due > 0 AND due <= $1 AND state <> 'running' ORDER BY due, id LIMIT 1`
		var err error
		m, err = db.One(ctx, tx, scanMirror, query, db.Micros(now))
		if db.IsNoRows(err) {
			m = Mirror{}
			return nil
		}
		if err != nil {
			return err
		}
		m.Started = now
		result, err := tx.ExecContext(ctx, `UPDATE repository_mirrors SET state = 'running', due = 0, started = $2 WHERE id = $1 AND state <> 'running'`, m.ID, db.Micros(now))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 { // another server was first
			m = Mirror{}
			return err
		}
		return nil
	})
	return m, err
}

// transfer does one transfer and records how it went.
func (s *Service) transfer(ctx context.Context, m Mirror) {
	defer s.transfers.end(m.ID)
	record, err := s.transferred(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, limits TransferLimits) error {
		return s.exchange(ctx, &m, s.transfers.start(m.ID, cancel), limits)
	})
	if !record {
		return
	}
	if err := s.finishMirror(ctx, m, err); err != nil {
		s.logger.Error("recording a transfer failed", "mirror", m.ID, "error", err)
	}
}

// transferred does work that may be canceled and has a limit of time, and gives its error. Not to be recorded is what the end of the server
// cut off, since the next one begins again, and work for what is gone.
func (s *Service) transferred(ctx context.Context, work func(context.Context, context.CancelCauseFunc, TransferLimits) error) (record bool, failed error) {
	limits := s.TransferLimits
	if limits == (TransferLimits{}) {
		limits = DefaultTransferLimits
	}
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limited, stop := context.WithTimeout(running, limits.Time)
	defer stop()
	failed = work(limited, cancel, limits)
	if ctx.Err() != nil {
		return false, nil
	}
	if cause := context.Cause(running); cause != nil {
		failed = cause
	}
	return !errors.Is(failed, errMirrorDeleted), failed
}

// exchange fills the repository from the other host, or the other way round.
func (s *Service) exchange(ctx context.Context, m *Mirror, t *transfer, limits TransferLimits) error {
	defer s.working.lock(m.Repository)()
	if _, err := s.Get(ctx, m.Repository); err != nil {
		return err
	}
	p, err := s.openPeer(ctx, m, t, limits)
	if err != nil {
		return err
	}
	defer p.access.Close()
	if m.Kind == MirrorPush {
		err = p.push(ctx)
	} else {
		err = p.pull(ctx)
	}
	if known, readErr := p.access.KnownHosts(); readErr == nil && known != "" {
		m.KnownHosts = known
	}
	return err
}

// finishMirror records the end of a transfer, plans the next and tells of it when it went another way than the last.
func (s *Service) finishMirror(ctx context.Context, m Mirror, failed error) error {
	was, now := m.State, s.clock.Now()
	first := m.Succeeded.IsZero()
	m.Finished = now
	delay := m.Every
	switch {
	case failed == nil:
		m.State, m.Problem, m.Failures, m.Succeeded = MirrorSucceeded, "", 0, now
	case errors.Is(failed, errMirrorCanceled):
		m.State, m.Problem = MirrorCanceled, ""
	default:
		m.State, m.Problem = MirrorFailed, shorten(message(failed), 1<<10)
		if slipway.CodeOf(failed) == slipway.CodeInternal {
			m.Problem = "the server failed: try again, and tell whoever runs it if it happens again"
		}
		s.logger.Warn("a transfer with another host failed", "mirror", m.ID, "repository", m.Repository, "error", failed)
		m.Failures++
		if m.Kind == MirrorPush || delay > 0 {
			delay = min(time.Minute<<min(m.Failures-1, 10), max(maxMirrorDelay, m.Every))
		}
	}
	next := time.Time{}
	if m.Enabled && delay > 0 && m.Kind != MirrorImport {
		next = now.Add(delay)
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		// A push that came meanwhile has set when it is due.
		const update = `UPDATE repository_mirrors SET state = $2, problem = $3, failures = $4, finished = $5, succeeded = $6, known_hosts = $7,
			due = CASE WHEN due = 0 THEN $8 ELSE due END WHERE id = $1`
		_, err := tx.ExecContext(ctx, update, m.ID, string(m.State), m.Problem, m.Failures, db.Micros(now), db.Micros(m.Succeeded), m.KnownHosts, db.Micros(next))
		if err != nil || m.State == was && !first && m.Kind != MirrorPush {
			return err
		}
		return s.tellMirror(ctx, tx, m, EventMirrorSynced, string(m.State), m.actor())
	})
	if err != nil {
		return fmt.Errorf("record transfer of mirror %d: %w", m.ID, err)
	}
	return nil
}

// actor is in whose name a mirror changes the repository.
func (m Mirror) actor() slipway.Actor {
	return slipway.Actor{Kind: slipway.ActorSystem, ID: "mirror", Name: "Mirror of " + shorten(m.URL, 200)}
}

// SyncMirror has a mirror transfer now, also one that failed or was canceled.
func (s *Service) SyncMirror(ctx context.Context, repository slipway.RepositoryID, id int64) (Mirror, error) {
	m, err := s.Mirror(ctx, repository, id)
	if err != nil {
		return m, err
	}
	if !m.Enabled {
		return m, slipway.Conflict("mirror %d is turned off: turn it on first", id)
	}
	if m.Kind == MirrorImport && m.State == MirrorSucceeded {
		return m, slipway.Conflict("the import has ended: make the repository a pull mirror to follow %s", m.URL)
	}
	const update = `UPDATE repository_mirrors SET due = $2, state = CASE WHEN state = 'running' THEN state ELSE 'queued' END WHERE id = $1`
	if _, err := s.db.ExecContext(ctx, update, id, db.Micros(s.clock.Now())); err != nil {
		return m, fmt.Errorf("sync mirror %d: %w", id, err)
	}
	s.wakeMirrors()
	return s.Mirror(ctx, repository, id)
}

// CancelMirror ends the transfer that waits or is under way. What it has not finished leaves nothing visible.
func (s *Service) CancelMirror(ctx context.Context, repository slipway.RepositoryID, id int64) error {
	m, err := s.Mirror(ctx, repository, id)
	if err != nil {
		return err
	}
	if s.transfers.cancel(id, errMirrorCanceled) {
		return nil
	}
	const update = `UPDATE repository_mirrors SET state = 'canceled', due = 0, finished = $2 WHERE id = $1 AND state = 'queued'`
	result, err := s.db.ExecContext(ctx, update, id, db.Micros(s.clock.Now()))
	if err != nil {
		return fmt.Errorf("cancel mirror %d: %w", id, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(slipway.Conflict("no transfer with %s waits or is under way", m.URL), err)
	}
	return nil
}

// pushDue makes the push mirrors of a repository due, in the transaction that announces a change of its refs.
func (s *Service) pushDue(ctx context.Context, tx *db.Tx, id slipway.RepositoryID) error {
	const update = `UPDATE repository_mirrors SET due = $2 WHERE repository = $1 AND kind = 'push' AND enabled`
	_, err := tx.ExecContext(ctx, update, string(id), db.Micros(s.clock.Now()))
	return err
}
