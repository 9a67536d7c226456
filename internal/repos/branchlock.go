package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// EventBranchLock says that a branch was locked or unlocked. Its subject is the repository, and its payload a BranchLockPayload.
const EventBranchLock events.Kind = "repos.branch_lock_changed"

// BranchLockPayload is the payload of EventBranchLock.
type BranchLockPayload struct {
	Ref    string `json:"ref"`
	Locked bool   `json:"locked"`
}

// BranchLock says that nobody changes a branch: neither pushes nor pages nor completed pull requests, whatever policies say. Mirrors, which make a
// repository equal to another, go on.
type BranchLock struct {
	Ref    string // refs/heads/main
	Locked time.Time
	By     slipway.Actor
}

// BranchLocks lists the locked branches of a repository by their full names.
func (s *Service) BranchLocks(ctx context.Context, id slipway.RepositoryID) (map[string]BranchLock, error) {
	scan := func(row interface{ Scan(...any) error }, l *BranchLock) error {
		var locked int64
		var by string
		if err := row.Scan(&l.Ref, &locked, &by); err != nil {
			return err
		}
		l.Locked = db.Time(locked)
		return json.Unmarshal([]byte(by), &l.By)
	}
	list, err := db.List(ctx, s.db, scan, `SELECT name, locked, locked_by FROM branch_locks WHERE repository = $1 LIMIT $2`, string(id), maxRefs)
	if err != nil {
		return nil, fmt.Errorf("list locked branches of repository %s: %w", id, err)
	}
	locks := map[string]BranchLock{}
	for _, l := range list {
		locks[l.Ref] = l
	}
	return locks, nil
}

// LockBranch locks a branch, or unlocks it. Only who locked it unlocks it, unless anyway says that the actor administers the project. What is so
// already stays so.
func (s *Service) LockBranch(ctx context.Context, by slipway.Actor, id slipway.RepositoryID, ref string, lock, anyway bool) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	name, isBranch := strings.CutPrefix(ref, branchPrefix)
	if !isBranch || checkBranch(name) != nil {
		return slipway.Invalid("%q is no branch: write refs/heads/NAME", shorten(ref, 100))
	}
	if _, err := s.Resolve(ctx, id, ref); err != nil {
		return err
	}
	locks, err := s.BranchLocks(ctx, id)
	if err != nil {
		return err
	}
	was, locked := locks[ref]
	switch {
	case locked == lock:
		return nil
	case locked && was.By.ID != by.ID && !anyway:
		return slipway.Forbidden("%s locked branch %s: they unlock it, or an administrator of the project", was.By.Name, name)
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		statement, values := `DELETE FROM branch_locks WHERE repository = $1 AND name = $2`, []any{string(id), ref}
		if lock {
			statement = `INSERT INTO branch_locks (repository, name, locked, locked_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
			values = append(values, db.Micros(s.clock.Now()), string(actor))
		}
		if _, err := tx.ExecContext(ctx, statement, values...); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, r.event(EventBranchLock, by), BranchLockPayload{Ref: ref, Locked: lock})
	})
	if err != nil {
		return fmt.Errorf("lock branch %s: %w", name, err)
	}
	return nil
}

// FieldLock is the field of a Conflict with the lock of a branch.
const FieldLock = "lock"

// refusal is what a change of the branch comes to.
func (l BranchLock) refusal() *slipway.Problem {
	p := slipway.Conflict("branch %s is locked by %s, so that nobody changes it: use another one, or have them or an administrator of the project unlock it on the page Branches",
		strings.TrimPrefix(l.Ref, branchPrefix), l.By.Name)
	p.Field = FieldLock
	return p
}

// checkLocked is a Conflict for a branch that is locked.
func (s *Service) checkLocked(ctx context.Context, id slipway.RepositoryID, ref string) error {
	locks, err := s.BranchLocks(ctx, id)
	if err != nil {
		return err
	}
	if l, ok := locks[ref]; ok {
		return l.refusal()
	}
	return nil
}

// lockRefusals says which locked branches a push would change.
func (s *Service) lockRefusals(ctx context.Context, id slipway.RepositoryID, ask pushCheck) ([]string, error) {
	locks, err := s.BranchLocks(ctx, id)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, m := range ask.moves {
		if l, ok := locks[m.Ref]; ok {
			message := l.refusal().Message
			lines = append(lines, strings.ToUpper(message[:1])+message[1:]+".")
		}
	}
	return lines, nil
}
