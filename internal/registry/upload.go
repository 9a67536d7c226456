package registry

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
)

// Upload is a blob that comes in pieces, over requests and restarts. The hash over what was received is kept with
// it, so that the digest is known at the end without reading the bytes again.
type Upload struct {
	ID        string
	Received  int64 // bytes
	repo      Repository
	algorithm string
	state     []byte
}

// StartUpload begins an upload. algorithm is the digest's, when the client says it beforehand, else empty.
func (s *Service) StartUpload(ctx context.Context, repo Repository, algorithm string) (Upload, error) {
	if algorithm == "" {
		algorithm = "sha256"
	}
	if algorithm != "sha256" && algorithm != "sha512" {
		return Upload{}, fault(DigestInvalid, slipway.Invalid("digest algorithm %.20q is not supported: use sha256 or sha512", algorithm))
	}
	u := Upload{ID: uuid.NewString(), repo: repo, algorithm: algorithm}
	var err error
	if u.state, err = saveHash(newHash(algorithm)); err != nil {
		return u, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM registry_uploads WHERE repository_id = $1`, repo.ID)
		if err != nil {
			return fmt.Errorf("start upload to %s: %w", repo.Name, err)
		}
		if n >= maxUploads {
			return fault(TooManyRequests, slipway.Limit("%d uploads to %s are under way: finish or cancel some", n, repo.Name))
		}
		const insert = `INSERT INTO registry_uploads (id, repository_id, algorithm, received, state, updated) VALUES ($1, $2, $3, 0, $4, $5)`
		if _, err := tx.ExecContext(ctx, insert, u.ID, repo.ID, algorithm, u.state, db.Micros(s.clock.Now())); err != nil {
			return fmt.Errorf("start upload to %s: %w", repo.Name, err)
		}
		return nil
	})
	return u, err
}

// Upload returns an upload under way.
func (s *Service) Upload(ctx context.Context, repo Repository, id string) (Upload, error) {
	const query = `SELECT id, algorithm, received, state FROM registry_uploads WHERE id = $1 AND repository_id = $2`
	u, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, u *Upload) error {
		return row.Scan(&u.ID, &u.algorithm, &u.Received, &u.state)
	}, query, id, repo.ID)
	u.repo = repo
	if db.IsNoRows(err) {
		return u, unknownUpload()
	}
	if err != nil {
		return u, fmt.Errorf("get upload %s: %w", id, err)
	}
	return u, nil
}

func unknownUpload() error {
	return fault(BlobUploadUnknown, slipway.NotFound("there is no such upload under way: begin again"))
}

// Append takes the next bytes of the upload from r. start is where they belong, or -1 for wherever it stands; a
// chunk out of order is a *RangeError. When r breaks, what came before is kept and counts. More than the quotas leave is DENIED, as PutBlob
// has it, and ends the upload.
func (s *Service) Append(ctx context.Context, u Upload, start int64, r io.Reader) (Upload, error) {
	if start >= 0 && start != u.Received {
		return u, &RangeError{u}
	}
	h, err := loadHash(u.algorithm, u.state)
	if err != nil {
		return u, err
	}
	claim, err := s.newClaim(ctx, u.repo, u.ID, "", r)
	if err != nil {
		return u, s.denied(ctx, u, err)
	}
	defer claim.end()
	source := &intake{r: claim, h: h, left: s.options.MaxBlob - u.Received}
	n, err := s.blobs.Append(ctx, u.ID, u.Received, source)
	switch {
	case claim.refused != nil:
		return u, s.denied(ctx, u, claim.refused)
	case errors.Is(err, blob.ErrBusy):
		return u, fault(BlobUploadInvalid, slipway.Conflict("another request is writing to this upload"))
	case errors.Is(err, blob.ErrOffset):
		return u, unknownUpload()
	case err != nil && (source.err == nil || n != source.taken): // ours, not the client's: the hash may be ahead of the object
		return u, fmt.Errorf("append to upload %s: %w", u.ID, err)
	}
	if u.state, err = saveHash(h); err != nil {
		return u, err
	}
	if err := claim.settle(func() error { return s.received(ctx, u, n) }); err != nil {
		return u, err
	}
	u.Received += n
	var mine *Error
	if source.err != nil && !errors.As(source.err, &mine) {
		return u, fault(BlobUploadInvalid, slipway.Invalid("the request broke off after %d bytes", n).Because(source.err))
	}
	return u, source.err
}

// denied ends an upload for which there is no room, so that what came of it takes none.
func (s *Service) denied(ctx context.Context, u Upload, err error) error {
	var refused *Error
	if !errors.As(err, &refused) {
		return err
	}
	return errors.Join(err, s.Cancel(context.WithoutCancel(ctx), u))
}

// received counts n more bytes of the upload, whose state is the one after them.
func (s *Service) received(ctx context.Context, u Upload, n int64) error {
	// The client may be gone; what it sent counts all the same.
	ctx = context.WithoutCancel(ctx)
	const update = `UPDATE registry_uploads SET received = $1, state = $2, updated = $3 WHERE id = $4 AND received = $5`
	result, err := s.db.ExecContext(ctx, update, u.Received+n, u.state, db.Micros(s.clock.Now()), u.ID, u.Received)
	if err != nil {
		return fmt.Errorf("append to upload %s: %w", u.ID, err)
	}
	if changed, err := result.RowsAffected(); err == nil && changed == 0 {
		return fault(BlobUploadInvalid, slipway.Conflict("another request is writing to this upload"))
	}
	return nil
}

// intake hashes what it passes on, bounds it, and remembers the error of its source.
type intake struct {
	r     io.Reader
	h     hash.Hash
	left  int64
	taken int64
	err   error
}

func (i *intake) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	if int64(n) > i.left {
		n, err = 0, fault(SizeInvalid, slipway.Limit("the blob is larger than this registry takes"))
	}
	i.left -= int64(n)
	i.taken += int64(n)
	i.h.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return n, err
}

// Finish makes the upload a blob of the repository under its digest; DIGEST_INVALID, and the end of the upload, when
// the received bytes are not what the digest says.
func (s *Service) Finish(ctx context.Context, repo Repository, u Upload, d slipway.Digest) error {
	if d.Algorithm() == u.algorithm {
		h, err := loadHash(u.algorithm, u.state)
		if err != nil {
			return err
		}
		if got := sum(u.algorithm, h); got != d {
			return errors.Join(mismatch(d, got), s.Cancel(ctx, u))
		}
	}
	key, err := newKey(d)
	if err != nil {
		return err
	}
	if u.Received == 0 { // then nothing was appended yet, perhaps
		if _, err := s.blobs.Append(ctx, u.ID, 0, eof{}); err != nil {
			return fmt.Errorf("finish upload %s: %w", u.ID, err)
		}
	}
	err = s.blobs.Commit(ctx, u.ID, u.Received, key)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrOffset) {
		return errors.Join(unknownUpload(), s.Cancel(ctx, u))
	}
	if err != nil {
		return fmt.Errorf("finish upload %s: %w", u.ID, err)
	}
	if d.Algorithm() != u.algorithm {
		if err := s.check(ctx, key, d); err != nil {
			return errors.Join(err, s.blobs.Delete(ctx, key), s.Cancel(ctx, u))
		}
	}
	err = s.record(ctx, repo, d, key, u.Received, s.withinQuotas, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM registry_uploads WHERE id = $1`, u.ID)
		return err
	})
	var refused *Error
	if errors.As(err, &refused) { // its bytes are gone
		return errors.Join(err, s.Cancel(ctx, u))
	}
	return err
}

