package environments

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"slipway"
	"slipway/internal/db"
)

// LockCheck lets one stage at a time use an environment: the check "Exclusive lock" of Azure Pipelines. A stage asks for the
// lock when its approvals are there, and has it until it is over.
type LockCheck struct {
	// TimeoutMinutes after which a stage that still waits is skipped; 0 means 30 days, as in Azure Pipelines.
	TimeoutMinutes int `json:"timeoutMinutes"`
}

// What happens to stages that wait for a lock, in the words of the pipeline's file.
const (
	// RunLatest cancels a stage that waits once one of a later run of its pipeline does.
	RunLatest = "runLatest"
	// Sequential lets all have the lock, in the order in which they began to wait, and those of one pipeline in the order of its runs.
	Sequential = "sequential"
)

const (
	lockKind     = "exclusiveLock"
	lockWaiting  = "waiting"
	lockHeld     = "held"
	lockReleased = "released"
)

func (c LockCheck) timeout() time.Duration {
	if c.TimeoutMinutes == 0 {
		return defaultTimeout
	}
	return time.Duration(c.TimeoutMinutes) * time.Minute
}

func (c LockCheck) check() error {
	if c.TimeoutMinutes < 0 || c.TimeoutMinutes > maxTimeoutMinutes {
		return slipway.Invalid("the timeout must be between 1 and %d minutes", maxTimeoutMinutes)
	}
	return nil
}

// Lock is a stage that has the lock of an environment, or waits for it.
type Lock struct {
	Run     slipway.RunID
	Stage   string
	Attempt int
	Held    bool
	Since   time.Time // it waits
}

// lockRequest is a stage that needs the locks of some environments, all of them at once.
type lockRequest struct {
	id           int64
	run          slipway.RunID
	pipeline     slipway.PipelineID
	stage        string
	attempt      int
	behavior     string
	held         bool
	since        time.Time
	environments []slipway.EnvironmentID
}

// meets is an environment that both need, 0 without one.
func (r lockRequest) meets(o lockRequest) slipway.EnvironmentID {
	for _, e := range r.environments {
		if slices.Contains(o.environments, e) {
			return e
		}
	}
	return 0
}

// decideLocks says who of those that wait gets its locks, and who is canceled since a later run of the same pipeline waits
// for one of the same locks. list is in the order of waiting. Who waits for several locks takes none of them before it can have all;
// whoever waits behind it for one of them stays behind it, so that nobody waits for ever.
func decideLocks(list []lockRequest) (granted []lockRequest, overtaken map[int64]lockRequest) {
	list = inOrderOfRuns(list)
	overtaken = map[int64]lockRequest{}
	for _, r := range list {
		if r.held || r.behavior == Sequential {
			continue
		}
		for _, later := range list {
			if !later.held && later.pipeline == r.pipeline && later.run > r.run && r.meets(later) != 0 {
				overtaken[r.id] = later
			}
		}
	}
	var taken []lockRequest
	for _, r := range list {
		if r.held {
			taken = append(taken, r)
		}
	}
	for _, r := range list {
		if _, over := overtaken[r.id]; over || r.held {
			continue
		}
		if !slices.ContainsFunc(taken, func(o lockRequest) bool { return r.meets(o) != 0 }) {
			granted = append(granted, r)
		}
		taken = append(taken, r)
	}
	return granted, overtaken
}

// inOrderOfRuns lets runs of one pipeline that wait swap places: those that were queued together ask for a lock in any order.
func inOrderOfRuns(list []lockRequest) []lockRequest {
	places := map[slipway.PipelineID][]int{}
	for i, r := range list {
		if !r.held {
			places[r.pipeline] = append(places[r.pipeline], i)
		}
	}
	ordered := slices.Clone(list)
	for _, at := range places {
		var own []lockRequest
		for _, i := range at {
			own = append(own, list[i])
		}
		slices.SortStableFunc(own, func(a, b lockRequest) int { return cmp.Compare(a.run, b.run) })
		for k, i := range at {
			ordered[i] = own[k]
		}
	}
	return ordered
}

