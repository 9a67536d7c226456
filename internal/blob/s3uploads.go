package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// lastPieceTime bounds the storing of what came before a client went away.
const lastPieceTime = time.Minute

// piece is a part of an upload that lies in the bucket as an object of its own, since parts of S3's own uploads can
// neither be read nor cut, and smaller ones than 5 MiB not be followed by others.
type piece struct {
	name   string
	offset int64
	size   int64
}

func (s *S3) uploadName(upload string) string { return s.prefix + "uploads/" + upload + "/" }

func (s *S3) pieceName(upload string, offset int64) string {
	return fmt.Sprintf("%s%020d", s.uploadName(upload), offset)
}

// pieces lists the upload's pieces in order; end is where those that join end. Behind a gap, which a server leaves that
// dies while it removes pieces, nothing counts.
func (s *S3) pieces(ctx context.Context, upload string) (list []piece, end int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	folder := s.uploadName(upload)
	for info := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: folder, Recursive: true}) {
		if info.Err != nil {
			return nil, 0, failed(info.Err)
		}
		offset, err := strconv.ParseInt(strings.TrimPrefix(info.Key, folder), 10, 64)
		if err != nil {
			continue // not ours
		}
		list = append(list, piece{info.Key, offset, info.Size})
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	slices.SortFunc(list, func(a, b piece) int { return int(a.offset - b.offset) })
	for _, p := range list {
		if p.offset != end {
			break
		}
		end += p.size
	}
	return list, end, nil
}

// Append implements Resumable.
func (s *S3) Append(ctx context.Context, upload string, offset int64, r io.Reader) (int64, error) {
	if err := checkUpload(upload); err != nil {
		return 0, err
	}
	if !s.claim(upload) {
		return 0, fmt.Errorf("append to upload %s: %w", upload, ErrBusy)
	}
	defer s.release(upload)
	n, err := s.append(ctx, upload, offset, withContext{ctx, r})
	if err != nil {
		return n, fmt.Errorf("append to upload %s: %w", upload, err)
	}
	return n, nil
}

func (s *S3) append(ctx context.Context, upload string, offset int64, r io.Reader) (n int64, err error) {
	list, end, err := s.pieces(ctx, upload)
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset > end {
		return 0, ErrOffset
	}
	if err := s.cut(ctx, list, offset); err != nil {
		return 0, err
	}
	for {
		content, reading := fill(r, pieceSize(offset+n))
		if len(content) > 0 || offset+n == 0 { // the first begins the upload, however short it is
			err = s.putPiece(ctx, s.pieceName(upload, offset+n), content, reading)
		}
		if err == nil {
			n += int64(len(content))
		}
		keepBuffer(content)
		switch {
		case err != nil:
			return n, failed(err)
		case errors.Is(reading, io.EOF):
			return n, nil
		case reading != nil:
			return n, reading
		}
	}
}

// putPiece stores a piece; when the reader broke, and its context with it, what came before still is stored.
func (s *S3) putPiece(ctx context.Context, name string, content []byte, reading error) error {
	if reading != nil && !errors.Is(reading, io.EOF) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastPieceTime)
		defer cancel()
	}
	return s.putObject(ctx, name, content)
}

// cut drops what the pieces hold from offset on. What lies before is there at every moment.
func (s *S3) cut(ctx context.Context, list []piece, offset int64) error {
	i := slices.IndexFunc(list, func(p piece) bool { return p.offset >= offset })
	if i < 0 {
		i = len(list)
	}
	if err := s.remove(ctx, list[i:]); err != nil {
		return err
	}
	if i == 0 || list[i-1].offset+list[i-1].size <= offset {
		return nil
	}
	head := list[i-1]
	content, err := s.read(ctx, head, 0, offset-head.offset)
	if err != nil {
		return err
	}
	return failed(s.putObject(ctx, head.name, content))
}

