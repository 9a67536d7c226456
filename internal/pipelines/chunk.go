package pipelines

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/restic/chunker"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
)

// Artifacts are cut where their content says, so that what two of them have in common is found at whatever place, and each piece is
// kept once for the installation.
const (
	chunkPolynomial  = chunker.Pol(0x3DA3358B4DC173)
	minChunk         = 512 << 10 // bytes
	maxChunk         = 8 << 20   // bytes
	chunkAverageBits = 21        // 2 MiB
	// chunkGrace is how long a chunk is kept that no artifact has: an upload may have found it.
	chunkGrace = 24 * time.Hour
)

// chunk is a piece of an artifact, by where it begins.
type chunk struct {
	digest string
	key    string
	offset int64
	size   int64
}

// storeChunks cuts what r gives and keeps the pieces that are not there yet.
func (s *Service) storeChunks(ctx context.Context, r io.Reader) ([]chunk, error) {
	cut := chunker.NewWithBoundaries(r, chunkPolynomial, minChunk, maxChunk)
	cut.SetAverageBits(chunkAverageBits)
	buffer := make([]byte, maxChunk)
	var list []chunk
	var offset int64
	for {
		piece, err := cut.Next(buffer)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(piece.Data)
		c := chunk{digest: hex.EncodeToString(sum[:]), offset: offset, size: int64(len(piece.Data))}
		if err := s.storeChunk(ctx, c.digest, piece.Data); err != nil {
			return nil, fmt.Errorf("store a piece of the artifact: %w", err)
		}
		offset += c.size
		list = append(list, c)
	}
}

// storeChunk keeps a chunk unless it is there. Its row is written first, with its key in the digest's place, so that what a server that
// is killed leaves behind is found again.
func (s *Service) storeChunk(ctx context.Context, digest string, data []byte) error {
	now := db.Micros(s.clock.Now())
	there, err := s.touchChunk(ctx, digest, now)
	if err != nil || there {
		return err
	}
	key := "chunks/" + rand.Text()
	if _, err := s.db.ExecContext(ctx, `INSERT INTO pipeline_chunks (digest, blob_key, size, used) VALUES ($1, $1, $2, $3)`, key, len(data), now); err != nil {
		return err
	}
	if _, err := s.Blobs.Put(ctx, key, bytes.NewReader(data)); err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `UPDATE pipeline_chunks SET digest = $1 WHERE blob_key = $2`, digest, key)
	if !db.IsUniqueViolation(err) {
		return err
	}
	// Somebody else has stored the same meanwhile; ours is collected as if its server had been killed.
	if there, err = s.touchChunk(ctx, digest, now); err == nil && !there {
		err = slipway.Unavailable("a piece of the artifact went away while it was stored: send it again")
	}
	return err
}

