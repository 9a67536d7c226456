package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
)

// Flaw is what is wrong with a content.
type Flaw string

// The flaws.
const (
	FlawDamaged    Flaw = "damaged"    // its bytes are not what its digest says, or cannot be read
	FlawLost       Flaw = "lost"       // its bytes are gone from the object store
	FlawIncomplete Flaw = "incomplete" // a manifest names something that is not in its repository
)

// Finding is one content with a flaw, and what it is used for.
type Finding struct {
	Flaw   Flaw
	Digest slipway.Digest // of the blob or manifest at fault; of the manifest that is incomplete
	Detail string         // one sentence
	Uses   []Use
}

// Use is a repository in which a content is, with up to 100 tags of images that have it.
type Use struct {
	Repository string
	Tags       []string
}

// Progress is how far a verification is.
type Progress struct {
	Blobs, BlobsTotal int64
	Bytes, BytesTotal int64 // of the blobs
	Manifests         int64
	Findings          int64
}

const (
	verifyBatch      = 200
	progressInterval = 500 * time.Millisecond
)

// verification is one run of Verify.
type verification struct {
	*Service
	repo     Repository // zero for all
	found    func(Finding) error
	progress func(Progress) error
	done     Progress
	told     time.Time
	buffer   []byte
}

// Verify reads every blob and manifest of the repository again, or with its zero value of all, and compares them with
// their digests. It calls found for what is wrong and progress now and then, and once at the end. A blob that is damaged or
// lost is not served from then on, so that clients push it again, and a push replaces it; one that is sound again, since a
// backup brought it back, is served again. One verification runs at a time; CONFLICT otherwise.
func (s *Service) Verify(ctx context.Context, repo Repository, found func(Finding) error, progress func(Progress) error) error {
	if !s.verifying.TryLock() {
		return slipway.Conflict("the registry is being verified already: wait until that is over")
	}
	defer s.verifying.Unlock()
	v := &verification{Service: s, repo: repo, found: found, progress: progress, buffer: make([]byte, 1<<20)}
	const totals = `
		SELECT count(*), coalesce(sum(size), 0) FROM registry_blobs AS b
		WHERE CAST($1 AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM registry_blob_links AS l WHERE l.digest = b.digest AND l.repository_id = $1)`
	if err := s.db.QueryRowContext(ctx, totals, repo.ID).Scan(&v.done.BlobsTotal, &v.done.BytesTotal); err != nil {
		return fmt.Errorf("verify: count blobs: %w", err)
	}
	if err := errors.Join(v.blobRows(ctx), ctx.Err()); err != nil {
		return err
	}
	if err := v.manifestRows(ctx); err != nil {
		return err
	}
	return progress(v.done)
}

// tell reports progress, not too often.
func (v *verification) tell() error {
	if now := v.clock.Now(); now.Sub(v.told) >= progressInterval {
		v.told = now
		return v.progress(v.done)
	}
	return nil
}

func (v *verification) report(f Finding) error {
	v.done.Findings++
	return v.found(f)
}

// storedBlob is a row of a blob.
type storedBlob struct {
	digest slipway.Digest
	key    string
	size   int64
	rotten int64
}

func (v *verification) blobRows(ctx context.Context) error {
	const query = `
		SELECT b.digest, b.key, b.size, b.rotten FROM registry_blobs AS b
		WHERE b.digest > $1 AND (CAST($2 AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM registry_blob_links AS l WHERE l.digest = b.digest AND l.repository_id = $2))
		ORDER BY b.digest LIMIT $3`
	for last := slipway.Digest(""); ; {
		list, err := db.List(ctx, v.db, func(row interface{ Scan(...any) error }, b *storedBlob) error {
			return row.Scan((*string)(&b.digest), &b.key, &b.size, &b.rotten)
		}, query, string(last), v.repo.ID, verifyBatch)
		if err != nil {
			return fmt.Errorf("verify: list blobs: %w", err)
		}
		for _, b := range list {
			if err := v.blob(ctx, b); err != nil {
				return fmt.Errorf("verify blob %s: %w", b.digest, err)
			}
			last = b.digest
		}
		if len(list) < verifyBatch {
			return nil
		}
	}
}