// SetLock puts an exclusive lock before an environment, or takes it away when check is nil, which lets those that wait for it
// go on.
func (s *Service) SetLock(ctx context.Context, id slipway.EnvironmentID, check *LockCheck, by slipway.Actor) error {
	if check != nil {
		if err := check.check(); err != nil {
			return err
		}
		return s.setCheck(ctx, id, lockKind, check, by, nil)
	}
	return s.setCheck(ctx, id, lockKind, nil, by, func(tx *db.Tx) error {
		if err := s.holdLocks(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM environment_locks WHERE environment_id = $1`, int64(id)); err != nil {
			return err
		}
		return s.passLocks(ctx, tx, by)
	})
}

// LockOf returns an environment's exclusive lock, nil when it has none.
func (s *Service) LockOf(ctx context.Context, id slipway.EnvironmentID) (*LockCheck, error) {
	return checkOf[LockCheck](ctx, s.db, id, lockKind)
}

// Locks lists who has the lock of an environment and who waits for it, in that order.
func (s *Service) Locks(ctx context.Context, id slipway.EnvironmentID) ([]Lock, error) {
	all, err := lockRequests(ctx, s.db)
	if err != nil {
		return nil, err
	}
	var list []Lock
	for _, r := range all {
		if slices.Contains(r.environments, id) {
			list = append(list, Lock{Run: r.run, Stage: r.stage, Attempt: r.attempt, Held: r.held, Since: r.since})
		}
	}
	return list, nil
}

// maxLockRequests bounds the stages that hold locks or wait for one at the same time.
const maxLockRequests = 10_000

// lockRequests lists those that hold locks and then those that wait, in the order of waiting.
func lockRequests(ctx context.Context, q db.Querier) ([]lockRequest, error) {
	var list []lockRequest
	const query = `
		SELECT r.id, r.run, r.pipeline, r.stage, r.attempt, r.lock_behavior, r.lock_state, r.lock_since, l.environment_id
		FROM check_requests r JOIN environment_locks l ON l.request_id = r.id
		WHERE r.lock_state IN ('waiting', 'held') ORDER BY r.lock_state, r.lock_since, r.id, l.environment_id LIMIT $1`
	_, err := db.List(ctx, q, func(row interface{ Scan(...any) error }, _ *struct{}) error {
		var r lockRequest
		var state string
		var since int64
		var e slipway.EnvironmentID
		if err := row.Scan(&r.id, &r.run, &r.pipeline, &r.stage, &r.attempt, &r.behavior, &state, &since, &e); err != nil {
			return err
		}
		if n := len(list); n == 0 || list[n-1].id != r.id {
			r.held, r.since = state == lockHeld, db.Time(since)
			list = append(list, r)
		}
		last := &list[len(list)-1]
		last.environments = append(last.environments, e)
		return nil
	}, query, maxLockRequests)
	if err != nil {
		return nil, fmt.Errorf("list exclusive locks: %w", err)
	}
	return list, nil
}

// holdLocks lets transactions that decide about locks come one after the other. On SQLite all writing ones do.
func (s *Service) holdLocks(ctx context.Context, tx *db.Tx) error {
	if tx.Engine() != db.Postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `LOCK TABLE environment_locks IN EXCLUSIVE MODE`)
	return err
}

// askLocks remembers which locks a request needs.
func (s *Service) askLocks(ctx context.Context, tx *db.Tx, request int64, list []Environment) error {
	for _, e := range list {
		check, err := checkOf[LockCheck](ctx, tx, e.ID, lockKind)
		if err != nil {
			return err
		}
		if check == nil {
			continue
		}
		const insert = `INSERT INTO environment_locks (request_id, environment_id) VALUES ($1, $2) ON CONFLICT (request_id, environment_id) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, request, int64(e.ID)); err != nil {
			return fmt.Errorf("ask for the lock of environment %s: %w", e.Name, err)
		}
	}
	return nil
}

// queueForLocks lets a request whose approvals are there wait for the locks that it needs. It reports whether there are any.
func (s *Service) queueForLocks(ctx context.Context, tx *db.Tx, id int64, by slipway.Actor) (waits bool, err error) {
	if err := s.holdLocks(ctx, tx); err != nil {
		return false, err
	}
	const wanted = `SELECT c.settings FROM environment_locks l JOIN environment_checks c ON c.environment_id = l.environment_id AND c.kind = $2
		WHERE l.request_id = $1 ORDER BY l.environment_id`
	settings, err := db.List(ctx, tx, db.Value[string], wanted, id, lockKind)
	if err != nil || len(settings) == 0 {
		return false, err
	}
	patience := time.Duration(maxTimeoutMinutes) * time.Minute
	for _, text := range settings {
		var c LockCheck
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return false, fmt.Errorf("read exclusive lock: %w", err)
		}
		patience = min(patience, c.timeout())
	}
	now := s.clock.Now()
	const update = `UPDATE check_requests SET lock_state = 'waiting', lock_since = $2, lock_expires = $3 WHERE id = $1 AND state = 'pending' AND lock_state = ''`
	if _, err := tx.ExecContext(ctx, update, id, db.Micros(now), db.Micros(now.Add(patience))); err != nil {
		return false, fmt.Errorf("wait for locks: %w", err)
	}
	return true, s.passLocks(ctx, tx, by)
}

