package images_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/imagestest"
	"slipway/internal/images/progress"
	"slipway/internal/images/tunnel"
)

// serve is a door of the shape that the server has: it authorises and answers problems.
func serve(t *testing.T, tunnel *images.Tunnel) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer job-token" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		switch err := tunnel.Serve(w, r, images.Scope{}); slipway.CodeOf(err) {
		case "":
		case slipway.CodeLimit:
			http.Error(w, err.Error(), http.StatusTooManyRequests)
		case slipway.CodeUnavailable:
			http.Error(w, "no builder", http.StatusServiceUnavailable)
		default:
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(tunnel.Close)
	u, err := url.Parse(s.URL + "/_slipway/builder")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// echo is a peer in the builder's place that sends every line back.
func echo(t *testing.T) images.Dial {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // ends with the connection
			}()
		}
	}()
	return func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}
}

var token = http.Header{"Authorization": {"Bearer job-token"}}

// say sends a line through a connection and gives what comes back.
func say(t *testing.T, c net.Conn, line string) (string, error) {
	t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

func TestTunnel(t *testing.T) {
	t.Parallel()

	t.Run("carries bytes both ways and nothing of the client's header reaches the builder", func(t *testing.T) {
		t.Parallel()
		c, err := tunnel.Dial(t.Context(), serve(t, images.NewTunnel(echo(t), images.TunnelLimits{})), token)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, line := range []string{"one\n", strings.Repeat("x", 300_000) + "\n"} {
			if got, err := say(t, c, line); err != nil || got != line {
				t.Errorf("%d bytes came back as %d (%v)", len(line), len(got), err)
			}
		}
	})

	t.Run("a wrong token is refused without repeating it", func(t *testing.T) {
		t.Parallel()
		_, err := tunnel.Dial(t.Context(), serve(t, images.NewTunnel(echo(t), images.TunnelLimits{})), http.Header{"Authorization": {"Bearer stolen"}})
		if slipway.CodeOf(err) != slipway.CodeUnauthenticated || strings.Contains(err.Error(), "stolen") {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("one connection too many is refused until one ends", func(t *testing.T) {
		t.Parallel()
		u := serve(t, images.NewTunnel(echo(t), images.TunnelLimits{Count: 1}))
		first, err := tunnel.Dial(t.Context(), u, token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tunnel.Dial(t.Context(), u, token); slipway.CodeOf(err) != slipway.CodeLimit {
			t.Errorf("second connection: %v", err)
		}
		first.Close()
		for {
			c, err := tunnel.Dial(t.Context(), u, token)
			if err == nil {
				c.Close()
				return
			}
			if slipway.CodeOf(err) != slipway.CodeLimit {
				t.Fatalf("after the first has ended: %v", err)
			}
		}
	})

	t.Run("a silent connection is closed", func(t *testing.T) {
		t.Parallel()
		c, err := tunnel.Dial(t.Context(), serve(t, images.NewTunnel(echo(t), images.TunnelLimits{Idle: 50 * time.Millisecond})), token)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read gives %v, want the end", err)
		}
	})

	t.Run("Close ends open connections", func(t *testing.T) {
		t.Parallel()
		through := images.NewTunnel(echo(t), images.TunnelLimits{})
		u := serve(t, through)
		c, err := tunnel.Dial(t.Context(), u, token)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		through.Close()
		if _, err := say(t, c, "still there?\n"); err == nil {
			t.Error("the connection outlived the tunnel")
		}
		if _, err := tunnel.Dial(t.Context(), u, token); slipway.CodeOf(err) != slipway.CodeUnavailable {
			t.Errorf("a new connection: %v", err)
		}
	})

	t.Run("no builder is told as such", func(t *testing.T) {
		t.Parallel()
		u := serve(t, images.NewTunnel(images.DialSocket("/nonexistent/builder.sock"), images.TunnelLimits{}))
		if _, err := tunnel.Dial(t.Context(), u, token); slipway.CodeOf(err) != slipway.CodeUnavailable {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("a plain request is refused", func(t *testing.T) {
		t.Parallel()
		u := serve(t, images.NewTunnel(echo(t), images.TunnelLimits{}))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = token.Clone()
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status is %s", resp.Status)
		}
	})
}

func TestBuildThroughTunnel(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	u := serve(t, images.NewTunnel(images.DialSocket(w.Socket), images.TunnelLimits{}))
	dial, err := images.NewDial(u.String(), token)
	if err != nil {
		t.Fatal(err)
	}
	o := images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo through\n"})}
	var events []progress.Event
	result, err := images.Build(t.Context(), dial, o, func(e progress.Event) { events = append(events, e) })
	if err != nil || result.Digest == "" {
		t.Fatalf("build: %v %v", result, err)
	}
	if got := lines(events); len(got) != 1 || got[0] != "through" {
		t.Errorf("log is %q", got)
	}

	refused, err := images.NewDial(u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := images.Build(t.Context(), refused, o, nil); slipway.CodeOf(err) != slipway.CodeUnauthenticated {
		t.Errorf("without a token: %v", err)
	}
}