// blob reads one blob. An error means that nothing can be said of it.
func (v *verification) blob(ctx context.Context, b storedBlob) error {
	before := v.done.Bytes
	flaw, detail, err := v.read(ctx, b)
	if err != nil {
		return err
	}
	v.done.Blobs, v.done.Bytes = v.done.Blobs+1, before+b.size
	if flaw == "" {
		if b.rotten != 0 {
			_, err = v.db.ExecContext(ctx, `UPDATE registry_blobs SET rotten = 0 WHERE digest = $1 AND key = $2`, string(b.digest), b.key)
		}
		return errors.Join(err, v.tell())
	}
	if known, err := v.markRotten(ctx, b.digest, b.key); err != nil || !known { // it was collected or replaced meanwhile
		return err
	}
	f := Finding{Flaw: flaw, Digest: b.digest, Detail: detail}
	if f.Uses, err = v.uses(ctx, b.digest); err != nil {
		return err
	}
	return errors.Join(v.report(f), v.tell())
}

// read compares a blob's bytes with its digest.
func (v *verification) read(ctx context.Context, b storedBlob) (Flaw, string, error) {
	o, err := v.blobs.Open(ctx, b.key)
	if errors.Is(err, blob.ErrNotFound) {
		return FlawLost, "its object " + b.key + " is not in the object store", nil
	}
	if err != nil {
		return unreadable(err)
	}
	defer o.Close()
	h := newHash(b.digest.Algorithm())
	for {
		if err := ctx.Err(); err != nil {
			return "", "", err
		}
		n, err := o.Read(v.buffer)
		h.Write(v.buffer[:n])
		v.done.Bytes += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unreadable(err)
		}
		if err := v.tell(); err != nil {
			return "", "", err
		}
	}
	if got := sum(b.digest.Algorithm(), h); got != b.digest {
		return FlawDamaged, fmt.Sprintf("its object %s has %d bytes of %d and digest %s", b.key, o.Size(), b.size, got), nil
	}
	return "", "", nil
}

// unreadable tells a disk that cannot read its own blocks from trouble that passes.
func unreadable(err error) (Flaw, string, error) {
	if errors.Is(err, syscall.EIO) {
		return FlawDamaged, "its object cannot be read: " + err.Error(), nil
	}
	return "", "", err
}

