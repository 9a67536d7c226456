// Package tunnel is the way of a job to the builder: an HTTP request to the server that is upgraded and then carries BuildKit's protocol.
// It has no part in what passes. It is by itself since the agent takes it, which has no BuildKit.
package tunnel

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway"
)

// Protocol is what the upgrade is called in the Upgrade header.
const Protocol = "buildkit"

// handshakeTime bounds connecting and the server's answer, not the build.
const handshakeTime = 30 * time.Second

// Dial opens a connection to the builder through a server. Refusals come as a
// slipway.Problem; the header, which carries the token, appears in none.
func Dial(ctx context.Context, u *url.URL, header http.Header) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	c, err := dialServer(ctx, u)
	if err != nil {
		return nil, slipway.Unavailable("the server %s does not answer", u.Host).Because(err)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	up, err := upgrade(c, u, header)
	if !stop() && err == nil {
		err = fmt.Errorf("open tunnel to the builder: %w", context.Cause(ctx))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return up, nil
}

func dialServer(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	address := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		// HTTP/1.1 alone: HTTP/2 has no upgrade.
		d := tls.Dialer{Config: &tls.Config{NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}}
		return d.DialContext(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

func upgrade(c net.Conn, u *url.URL, header http.Header) (net.Conn, error) {
	r := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: header.Clone(), ProtoMajor: 1, ProtoMinor: 1}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", Protocol)
	if err := r.Write(c); err != nil {
		return nil, slipway.Unavailable("the server %s closed the connection", u.Host).Because(err)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, r)
	if err != nil {
		return nil, slipway.Unavailable("the server %s did not answer the request for a builder", u.Host).Because(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return conn{Conn: c, r: br}, nil
}

// conn is the client's end; its first bytes may have been read with the answer's header.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func (c conn) Read(b []byte) (int, error) { return c.r.Read(b) }

// shortBody is the start of an answer that refuses the tunnel, for the error's message.
func shortBody(r io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(r, 512))
	return strings.TrimSpace(string(b))
}

func refusal(resp *http.Response) error {
	body := shortBody(resp.Body)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return slipway.Unauthenticated("the server does not accept the token for building images")
	case http.StatusForbidden:
		return slipway.Forbidden("the server does not let you build images: %s", body)
	case http.StatusTooManyRequests:
		return slipway.Limit("too many builds at once: %s", body)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return slipway.Unavailable("the builder is not available: %s", body)
	}
	return fmt.Errorf("open tunnel to the builder: the server answered %s: %s", resp.Status, body)
}
