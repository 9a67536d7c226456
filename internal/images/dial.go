package images

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"slipway"
	"slipway/internal/images/tunnel"
)

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
		return func(ctx context.Context) (net.Conn, error) { return tunnel.Dial(ctx, u, header) }, nil
	}
	return nil, slipway.Invalid("the builder's address %q: write unix:///PATH or http(s)://SERVER/PATH", address)
}

// Scope parts what a builder remembers (node/builder/README.md): the results and cache mounts of one scope are never seen by
// another, except that Name finds the results of Reads too. The zero Scope is the owner's own connection, which sees all.
type Scope struct {
	Name  string // lower-case letters, digits and dashes
	Reads string // "" for none
	Owner string // who watches the builds (Dial.Watch), in the same letters; "" for nobody
}

// In gives connections that build in a scope. Only who holds the builder's own address can choose it: what is sent through the
// connection afterwards cannot.
func (d Dial) In(s Scope) Dial {
	if s == (Scope{}) {
		return d
	}
	return func(ctx context.Context) (net.Conn, error) {
		words := strings.TrimSpace("SCOPE " + s.Name + " " + s.Reads)
		if s.Owner != "" {
			words += " AS " + s.Owner
		}
		return d.begin(ctx, words)
	}
}

// Watch gives connections on which the builder tells of the builds of an owner (node/builder/README.md, "Watching").
func (d Dial) Watch(owner string) Dial {
	return func(ctx context.Context) (net.Conn, error) { return d.begin(ctx, "WATCH "+owner) }
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
