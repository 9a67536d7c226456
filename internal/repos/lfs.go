package repos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
)

// LFSObject is a large file of Git LFS.
type LFSObject struct {
	OID  string // SHA-256 in hex
	Size int64  // bytes
}

var oidForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// CheckOID refuses what names no object.
func CheckOID(oid string) error {
	if !oidForm.MatchString(oid) {
		return slipway.Invalid("%q is no object's name: it is 64 hex digits", shorten(oid, 80))
	}
	return nil
}

func lfsKey(id slipway.RepositoryID, oid string) string { return "lfs/" + string(id) + "/" + oid }

// LFSObject finds an object of a repository; NotFound when it was not uploaded.
func (s *Service) LFSObject(ctx context.Context, id slipway.RepositoryID, oid string) (LFSObject, error) {
	size, err := db.One(ctx, s.db, db.Value[int64], `SELECT size FROM lfs_objects WHERE repository = $1 AND oid = $2`, string(id), oid)
	if db.IsNoRows(err) {
		return LFSObject{}, slipway.NotFound("the repository has no large file %s: push it with git lfs push", shorten(oid, 12))
	}
	if err != nil {
		return LFSObject{}, fmt.Errorf("find large file %s: %w", oid, err)
	}
	return LFSObject{oid, size}, nil
}

// PutLFSObject stores an object whose bytes have the SHA-256 that names it; others are Invalid and leave nothing behind.
func (s *Service) PutLFSObject(ctx context.Context, by slipway.Actor, id slipway.RepositoryID, oid string, r io.Reader) (LFSObject, error) {
	if err := CheckOID(oid); err != nil {
		return LFSObject{}, err
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return LFSObject{}, fmt.Errorf("encode actor: %w", err)
	}
	size, err := s.Objects.Put(ctx, lfsKey(id, oid), &verified{r: r, sum: sha256.New(), want: oid})
	if err != nil {
		return LFSObject{}, fmt.Errorf("store large file %s: %w", oid, err)
	}
	const insert = `INSERT INTO lfs_objects (repository, oid, size, created, created_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
	if _, err := s.db.ExecContext(ctx, insert, string(id), oid, size, db.Micros(s.clock.Now()), string(actor)); err != nil {
		return LFSObject{}, fmt.Errorf("note large file %s: %w", oid, err)
	}
	return LFSObject{oid, size}, nil
}

// verified gives the bytes on and fails at their end when their sum is another.
type verified struct {
	r    io.Reader
	sum  hash.Hash
	want string
}

func (v *verified) Read(b []byte) (int, error) {
	n, err := v.r.Read(b)
	v.sum.Write(b[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(v.sum.Sum(nil)) != v.want {
		return n, slipway.Invalid("the bytes that arrived are not those of %s: push again", v.want)
	}
	return n, err
}

// OpenLFSObject opens an object; the caller closes it.
func (s *Service) OpenLFSObject(ctx context.Context, id slipway.RepositoryID, oid string) (blob.Object, error) {
	if _, err := s.LFSObject(ctx, id, oid); err != nil {
		return nil, err
	}
	o, err := s.Objects.Open(ctx, lfsKey(id, oid))
	if err != nil {
		return nil, fmt.Errorf("open large file %s: %w", oid, err)
	}
	return o, nil
}

// deleteLFSObjects removes what a deleted repository had.
func (s *Service) deleteLFSObjects(ctx context.Context, id slipway.RepositoryID) error {
	return s.deleteObjects(ctx, lfsKey(id, ""))
}

// deleteObjects removes the objects whose keys begin alike.
func (s *Service) deleteObjects(ctx context.Context, prefix string) error {
	if s.Objects == nil {
		return nil
	}
	var keys []string
	err := s.Objects.List(ctx, prefix, func(key string, _ int64) error { keys = append(keys, key); return nil })
	for _, key := range keys {
		err = errors.Join(err, s.Objects.Delete(ctx, key))
	}
	if err != nil {
		return fmt.Errorf("delete objects below %s: %w", prefix, err)
	}
	return nil
}

// LFSLock says that somebody works on a file that cannot be merged.
type LFSLock struct {
	ID     int64
	Path   string
	Owner  slipway.Actor
	Locked time.Time
}

// maxLFSLocks bounds the locks of one repository.
const maxLFSLocks = 10_000

// LockFile locks a path. One that is locked already is a Conflict, and returned.
func (s *Service) LockFile(ctx context.Context, by slipway.Actor, id slipway.RepositoryID, path string) (LFSLock, error) {
	l := LFSLock{Path: strings.Trim(path, "/"), Owner: by, Locked: s.clock.Now()}
	if err := checkNewPath(l.Path); err != nil {
		return l, err
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return l, fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM lfs_locks WHERE repository = $1`, string(id))
		if err != nil {
			return err
		}
		if n >= maxLFSLocks {
			return slipway.Limit("the repository has %d locks already: unlock some", n)
		}
		const insert = `INSERT INTO lfs_locks (repository, path, owner, locked) VALUES ($1, $2, $3, $4) RETURNING id`
		return tx.QueryRowContext(ctx, insert, string(id), l.Path, string(actor), db.Micros(l.Locked)).Scan(&l.ID)
	})
	if db.IsUniqueViolation(err) {
		there, err := s.Locks(ctx, id, LockFilter{Path: l.Path, Limit: 1})
		if err != nil || len(there) == 0 {
			return l, errors.Join(slipway.Conflict("%s was locked a moment ago: try again", l.Path), err)
		}
		return there[0], slipway.Conflict("%s has locked %s already", there[0].Owner.Name, l.Path)
	}
	if err != nil {
		return l, fmt.Errorf("lock %s: %w", l.Path, err)
	}
	return l, nil
}

