package blobtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/programtest"
)

// s3Server is a gateway that serves a folder as S3: https://github.com/versity/versitygw.
const s3Server = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// The credentials of the server, which are those of this process's environment too.
const (
	accessKey = "slipway-test"
	secretKey = "a secret of tests alone"
)

var setCredentials = sync.OnceFunc(func() {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": "", "AWS_REGION": ""} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
})

// S3 is an S3 server for a test, with one bucket.
type S3 struct {
	Folder   string // of the bucket: objects are files below it
	Endpoint string // its URL
	socket   string
	places   atomic.Int64
}

const bucket = "slipway"

// StartS3 starts a real S3 server, which ends with the test.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	program, err := programtest.Install(s3Server, "versitygw")
	if err != nil {
		t.Fatal(err)
	}
	setCredentials()
	dir, err := os.MkdirTemp("", "s3-") // short, since the name of a socket must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &S3{Folder: filepath.Join(dir, "data", bucket), socket: filepath.Join(dir, "socket")}
	for _, name := range []string{s.Folder, filepath.Join(dir, "attributes")} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "--port", s.socket, "--quiet", "posix", "--sidecar", filepath.Join(dir, "attributes"), filepath.Dir(s.Folder))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+accessKey, "ROOT_SECRET_ACCESS_KEY="+secretKey)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, ended := context.WithCancel(context.Background())
	go func() { _ = cmd.Wait(); ended() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ctx.Done(); log.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if conn := s.dial(ctx); conn == nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("the S3 server ended:\n%s", said)
	} else {
		conn.Close()
	}
	go s.forward(ctx, listener)
	s.Endpoint = "http://" + listener.Addr().String()
	return s
}

// dial connects to the server, as soon as it listens; nil when it has ended.
func (s *S3) dial(ctx context.Context) net.Conn {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := net.Dial("unix", s.socket); err == nil {
			return conn
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// forward brings connections to the server's socket: a port of its own it could lose to another program before it listens.
func (s *S3) forward(ctx context.Context, l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			server := s.dial(ctx)
			if server == nil {
				return
			}
			defer server.Close()
			go func() { _, _ = io.Copy(client, server); client.Close() }()
			_, _ = io.Copy(server, client)
		}()
	}
}

// Place is the URL of an empty place, as blob.OpenS3 takes it, and the folder in which its objects are files.
func (s *S3) Place() (url, folder string) {
	prefix := fmt.Sprintf("test/%d", s.places.Add(1))
	return fmt.Sprintf("s3://%s/%s?endpoint=%s", bucket, prefix, s.Endpoint), filepath.Join(s.Folder, prefix)
}
