package gitserver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
)

// post sends a request to one of the services and returns the answer.
func (w *world) post(service, token, encoding string, body io.Reader) *http.Response {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/tools/_git/shop/"+service, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth("x", token)
	req.Header.Set("Content-Type", "application/x-"+service+"-request")
	req.Header.Set("Git-Protocol", "version=2")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	return res
}

// begin opens a connection and sends the beginning of a request.
func (w *world) begin(service string) net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	credentials := base64.StdEncoding.EncodeToString([]byte("x:" + w.writer))
	_, err = io.WriteString(c, "POST /tools/_git/shop/"+service+" HTTP/1.1\r\nHost: x\r\nAuthorization: Basic "+credentials+
		"\r\nContent-Type: application/x-"+service+"-request\r\nContent-Length: 1000\r\n\r\n0094")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// lsRefs is protocol 2's command that lists refs (gitprotocol-v2(5)).
const lsRefs = "0014command=ls-refs\n0000"

func TestCompressedRequest(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	_, _ = io.WriteString(z, lsRefs)
	_ = z.Close()
	res := w.post("git-upload-pack", w.reader, "gzip", &body)
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || !strings.Contains(string(answer), mustGit(t, dir, "rev-parse", "HEAD")+" refs/heads/main") {
		t.Errorf("%s: %q", res.Status, answer)
	}
	if res := w.post("git-upload-pack", w.reader, "br", strings.NewReader("x")); res.StatusCode != 400 {
		t.Errorf("an unknown encoding: %s", res.Status)
	}
	if res := w.post("git-upload-pack", w.reader, "gzip", strings.NewReader("no gzip at all")); res.StatusCode != 400 {
		t.Errorf("no gzip: %s", res.Status)
	}
}

// Before a large push git sends four bytes to learn whether it is let in.
func TestProbeOfALargePush(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	if res := w.post("git-receive-pack", w.writer, "", strings.NewReader("0000")); res.StatusCode != 200 {
		t.Errorf("probe: %s", res.Status)
	}
	if res := w.post("git-receive-pack", w.reader, "", strings.NewReader("0000")); res.StatusCode != 403 {
		t.Errorf("probe of a reader: %s", res.Status)
	}
}

// An exchange that stands still is ended, and its place is free for others: there is one place only.
func TestStalledExchangeEnds(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{Processes: 1, StallTime: 3 * time.Second})
	dir := w.work(w.writer)
	start := time.Now()
	c := w.begin("git-receive-pack") // the beginning of a command that never comes
	defer c.Close()
	_, _ = io.Copy(io.Discard, c) // until the server closes
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %s to end", took)
	}
	mustGit(t, dir, "push", "-q", "origin", "main")
}

// A client that goes away in the middle takes its git process with it.
func TestClientGone(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{Processes: 1})
	dir := w.work(w.writer)
	for _, service := range []string{"git-receive-pack", "git-upload-pack"} {
		w.begin(service).Close()
	}
	mustGit(t, dir, "push", "-q", "origin", "main") // the only place is free again
	mustGit(t, "", "clone", "-q", w.remote(w.reader), filepath.Join(t.TempDir(), "clone"))
}

func TestBusyServerSaysSo(t *testing.T) {
	t.Parallel()
	busy, free := make(chan struct{}), make(chan struct{})
	w := setup(t, dbtest.SQLite(t), gitserver.Options{Processes: 1, QueueTime: time.Second,
		OnPushed: func(context.Context, gitserver.Push) []string {
			close(busy)
			<-free
			return nil
		}})
	dir := w.work(w.writer)
	pushed := make(chan error, 1)
	go func() {
		_, err := git(t, dir, "push", "-q", "origin", "main")
		pushed <- err
	}()
	<-busy
	res := w.post("git-upload-pack", w.reader, "", strings.NewReader(lsRefs))
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(string(text), "busy") {
		t.Errorf("%s: %q", res.Status, text)
	}
	close(free)
	if err := <-pushed; err != nil {
		t.Error(err)
	}
}
