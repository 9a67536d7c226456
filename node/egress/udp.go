package egress

import (
	"net"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// flowIdle is how long a UDP flow without a packet is remembered (RFC 4787 asks for two minutes).
const flowIdle = 2 * time.Minute

// acceptUDP answers the first packet of a flow; the endpoint made here gets those that follow.
// False makes the stack answer that the port is unreachable.
func (e *Egress) acceptUDP(r *udp.ForwarderRequest) bool {
	id := r.ID()
	to := addr(id.LocalAddress)
	dns := to == e.gateway && id.LocalPort == dnsPort
	if !dns && e.options.refused(to) {
		return false
	}
	if e.udp.Add(1) > int64(e.options.Flows) {
		e.udp.Add(-1)
		return true // dropped, as a busy network does
	}
	if !e.begin() {
		e.udp.Add(-1)
		return true
	}
	var queue waiter.Queue
	ep, failed := r.CreateEndpoint(&queue)
	if failed != nil {
		e.udp.Add(-1)
		e.work.Done()
		return true
	}
	in := gonet.NewUDPConn(&queue, ep)
	go func() {
		defer e.work.Done()
		defer e.udp.Add(-1)
		if !e.track(in) {
			return
		}
		defer e.release(in)
		if dns {
			e.serveDNS(in)
			return
		}
		out, err := e.dial(e.ctx, "udp4", address(to, id.LocalPort))
		if err != nil || !e.track(out) {
			return
		}
		defer e.release(out)
		carryFlow(in, out)
	}()
	return true
}

// carryFlow copies packets both ways until none has passed for a while.
func carryFlow(a, b net.Conn) {
	var both sync.WaitGroup
	alive := func() {
		at := time.Now().Add(flowIdle)
		_ = a.SetReadDeadline(at) // fails only on a closed connection, which the read finds too
		_ = b.SetReadDeadline(at)
	}
	alive()
	pump := func(to, from net.Conn) {
		defer a.Close()
		defer b.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			alive()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	both.Go(func() { pump(a, b) })
	both.Go(func() { pump(b, a) })
	both.Wait()
}
