package egress

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	connecting = 512 // TCP connections that are being opened at once
	dialTime   = 30 * time.Second
	// A connection whose pod has vanished is found dead after about three minutes of silence.
	keepAliveIdle     = time.Minute
	keepAliveInterval = 30 * time.Second
	keepAliveCount    = 4
)

// acceptTCP answers a SYN from the namespace: it dials first and then completes the handshake,
// so that the pod sees the same refusal or time-out that the host does.
func (e *Egress) acceptTCP(r *tcp.ForwarderRequest) {
	// The stack calls this in a goroutine of its own; Close must know of it.
	if !e.begin() {
		r.Complete(true)
		return
	}
	defer e.work.Done()
	defer e.tcp.Add(-1)
	if e.tcp.Add(1) > int64(e.options.Connections) {
		r.Complete(true)
		return
	}
	out, err := e.dialTCP(r.ID())
	if err != nil {
		// A time-out is left to the pod's own time-out and retries, as on a network where packets
		// are lost; what the host knows at once the pod learns at once.
		var timeout net.Error
		r.Complete(!errors.As(err, &timeout) || !timeout.Timeout())
		return
	}
	var queue waiter.Queue
	ep, failed := r.CreateEndpoint(&queue)
	r.Complete(failed != nil)
	if failed != nil {
		out.Close()
		return
	}
	keepAlive(ep)
	in := gonet.NewTCPConn(&queue, ep)
	if !e.track(in) || !e.track(out) {
		in.Close()
		out.Close()
		return
	}
	defer e.release(in)
	defer e.release(out)
	carry(in, out)
}

// begin counts a goroutine in that the stack started, unless it is too late.
func (e *Egress) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.work.Add(1)
	return true
}

var errRefused = errors.New("destination is refused")

// dialTCP opens the host's side. A connection to the gateway's DNS goes to the host's resolver.
func (e *Egress) dialTCP(id stack.TransportEndpointID) (net.Conn, error) {
	to := addr(id.LocalAddress)
	if to == e.gateway && id.LocalPort == dnsPort {
		return e.dialResolver("tcp")
	}
	if e.options.refused(to) {
		return nil, errRefused
	}
	return e.dial(e.ctx, "tcp4", address(to, id.LocalPort))
}

func address(a netip.Addr, port uint16) string {
	return net.JoinHostPort(a.String(), strconv.Itoa(int(port)))
}

func keepAlive(ep tcpip.Endpoint) {
	ep.SocketOptions().SetKeepAlive(true)
	idle, interval := tcpip.KeepaliveIdleOption(keepAliveIdle), tcpip.KeepaliveIntervalOption(keepAliveInterval)
	_ = ep.SetSockOpt(&idle)
	_ = ep.SetSockOpt(&interval)
	_ = ep.SetSockOptInt(tcpip.KeepaliveCountOption, keepAliveCount)
}

// halfCloser is a connection whose sending side can end alone, as both TCP kinds here can.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// carry copies both ways. Each direction ends on its own, since protocols such as HTTP/1.0 close
// one side and still wait for the other.
func carry(a *gonet.TCPConn, b net.Conn) {
	other, ok := b.(halfCloser)
	if !ok {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { copyHalf(a, other) })
	both.Go(func() { copyHalf(other, a) })
	both.Wait()
}

func copyHalf(to, from halfCloser) {
	if _, err := io.Copy(to, from); err != nil {
		// Broken, not ended: the other direction has no use any more.
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite() // fails only when it is closed already
}
