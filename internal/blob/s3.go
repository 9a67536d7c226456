package blob

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's checksum of a request's body, not a matter of trust
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"slipway"
)

// S3 is a Resumable store in a bucket of S3 or of what speaks its protocol, for one process at a time.
//
//	PREFIX/objects/KEY             the objects
//	PREFIX/uploads/NAME/OFFSET     uploads under way: their pieces, each named by where it begins
//
// S3 makes an object visible whole or not at all, so nothing is staged. A multipart upload that a server left behind is
// aborted at start. Credentials come from the environment, from the file that AWS's tools use, or from the machine's role.
type S3 struct {
	core   *minio.Core
	bucket string
	prefix string // empty, or ending in a slash
	claims
}

var _ Resumable = (*S3)(nil)

// OpenS3 opens the store that rawURL names, as ParseS3 reads it. Each error says in one sentence what is wrong with the
// place or the credentials.
func OpenS3(ctx context.Context, rawURL string) (*S3, error) {
	o, err := ParseS3(rawURL)
	if err != nil {
		return nil, err
	}
	creds := o.credentials()
	if value, err := creds.GetWithContext(nil); err != nil || value.AccessKeyID == "" {
		return nil, errors.New("there are no credentials for the object storage: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file of AWS's form with AWS_SHARED_CREDENTIALS_FILE")
	}
	transport, err := minio.DefaultTransport(o.Endpoint.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	transport.MaxIdleConnsPerHost = 64
	options := minio.Options{Creds: creds, Secure: o.Endpoint.Scheme == "https", Region: o.Region, Transport: transport, MaxRetries: 2}
	probe, err := minio.NewCore(o.Endpoint.Host, &options) // who starts waits for the answer
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	s := &S3{core: probe, bucket: o.Bucket, prefix: o.Prefix}
	if s.prefix != "" {
		s.prefix += "/"
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := s.begin(ctx); err != nil {
		return nil, o.explain(err)
	}
	options.MaxRetries = 6
	if s.core, err = minio.NewCore(o.Endpoint.Host, &options); err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	return s, nil
}

const startTime = 30 * time.Second

// begin finds out whether the bucket can be written, read and listed, and aborts what a server left unfinished.
func (s *S3) begin(ctx context.Context) error {
	const name = "objects/slipway-start"
	if err := s.putObject(ctx, s.prefix+name, []byte("This server may write here.\n")); err != nil {
		return err
	}
	if _, err := s.core.StatObject(ctx, s.bucket, s.prefix+name, minio.StatObjectOptions{}); err != nil {
		return err
	}
	if err := s.core.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}); err != nil {
		return err
	}
	keyMarker, idMarker := "", ""
	for {
		page, err := s.core.ListMultipartUploads(ctx, s.bucket, s.prefix+"objects/", keyMarker, idMarker, "", 1000)
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			if err := s.core.AbortMultipartUpload(ctx, s.bucket, u.Key, u.UploadID); err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

func (o S3Options) credentials() *credentials.Credentials {
	if o.Instance {
		return credentials.New(&credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}, Region: o.Region})
	}
	return credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
}

// object is the name in the bucket of the object under key.
func (s *S3) object(key string) string { return s.prefix + "objects/" + key }

// failed makes an error of S3 into one of this package.
func failed(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	r := minio.ToErrorResponse(err)
	switch {
	case r.Code == minio.NoSuchKey || r.Code == "NotFound":
		return ErrNotFound
	case r.StatusCode == http.StatusInsufficientStorage, r.Code == "QuotaExceeded", r.Code == "XMinioStorageFull", r.Code == "XMinioAdminBucketQuotaExceeded":
		return fmt.Errorf("%w: %w", ErrFull, err)
	case r.Code == "" || r.StatusCode >= 500:
		return slipway.Unavailable("the object storage does not answer: try again in a while").Because(err)
	}
	return fmt.Errorf("%w (%s)", err, r.Code)
}

// Sizes of what is sent at once, in bytes. S3 takes parts of 5 MiB to 5 GiB, up to 10,000 of them.
const (
	smallPiece = 8 << 20
	largePiece = 64 << 20
	minPart    = 5 << 20
	maxParts   = 9_000 // which leaves room for the ends of pieces
)

// pieceSize is how long the piece that begins at offset is: larger ones later, so that 64 GiB need no more than 2,000.
func pieceSize(offset int64) int {
	if offset < 1000*smallPiece {
		return smallPiece
	}
	return largePiece
}

// buffers hold what is sent at once; they grow with what comes, so that slow and small uploads take little.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func keepBuffer(b []byte) {
	if cap(b) <= smallPiece {
		b = b[:0]
		buffers.Put(&b)
	}
}

// fill reads from r until size bytes are there or r ends, with its error, into a buffer that keepBuffer takes back.
func fill(r io.Reader, size int) ([]byte, error) {
	b := (*buffers.Get().(*[]byte))[:0] //nolint:forcetypeassert // nothing else is put there
	for len(b) < size {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(max(2*cap(b), 64<<10), size))
			copy(grown, b)
			b = grown
		}
		n, err := r.Read(b[len(b):min(cap(b), size)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func checksum(content []byte) string {
	sum := md5.Sum(content) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// putObject stores content in one request.
func (s *S3) putObject(ctx context.Context, name string, content []byte) error {
	_, err := s.core.PutObject(ctx, s.bucket, name, bytes.NewReader(content), int64(len(content)), checksum(content), "", minio.PutObjectOptions{})
	return err
}

// Put implements Store.
func (s *S3) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	if err := CheckKey(key); err != nil {
		return 0, err
	}
	n, err := s.put(ctx, s.object(key), withContext{ctx, r})
	if err != nil {
		return 0, fmt.Errorf("put object %s: %w", key, err)
	}
	return n, nil
}

func (s *S3) put(ctx context.Context, name string, r io.Reader) (int64, error) {
	first, err := fill(r, smallPiece)
	if errors.Is(err, io.EOF) {
		defer keepBuffer(first)
		return int64(len(first)), failed(s.putObject(ctx, name, first))
	}
	if err != nil {
		keepBuffer(first)
		return 0, err
	}
	m, err := s.newMultipart(ctx, name)
	if err != nil {
		return 0, failed(err)
	}
	n := int64(len(first))
	m.upload(first)
	for err == nil && m.ctx.Err() == nil {
		var content []byte
		content, err = fill(r, pieceSize(n))
		if len(content) == 0 && err != nil {
			break
		}
		n += int64(len(content))
		m.upload(content)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, m.finish(ctx, err)
}

// Stat implements Store.
func (s *S3) Stat(ctx context.Context, key string) (int64, error) {
	if err := CheckKey(key); err != nil {
		return 0, err
	}
	info, err := s.core.StatObject(ctx, s.bucket, s.object(key), minio.StatObjectOptions{})
	if err != nil {
		return 0, fmt.Errorf("stat object %s: %w", key, failed(err))
	}
	return info.Size, nil
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := failed(s.core.RemoveObject(ctx, s.bucket, s.object(key), minio.RemoveObjectOptions{}))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("delete object %s: %w", key, err)
	}
	return nil
}

// List implements Store.
func (s *S3) List(ctx context.Context, prefix string, fn func(key string, size int64) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for info := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.object(prefix), Recursive: true}) {
		err := failed(info.Err)
		key := strings.TrimPrefix(info.Key, s.object(""))
		if err == nil && CheckKey(key) == nil { // what others put there is not ours
			err = fn(key, info.Size)
		}
		if err != nil {
			return fmt.Errorf("list objects %s: %w", prefix, err)
		}
	}
	return ctx.Err()
}
