package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"slipway/internal/clock"
)

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A registry with a public address does not lead this machine to its neighbours.
func TestDial(t *testing.T) {
	t.Parallel()
	neighbour := httptest.NewServer(http.NotFoundHandler())
	defer neighbour.Close()
	address := strings.TrimPrefix(neighbour.URL, "http://")
	f := func(what string, o Options, want string) {
		t.Helper()
		conn, err := newClient(t, o).dial(context.Background(), "tcp", address)
		if err == nil {
			conn.Close()
		}
		if got := err == nil; got != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	f("by a public registry", Options{URL: "https://1.1.1.1"}, "no public address")
	f("by a registry on this machine", Options{URL: "http://127.0.0.1:1"}, "")
	f("by a registry itself", Options{URL: neighbour.URL}, "")
	f("in a network that was allowed", Options{URL: "https://1.1.1.1", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, "")
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://registry-1.docker.io": true, "http://10.0.0.1:5000": true, "https://x.example/": true,
		"registry.example": false, "ftp://x.example": false, "https://u:p@x.example": false, "https://x.example/v2": false, "https://x.example?a": false, "https://": false,
	} {
		if _, err := CheckURL(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

type still struct{ now time.Time }

func (s *still) Now() time.Time { return s.now }

// Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3).
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "": time.Minute, "soon": time.Minute, "999999": time.Hour, "-5": time.Minute,
		"Sat, 28 Nov 2026 12:05:00 GMT": 5 * time.Minute, "Sat, 28 Nov 2026 11:00:00 GMT": 0, "Sat, 28 Nov 2036 11:00:00 GMT": time.Hour,
	} {
		c := newClient(t, Options{URL: "https://x.example", Clock: &still{now}})
		c.wait(header)
		got := time.Duration(0)
		if until := c.Paused(); !until.IsZero() {
			got = until.Sub(now)
		}
		if got != want {
			t.Errorf("Retry-After %q: %v, want %v", header, got, want)
		}
	}
}

// Each status has its meaning for who asked.
func TestErrors(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]Kind{404: Missing, 401: Denied, 403: Denied, 429: Limited, 500: Unavailable, 503: Unavailable, 400: Invalid, 418: Invalid} {
		registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"errors":[{"code":"SOME_CODE","message":"because"}]}`)
			}
		}))
		_, err := newClient(t, Options{URL: registry.URL}).Manifest(context.Background(), "team/app", "v1", "")
		var e *Error
		if !errors.As(err, &e) || e.Kind != want || !strings.Contains(e.Message, `SOME_CODE, "because"`) {
			t.Errorf("%d: %v, want %s", status, err, want)
		}
		registry.Close()
	}
	_, err := newClient(t, Options{URL: "http://127.0.0.1:1"}).Head(context.Background(), "team/app", "v1")
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unavailable || !strings.Contains(err.Error(), "http://127.0.0.1:1/v2/") || strings.Contains(err.Error(), "https:") {
		t.Errorf("nobody listens: %v", err)
	}
	for status, want := range map[int]string{401: "it refuses to sign in: ", 500: "it answers 500 Internal Server Error to who signs in: "} {
		registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" && status == 401 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token"`)
			}
			w.WriteHeader(status)
		}))
		_, err := newClient(t, Options{URL: registry.URL}).Head(context.Background(), "team/app", "v1")
		if !errors.As(err, &e) || !strings.HasPrefix(e.Message, want) {
			t.Errorf("sign-in with %d: %v, want %q", status, err, want)
		}
		registry.Close()
	}
}
