package agent

import (
	"context"
	"io"
	"net"
	"slices"

	"slipway/internal/pipelines/variable"
)

// servicePorts sets agent.services.NAME.ports.PORT, and makes the ports of services that are mapped to others reachable by these, as on an agent
// with Docker: in a pod the services of a job share its network.
func (r *runner) servicePorts(say func(format string, args ...any)) {
	for _, p := range slices.Concat(r.config.Published, r.config.Ports) {
		r.vars.Put("agent.services."+p.Service+".ports."+p.Port, variable.Value{Text: p.Mapped, ReadOnly: true})
	}
	for _, p := range r.config.Ports {
		if p.Mapped == p.Port {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", p.Mapped))
		if err != nil {
			say("##[warning]Port %s:%s of the service %s is reached as %s alone: %v", p.Mapped, p.Port, p.Service, p.Port, err)
			continue
		}
		forward(r.hard, listener, net.JoinHostPort("127.0.0.1", p.Port))
	}
}

// forward passes on what connects to the address, until the context ends, when it closes the listener.
func forward(ctx context.Context, listener net.Listener, to string) {
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(ctx, conn.(*net.TCPConn), to)
		}
	}()
}

// pass joins a connection with one to the address; each direction ends by itself.
func pass(ctx context.Context, conn *net.TCPConn, to string) {
	defer conn.Close()
	other, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	peer := other.(*net.TCPConn)
	defer peer.Close()
	defer context.AfterFunc(ctx, func() { conn.Close(); peer.Close() })()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(peer, conn); _ = peer.CloseWrite() }()
	_, _ = io.Copy(conn, peer)
	_ = conn.CloseWrite()
	<-done
}