func (s *Service) touchChunk(ctx context.Context, digest string, now int64) (there bool, err error) {
	result, err := s.db.ExecContext(ctx, `UPDATE pipeline_chunks SET used = $1 WHERE digest = $2`, now, digest)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// putChunks records of which chunks an artifact is.
func putChunks(ctx context.Context, tx *db.Tx, artifact int64, chunks []chunk) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_artifact_chunks WHERE artifact = $1`, artifact); err != nil {
		return err
	}
	for i, c := range chunks {
		if _, err := tx.ExecContext(ctx, `INSERT INTO pipeline_artifact_chunks (artifact, position, digest) VALUES ($1, $2, $3)`, artifact, i, c.digest); err != nil {
			return err
		}
	}
	return nil
}

// chunksOf are the chunks of an artifact, in order.
func (s *Service) chunksOf(ctx context.Context, artifact int64) ([]chunk, error) {
	var offset int64
	return db.List(ctx, s.db, func(row interface{ Scan(...any) error }, c *chunk) error {
		err := row.Scan(&c.digest, &c.key, &c.size)
		c.offset, offset = offset, offset+c.size
		return err
	}, `SELECT c.digest, c.blob_key, c.size FROM pipeline_artifact_chunks a JOIN pipeline_chunks c ON c.digest = a.digest WHERE a.artifact = $1 ORDER BY a.position`, artifact)
}

// collectChunks deletes the chunks that no artifact has. A chunk loses its digest before its object goes, so that no upload relies on it
// from then on.
func (s *Service) collectChunks(ctx context.Context) error {
	before := db.Micros(s.clock.Now().Add(-chunkGrace))
	const condemn = `UPDATE pipeline_chunks SET digest = blob_key WHERE digest <> blob_key AND used < $1
		AND NOT EXISTS (SELECT 1 FROM pipeline_artifact_chunks a WHERE a.digest = pipeline_chunks.digest)`
	if _, err := s.db.ExecContext(ctx, condemn, before); err != nil {
		return fmt.Errorf("look for chunks that nothing has: %w", err)
	}
	for {
		keys, err := db.List(ctx, s.db, db.Value[string], `SELECT blob_key FROM pipeline_chunks WHERE digest = blob_key AND used < $1 LIMIT 500`, before)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, key := range keys {
			if err := s.Blobs.Delete(ctx, key); err != nil {
				return fmt.Errorf("delete a chunk that nothing has: %w", err)
			}
			if _, err := s.db.ExecContext(ctx, `DELETE FROM pipeline_chunks WHERE blob_key = $1 AND digest = blob_key`, key); err != nil {
				return fmt.Errorf("delete a chunk that nothing has: %w", err)
			}
		}
	}
}

// chunked is an artifact's tar file, read chunk by chunk; each is verified.
type chunked struct {
	ctx    context.Context
	blobs  blob.Store
	chunks []chunk
	size   int64
	at     int64
	held   int // the number of the chunk in data, -1 for none
	data   []byte
}

func newChunked(ctx context.Context, blobs blob.Store, chunks []chunk) *chunked {
	c := &chunked{ctx: ctx, blobs: blobs, chunks: chunks, held: -1}
	if n := len(chunks); n > 0 {
		c.size = chunks[n-1].offset + chunks[n-1].size
	}
	return c
}

// Size implements blob.Object.
func (c *chunked) Size() int64 { return c.size }

// Close implements io.Closer.
func (c *chunked) Close() error { return nil }

// Seek implements io.Seeker.
func (c *chunked) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return c.at, errors.New("seek before the beginning")
	}
	c.at = offset
	return offset, nil
}

// Read implements io.Reader.
func (c *chunked) Read(p []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	if c.held < 0 || c.at < c.chunks[c.held].offset || c.at >= c.chunks[c.held].offset+c.chunks[c.held].size {
		if err := c.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.data[c.at-c.chunks[c.held].offset:])
	c.at += int64(n)
	return n, nil
}

// load reads the chunk in which the next byte lies.
func (c *chunked) load() error {
	i, _ := slices.BinarySearchFunc(c.chunks, c.at, func(one chunk, at int64) int {
		if one.offset+one.size <= at {
			return -1
		}
		if one.offset > at {
			return 1
		}
		return 0
	})
	one := &c.chunks[i]
	c.held = -1
	o, err := c.blobs.Open(c.ctx, one.key)
	if err != nil {
		return fmt.Errorf("open a piece of the artifact: %w", err)
	}
	defer o.Close()
	if c.data, err = io.ReadAll(io.LimitReader(o, maxChunk+1)); err != nil {
		return fmt.Errorf("read a piece of the artifact: %w", err)
	}
	if sum := sha256.Sum256(c.data); hex.EncodeToString(sum[:]) != one.digest {
		return fmt.Errorf("a piece of the artifact is not what was stored: object %s is damaged", one.key)
	}
	c.held = i
	return nil
}

// ArtifactSpace says what artifacts take.
type ArtifactSpace struct {
	Size   int64 // bytes of all artifacts of the project
	Shared int64 // bytes of them without what they have in common
}

// ArtifactSpace measures the artifacts of a project.
func (s *Service) ArtifactSpace(ctx context.Context, project slipway.ProjectID) (ArtifactSpace, error) {
	var a ArtifactSpace
	const query = `
		SELECT CAST(COALESCE((SELECT SUM(a.size) FROM pipeline_artifacts a JOIN pipeline_runs r ON r.id = a.run WHERE r.project = $1), 0) AS BIGINT),
			CAST(COALESCE((SELECT SUM(c.size) FROM pipeline_chunks c WHERE c.digest IN (SELECT x.digest FROM pipeline_artifact_chunks x
				JOIN pipeline_artifacts a ON a.id = x.artifact JOIN pipeline_runs r ON r.id = a.run WHERE r.project = $1)), 0) AS BIGINT)
			+ CAST(COALESCE((SELECT SUM(a.size) FROM pipeline_artifacts a JOIN pipeline_runs r ON r.id = a.run WHERE r.project = $1 AND a.blob_key <> ''), 0) AS BIGINT)`
	if err := s.db.QueryRowContext(ctx, query, string(project)).Scan(&a.Size, &a.Shared); err != nil {
		return a, fmt.Errorf("measure the artifacts: %w", err)
	}
	return a, nil
}
