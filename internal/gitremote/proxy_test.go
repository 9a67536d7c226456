package gitremote

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// A host may answer while it still receives, as git does that warns of an object in the middle of a push: nothing of the request is lost.
func TestProxyBothWays(t *testing.T) {
	t.Parallel()
	const part = 400_000
	came := make(chan int64, 1)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		n, err := io.CopyN(io.Discard, r.Body, part)
		if err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(w, "warning"); err != nil {
			t.Error(err)
		}
		if err := c.Flush(); err != nil {
			t.Error(err)
		}
		rest, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		came <- n + rest
	}))
	defer host.Close()
	p, err := startProxy([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	through, err := url.Parse(p.url())
	if err != nil {
		t.Fatal(err)
	}
	body, send := io.Pipe()
	request, err := http.NewRequest(http.MethodPost, host.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(send, strings.Repeat("x", part)) }()
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadFull(answer.Body, make([]byte, len("warning"))); err != nil { // which is there before the rest is sent
		t.Fatal(err)
	}
	if _, err := io.WriteString(send, strings.Repeat("y", part)); err != nil {
		t.Error(err)
	}
	if err := send.Close(); err != nil {
		t.Fatal(err)
	}
	if n := <-came; n != 2*part {
		t.Errorf("%d bytes of %d came", n, 2*part)
	}
}
