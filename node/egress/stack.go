package egress

import (
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	nic       = 1
	queueSize = 1024 // packets towards the namespace that wait for the device
)

// run starts the stack, the two pumps between it and the device, and the goroutine that ends
// them all.
func (e *Egress) run() error {
	s, link, err := e.newStack()
	if err != nil {
		return err
	}
	e.work.Go(func() { e.pumpIn(link) })
	e.work.Go(func() { e.pumpOut(link) })
	e.work.Go(func() {
		<-e.ctx.Done()
		e.device.Close() // the error would say that it is closed already
		e.closeAll()
		s.Destroy()
	})
	return nil
}

// newStack makes a stack that takes packets for any address as its own (promiscuous) and may
// answer from any (spoofing).
func (e *Egress) newStack() (*stack.Stack, *channel.Endpoint, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	link := channel.New(queueSize, uint32(e.options.MTU), "")
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	steps := []func() tcpip.Error{
		func() tcpip.Error { return s.CreateNIC(nic, link) },
		func() tcpip.Error { return s.SetPromiscuousMode(nic, true) },
		func() tcpip.Error { return s.SetSpoofing(nic, true) },
		func() tcpip.Error { return s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack) },
		func() tcpip.Error { return s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate) },
		func() tcpip.Error {
			return s.AddProtocolAddress(nic, tcpip.ProtocolAddress{
				Protocol: ipv4.ProtocolNumber,
				AddressWithPrefix: tcpip.AddressWithPrefix{
					Address: tcpip.AddrFrom4(e.gateway.As4()), PrefixLen: e.options.Network.Bits(),
				},
			}, stack.AddressProperties{})
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, nil, fmt.Errorf("set up user-space network: %s", err)
		}
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(s, 0, connecting, e.acceptTCP).HandlePacket)
	s.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(s, e.acceptUDP).HandlePacket)
	return s, link, nil
}

// pumpIn gives the stack what the namespace sends, until the device closes.
func (e *Egress) pumpIn(link *channel.Endpoint) {
	defer e.cancel()
	buf := make([]byte, 1<<16)
	for {
		n, err := e.device.Read(buf)
		if err != nil {
			return
		}
		if !e.admit(buf[:n]) {
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(buf[:n])})
		link.InjectInbound(ipv4.ProtocolNumber, pkt)
		pkt.DecRef()
	}
}

// admit reports whether a packet is one that the stack can serve. ICMP goes to the gateway
// alone: the promiscuous stack would otherwise answer a ping to any address by itself, and a
// ping that is answered by nobody's host is a lie.
func (e *Egress) admit(packet []byte) bool {
	h := header.IPv4(packet)
	if header.IPVersion(packet) != header.IPv4Version || !h.IsValid(len(packet)) || addr(h.DestinationAddress()).IsLoopback() {
		return false
	}
	switch h.TransportProtocol() {
	case header.TCPProtocolNumber, header.UDPProtocolNumber:
		return true
	case header.ICMPv4ProtocolNumber:
		return addr(h.DestinationAddress()) == e.gateway
	}
	return false
}

// pumpOut gives the namespace what the stack sends.
func (e *Egress) pumpOut(link *channel.Endpoint) {
	defer e.cancel()
	for {
		pkt := link.ReadContext(e.ctx)
		if pkt == nil {
			return // the way out closes
		}
		view := pkt.ToView()
		pkt.DecRef()
		_, err := e.device.Write(view.AsSlice())
		view.Release()
		if err != nil && e.ctx.Err() != nil {
			return
		}
		// Any other error means that the kernel dropped this packet (no memory, device down):
		// TCP sends it again.
	}
}

func addr(a tcpip.Address) netip.Addr {
	out, _ := netip.AddrFromSlice(a.AsSlice())
	return out
}
