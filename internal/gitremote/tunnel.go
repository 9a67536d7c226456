package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"slipway/internal/httpx"
)

// tunnel is the way of one ssh process to its host: a port of this machine that leads there, when the address may be reached.
type tunnel struct {
	listener net.Listener
	target   string
	dialer   *net.Dialer
	left     atomic.Int64 // bytes that may still come
	limit    int64
	ctx      context.Context
	stop     context.CancelFunc
	open     sync.WaitGroup

	mu  sync.Mutex
	err error // the first failure
}

func startTunnel(target string, networks []netip.Prefix, limit int64) (*tunnel, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for ssh: %w", err)
	}
	t := &tunnel{listener: listener, target: target, dialer: httpx.OutboundDialer(networks), limit: limit}
	t.left.Store(limit)
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.open.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			t.open.Go(func() { t.join(c) })
		}
	})
	return t, nil
}

func (t *tunnel) address() string { return t.listener.Addr().String() }

func (t *tunnel) close() {
	t.stop()
	t.listener.Close()
	t.open.Wait()
}

func (t *tunnel) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *tunnel) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

func (t *tunnel) join(local net.Conn) {
	defer local.Close()
	remote, err := t.dialer.DialContext(t.ctx, "tcp", t.target)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Err != nil {
			err = op.Err
		}
		t.fail(err)
		return
	}
	defer remote.Close()
	stop := context.AfterFunc(t.ctx, func() {
		_ = local.SetDeadline(time.Now())
		_ = remote.SetDeadline(time.Now())
	})
	defer stop()
	var sending sync.WaitGroup
	sending.Go(func() {
		_, _ = io.Copy(remote, local)
		if half, ok := remote.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	})
	_, _ = io.Copy(local, limited{remote, t})
	local.Close()
	sending.Wait()
}

// limited reads what comes from the network, as much as may.
type limited struct {
	io.Reader
	t *tunnel
}

func (l limited) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.t.left.Add(-int64(n)) < 0 {
		err = fmt.Errorf("it sends more than %d bytes", l.t.limit)
		l.t.fail(err)
	}
	return n, err
}
