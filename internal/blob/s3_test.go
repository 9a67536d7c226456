package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"slipway/internal/blob"
	"slipway/internal/blob/blobtest"
)

func openS3(t *testing.T, place string) *blob.S3 {
	t.Helper()
	s, err := blob.OpenS3(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestS3Conforms(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	open := func(t *testing.T) *blob.S3 { place, _ := server.Place(); return openS3(t, place) }
	blobtest.Store(t, func(t *testing.T) blob.Store { return open(t) })
	blobtest.Resumable(t, func(t *testing.T) blob.Resumable { return open(t) })
}

// client is S3's own protocol, by which tests do what no store does.
func client(t *testing.T, place string) (core *minio.Core, bucket, prefix string) {
	t.Helper()
	o, err := blob.ParseS3(place)
	if err != nil {
		t.Fatal(err)
	}
	core, err = minio.NewCore(o.Endpoint.Host, &minio.Options{Creds: credentials.NewEnvAWS(), Region: o.Region})
	if err != nil {
		t.Fatal(err)
	}
	return core, o.Bucket, o.Prefix
}

// What a killed process leaves behind: S3's own uploads go, since nobody else will end them; an upload of ours stays.
func TestS3AfterACrash(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	place, folder := server.Place()
	s := openS3(t, place)
	if _, err := s.Append(t.Context(), "up", 0, strings.NewReader("first ")); err != nil {
		t.Fatal(err)
	}
	core, bucket, prefix := client(t, place)
	left := func(name string) string {
		id, err := core.NewMultipartUpload(t.Context(), bucket, name, minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := core.PutObjectPart(t.Context(), bucket, name, id, 1, strings.NewReader("half"), 4, minio.PutObjectPartOptions{}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	left(prefix + "/objects/registry/half")
	others := left("of another program")
	s = openS3(t, place)
	uploads, err := core.ListMultipartUploads(t.Context(), bucket, "", "", "", "", 100)
	if err != nil || len(uploads.Uploads) != 1 || uploads.Uploads[0].UploadID != others {
		t.Errorf("uploads left: %+v, %v", uploads.Uploads, err)
	}
	if err := s.List(t.Context(), "", func(key string, _ int64) error { t.Errorf("object %s", key); return nil }); err != nil {
		t.Error(err)
	}
	// Killed while it removed pieces: what lies behind the gap does not count, and goes.
	if _, err := s.Append(t.Context(), "up", 6, strings.NewReader("second ")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "up", 13, strings.NewReader("third")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "uploads", "up", fmt.Sprintf("%020d", 6))); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), "up", 18, "k"); !errors.Is(err, blob.ErrOffset) {
		t.Errorf("commit of an upload with a gap: %v, want ErrOffset", err)
	}
	if _, err := s.Append(t.Context(), "up", 6, strings.NewReader("again")); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), "up", 11, "k"); err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if got, err := io.ReadAll(o); err != nil || string(got) != "first again" {
		t.Errorf("object after the crash: %q, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Join(folder, "uploads", "up")); err == nil && len(left) > 0 {
		t.Errorf("pieces were left: %v", left)
	}
}

// A connection that breaks in the middle of an object is made good from there on, as long as it is the same object.
func TestS3ReadsOn(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	place, _ := server.Place()
	content := make([]byte, 3<<20)
	_, _ = rand.Read(content)
	if _, err := openS3(t, place).Put(t.Context(), "k", strings.NewReader(string(content))); err != nil {
		t.Fatal(err)
	}
	breaking := breakConnections(t, server.Endpoint)
	s := openS3(t, strings.Replace(place, server.Endpoint, breaking.url, 1))
	o, err := s.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got := make([]byte, len(content))
	for at := 0; at < len(got); {
		n, err := io.ReadFull(o, got[at:min(at+1<<20, len(got))])
		if err != nil {
			t.Fatalf("after %d bytes: %v", at+n, err)
		}
		at += n
		breaking.breakAll()
	}
	if !bytes.Equal(content, got) {
		t.Error("the bytes differ")
	}
	if _, err := o.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", strings.NewReader(strings.Repeat("x", len(content)))); err != nil {
		t.Fatal(err)
	}
	if n, err := o.Read(got); err == nil {
		t.Errorf("%d bytes of another object were read", n)
	}
}

// breaker passes connections on and breaks them when it is told to.
type breaker struct {
	url string
	mu  sync.Mutex
	all []net.Conn
}

func breakConnections(t *testing.T, endpoint string) *breaker {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaker{url: "http://" + l.Addr().String()}
	t.Cleanup(func() { l.Close(); b.breakAll() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to.Host)
			if err != nil {
				client.Close()
				continue
			}
			b.mu.Lock()
			b.all = append(b.all, client, server)
			b.mu.Unlock()
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { _, _ = io.Copy(client, server); client.Close() }()
		}
	}()
	return b
}

func (b *breaker) breakAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.all {
		c.Close()
	}
	b.all = nil
}

func TestS3Places(t *testing.T) {
	t.Parallel()
	f := func(place, want string) {
		t.Helper()
		_, err := blob.ParseS3(place)
		if got := fmt.Sprint(err); err == nil && want != "" || err != nil && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%s: %v, want %q", place, err, want)
		}
	}
	f("s3://bucket", "")
	f("s3://bucket/a/b/", "")
	f("s3://bucket/a?endpoint=http://127.0.0.1:9000&region=eu-west-1", "")
	f("s3://bucket?credentials=instance", "")
	f("file:///var", "write s3://BUCKET/PREFIX")
	f("s3://me:secret@bucket/a", "AWS_SECRET_ACCESS_KEY")
	f("s3://Bucket", "lower-case letters")
	f("s3://b", "3 to 63")
	f("s3:///a", "3 to 63")
	f("s3://bucket/a//b", "between slashes")
	f("s3://bucket/"+strings.Repeat("a", 101), "at most 100")
	f("s3://bucket?endpoint=127.0.0.1:9000", "http://HOST:PORT")
	f("s3://bucket?endpoint=http://host/path", "without a path")
	f("s3://bucket?secret=x", `"secret" is not known`)
	f("s3://bucket?region=a&region=b", "more than once")
	f("s3://bucket?credentials=x", "write instance")
}

// A store that cannot be used says so at start, in one sentence with what to do.
func TestS3Refuses(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	f := func(place, want string) {
		t.Helper()
		_, err := blob.OpenS3(context.Background(), place)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", place, err, want)
		}
	}
	f("s3://missing?endpoint="+server.Endpoint, `there is no bucket "missing"`)
	f("s3://slipway?endpoint=http://"+closed.Addr().String(), "does not answer")
	f("s3://slipway?region=eu-north-1&endpoint="+server.Endpoint, "region")
	f("s3://slipway?endpoint="+strings.Replace(server.Endpoint, "http:", "https:", 1), "speaks HTTP without TLS")
	// These no gateway says; Amazon's documentation of S3 ("Error responses") has the codes.
	for code, want := range map[string]string{"InvalidAccessKeyId": "refuses the credentials", "AccessDenied": "s3:PutObject", "RequestTimeTooSkewed": "clock",
		"PermanentRedirect": "write its region", "QuotaExceeded": "QuotaExceeded"} {
		f("s3://slipway?endpoint="+fakeRefusal(t, code), want)
	}
}

// fakeRefusal is an S3 server that answers everything with one error.
func fakeRefusal(t *testing.T, code string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { //nolint:gosec // a test's server needs no time limits
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
	}))
	return "http://" + l.Addr().String()
}
