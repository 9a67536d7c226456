package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
)

// Options say how the namespace's way out looks. The zero value is complete.
type Options struct {
	Device string // the TUN device's name; "egress0"
	// Network is the small network between the namespace and the gateway: its first address is
	// the gateway's, its second the device's. 10.213.6.0/30 by default.
	Network netip.Prefix
	MTU     int // bytes; 1500 by default
	// Refuse are destinations that must not leave the namespace this way, besides those that
	// never may: give the cluster's own pod and service networks.
	Refuse []netip.Prefix
	// ResolvConf names the file whose name servers answer the gateway's DNS; /etc/resolv.conf.
	ResolvConf string
	// Connections and Flows bound the TCP connections (4096) and UDP flows (1024) at once; what
	// is above is refused.
	Connections, Flows int
}

func (o Options) withDefaults() (Options, error) {
	if o.Device == "" {
		o.Device = "egress0"
	}
	if !o.Network.IsValid() {
		o.Network = netip.MustParsePrefix("10.213.6.0/30")
	}
	if !o.Network.Addr().Is4() || o.Network.Bits() > 30 || o.Network != o.Network.Masked() {
		return o, fmt.Errorf("network %s must be an IPv4 network of /30 or larger", o.Network)
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.MTU < 1280 || o.MTU > 65535 {
		return o, fmt.Errorf("MTU %d is not between 1280 and 65535", o.MTU)
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	if o.Connections == 0 {
		o.Connections = 4096
	}
	if o.Flows == 0 {
		o.Flows = 1024
	}
	return o, nil
}

// Egress is one namespace's way out. It ends with Close, or when the context given to Start ends.
type Egress struct {
	options Options
	gateway netip.Addr
	device  *os.File
	dial    func(ctx context.Context, network, address string) (net.Conn, error)

	ctx    context.Context // ends when the way out closes
	cancel context.CancelFunc
	tcp    atomic.Int64   // connections that are open
	udp    atomic.Int64   // flows that are open
	work   sync.WaitGroup // every goroutine of this Egress

	mu     sync.Mutex // guards what follows
	open   map[net.Conn]struct{}
	closed bool
}

// Start makes the device and the default route in the namespace at netnsPath (/run/netns/NAME or
// /proc/PID/ns/net) and carries its traffic. It needs CAP_NET_ADMIN. A namespace that has a
// default route already is an error. The device vanishes with this process, however that ends.
func Start(ctx context.Context, netnsPath string, o Options) (*Egress, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	gateway := o.Network.Addr().Next()
	device, err := openDevice(netnsPath, o, gateway)
	if err != nil {
		return nil, fmt.Errorf("egress of %s: %w", netnsPath, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &Egress{options: o, gateway: gateway, device: device, ctx: ctx, cancel: cancel, open: map[net.Conn]struct{}{}}
	e.dial = (&net.Dialer{Timeout: dialTime}).DialContext
	if err := e.run(); err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("egress of %s: %w", netnsPath, err), device.Close())
	}
	return e, nil
}

// Gateway is the address inside the namespace that answers DNS on port 53, UDP and TCP.
func (e *Egress) Gateway() netip.Addr { return e.gateway }

// Close removes the device, ends every connection and returns when all work has ended. It may be
// called more than once.
func (e *Egress) Close() error {
	e.cancel()
	e.work.Wait()
	return nil
}

// track remembers a connection so that Close ends it, and reports false when it is too late.
func (e *Egress) track(c net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		c.Close()
		return false
	}
	e.open[c] = struct{}{}
	return true
}

// release closes a connection that was tracked.
func (e *Egress) release(c net.Conn) {
	c.Close()
	e.mu.Lock()
	delete(e.open, c)
	e.mu.Unlock()
}

// closeAll ends every connection and lets no new one in.
func (e *Egress) closeAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for c := range e.open {
		c.Close()
	}
}