// FinishWhole makes the bytes of r a blob of the repository and ends the upload, which has received nothing yet: most clients
// send all with the end, which then needs no upload's bytes in between. What Finish says of the digest holds here too; when
// r breaks, nothing is kept and the upload stays as it was.
func (s *Service) FinishWhole(ctx context.Context, repo Repository, u Upload, d slipway.Digest, r io.Reader) error {
	key, err := newKey(d)
	if err != nil {
		return err
	}
	source := &failing{r: r}
	claim, err := s.newClaim(ctx, u.repo, u.ID, d, Body{source, sizeOf(r)})
	if err != nil {
		return s.denied(ctx, u, err)
	}
	defer claim.end()
	size, err := s.blobs.Put(ctx, key, s.verify(claim, d))
	var mine *Error
	switch {
	case source.err != nil:
		return fault(BlobUploadInvalid, slipway.Invalid("the request broke off").Because(source.err))
	case errors.As(err, &mine):
		return errors.Join(err, s.Cancel(ctx, u))
	case err != nil:
		return fmt.Errorf("finish upload %s: %w", u.ID, err)
	}
	// What an empty chunk before it may have left goes with Collect.
	return claim.settle(func() error {
		return s.record(ctx, repo, d, key, size, s.withinQuotas, func(tx *db.Tx) error { return endUpload(ctx, tx, u) })
	})
}

// endUpload removes the upload's row, which another request may have done before: then it has had an end already.
func endUpload(ctx context.Context, tx *db.Tx, u Upload) error {
	result, err := tx.ExecContext(ctx, `DELETE FROM registry_uploads WHERE id = $1`, u.ID)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, unknownUpload())
	}
	return nil
}

// failing remembers the error of its source.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// check reads an object that no row names yet and compares it with the digest.
func (s *Service) check(ctx context.Context, key string, d slipway.Digest) error {
	o, err := s.blobs.Open(ctx, key)
	if err != nil {
		return fmt.Errorf("check blob %s: %w", d, err)
	}
	defer o.Close()
	_, err = io.Copy(io.Discard, s.verify(o, d))
	return err
}

// Cancel ends the upload and drops what was received.
func (s *Service) Cancel(ctx context.Context, u Upload) error {
	if err := s.blobs.Abort(ctx, u.ID); err != nil {
		return err
	}
	err := s.db.Free(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM registry_uploads WHERE id = $1`, u.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("cancel upload %s: %w", u.ID, err)
	}
	return nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func saveHash(h hash.Hash) ([]byte, error) {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, fmt.Errorf("hash %T cannot be saved", h)
	}
	return m.MarshalBinary()
}

func loadHash(algorithm string, state []byte) (hash.Hash, error) {
	h := newHash(algorithm)
	m, ok := h.(encoding.BinaryUnmarshaler)
	if !ok {
		return nil, fmt.Errorf("hash %T cannot be loaded", h)
	}
	if err := m.UnmarshalBinary(state); err != nil {
		return nil, fmt.Errorf("load hash: %w", err)
	}
	return h, nil
}
