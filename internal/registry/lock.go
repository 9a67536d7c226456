package registry

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// EventLocked tells that a repository, a tag or an image is locked otherwise. Its subject is the project, as that of EventSettingsChanged;
// LockedPayload.
const EventLocked events.Kind = "registry.locked"

// LockedPayload is the payload of EventLocked.
type LockedPayload struct {
	Repository string   `json:"repository"`
	Reference  string   `json:"reference,omitempty"` // a tag or digest; empty for the repository itself
	Forbidden  []string `json:"forbidden"`           // delete, write, read; none when it was unlocked
}

// Lock is what is forbidden of a repository with all that is in it, of a tag, or of a manifest, as Azure Container Registry's changeable attributes have it. Its
// zero value forbids nothing.
type Lock int64

// What a lock forbids, which may be added together.
const (
	LockDelete Lock = 1 << iota // to delete it
	LockWrite                   // to push to it or move it, and to delete it
	LockRead                    // to pull it

	lockAll = LockDelete | LockWrite | LockRead
)

// ParseLock reads the names that Strings gives.
func ParseLock(names []string) (l Lock, err error) {
	for _, name := range names {
		switch strings.TrimSpace(name) {
		case "delete":
			l |= LockDelete
		case "write":
			l |= LockWrite
		case "read":
			l |= LockRead
		default:
			return 0, slipway.Invalid("%q is nothing that a lock forbids: write delete, write or read", name)
		}
	}
	return l, nil
}

// Strings are the names of what the lock forbids: delete, write, read.
func (l Lock) Strings() []string {
	names := []string{}
	for i, name := range []string{"delete", "write", "read"} {
		if l&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// stays reports that what has the lock is not deleted.
func (l Lock) stays() bool { return l&(LockDelete|LockWrite) != 0 }

// locked says that a lock forbids something; what is a tag or digest of the repository, empty for itself.
func locked(repo Repository, what, forbidden string) error {
	name := "repository " + repo.Name
	switch {
	case IsTag(what):
		name = "tag " + what + " of " + repo.Name
	case what != "":
		name = "image " + what + " of " + repo.Name
	}
	return fault(Denied, slipway.Forbidden("%s is locked, which forbids %s: an administrator must unlock it first", name, forbidden))
}

// The two things that locks forbid of tags and images at the same places as immutable tags.
const (
	deletion = "to delete it"
	change   = "to change it"
)

// CheckPush refuses what is pushed to a repository that is locked.
func (r Repository) CheckPush() error {
	if r.Lock&LockWrite != 0 {
		return locked(r, "", "to push to it")
	}
	return nil
}

// checkDelete refuses to delete anything of a repository that is locked.
func (r Repository) checkDelete() error {
	if r.Lock.stays() {
		return locked(r, "", "to delete anything of it")
	}
	return nil
}

// CheckPull refuses to pull anything from a repository that is locked against it.
func (r Repository) CheckPull() error {
	if r.Lock&LockRead != 0 {
		return locked(r, "", "to pull from it")
	}
	return nil
}

// CheckPull refuses to pull a manifest that is locked against it, or was asked for by a tag that is.
func (c Content) CheckPull(r Repository, reference string) error {
	if c.lock&LockRead != 0 {
		return locked(r, reference, "to pull it")
	}
	return nil
}

// SetLock locks a repository (an empty reference), a tag or a manifest, or unlocks it; callers have authorized its administrator. Copies of other
// registries' images come and go by the rules of their upstreams and are not locked.
func (s *Service) SetLock(ctx context.Context, repo Repository, reference string, l Lock, by slipway.Actor) error {
	if l&^lockAll != 0 {
		return slipway.Invalid("a lock forbids deletion, changes and pulls, and nothing else")
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		copies, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM registry_cached_repositories WHERE repository_id = $1`, repo.ID)
		if err != nil {
			return fmt.Errorf("lock %s of %s: %w", reference, repo.Name, err)
		}
		if copies > 0 {
			return slipway.Unsupported("%s holds copies of another registry's images, which its upstream's settings govern: they are not locked", repo.Name)
		}
		where, args := ` WHERE id = $1 AND $2 = ''`, []any{repo.ID, reference, int64(l)}
		table := "registry_repositories"
		if reference != "" {
			table, where = "registry_tags", ` WHERE repository_id = $1 AND name = $2`
			if !IsTag(reference) {
				table, where = "registry_manifests", ` WHERE repository_id = $1 AND digest = $2`
			}
		}
		before, err := db.One(ctx, tx, db.Value[int64], `SELECT locks FROM `+table+where, args[:2]...)
		if db.IsNoRows(err) {
			return unknownManifest(repo, reference)
		}
		if err == nil && before != int64(l) {
			_, err = tx.ExecContext(ctx, `UPDATE `+table+` SET locks = $3`+where, args...)
		}
		if err != nil {
			return fmt.Errorf("lock %s of %s: %w", reference, repo.Name, err)
		}
		if before == int64(l) {
			return nil
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventLocked, Project: repo.Project, Actor: by, Subject: projectReference(repo)},
			LockedPayload{Repository: repo.Name, Reference: reference, Forbidden: l.Strings()})
	})
}