// LockFilter chooses locks; what is zero matches all.
type LockFilter struct {
	Path  string
	ID    int64
	After int64 // by id
	Limit int
}

// Locks lists locks by their numbers.
func (s *Service) Locks(ctx context.Context, id slipway.RepositoryID, f LockFilter) ([]LFSLock, error) {
	query, args := `SELECT id, path, owner, locked FROM lfs_locks WHERE repository = $1 AND id > $2`, []any{string(id), f.After}
	if f.Path != "" {
		args = append(args, f.Path)
		query += ` AND path = $` + strconv.Itoa(len(args))
	}
	if f.ID != 0 {
		args = append(args, f.ID)
		query += ` AND id = $` + strconv.Itoa(len(args))
	}
	if f.Limit <= 0 || f.Limit > maxLFSLocks {
		f.Limit = maxLFSLocks
	}
	args = append(args, f.Limit)
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, l *LFSLock) error {
		var owner string
		var locked int64
		if err := row.Scan(&l.ID, &l.Path, &owner, &locked); err != nil {
			return err
		}
		l.Locked = db.Time(locked)
		return json.Unmarshal([]byte(owner), &l.Owner)
	}, query+` ORDER BY id LIMIT $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list locks of repository %s: %w", id, err)
	}
	return list, nil
}

// UnlockFile takes a lock away. That of another is taken by force alone, for which the caller has authorized the actor.
func (s *Service) UnlockFile(ctx context.Context, by slipway.Actor, id slipway.RepositoryID, lock int64, force bool) (LFSLock, error) {
	list, err := s.Locks(ctx, id, LockFilter{ID: lock})
	if err != nil {
		return LFSLock{}, err
	}
	if len(list) == 0 {
		return LFSLock{}, slipway.NotFound("there is no lock %d", lock)
	}
	if list[0].Owner.ID != by.ID && !force {
		return list[0], slipway.Forbidden("%s holds this lock: ask them, or an administrator of the project to unlock it with --force", list[0].Owner.Name)
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM lfs_locks WHERE repository = $1 AND id = $2`, string(id), lock); err != nil {
		return list[0], fmt.Errorf("unlock %s: %w", list[0].Path, err)
	}
	return list[0], nil
}