// read returns a part of a piece.
func (s *S3) read(ctx context.Context, p piece, from, length int64) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	var options minio.GetObjectOptions
	if err := options.SetRange(from, from+length-1); err != nil {
		return nil, err
	}
	body, _, _, err := s.core.GetObject(ctx, s.bucket, p.name, options)
	if err != nil {
		return nil, failed(err)
	}
	defer body.Close()
	content := make([]byte, length)
	if _, err := io.ReadFull(body, content); err != nil {
		return nil, failed(err)
	}
	return content, nil
}

// remove deletes pieces, the last one first, as far as the order is ours.
func (s *S3) remove(ctx context.Context, list []piece) error {
	if len(list) == 1 { // one request that every store knows
		return failed(s.core.RemoveObject(ctx, s.bucket, list[0].name, minio.RemoveObjectOptions{}))
	}
	if len(list) == 0 {
		return nil
	}
	results, err := s.core.RemoveObjectsWithIter(ctx, s.bucket, func(yield func(minio.ObjectInfo) bool) {
		for _, p := range slices.Backward(list) {
			if !yield(minio.ObjectInfo{Key: p.name}) {
				return
			}
		}
	}, minio.RemoveObjectsOptions{})
	if err != nil {
		return failed(err)
	}
	for result := range results {
		if err := failed(result.Err); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ctx.Err()
}

// Commit implements Resumable. The bytes are put together inside the object storage.
func (s *S3) Commit(ctx context.Context, upload string, size int64, key string) error {
	if err := errors.Join(checkUpload(upload), CheckKey(key)); err != nil {
		return err
	}
	if !s.claim(upload) {
		return fmt.Errorf("commit upload %s: %w", upload, ErrBusy)
	}
	defer s.release(upload)
	list, end, err := s.pieces(ctx, upload)
	switch {
	case err != nil:
	case len(list) == 0:
		err = ErrNotFound
	case size < 0 || end < size:
		err = fmt.Errorf("%d bytes received, not %d: %w", end, size, ErrOffset)
	default:
		if err = s.join(ctx, list, size, s.object(key)); err == nil {
			err = s.remove(ctx, list)
		}
	}
	if err != nil {
		return fmt.Errorf("commit upload %s: %w", upload, err)
	}
	return nil
}

// join makes the first size bytes of the pieces one object.
func (s *S3) join(ctx context.Context, list []piece, size int64, name string) error {
	if list[0].size == size {
		_, err := s.core.CopyObject(ctx, s.bucket, list[0].name, s.bucket, name, nil, minio.CopySrcOptions{}, minio.PutObjectOptions{})
		return failed(err)
	}
	if size <= minPart {
		var content []byte
		for _, p := range list {
			part, err := s.read(ctx, p, 0, min(p.size, size-int64(len(content))))
			if err != nil {
				return err
			}
			content = append(content, part...)
			if int64(len(content)) == size {
				break
			}
		}
		return failed(s.putObject(ctx, name, content))
	}
	m, err := s.newMultipart(ctx, name)
	if err != nil {
		return failed(err)
	}
	return m.finish(ctx, m.join(list, size))
}

// Abort implements Resumable.
func (s *S3) Abort(ctx context.Context, upload string) error {
	if err := checkUpload(upload); err != nil {
		return err
	}
	list, _, err := s.pieces(ctx, upload)
	if err == nil {
		err = s.remove(ctx, list)
	}
	if err != nil {
		return fmt.Errorf("abort upload %s: %w", upload, err)
	}
	return nil
}

// Uploads implements Resumable.
func (s *S3) Uploads(ctx context.Context, fn func(upload string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	folder := s.prefix + "uploads/"
	for info := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: folder}) {
		err := failed(info.Err)
		name := strings.TrimSuffix(strings.TrimPrefix(info.Key, folder), "/")
		if err == nil && checkUpload(name) == nil {
			err = fn(name)
		}
		if err != nil {
			return fmt.Errorf("list uploads: %w", err)
		}
	}
	return ctx.Err()
}
