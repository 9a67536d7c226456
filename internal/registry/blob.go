package registry

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
)

func newHash(algorithm string) hash.Hash {
	if algorithm == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}

func sum(algorithm string, h hash.Hash) slipway.Digest {
	return slipway.Digest(algorithm + ":" + hex.EncodeToString(h.Sum(nil)))
}

// DigestOf is the digest of content by the algorithm, sha256 or sha512.
func DigestOf(algorithm string, content []byte) slipway.Digest {
	h := newHash(algorithm)
	h.Write(content)
	return sum(algorithm, h)
}

const keyPrefix = "registry/"

// newKey makes a key for the content's object: by digest for the eye, unique by a UUID that holds its time.
func newKey(d slipway.Digest) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make object key: %w", err)
	}
	return keyPrefix + d.Algorithm() + "/" + d.Hex() + "-" + strings.ReplaceAll(id.String(), "-", ""), nil
}

// keyTime is when newKey made the key; the zero time for a key of another form.
func keyTime(key string) time.Time {
	_, id, ok := strings.Cut(key, "-")
	u, err := uuid.Parse(id)
	if !ok || err != nil || u.Version() != 7 {
		return time.Time{}
	}
	sec, nsec := u.Time().UnixTime()
	return time.Unix(sec, nsec)
}

// verifier passes bytes on and fails at the end when they are not what the digest says.
type verifier struct {
	r    io.Reader
	h    hash.Hash
	want slipway.Digest
	left int64 // bytes that may still come
}

func (s *Service) verify(r io.Reader, want slipway.Digest) *verifier {
	return &verifier{r: r, h: newHash(want.Algorithm()), want: want, left: s.options.MaxBlob}
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.h.Write(p[:n])
	v.left -= int64(n)
	if v.left < 0 {
		return 0, fault(SizeInvalid, slipway.Limit("the blob is larger than this registry takes"))
	}
	if errors.Is(err, io.EOF) {
		if got := sum(v.want.Algorithm(), v.h); got != v.want {
			return n, mismatch(v.want, got)
		}
	}
	return n, err
}

func mismatch(want, got slipway.Digest) error {
	return fault(DigestInvalid, slipway.Invalid("the content has digest %s, not %s", got, want))
}

// PutBlob stores the content of r in the repository; DIGEST_INVALID when it is not what the digest says, DENIED as soon as it is more
// than the quotas leave: before its first byte if r has a Size.
func (s *Service) PutBlob(ctx context.Context, repo Repository, d slipway.Digest, r io.Reader) error {
	claim, err := s.newClaim(ctx, repo, "", d, r)
	if err != nil {
		return err
	}
	defer claim.end()
	key, size, err := s.store(ctx, d, claim)
	if err != nil {
		return err
	}
	return claim.settle(func() error { return s.record(ctx, repo, d, key, size, s.withinQuotas, nil) })
}

// store makes a durable, verified object, which no row names yet.
func (s *Service) store(ctx context.Context, d slipway.Digest, r io.Reader) (key string, size int64, err error) {
	if key, err = newKey(d); err == nil {
		size, err = s.blobs.Put(ctx, key, s.verify(r, d))
	}
	return key, size, err
}

// linking is how a repository gets a content.
type linking func(ctx context.Context, tx *db.Tx, repo Repository, d slipway.Digest, now int64) error

// record makes a durable, verified object readable in the repository. also runs in the same transaction, before the content is linked.
func (s *Service) record(ctx context.Context, repo Repository, d slipway.Digest, key string, size int64, link linking, also func(tx *db.Tx) error) error {
	now := db.Micros(s.clock.Now())
	var kept string
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		// The update changes nothing of a sound content; it locks the row, so that Collect cannot take it away meanwhile.
		// The object of a rotten one Collect finds without a row.
		const insert = `
			INSERT INTO registry_blobs (digest, key, size, created) VALUES ($1, $2, $3, $4)
			ON CONFLICT (digest) DO UPDATE SET size = excluded.size, rotten = 0,
				key = CASE WHEN registry_blobs.rotten > 0 THEN excluded.key ELSE registry_blobs.key END
			RETURNING key`
		if err := tx.QueryRowContext(ctx, insert, string(d), key, size, now).Scan(&kept); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return link(ctx, tx, repo, d, now)
	})
	if err != nil {
		err = fmt.Errorf("record blob %s of %s: %w", d, repo.Name, err)
		var refused *Error
		if errors.As(err, &refused) { // so no row names the object, and none ever will
			err = errors.Join(err, s.blobs.Delete(context.WithoutCancel(ctx), key))
		}
		return err
	}
	if kept != key { // the content was here already
		return s.blobs.Delete(ctx, key)
	}
	return nil
}

// link is the linking that asks nothing.
func link(ctx context.Context, tx *db.Tx, repo Repository, d slipway.Digest, now int64) error {
	const insert = `
		INSERT INTO registry_blob_links (repository_id, digest, touched) VALUES ($1, $2, $3)
		ON CONFLICT (repository_id, digest) DO UPDATE SET touched = excluded.touched`
	_, err := tx.ExecContext(ctx, insert, repo.ID, string(d), now)
	return err
}

// StatBlob is the length of a blob in the repository, BLOB_UNKNOWN when it has none of that digest. Who asks may be about to push a
// manifest that names it, so Collect leaves it alone for Options.Grace.
func (s *Service) StatBlob(ctx context.Context, repo Repository, d slipway.Digest) (int64, error) {
	found, err := s.findBlob(ctx, repo, d)
	if err != nil {
		return 0, err
	}
	const update = `UPDATE registry_blob_links SET touched = $1 WHERE repository_id = $2 AND digest = $3 AND touched < $4`
	return found.size, s.keep(ctx, update, found.touched, repo, d)
}

