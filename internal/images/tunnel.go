package images

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/images/tunnel"
)

// Tunnel carries connections from HTTP requests to a builder. Make it with NewTunnel; Close it
// when the server stops, since the HTTP server no longer knows of the connections it took over.
type Tunnel struct {
	dial   Dial
	limits TunnelLimits

	mu     sync.Mutex // guards what follows
	open   map[net.Conn]struct{}
	closed bool
	done   sync.WaitGroup
}

// TunnelLimits bound a Tunnel; zero values are replaced by the defaults.
type TunnelLimits struct {
	Idle  time.Duration // a connection on which nothing passes for this long is closed; 10 minutes
	Count int           // connections at once; 256
}

// NewTunnel makes a tunnel to the builder that dial reaches.
func NewTunnel(dial Dial, limits TunnelLimits) *Tunnel {
	if limits.Idle == 0 {
		limits.Idle = 10 * time.Minute
	}
	if limits.Count == 0 {
		limits.Count = 256
	}
	return &Tunnel{dial: dial, limits: limits, open: map[net.Conn]struct{}{}}
}

// Serve answers a request that asks to upgrade to the buildkit protocol and then carries bytes
// both ways until one side ends. The builds of the connection are of the scope. It does not ask
// who calls: the door has done that. When it returns a Problem nothing has been written yet and
// the door answers; nil means that the connection was taken over and is closed.
func (t *Tunnel) Serve(w http.ResponseWriter, r *http.Request, scope Scope) error {
	return t.serve(w, r, t.dial.In(scope))
}

// ServeWatch does the same with a connection on which the builder tells of an owner's builds.
func (t *Tunnel) ServeWatch(w http.ResponseWriter, r *http.Request, owner string) error {
	return t.serve(w, r, t.dial.Watch(owner))
}

func (t *Tunnel) serve(w http.ResponseWriter, r *http.Request, dial Dial) error {
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return slipway.Invalid("the builder's tunnel is opened with POST")
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), tunnel.Protocol) || !headerHas(r.Header, "Connection", "upgrade") {
		return slipway.Invalid("the builder speaks BuildKit's protocol: send Connection: Upgrade and Upgrade: %s", tunnel.Protocol)
	}
	if r.ProtoMajor != 1 {
		return slipway.Unsupported("the builder's tunnel needs HTTP/1.1")
	}
	up, err := dial(r.Context())
	if err != nil {
		return slipway.Unavailable("the builder cannot be reached: try again in a moment").Because(err)
	}
	if err := t.add(up); err != nil {
		up.Close()
		return err
	}
	defer t.remove(up)
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return slipway.Unsupported("the builder's tunnel needs HTTP/1.1").Because(err)
	}
	defer down.Close()
	if err := down.SetDeadline(time.Now().Add(t.limits.Idle)); err != nil {
		return nil
	}
	if _, err := fmt.Fprintf(down, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", tunnel.Protocol); err != nil {
		return nil
	}
	t.carry(down, buffered.Reader, up)
	return nil
}

// add counts a connection in; remove closes it and counts it out.
func (t *Tunnel) add(c net.Conn) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return slipway.Unavailable("the server is stopping")
	}
	if len(t.open) >= t.limits.Count {
		return slipway.Limit("%d builds are connected at once already: try again later", t.limits.Count)
	}
	t.open[c] = struct{}{}
	t.done.Add(1)
	return nil
}

func (t *Tunnel) remove(c net.Conn) {
	c.Close()
	t.mu.Lock()
	delete(t.open, c)
	t.mu.Unlock()
	t.done.Done()
}

// Close ends every connection, lets no new one in, and returns when all are gone.
func (t *Tunnel) Close() {
	t.mu.Lock()
	t.closed = true
	for c := range t.open {
		c.Close()
	}
	t.mu.Unlock()
	t.done.Wait()
}

// carry copies both ways. Any byte in either direction keeps both alive: a long compile is
// silent in one direction only. The end of one side ends both, as BuildKit's protocol has no
// use for half an open connection.
func (t *Tunnel) carry(down net.Conn, fromDown io.Reader, up net.Conn) {
	alive := func() error {
		at := time.Now().Add(t.limits.Idle)
		return errors.Join(down.SetDeadline(at), up.SetDeadline(at))
	}
	if alive() != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		copyAlive(up, fromDown, alive)
		down.Close()
		up.Close()
	})
	both.Go(func() {
		copyAlive(down, up, alive)
		down.Close()
		up.Close()
	})
	both.Wait()
}

// copyAlive copies until an end or an error, neither of which is worth telling: the two
// programs at the ends notice and say so better.
func copyAlive(to io.Writer, from io.Reader, alive func() error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if alive() != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// headerHas reports whether a comma-separated header holds the token, in any case.
func headerHas(h http.Header, key, token string) bool {
	for _, v := range h.Values(key) {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