// markRotten notes that the content's object is not what it should be, as long as it is still the content's.
func (s *Service) markRotten(ctx context.Context, d slipway.Digest, key string) (known bool, err error) {
	const update = `UPDATE registry_blobs SET rotten = CASE WHEN rotten > 0 THEN rotten ELSE CAST($1 AS BIGINT) END WHERE digest = $2 AND key = $3`
	result, err := s.db.ExecContext(ctx, update, db.Micros(s.clock.Now()), string(d), key)
	if err != nil {
		return false, fmt.Errorf("mark blob %s as rotten: %w", d, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// repairManifest writes the content of a manifest that is there already again if it differs, as only a damaged one's can.
func repairManifest(ctx context.Context, tx *db.Tx, repo Repository, m Manifest) error {
	const update = `UPDATE registry_manifests SET content = $1, size = $2 WHERE repository_id = $3 AND digest = $4 AND content <> $1`
	_, err := tx.ExecContext(ctx, update, m.Content, m.Size, repo.ID, string(m.Digest))
	return err
}

// storedContent is a row of a manifest.
type storedContent struct {
	repo Repository
	Content
}

func (v *verification) manifestRows(ctx context.Context) error {
	const query = `
		SELECT m.repository_id, r.name, m.digest, m.media_type, m.content FROM registry_manifests AS m JOIN registry_repositories AS r ON r.id = m.repository_id
		WHERE (m.repository_id > $1 OR m.repository_id = $1 AND m.digest > $2) AND (CAST($3 AS BIGINT) = 0 OR m.repository_id = $3)
		ORDER BY m.repository_id, m.digest LIMIT $4`
	for last := (storedContent{}); ; {
		list, err := db.List(ctx, v.db, func(row interface{ Scan(...any) error }, c *storedContent) error {
			return row.Scan(&c.repo.ID, &c.repo.Name, (*string)(&c.Digest), &c.MediaType, &c.Bytes)
		}, query, last.repo.ID, string(last.Digest), v.repo.ID, verifyBatch)
		if err != nil {
			return fmt.Errorf("verify: list manifests: %w", err)
		}
		for _, c := range list {
			if err := v.manifest(ctx, c); err != nil {
				return fmt.Errorf("verify manifest %s of %s: %w", c.Digest, c.repo.Name, err)
			}
			last = c
		}
		if len(list) < verifyBatch {
			return nil
		}
	}
}

func (v *verification) manifest(ctx context.Context, c storedContent) error {
	v.done.Manifests++
	f := Finding{Digest: c.Digest}
	if got := DigestOf(c.Digest.Algorithm(), c.Bytes); got != c.Digest {
		f.Flaw, f.Detail = FlawDamaged, fmt.Sprintf("the manifest's row in the database has digest %s", got)
	} else if missing, err := v.missing(ctx, c); err != nil {
		return err
	} else if len(missing) > 0 {
		f.Flaw, f.Detail = FlawIncomplete, fmt.Sprintf("the manifest names %d contents that are not in %s, the first is %s", len(missing), c.repo.Name, missing[0])
	}
	if f.Flaw == "" {
		return v.tell()
	}
	use, err := v.use(ctx, c.repo, []string{string(c.Digest)})
	if err != nil {
		return err
	}
	f.Uses = []Use{use}
	return errors.Join(v.report(f), v.tell())
}

// missing lists what the manifest names and its repository does not have, other than what may be elsewhere.
func (v *verification) missing(ctx context.Context, c storedContent) ([]string, error) {
	if v.options.Sparse {
		return nil, nil
	}
	parsed, err := parseManifest(c.MediaType, c.Bytes)
	if err != nil {
		return nil, err
	}
	const query = `
		SELECT r.digest FROM registry_manifest_references AS r
		WHERE r.repository_id = $1 AND r.manifest = $2
		  AND NOT EXISTS (SELECT 1 FROM registry_blob_links AS l WHERE l.repository_id = r.repository_id AND l.digest = r.digest)
		  AND NOT EXISTS (SELECT 1 FROM registry_manifests AS m WHERE m.repository_id = r.repository_id AND m.digest = r.digest)
		ORDER BY r.position LIMIT 10000`
	list, err := db.List(ctx, v.db, db.Value[string], query, c.repo.ID, string(c.Digest))
	if err != nil {
		return nil, err
	}
	elsewhere := map[string]bool{}
	for _, r := range parsed.references() {
		elsewhere[r.Digest] = elsewhere[r.Digest] || r.elsewhere()
	}
	return slices.DeleteFunc(list, func(d string) bool { return elsewhere[d] }), nil
}

// uses lists the repositories that have a blob.
func (v *verification) uses(ctx context.Context, d slipway.Digest) ([]Use, error) {
	holders, err := v.Holders(ctx, d)
	if err != nil {
		return nil, err
	}
	var list []Use
	for _, repo := range holders {
		manifests, err := v.naming(ctx, repo, []string{string(d)})
		if err != nil {
			return nil, err
		}
		use, err := v.use(ctx, repo, manifests)
		if err != nil {
			return nil, err
		}
		list = append(list, use)
	}
	return list, nil
}

// use finds the tags that stand for the manifests, or for an index that has one of them.
func (v *verification) use(ctx context.Context, repo Repository, manifests []string) (Use, error) {
	u := Use{Repository: repo.Name}
	indexes, err := v.naming(ctx, repo, manifests)
	if err != nil {
		return u, err
	}
	for _, m := range slices.Compact(slices.Sorted(slices.Values(append(indexes, manifests...)))) {
		tags, err := db.List(ctx, v.db, db.Value[string], `SELECT name FROM registry_tags WHERE repository_id = $1 AND digest = $2 ORDER BY name LIMIT 100`, repo.ID, m)
		if err != nil {
			return u, fmt.Errorf("list tags of %s: %w", m, err)
		}
		u.Tags = append(u.Tags, tags...)
	}
	slices.Sort(u.Tags)
	u.Tags = u.Tags[:min(len(u.Tags), 100)]
	return u, nil
}

// naming lists up to 1000 manifests that name one of the contents, or name a manifest that does.
func (v *verification) naming(ctx context.Context, repo Repository, contents []string) ([]string, error) {
	const limit = 1000
	var list []string
	seen := map[string]bool{}
	for next := contents; len(next) > 0 && len(list) < limit; {
		d := next[0]
		next = next[1:]
		manifests, err := db.List(ctx, v.db, db.Value[string],
			`SELECT DISTINCT manifest FROM registry_manifest_references WHERE repository_id = $1 AND digest = $2 ORDER BY manifest LIMIT 1000`, repo.ID, d)
		if err != nil {
			return nil, fmt.Errorf("list what names %s: %w", d, err)
		}
		for _, m := range manifests {
			if !seen[m] {
				seen[m] = true
				list, next = append(list, m), append(next, m)
			}
		}
	}
	return list, nil
}