// keep brings a touched column up to date when half of the grace is over: a write at each look would be too dear.
func (s *Service) keep(ctx context.Context, update string, touched int64, repo Repository, d slipway.Digest) error {
	now := s.clock.Now()
	before := db.Micros(now.Add(-s.options.Grace / 2))
	if touched >= before {
		return nil
	}
	if _, err := s.db.ExecContext(ctx, update, db.Micros(now), repo.ID, string(d), before); err != nil {
		return fmt.Errorf("keep %s of %s: %w", d, repo.Name, err)
	}
	return nil
}

// OpenBlob opens a blob of the repository for reading; the caller closes it.
func (s *Service) OpenBlob(ctx context.Context, repo Repository, d slipway.Digest) (blob.Object, error) {
	found, err := s.findBlob(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	o, err := s.blobs.Open(ctx, found.key)
	switch {
	case err == nil && o.Size() == found.size:
		return o, nil
	case err == nil:
		_ = o.Close()
	case !errors.Is(err, blob.ErrNotFound):
		return nil, fmt.Errorf("open blob %s: %w", d, err)
	}
	// Collected in between, or lost: then the next push may bring it back.
	if known, err := s.markRotten(ctx, d, found.key); err != nil {
		return nil, err
	} else if known {
		s.logger.Error("the object of a registry blob is not there whole: push it again", "digest", d, "object", found.key, "size", found.size)
	}
	return nil, rotten(repo, d)
}

func rotten(repo Repository, d slipway.Digest) error {
	return fault(BlobUnknown, slipway.NotFound("blob %s of %s is damaged in the object store: push it again", d, repo.Name))
}

// linkedBlob is a blob as a repository has it.
type linkedBlob struct {
	key           string
	size, touched int64
}

func (s *Service) findBlob(ctx context.Context, repo Repository, d slipway.Digest) (b linkedBlob, err error) {
	const query = `
		SELECT b.key, b.size, b.rotten, l.touched FROM registry_blob_links AS l JOIN registry_blobs AS b ON b.digest = l.digest
		WHERE l.repository_id = $1 AND l.digest = $2`
	var foundRotten int64
	err = s.db.QueryRowContext(ctx, query, repo.ID, string(d)).Scan(&b.key, &b.size, &foundRotten, &b.touched)
	if db.IsNoRows(err) {
		return b, fault(BlobUnknown, slipway.NotFound("there is no blob %s in %s", d, repo.Name))
	}
	if err != nil {
		return b, fmt.Errorf("find blob %s of %s: %w", d, repo.Name, err)
	}
	if foundRotten != 0 {
		return b, rotten(repo, d)
	}
	return b, nil
}

// DeleteBlob takes the blob out of the repository at once; its bytes go with the next Collect when no other has them.
func (s *Service) DeleteBlob(ctx context.Context, repo Repository, d slipway.Digest) error {
	return s.db.Free(ctx, func(tx *db.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM registry_blob_links WHERE repository_id = $1 AND digest = $2`, repo.ID, string(d))
		if err != nil {
			return fmt.Errorf("delete blob %s of %s: %w", d, repo.Name, err)
		}
		if n, err := result.RowsAffected(); err == nil && n == 0 {
			return fault(BlobUnknown, slipway.NotFound("there is no blob %s in %s", d, repo.Name))
		}
		return nil
	})
}

// Holders lists up to 100 repositories that have the blob.
func (s *Service) Holders(ctx context.Context, d slipway.Digest) ([]Repository, error) {
	list, err := db.List(ctx, s.db, scanRepository, `
		SELECT `+repositoryColumns+` FROM registry_repositories
		WHERE id IN (SELECT repository_id FROM registry_blob_links WHERE digest = $1) ORDER BY id LIMIT 100`, string(d))
	if err != nil {
		return nil, fmt.Errorf("list holders of blob %s: %w", d, err)
	}
	return list, nil
}

// Mount gives the repository a blob that another one has; BLOB_UNKNOWN when that does not have it, DENIED when the quotas have no
// room for it.
func (s *Service) Mount(ctx context.Context, repo, from Repository, d slipway.Digest) error {
	now := db.Micros(s.clock.Now())
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := lockContent(ctx, tx, d); err != nil {
			return fmt.Errorf("mount blob %s from %s: %w", d, from.Name, err)
		}
		found, err := touch(ctx, tx, from, d, now)
		if err != nil {
			return fmt.Errorf("mount blob %s from %s: %w", d, from.Name, err)
		}
		if !found {
			return fault(BlobUnknown, slipway.NotFound("there is no blob %s in %s", d, from.Name))
		}
		if err := s.withinQuotas(ctx, tx, repo, d, now); err != nil {
			return fmt.Errorf("mount blob %s from %s: %w", d, from.Name, err)
		}
		return nil
	})
}

// lockContent locks a content's row before its links, in the order in which record does: a new link would lock it behind one of the others, and end in a
// deadlock. SQLite has one writer at a time.
func lockContent(ctx context.Context, tx *db.Tx, d slipway.Digest) error {
	if tx.Engine() != db.Postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT 1 FROM registry_blobs WHERE digest = $1 FOR KEY SHARE`, string(d))
	return err
}

// touch says whether the repository has the blob, sound as far as is known, and keeps Collect from taking it until the transaction ends.
func touch(ctx context.Context, tx *db.Tx, repo Repository, d slipway.Digest, now int64) (bool, error) {
	const update = `
		UPDATE registry_blob_links SET touched = $1
		WHERE repository_id = $2 AND digest = $3 AND EXISTS (SELECT 1 FROM registry_blobs WHERE digest = $3 AND rotten = 0)`
	result, err := tx.ExecContext(ctx, update, now, repo.ID, string(d))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
