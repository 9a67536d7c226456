package images

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"slipway"
)

// handshakeTime bounds connecting and the server's answer, not the build.
const handshakeTime = 30 * time.Second

// NewDial is how the builder at an address is reached: unix:///PATH for its socket, or the
// http:// or https:// URL of a server's tunnel, which is then asked with the header.
func NewDial(address string, header http.Header) (Dial, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, slipway.Invalid("the builder's address %q is not a URL", address)
	}
	switch u.Scheme {
	case "unix":
		if !filepath.IsAbs(u.Path) || u.Host != "" {
			return nil, slipway.Invalid("the builder's address %q: write unix:///PATH", address)
		}
		return DialSocket(u.Path), nil
	case "http", "https":
		return func(ctx context.Context) (net.Conn, error) { return DialTunnel(ctx, u, header) }, nil
	}
	return nil, slipway.Invalid("the builder's address %q: write unix:///PATH or http(s)://SERVER/PATH", address)
}

// Scope parts what a builder remembers (node/builder/README.md): the results and cache mounts of one scope are never seen by
// another, except that Name finds the results of Reads too. The zero Scope is the owner's own connection, which sees all.
type Scope struct {
	Name  string // lower-case letters, digits and dashes
	Reads string // "" for none
}

// In gives connections that build in a scope. Only who holds the builder's own address can choose it: what is sent through the
// connection afterwards cannot.
func (d Dial) In(s Scope) Dial {
	if s == (Scope{}) {
		return d
	}
	return func(ctx context.Context) (net.Conn, error) {
		return d.begin(ctx, strings.TrimSpace("SCOPE "+s.Name+" "+s.Reads))
	}
}

// begin opens a connection and writes its first line.
func (d Dial) begin(ctx context.Context, words string) (net.Conn, error) {
	conn, err := d(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "SLIPWAY %s\n", words); err != nil {
		conn.Close()
		return nil, slipway.Unavailable("the builder closed the connection").Because(err)
	}
	return conn, nil
}

// DialSocket reaches a builder at its unix socket.
func DialSocket(path string) Dial {
	return func(ctx context.Context) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err != nil {
			return nil, slipway.Unavailable("the builder does not answer at %s: is it running?", path).Because(err)
		}
		return c, nil
	}
}

// DialTunnel opens a connection to a builder through a server's Tunnel. Refusals come as a
// slipway.Problem; the header, which carries the token, appears in none.
func DialTunnel(ctx context.Context, u *url.URL, header http.Header) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn, err := dialServer(ctx, u)
	if err != nil {
		return nil, slipway.Unavailable("the server %s does not answer", u.Host).Because(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	up, err := upgrade(conn, u, header)
	if !stop() && err == nil {
		err = fmt.Errorf("open tunnel to the builder: %w", context.Cause(ctx))
	}
	if err != nil {
		conn.Close()
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

func upgrade(conn net.Conn, u *url.URL, header http.Header) (net.Conn, error) {
	r := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: header.Clone(), ProtoMajor: 1, ProtoMinor: 1}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", protocol)
	if err := r.Write(conn); err != nil {
		return nil, slipway.Unavailable("the server %s closed the connection", u.Host).Because(err)
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, r)
	if err != nil {
		return nil, slipway.Unavailable("the server %s did not answer the request for a builder", u.Host).Because(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return tunnelConn{Conn: conn, r: br}, nil
}
