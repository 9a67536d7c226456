package blob

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"
)

// maxBreaks is how often in a row a connection may break without a byte before reading fails.
const maxBreaks = 3

// s3Object is an open object. Its bytes begin to come when it is opened, so that it can be read to its end when its key
// goes meanwhile; after Seek, or when a connection broke, the rest is asked for anew and must be that of the same object.
type s3Object struct {
	store  *S3
	name   string
	etag   string
	size   int64
	at     int64 // where the next Read begins
	stream io.ReadCloser
	next   int64 // where the stream goes on
	ctx    context.Context
	cancel context.CancelFunc
}

// Open implements Store.
func (s *S3) Open(ctx context.Context, key string) (Object, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	o := &s3Object{store: s, name: s.object(key)}
	// The object is good until Close, whatever becomes of the context that it was opened with.
	o.ctx, o.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, o.cancel)
	stream, info, _, err := s.core.GetObject(o.ctx, s.bucket, o.name, minio.GetObjectOptions{})
	if err == nil && !stop() {
		_ = stream.Close()
		err = ctx.Err()
	}
	if err != nil {
		stop()
		o.cancel()
		return nil, fmt.Errorf("open object %s: %w", key, failed(err))
	}
	o.stream, o.etag, o.size = stream, info.ETag, info.Size
	return o, nil
}

func (o *s3Object) Size() int64 { return o.size }

func (o *s3Object) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for breaks := 0; ; breaks++ {
		if o.at >= o.size {
			return 0, io.EOF
		}
		if err := o.follow(); err != nil {
			return 0, err
		}
		n, err := o.stream.Read(p)
		o.at, o.next = o.at+int64(n), o.next+int64(n)
		if err != nil {
			o.drop()
		}
		if n > 0 || err == nil { // an error comes again with the next Read, or does not
			return n, nil
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if breaks >= maxBreaks || o.ctx.Err() != nil {
			return 0, fmt.Errorf("read object: %w", failed(err))
		}
	}
}

// follow makes the stream go on where the next Read begins.
func (o *s3Object) follow() error {
	if o.stream != nil && o.next == o.at {
		return nil
	}
	o.drop()
	var options minio.GetObjectOptions
	if err := errors.Join(options.SetMatchETag(o.etag), options.SetRange(o.at, o.size-1)); err != nil {
		return fmt.Errorf("read object: %w", err)
	}
	stream, _, _, err := o.store.core.GetObject(o.ctx, o.store.bucket, o.name, options)
	if err != nil {
		return fmt.Errorf("read object: %w", failed(err))
	}
	o.stream, o.next = stream, o.at
	return nil
}

func (o *s3Object) drop() {
	if o.stream != nil {
		_ = o.stream.Close()
		o.stream = nil
	}
}

func (o *s3Object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	default:
		return 0, fmt.Errorf("seek: whence %d is not known", whence)
	}
	if offset < 0 {
		return 0, errors.New("seek: position is before the beginning")
	}
	o.at = offset
	return offset, nil
}

func (o *s3Object) Close() error {
	o.cancel()
	o.drop()
	return nil
}