// passLocks gives locks that are free to who waits, and cancels who was overtaken.
func (s *Service) passLocks(ctx context.Context, tx *db.Tx, by slipway.Actor) error {
	list, err := lockRequests(ctx, tx)
	if err != nil {
		return err
	}
	// Whose last lock was taken away needs to wait for none.
	const free = `SELECT id FROM check_requests WHERE lock_state = 'waiting' AND id NOT IN (SELECT request_id FROM environment_locks) ORDER BY id`
	freed, err := db.List(ctx, tx, db.Value[int64], free)
	if err != nil {
		return err
	}
	granted, overtaken := decideLocks(list)
	for _, r := range granted {
		freed = append(freed, r.id)
	}
	for _, id := range freed {
		if err := s.complete(ctx, tx, id, Approved, "", by); err != nil {
			return err
		}
	}
	for _, r := range list {
		later, ok := overtaken[r.id]
		if !ok {
			continue
		}
		reason := fmt.Sprintf("run %d of the same pipeline waits for the exclusive lock too, and lockBehavior is %s: write lockBehavior: %s to let every run have it",
			later.run, RunLatest, Sequential)
		if err := s.complete(ctx, tx, r.id, Cancelled, reason, by); err != nil {
			return err
		}
	}
	return nil
}

// ReleaseChecks ends what a stage's attempt asked for: its locks go to the next, and what is still pending is canceled. It is
// called when the stage is over, and may come before RequestChecks, which then asks for nothing.
func (s *Service) ReleaseChecks(ctx context.Context, run slipway.RunID, stage string, attempt int) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.holdLocks(ctx, tx); err != nil {
			return err
		}
		nobody, err := json.Marshal(slipway.System)
		if err != nil {
			return err
		}
		now := db.Micros(s.clock.Now())
		const insert = `
			INSERT INTO check_requests (project, run, stage, attempt, requested_by, commit_id, state, created, completed, lock_state)
			VALUES ('', $1, $2, $3, $4, '', 'cancelled', $5, $5, 'released') ON CONFLICT (run, stage, attempt) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, int64(run), stage, attempt, string(nobody), now); err != nil {
			return fmt.Errorf("release checks of stage %s of run %d: %w", stage, run, err)
		}
		pending, err := listApprovals(ctx, tx, `r.run = $1 AND a.state = 'pending'`, int64(run), 0)
		if err != nil {
			return err
		}
		for _, a := range pending {
			if a.Stage != stage || a.Attempt != attempt {
				continue
			}
			a.State = Cancelled
			if err := s.storeApproval(ctx, tx, &a, slipway.System); err != nil {
				return err
			}
		}
		const release = `UPDATE check_requests SET lock_state = 'released', completed = CASE WHEN state = 'pending' THEN $4 ELSE completed END,
			state = CASE WHEN state = 'pending' THEN 'cancelled' ELSE state END WHERE run = $1 AND stage = $2 AND attempt = $3`
		if _, err := tx.ExecContext(ctx, release, int64(run), stage, attempt, now); err != nil {
			return fmt.Errorf("release checks of stage %s of run %d: %w", stage, run, err)
		}
		return s.passLocks(ctx, tx, slipway.System)
	})
}

// expireLocks gives up those that have waited for a lock for too long, and returns how many there were.
func (s *Service) expireLocks(ctx context.Context, now time.Time) (n int, err error) {
	const due = `SELECT id FROM check_requests WHERE lock_state = 'waiting' AND lock_expires <= $1 ORDER BY id LIMIT 1000`
	list, err := db.List(ctx, s.db, db.Value[int64], due, db.Micros(now))
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return len(list), s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.holdLocks(ctx, tx); err != nil {
			return err
		}
		for _, id := range list {
			if err := s.complete(ctx, tx, id, TimedOut, "the exclusive lock was not free in time", slipway.System); err != nil {
				return err
			}
		}
		return s.passLocks(ctx, tx, slipway.System)
	})
}

// Waits says of each stage of a run whose checks are pending what it waits for, in a sentence.
func (s *Service) Waits(ctx context.Context, run slipway.RunID) (map[string]string, error) {
	waits := map[string]string{}
	approvals, err := s.ApprovalsOf(ctx, run)
	if err != nil {
		return nil, err
	}
	for _, a := range approvals {
		if a.State == Pending {
			waits[a.Stage] = fmt.Sprintf("waits for an approval of environment %s", a.EnvironmentName)
		}
	}
	list, err := lockRequests(ctx, s.db)
	if err != nil {
		return nil, err
	}
	for i, r := range list {
		if r.run != run || r.held {
			continue
		}
		place := 1
		var before *lockRequest
		for k := range list[:i] {
			o := &list[k]
			if r.meets(*o) == 0 {
				continue
			}
			if !o.held {
				place++
			}
			before = cmp.Or(before, o)
		}
		if before == nil {
			continue // it has the lock in a moment
		}
		e, err := s.Get(ctx, r.meets(*before))
		if err != nil {
			return nil, err
		}
		waits[r.stage] = fmt.Sprintf("waits for run %d, stage %s, which has the exclusive lock of environment %s; place %d of those that wait", before.run, before.stage, e.Name, place)
		if !before.held {
			waits[r.stage] = fmt.Sprintf("waits for run %d, stage %s, which waits for the exclusive lock of environment %s before it; place %d of those that wait",
				before.run, before.stage, e.Name, place)
		}
	}
	return waits, nil
}
